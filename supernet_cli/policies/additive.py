"""Figures that add up along a path, for batches of paths: counted and bounded without looking at every path."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from supernet_cli.policies.problem import Choices, Floats, Path
from supernet_cli.space import PathCosts

_MOST_SUMS = 1 << 21
"""Sums of half of a path's decisions that are listed to count paths."""

_ROUNDING = 1e-13
"""Relative error of a sum of many fractions; whole numbers below 10^13 are still told apart."""


def ceiling(most: float) -> float:
    """Return the largest sum that counts as at most a value: 0.1 + 0.2 is at most 0.3, in whatever order it is added.

    Args:
        most: The value.
    """
    return most + _ROUNDING * abs(most)


@dataclass(frozen=True)
class Additive:
    """A figure that adds up along a path.

    Args:
        candidates: What each candidate adds, per decision.
        rest: What every path has besides.
    """

    candidates: tuple[tuple[float, ...], ...]
    rest: float

    @classmethod
    def of(cls, costs: PathCosts) -> Additive:
        """Return costs as such a figure."""
        return cls(costs.candidates, costs.rest)

    @property
    def digest(self) -> str:
        """A text that is the same for the same figures."""
        return hashlib.sha256(repr((self.candidates, self.rest)).encode()).hexdigest()[:16]

    @cached_property
    def _table(self) -> list[Floats]:
        return [np.array(block, dtype=np.float64) for block in self.candidates]

    def along(self, paths: Choices) -> Floats:
        """Return the figure of each path of a batch, (m,)."""
        total = np.full(len(paths), float(self.rest))
        for place, block in enumerate(self._table):
            total += block[paths[:, place]]
        return total

    @property
    def smallest(self) -> Path:
        """The path with the smallest figure; of equals, that with earlier candidates."""
        return tuple(int(block.argmin()) for block in self._table)

    @property
    def largest(self) -> Path:
        """The path with the largest figure; of equals, that with earlier candidates."""
        return tuple(int(block.argmax()) for block in self._table)

    def of_path(self, path: Path) -> float:
        """Return the figure of one path."""
        return float(self.along(np.array([path], dtype=np.int64))[0])

    def count(self, most: float) -> int | None:
        """Return how many paths have at most this figure (see `ceiling`); None in a space too large to count.

        Sums of the first decisions meet sums of the others, so a billion paths are counted by some ten thousand sums.
        """
        first, second = _halves([len(block) for block in self.candidates])
        if max(first, second) > _MOST_SUMS:
            return None
        widths, split = [len(block) for block in self.candidates], 0
        while math.prod(widths[:split]) < first:
            split += 1
        left, right = _sums(self._table[:split]), np.sort(_sums(self._table[split:]))
        return int(np.searchsorted(right, ceiling(most) - self.rest - left, side="right").sum())


def _halves(widths: Sequence[int]) -> tuple[int, int]:
    """Return how many ways there are through the first decisions and through the others, split most evenly."""
    total = math.prod(widths)
    firsts = [math.prod(widths[:split]) for split in range(len(widths) + 1)]
    first = min(firsts, key=lambda ways: (max(ways, total // ways), ways))
    return first, total // first


def _sums(blocks: Sequence[Floats]) -> Floats:
    total = np.zeros(1)
    for block in blocks:
        total = (total[:, None] + block).reshape(-1)
    return total
