"""What a search knows: the paths, what is known of each without training it, the limits, and the trainings so far.

A path is the position of its candidate in each decision. Figures of paths are asked for in batches and never for more
paths than a policy looks at, so a space of a billion paths needs no more memory than one of a thousand.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from supernet_cli.errors import UsageError

Path = tuple[int, ...]
"""Position of the candidate that a path takes in each decision."""

Choices = NDArray[np.int64]
"""(m, decisions): a batch of paths."""

Floats = NDArray[np.float64]

SIZES = ("parameters", "macs")
"""Sizes of paths, whose logarithms a problem knows."""

UNSIGNED = frozenset({"synflow", "naswot", "gradient_norm"})
"""Zero-cost proxies. Whether more is better depends on the space: docs/study.md has one where all three rank paths the
wrong way round."""

MANY = 1 << 14
"""Paths of the largest space that is enumerated; the paths of larger ones are drawn."""

_PATIENCE = 200
"""Batches of random paths without a single one within the limits, after which a limit counts as unreachable."""


def _no_figures(paths: Choices) -> Floats:
    return np.zeros((len(paths), 0))


def _no_limits(paths: Choices) -> NDArray[np.bool_]:
    return np.ones(len(paths), dtype=bool)


@dataclass(frozen=True)
class Problem:
    """The paths to search, and what is known of them beforehand.

    Args:
        decisions: Labels of the candidates of each decision.
        names: What is known of paths without training them, such as `macs` or `one-shot`.
        known: Returns these figures of a batch, (m, names), NaN where unknown. Of each figure, more is expected to be
            better, but for those that are unsigned: the logarithm of a size, the negative of a one-shot loss.
        within_limits: Whether each path of a batch meets all limits, (m,). No other path is ever proposed.
        unsigned: Names of figures of which less may just as well be better.
        size: The figure that `largest` goes by; None where no size is known.
        score: The figure that `one-shot` goes by; None where there are no one-shot scores.
        measured: Paths of which more than their sizes is known.
        examples: Paths known to meet the limits, such as the smallest; needed where few paths of a large space do.
    """

    decisions: tuple[tuple[str, ...], ...]
    names: tuple[str, ...] = ()
    known: Callable[[Choices], Floats] = _no_figures
    within_limits: Callable[[Choices], NDArray[np.bool_]] = _no_limits
    unsigned: frozenset[str] = UNSIGNED
    size: str | None = None
    score: str | None = None
    measured: tuple[Path, ...] = field(default=(), repr=False)
    examples: tuple[Path, ...] = field(default=())

    @property
    def count(self) -> int:
        """How many paths there are, whether or not they meet the limits."""
        return math.prod(len(labels) for labels in self.decisions)

    @cached_property
    def paths(self) -> Choices | None:
        """All paths within the limits, or None for a space that is too large to be enumerated.

        Raises:
            UsageError: No path meets the limits.
        """
        if self.count > MANY:
            return None
        grid = np.array(list(itertools.product(*(range(len(labels)) for labels in self.decisions))), dtype=np.int64)
        within = grid[self.within_limits(grid)]
        if not len(within):
            raise UsageError("No path meets the limits.", "Loosen one of them.")
        return within

    def sample(self, rng: np.random.Generator, count: int) -> Choices:
        """Draw paths within the limits, (count, decisions), with replacement.

        Uniform in a space that is enumerated, and in any other where random paths meet the limits often enough.
        Otherwise they come from the examples, by changes at random.

        Raises:
            UsageError: No path that meets the limits was found.
        """
        if self.paths is not None:
            return self.paths[rng.integers(len(self.paths), size=count)]
        widths = np.array([len(labels) for labels in self.decisions])
        kept: list[Choices] = []
        for batch in range(_PATIENCE):
            drawn = rng.integers(widths, size=(max(count, 256), len(widths)))
            kept.append(drawn[self.within_limits(drawn)])
            if sum(map(len, kept)) >= count:
                return np.concatenate(kept)[:count]
            if batch >= 3 and self.examples and sum(map(len, kept)) < count // 8:
                break
        return self._walk(np.concatenate(kept), rng, count)

    def _walk(self, found: Choices, rng: np.random.Generator, count: int) -> Choices:
        """Return paths reached from those found and the examples by many changes, each within the limits."""
        examples = np.array(self.examples, dtype=np.int64).reshape(-1, len(self.decisions))
        starts = np.concatenate([found, examples[self.within_limits(examples)]])
        if not len(starts):
            raise UsageError("No path was found that meets the limits.", "Loosen one of them.")
        walkers = starts[rng.integers(len(starts), size=count)]
        for _ in range(4 * len(self.decisions)):
            moved = self.mutated(walkers, rng)
            allowed = self.within_limits(moved)
            walkers = np.where(allowed[:, None], moved, walkers)
        return walkers

    def mutated(self, paths: Choices, rng: np.random.Generator) -> Choices:
        """Return each path with another candidate in one decision; whether it meets the limits is not looked at."""
        widths = np.array([len(labels) for labels in self.decisions])
        open_decisions = np.flatnonzero(widths > 1)
        if not len(open_decisions):
            return paths.copy()
        places = open_decisions[rng.integers(len(open_decisions), size=len(paths))]
        rows, changed = np.arange(len(paths)), paths.copy()
        steps = 1 + rng.integers(widths[places] - 1)
        changed[rows, places] = (paths[rows, places] + steps) % widths[places]
        return changed

    def neighbours(self, path: Path) -> Choices:
        """Return all paths within the limits that differ from one in a single decision, in order."""
        others = [
            (*path[:place], choice, *path[place + 1 :])
            for place, labels in enumerate(self.decisions)
            for choice in range(len(labels))
            if choice != path[place]
        ]
        batch = np.array(others, dtype=np.int64).reshape(-1, len(self.decisions))
        return batch[self.within_limits(batch)]

    def column(self, name: str, paths: Choices) -> Floats:
        """Return one known figure of a batch, (m,), NaN where unknown."""
        return self.known(paths)[:, self.names.index(name)]


@dataclass(frozen=True)
class Observation:
    """The stand-alone trainings of a path.

    Args:
        path: The path.
        accuracies: Validation accuracy of each of its trainings, fractions; one per seed.
    """

    path: Path
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean validation accuracy over the seeds."""
        return sum(self.accuracies) / len(self.accuracies)


