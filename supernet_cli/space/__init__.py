"""Architectures as data: the search space and the paths through it. No torch."""

from supernet_cli.space.architecture import Architecture
from supernet_cli.space.bundle import Bundle
from supernet_cli.space.costs import PASSES_PER_TRAINING_IMAGE, PathCosts, PathSizes
from supernet_cli.space.space import ChoiceBlock, SearchSpace

__all__ = [
    "PASSES_PER_TRAINING_IMAGE",
    "Architecture",
    "Bundle",
    "ChoiceBlock",
    "PathCosts",
    "PathSizes",
    "SearchSpace",
]
