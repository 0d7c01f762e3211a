"""Which seeds to use where paths have unequal ones, and how to choose with some seeds and judge with others.

Shapes: n paths, S stand-alone seeds. Arrays of accuracies are NaN where a path lacks a seed.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supernet_cli.reports.statistics.quantity import Floats

_MOST_SETS = 4096
_MOST_SPLITS = 20


@dataclass(frozen=True)
class Block:
    """Paths and seeds every combination of which exists.

    Args:
        paths: Indices of the paths, ascending.
        seeds: Indices of the seeds, ascending.
    """

    paths: NDArray[np.int64]
    seeds: NDArray[np.int64]

    def of(self, accuracies: Floats) -> Floats:
        """Return the block's part of an (n, S) array."""
        return accuracies[np.ix_(self.paths, self.seeds)]


def largest_block(accuracies: Floats) -> Block:
    """Return the block with most trainings beyond the first of each path, n · (S - 1); among equals, with most paths.

    Only sets of seeds that some paths have in common can be those of the largest block.

    Args:
        accuracies: (n, S).
    """
    known = np.isfinite(accuracies)
    patterns = Counter(frozenset(np.flatnonzero(row).tolist()) for row in known)
    shared: set[frozenset[int]] = set()
    for pattern, _ in patterns.most_common():
        shared |= {pattern, *(pattern & other for other in shared)}
        if len(shared) > _MOST_SETS:
            break

    def worth(seeds: frozenset[int]) -> tuple[int, int, list[int]]:
        paths = sum(count for pattern, count in patterns.items() if seeds <= pattern)
        return paths * (len(seeds) - 1), paths, [-seed for seed in sorted(seeds)]

    seeds = max((seeds for seeds in shared if seeds), key=worth, default=frozenset())
    columns = np.array(sorted(seeds), dtype=np.int64)
    return Block(np.flatnonzero(known[:, columns].all(axis=1)) if len(columns) else np.array([], np.int64), columns)


def mean_seeds(accuracies: Floats) -> float:
    """Return the harmonic mean of the paths' numbers of seeds: what matters for the noise of means over them.

    Args:
        accuracies: (n, S), each path with a seed.
    """
    seeds = np.isfinite(accuracies).sum(axis=1)
    return float(len(seeds) / (1 / seeds).sum())


def splits(seeds: int, judges: int = 1) -> list[tuple[list[int], list[int]]]:
    """Return ways to choose with some seeds and judge with the others.

    Half of the seeds choose, rounded up; all such halves are used, or 20 spread evenly over them.

    Args:
        seeds: How many there are.
        judges: How many must be left to judge, at least.

    Returns:
        Positions of the seeds that choose and of those that judge; empty if there are too few.
    """
    choosing = min((seeds + 1) // 2, seeds - judges)
    if choosing < 1:
        return []
    halves = list(itertools.combinations(range(seeds), choosing))
    some = halves[:: max(1, -(-len(halves) // _MOST_SPLITS))]
    return [(list(half), [seed for seed in range(seeds) if seed not in half]) for half in some]
