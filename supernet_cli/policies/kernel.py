"""How similar two paths are, in several senses: the covariances that the model of accuracies is made of.

Each sense is a *part*, scaled so that a random path has variance 1 and the mean over all paths varies as little as
can be:

    alike-one     effects of a candidate wherever it stands: linear in how often a path takes each label
    alike-many    interactions of these: smooth in the same counts
    pairs         one effect per pair of decisions and their candidates
    many          interactions of three decisions and more

Beside the parts, each candidate has an effect in each decision. Effects and interactions sum to zero over the
candidates of a decision, so that none explains what another does.

Source: Durrande, Ginsbourger, Roustant and Carraro 2013, "ANOVA kernels and RKHS of zero mean functions", arXiv
1106.3571.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from supernet_cli.policies.problem import SIZES, Choices, Floats, Path, Problem

PARTS = ("alike-one", "alike-many", "pairs", "many")
"""The parts, in the order of `Kernel.between`."""

_REFERENCE = 4096
"""Paths that evidence is standardised over."""

_LEAST_SPREAD = 0.05
"""Deviation of the logarithm of a size, below which it explains nothing: all paths are of nearly the same size."""

_ALIKE_REACH = 4.0
"""Squared distance of two paths' counts of labels, over twice this: the exponent of their similarity."""


@dataclass(frozen=True)
class Kernel:
    """The parts for one space.

    Args:
        decisions: Labels of the candidates of each decision.
    """

    decisions: tuple[tuple[str, ...], ...]

    @cached_property
    def _widths(self) -> Floats:
        return np.array([len(labels) for labels in self.decisions], dtype=np.float64)

    @cached_property
    def _vocabulary(self) -> tuple[str, ...]:
        """Labels that stand in more than one decision; empty if no two decisions share any."""
        labels = [label for block in self.decisions if len(block) > 1 for label in set(block)]
        return tuple(sorted({label for label in labels if labels.count(label) > 1}))

    def _counts(self, paths: Choices) -> Floats:
        """Return how often each path takes each shared label, less the mean over all paths, (m, labels)."""
        counts = np.zeros((len(paths), len(self._vocabulary)))
        for place, block in enumerate(self.decisions):
            table = np.array([[label == word for word in self._vocabulary] for label in block], dtype=np.float64)
            counts += table[paths[:, place]] - table.mean(axis=0)
        return counts

    @cached_property
    def _alike_scale(self) -> float:
        """Mean over all paths of the squared length of their centred counts."""
        total = 0.0
        for block in self.decisions:
            table = np.array([[label == word for word in self._vocabulary] for label in block], dtype=np.float64)
            total += float(table.var(axis=0).sum())
        return total

    @cached_property
    def alive(self) -> tuple[bool, ...]:
        """Whether each part differs between paths at all."""
        open_decisions = int((self._widths > 1).sum())
        alike = bool(self._vocabulary)
        return (alike, alike, open_decisions >= 2, open_decisions >= 3)

    def effects(self, paths: Choices) -> Floats:
        """Return what the effect of each candidate in each open decision counts for in each path, (m, candidates).

        The effects of independent candidates with variance 1 give a random path variance 1.
        """
        open_decisions = np.flatnonzero(self._widths > 1)
        blocks = [np.zeros((len(paths), 0))]
        for place in open_decisions:
            width = self._widths[place]
            taken = paths[:, place][:, None] == np.arange(width)
            blocks.append((taken - 1 / width) * np.sqrt(width / (width - 1) / len(open_decisions)))
        return np.concatenate(blocks, axis=1)

    def between(self, left: Choices, right: Choices) -> Floats:
        """Return the parts between two batches, (parts, left, right)."""
        similar = np.zeros((len(PARTS), len(left), len(right)))
        if self.alive[0]:
            one, two = self._counts(left), self._counts(right)
            inner = one @ two.T
            apart = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1) - 2 * inner
            similar[0] = inner / self._alike_scale
            similar[1] = np.exp(-np.maximum(apart, 0) / (2 * _ALIKE_REACH))
        sums = np.zeros((4, len(left), len(right)))  # elementary symmetric polynomials of degrees 0, 1 and 2; a product
        sums[[0, 3]] = 1.0
        open_decisions = np.flatnonzero(self._widths > 1)
        for place in open_decisions:
            width = self._widths[place]
            agree = left[:, place][:, None] == right[:, place]
            effect = np.where(agree, 1.0, -1 / (width - 1))
            sums[2] += effect * sums[1]
            sums[1] += effect
            sums[3] *= (1 + effect) / 2
        number = len(open_decisions)
        similar[2] = sums[2] / max(1, math.comb(number, 2))
        low = (sums[0] + sums[1] + sums[2]) / 2.0**number
        left_over = 1 - (1 + number + math.comb(number, 2)) / 2.0**number
        similar[3] = (sums[3] - low) / left_over if number >= 3 else 0.0
        return similar

    def variances(self, paths: Choices) -> Floats:
        """Return the parts of each path with itself, (parts, m): 1, but for labels that are rarely taken so often."""
        itself = np.ones((len(PARTS), len(paths)))
        if self.alive[0]:
            itself[0] = (self._counts(paths) ** 2).sum(axis=1) / self._alike_scale
        return itself


