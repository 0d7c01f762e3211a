"""What a user may ask: the preset, its schema, and where presets are found. Free of torch."""
