"""Train a supernet once, judge every path through it, and know whether that judgement can be trusted."""

__version__ = "0.1.0"
