"""What a search of a run has found: its document, and what is said and drawn of it."""
