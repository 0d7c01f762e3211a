"""Several candidates of each block at once: what a strategy may train that no path can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Combine = Literal["mean", "sum"]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A set of candidates for each block, whose outputs become one.

    Args:
        choices: Positions of the candidates, block by block; at least one each, in order.
        combine: Whether outputs are averaged, so that their scale is that of one, or summed.
    """

    choices: tuple[tuple[int, ...], ...]
    combine: Combine = "mean"
