"""The live monitor: a Textual application that reads run folders and never imports torch."""
