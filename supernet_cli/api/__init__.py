"""The Python interface: `functions.py` has what the package offers, `arguments.py` what it accepts."""
