"""What can be said about rankings and how far: arrays in, frozen results out, each a number or the reason why not."""
