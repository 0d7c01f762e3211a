"""Train a supernet once, evaluate every path through it, and know whether the ranking can be trusted."""

__version__ = "0.1.0"
