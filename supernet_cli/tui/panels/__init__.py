"""The parts of the monitor's screens, one a file: widgets that only render frozen views."""