@dataclass(frozen=True)
class Evidence:
    """Everything that a policy decides by.

    Args:
        problem: The paths, and what is known of them.
        observations: The trainings so far, in order; one observation per path.
        pending: Paths whose trainings have begun and not ended.
    """

    problem: Problem
    observations: tuple[Observation, ...] = ()
    pending: tuple[Path, ...] = ()

    @cached_property
    def taken(self) -> frozenset[Path]:
        """Paths that are trained or being trained: no policy proposes them again."""
        return frozenset(self.pending) | {observation.path for observation in self.observations}

    def fresh(self, paths: Choices) -> Choices:
        """Return the paths of a batch that are not taken, each once, in order."""
        kept = {path: None for path in as_paths(paths) if path not in self.taken}
        return np.array(list(kept), dtype=np.int64).reshape(-1, paths.shape[1])


def as_paths(batch: Choices) -> list[Path]:
    """Return a batch as tuples."""
    return [tuple(row) for row in batch.tolist()]


def untaken(evidence: Evidence, rng: np.random.Generator, exclude: Sequence[Path] = ()) -> Iterator[Path]:
    """Yield paths within the limits that are neither taken nor excluded, in random order, each once.

    Ends when there are no more; in a space that is not enumerated, when no further path is found.
    """
    problem, seen = evidence.problem, {*evidence.taken, *exclude}
    if problem.paths is not None:
        for place in rng.permutation(len(problem.paths)).tolist():
            path = tuple(problem.paths[place].tolist())
            if path not in seen:
                yield path
        return
    for _ in range(_PATIENCE):
        for path in as_paths(problem.sample(rng, 64)):
            if path not in seen:
                seen.add(path)
                yield path
