"""Several candidates of each block at once, which a strategy can train although no single path contains them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Combine = Literal["mean", "sum"]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A set of candidates for each block, whose outputs are combined.

    Args:
        choices: Positions of the candidates in each block, in order; at least one per block.
        combine: Whether outputs are averaged, which keeps the scale of a single one, or summed.
    """

    choices: tuple[tuple[int, ...], ...]
    combine: Combine = "mean"
