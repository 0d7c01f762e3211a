"""One architecture: which candidate each choice block takes. Users call it a path."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Architecture:
    """One path through a search space; prints as `conv3x3_conv5x5`, first block first.

    Args:
        choices: Position of the chosen candidate in each block.
        labels: Label of the chosen candidate in each block.
    """

    choices: tuple[int, ...]
    labels: tuple[str, ...]

    def __str__(self) -> str:
        return "_".join(self.labels)
