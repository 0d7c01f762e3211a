"""Try policies on a table: train by looking up, choose by validation, judge by test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from supernet_cli.policies import Evidence, Observation, build_policy
from supernet_cli.policies.choice import LEVEL
from supernet_cli.policies.lookup import Draw, Lookup
from supernet_cli.policies.posterior import PosteriorPolicy
from supernet_cli.policies.problem import Floats

_CHECKED = 512
"""Paths whose intervals are checked after each training."""


@dataclass(frozen=True)
class Trial:
    """How a policy does on a table, after each of K trainings.

    Args:
        regret: (repeats, K) points of test accuracy that the best path is above the pick. Other seeds of the best path
            may do worse than the pick's: single repetitions can be negative.
        coverage: (repeats, K) share of paths for which 90 % intervals hold what further trainings show; None for
            policies without a model.
    """

    regret: Floats
    coverage: Floats | None

    @property
    def mean_regret(self) -> Floats:
        """Mean over the repetitions, (K,)."""
        return np.asarray(self.regret.mean(axis=0))

    @property
    def standard_error(self) -> Floats:
        """Standard error of that mean, (K,); NaN with a single repetition."""
        repeats = len(self.regret)
        if repeats < 2:
            return np.full(self.regret.shape[1], np.nan)
        return np.asarray(self.regret.std(axis=0, ddof=1) / np.sqrt(repeats))

    @property
    def mean_coverage(self) -> Floats | None:
        """Mean over the repetitions, (K,); NaN where there was no path to check."""
        if self.coverage is None:
            return None
        known = np.isfinite(self.coverage)
        total = np.where(known, self.coverage, 0.0).sum(axis=0)
        return np.asarray(np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan))


def try_policy(
    lookup: Lookup, name: str, trainings: int, repeats: int, tick: Callable[[], None] = lambda: None
) -> Trial:
    """Let a policy search a table several times.

    Repetition r has the same luck for every policy: each training shows the accuracy of the same seed of its path.

    Args:
        lookup: The table.
        name: The policy.
        trainings: How many it may use; all paths within the limits if there are fewer.
        repeats: How often it searches.
        tick: Called after each repetition.
    """
    regrets, coverages = [], []
    for seed in range(repeats):
        regret, coverage = _search(lookup, name, min(trainings, len(lookup.rows)), seed)
        regrets.append(regret)
        coverages.append(coverage)
        tick()
    return Trial(np.array(regrets), np.array(coverages) if coverages[0] else None)


def _search(lookup: Lookup, name: str, trainings: int, seed: int) -> tuple[list[float], list[float]]:
    """Return regret and coverage after each training; no coverage for policies without a model."""
    luck, rng, checks = (np.random.default_rng([seed, stream]) for stream in range(3))
    draw, policy = Draw.of(lookup.table, luck), build_policy(name)
    seen: tuple[Observation, ...] = ()
    regret: list[float] = []
    coverage: list[float] = []
    for _ in range(trainings):
        (path,) = policy.propose(Evidence(lookup.problem, seen), rng, 1)
        seen = (*seen, Observation(path, (float(draw.shown[lookup.row(path)]),)))
        evidence = Evidence(lookup.problem, seen)
        pick = lookup.row(policy.pick(evidence, rng))
        regret.append(100 * float(draw.judged[lookup.best] - draw.judged[pick]))
        if isinstance(policy, PosteriorPolicy):
            coverage.append(_coverage(lookup, draw, policy, evidence, checks))
    return regret, coverage


def _coverage(
    lookup: Lookup, draw: Draw, policy: PosteriorPolicy, evidence: Evidence, rng: np.random.Generator
) -> float:
    """Return the share of paths whose mean over further trainings lies in the interval for it.

    A trained path of which the table has a single seed has no further training, and is not counted.
    """
    trained = {lookup.row(observation.path) for observation in evidence.observations}
    single = np.isfinite(lookup.table.validation).sum(axis=1) == 1
    rows = np.array([row for row in lookup.rows.tolist() if not (single[row] and row in trained)], dtype=np.int64)
    if not len(rows):
        return float("nan")
    rows = rng.permutation(rows)[:_CHECKED]
    prediction = policy.posterior(evidence).predict(lookup.table.paths[rows]).of_trainings(draw.seeds[rows])
    low, high = (prediction.quantile(level) for level in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(((low <= draw.further[rows]) & (draw.further[rows] <= high)).mean())


def document(table: str, repeats: int, trials: Sequence[tuple[str, Trial]]) -> dict[str, object]:
    """Return trials as a JSON document: numbers by policy, null where there is none."""

    def numbers(values: Floats | None) -> list[float | None] | None:
        if values is None:
            return None
        return [round(float(value), 6) if np.isfinite(value) else None for value in values]

    policies = {
        name: {
            "trainings": list(range(1, trial.regret.shape[1] + 1)),
            "regret": numbers(trial.mean_regret),
            "standard_error": numbers(trial.standard_error),
            "coverage": numbers(trial.mean_coverage),
        }
        for name, trial in trials
    }
    return {"table": table, "repeats": repeats, "policies": policies}
