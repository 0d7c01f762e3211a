"""Try policies on a table: train by looking up, choose by validation, judge by test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supernet_cli.errors import UsageError
from supernet_cli.policies import Evidence, Observation, Policy, Problem, build_policy
from supernet_cli.policies.posterior import PosteriorPolicy
from supernet_cli.policies.problem import MANY, Choices, Floats, Path, as_paths
from supernet_cli.policies.table import SIZES, Table

LEVEL = 0.9
"""Of the intervals whose coverage is counted."""


@dataclass(frozen=True)
class Trial:
    """How a policy does on a table, after each of K trainings.

    Args:
        regret: (repeats, K) points of test accuracy between the table's best path and the pick.
        coverage: (repeats, K) share of paths whose test accuracy, but for noise, the 90 % intervals hold; None for
            policies without a model.
    """

    regret: Floats
    coverage: Floats | None

    @property
    def standard_error(self) -> Floats:
        """Of the mean regret, (K,)."""
        repeats = len(self.regret)
        return np.asarray(self.regret.std(axis=0, ddof=1) / np.sqrt(repeats) if repeats > 1 else np.full(self.regret.shape[1], np.nan))


class Known:
    """A table as a problem, and the answers to it.

    Args:
        table: The table.
        limits: The largest value of each limited figure.
        evidence: Names of the figures that policies may use; None for all.

    Raises:
        UsageError: A limit is on a figure that the table lacks, or no path meets the limits.
    """

    def __init__(self, table: Table, limits: Mapping[str, float], evidence: Sequence[str] | None = None) -> None:
        self.table = table
        self._rows = {path: row for row, path in enumerate(as_paths(table.paths))}
        within = np.ones(len(table.paths), dtype=bool)
        for name, most in limits.items():
            within &= table.figures[name] <= most
        if not within.any():
            raise UsageError("No path meets the limits.", "Loosen one of them.")
        self.rows = np.flatnonzero(within)
        names = [name for name in table.figures if evidence is None or name in evidence]
        figures = [np.log(table.figures[name]) if name in SIZES else table.figures[name] for name in names]
        stacked = np.stack(figures, axis=1) if figures else np.zeros((len(table.paths), 0))
        scores = [name for name in names if name not in SIZES]
        self._places, self._within = self._index(), within
        self.problem = Problem(
            table.decisions,
            tuple(names),
            lambda paths: stacked[self._find(paths)],
            lambda paths: self._find(paths, missing=True) >= 0,
            size=next((name for name in ("macs", "parameters") if name in names), None),
            score=scores[0] if scores else None,
        )

    def _index(self) -> NDArray[np.int64]:
        widths = [len(labels) for labels in self.table.decisions]
        index = np.full(int(np.prod(widths)), -1, dtype=np.int64)
        index[np.ravel_multi_index(tuple(self.table.paths.T), widths)] = np.arange(len(self.table.paths))
        return index

    def _find(self, paths: Choices, missing: bool = False) -> NDArray[np.int64]:
        widths = [len(labels) for labels in self.table.decisions]
        rows = self._places[np.ravel_multi_index(tuple(paths.T), widths)]
        return np.where((rows >= 0) & self._within[rows], rows, -1) if missing else rows

    def row(self, path: Path) -> int:
        """Return a path's row in the table."""
        return self._rows[path]


def best_row(known: Known) -> int:
    """Return the row of the best path within the limits: that with the largest mean test accuracy over all seeds."""
    means = np.nanmean(known.table.test[known.rows], axis=1)
    return int(known.rows[means.argmax()])


def attempt(known: Known, name: str, trainings: int, seed: int) -> tuple[list[float], list[float]]:
    """Let a policy search once.

    Each training of a path shows the validation accuracy of one of its seeds, drawn at random; its pick is judged by
    the test accuracy of the others, or of the same seed where there is only one.

    Args:
        known: The table.
        name: The policy.
        trainings: How many it may use.
        seed: Of the repetition; all policies see the same accuracies in the same repetition.

    Returns:
        Regret in points and coverage, after each training; no coverage for policies without a model.
    """
    shown, judged, others, counts = _split_seeds(known.table, np.random.default_rng(seed))
    policy, rng = build_policy(name), np.random.default_rng([seed, 1])
    best, seen = judged[best_row(known)], ()
    regret: list[float] = []
    coverage: list[float] = []
    for _ in range(min(trainings, len(known.rows))):
        (path,) = policy.propose(Evidence(known.problem, seen), rng, 1)
        seen = (*seen, Observation(path, (float(shown[known.row(path)]),)))
        evidence = Evidence(known.problem, seen)
        regret.append(100 * float(best - judged[known.row(policy.pick(evidence, rng))]))
        if isinstance(policy, PosteriorPolicy):
            rows = rng.permutation(known.rows)[:_CHECKED]
            coverage.append(_coverage(policy, evidence, known.table.paths[rows], others[rows], counts[rows]))
    return regret, coverage


_CHECKED = 512
"""Paths whose intervals are checked."""


def _split_seeds(table: Table, rng: np.random.Generator) -> tuple[Floats, Floats, Floats, Floats]:
    """Return what a training of each path shows, what judges it, its mean validation accuracy otherwise, its seeds."""
    rows = np.arange(len(table.paths))

    def others(values: Floats, drawn: NDArray[np.int64], alone: bool) -> Floats:
        left = values.copy()
        several = np.isfinite(values).sum(axis=1) > 1
        if values.shape[1] > drawn.max(initial=0):
            left[rows[several | ~alone], drawn[several | ~alone]] = np.nan
        with np.errstate(invalid="ignore"):
            counts = np.isfinite(left).sum(axis=1)
            return np.where(counts > 0, np.nansum(left, axis=1) / np.maximum(counts, 1), np.nan)

    seeds = np.isfinite(table.validation).sum(axis=1)
    drawn = rng.integers(seeds)
    shown = table.validation[rows, drawn]
    same = table.test.shape == table.validation.shape
    judged = others(table.test, drawn, alone=True) if same else np.nanmean(table.test, axis=1)
    single = seeds == 1
    rest = np.where(single, shown, others(table.validation, drawn, alone=True))
    return shown, judged, rest, np.maximum(seeds - 1, 1).astype(np.float64)


def _coverage(policy: PosteriorPolicy, evidence: Evidence, paths: Choices, means: Floats, counts: Floats) -> float:
    """Return the share of paths whose mean over other trainings lies in the interval for it."""
    prediction = policy.posterior(evidence).predict(paths).of_trainings(counts)
    inside = (prediction.quantile((1 - LEVEL) / 2) <= means) & (means <= prediction.quantile((1 + LEVEL) / 2))
    if not np.isfinite(counts).all():
        raise AssertionError
    return float(inside.mean())
