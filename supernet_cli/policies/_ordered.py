"""Policies that train paths in the order of one known figure."""

from __future__ import annotations

import numpy as np

from supernet_cli.policies._simple import Memoryless, filled
from supernet_cli.policies.problem import Choices, Evidence, Path, Problem, as_paths

_POPULATION = 512
_ROUNDS = 60


class Ordered(Memoryless):
    """Trains the paths with the largest value of a figure first, and equal ones in random order.

    Args:
        figure: The attribute of a problem that names the figure; where that is None, the order is random.
    """

    def __init__(self, figure: str) -> None:
        self._figure = figure

    def propose(self, evidence: Evidence, rng: np.random.Generator, n: int) -> list[Path]:
        """Return the leading paths that are not taken."""
        name = getattr(evidence.problem, self._figure)
        if name is None:
            return filled((), evidence, rng, n)
        return filled(as_paths(leading(evidence, name, rng, n)), evidence, rng, n)


def leading(evidence: Evidence, name: str, rng: np.random.Generator, n: int) -> Choices:
    """Return paths with the largest values of a figure, the largest first, n of them not taken.

    Paths whose value is unknown are not among them. In a space that is not enumerated, they are found by climbing: the
    best of a population and its changes survive, and paths that were measured are part of it from the start.
    """
    problem, n = evidence.problem, n + len(evidence.taken)
    if problem.paths is not None:
        return _best(problem, name, problem.paths, rng, n)
    measured = np.array(problem.measured, dtype=np.int64).reshape(-1, len(problem.decisions))
    population = np.concatenate([problem.sample(rng, _POPULATION), measured[problem.within_limits(measured)]])
    for _ in range(_ROUNDS):
        moved = problem.mutated(np.repeat(population, 2, axis=0), rng)
        wider = np.unique(np.concatenate([population, moved[problem.within_limits(moved)]]), axis=0)
        population = _best(problem, name, wider, rng, _POPULATION)
    return _best(problem, name, population, rng, n)


def _best(problem: Problem, name: str, paths: Choices, rng: np.random.Generator, n: int) -> Choices:
    values = problem.column(name, paths)
    order = np.lexsort((rng.random(len(paths)), -values))  # unknown ones last
    return paths[order[: min(n, int(np.isfinite(values).sum()))]]