class Columns:
    """The parts between all of a pool of paths and those trained, kept from one training to the next.

    Args:
        kernel: The parts.
        pool: (m, decisions) all paths that are predicted.
    """

    def __init__(self, kernel: Kernel, pool: Choices) -> None:
        self._kernel = kernel
        self._pool = pool
        self._known: dict[Path, NDArray[np.float32]] = {}

    def of(self, paths: Sequence[Path]) -> NDArray[np.float32]:
        """Return the parts between some paths and the pool, (parts, paths, m) in single precision."""
        new = [path for path in dict.fromkeys(paths) if path not in self._known]
        if new:
            rows = self._kernel.between(np.array(new, dtype=np.int64), self._pool).astype(np.float32)
            self._known.update({path: rows[:, place] for place, path in enumerate(new)})
        return np.stack([self._known[path] for path in paths], axis=1)


@dataclass(frozen=True)
class Standard:
    """The scale on which evidence enters the model: mean 0 and deviation 1 over the paths within the limits.

    Args:
        used: Columns of the problem's figures that carry anything; of two that say the same, the first.
        mean: (used,).
        deviation: (used,).
        signed: (used,) 1 where more is expected to be better, 0 where that is open.
    """

    used: tuple[int, ...]
    mean: Floats
    deviation: Floats
    signed: Floats

    @classmethod
    def of(cls, problem: Problem) -> Standard:
        """Return the scale for a problem, from all of its paths or a sample that is the same every time."""
        paths = problem.paths
        if paths is None:
            paths = problem.sample(np.random.default_rng(0), _REFERENCE)
        figures = problem.known(paths)
        used: list[int] = []
        for column in range(figures.shape[1]):
            values = figures[:, column]
            known = np.isfinite(values)
            if known.sum() < 2 or np.ptp(values[known]) < 1e-12:
                continue
            if problem.names[column] in SIZES and values[known].std() < _LEAST_SPREAD:
                continue
            if not any(_same(values, figures[:, other]) for other in used):
                used.append(column)
        kept = figures[:, used]
        kept = np.where(np.isfinite(kept), kept, np.nan)
        if not used:
            return cls((), np.zeros(0), np.ones(0), np.ones(0))
        signed = np.array([problem.names[column] not in problem.unsigned for column in used], dtype=np.float64)
        return cls(tuple(used), np.nanmean(kept, axis=0), np.nanstd(kept, axis=0), signed)

    def apply(self, problem: Problem, paths: Choices) -> Floats:
        """Return the standardised evidence of a batch, (m, used); NaN where unknown."""
        figures = problem.known(paths)[:, list(self.used)]
        return np.asarray(np.where(np.isfinite(figures), (figures - self.mean) / self.deviation, np.nan))


def _same(one: Floats, other: Floats) -> bool:
    """Whether two figures are known of the same paths and are the same but for their scale."""
    known = np.isfinite(one)
    if (known != np.isfinite(other)).any():
        return False
    return bool(abs(np.corrcoef(one[known], other[known])[0, 1]) > 0.99)
