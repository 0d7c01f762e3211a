"""Try policies on a table: train by looking up, choose by validation, judge by test."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields

import numpy as np

from supernet_cli.policies import Evidence, Observation, Policy, build_policy
from supernet_cli.policies.choice import LEVEL, choose
from supernet_cli.policies.lookup import Draw, Lookup
from supernet_cli.policies.posterior import PosteriorPolicy
from supernet_cli.policies.problem import Floats

_CHECKED = 512
"""Paths whose intervals are checked after a training."""


@dataclass(frozen=True)
class Claims:
    """What the model says after each of K trainings of R repetitions, and what of it is true.

    All are (R, K), and NaN where nothing was checked.

    Args:
        coverage: Share of paths for which 90 % intervals hold what further trainings show.
        expected_regret: Points of accuracy that the model expects the best path to be above the pick.
        realised_regret: Points of test accuracy that it is above the pick; see `Lookup.reference`.
        probability_best: That the pick is the best path, as the model says.
        is_best: 1 where no path has a better test accuracy than the pick, by the seeds that judge; otherwise 0.
    """

    coverage: Floats
    expected_regret: Floats
    realised_regret: Floats
    probability_best: Floats
    is_best: Floats


CLAIMS = tuple(each.name for each in fields(Claims))
"""Their names."""


@dataclass(frozen=True)
class Trial:
    """How a policy does on a table, after each of K trainings.

    Args:
        regret: (repeats, K) points of test accuracy that the best path is above the pick. Other seeds of the best path
            may do worse than the pick's: single repetitions can be negative.
        claims: What the model says beside it; None for policies without a model.
    """

    regret: Floats
    claims: Claims | None

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
        return self.mean_claim("coverage")

    def mean_claim(self, name: str) -> Floats | None:
        """Return the mean of a field of `Claims` over the repetitions, (K,); None for policies without a model."""
        return None if self.claims is None else _mean_of_known(getattr(self.claims, name))


def _mean_of_known(values: Floats) -> Floats:
    """Return the mean over the rows without NaN, (K,); NaN where a column has nothing else."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=0)
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
    trials = []
    for seed in range(repeats):
        trials.append(search(lookup, build_policy(name), trainings, seed))
        tick()
    return joined(trials)


def joined(trials: Sequence[Trial]) -> Trial:
    """Return the repetitions of several trials of one policy as one trial."""
    claims = [trial.claims for trial in trials if trial.claims is not None]
    regret = np.concatenate([trial.regret for trial in trials])
    if not claims:
        return Trial(regret, None)
    return Trial(regret, Claims(**{name: np.concatenate([getattr(each, name) for each in claims]) for name in CLAIMS}))


def search(lookup: Lookup, policy: Policy, trainings: int, seed: int, checked: Collection[int] | None = None) -> Trial:
    """Let a new policy search a table once.

    Args:
        lookup: The table.
        policy: The policy, as it was built.
        trainings: How many it may use; all paths within the limits if there are fewer.
        seed: Its luck and the table's.
        checked: Numbers of trainings after which the claims of a model are checked; None for all.
    """
    luck, rng, checks = (np.random.default_rng([seed, stream]) for stream in range(3))
    draw = Draw.of(lookup.table, luck)
    trainings = min(trainings, len(lookup.rows))
    seen: tuple[Observation, ...] = ()
    regret, claims = np.zeros((1, trainings)), np.full((len(CLAIMS), 1, trainings), np.nan)
    for place in range(trainings):
        (path,) = policy.propose(Evidence(lookup.problem, seen), rng, 1)
        seen = (*seen, Observation(path, (float(draw.shown[lookup.row(path)]),)))
        evidence = Evidence(lookup.problem, seen)
        pick = lookup.row(policy.pick(evidence, rng))
        regret[0, place] = 100 * (draw.judged[lookup.best] - draw.judged[pick])
        if isinstance(policy, PosteriorPolicy) and (checked is None or place + 1 in checked):
            claims[:, 0, place] = _claims(lookup, draw, policy, evidence, checks)
    return Trial(regret, Claims(*claims) if isinstance(policy, PosteriorPolicy) else None)


def _claims(
    lookup: Lookup, draw: Draw, policy: PosteriorPolicy, evidence: Evidence, rng: np.random.Generator
) -> tuple[float, float, float, float, float]:
    """Return what the model says after some trainings, in the order of `Claims`."""
    posterior = policy.posterior(evidence)
    best = float(posterior.predict(posterior.trained.paths).mean.max())
    choice = choose(posterior, policy.promising(posterior, best, rng), rng)
    row = lookup.row(choice.path)
    return (
        _coverage(lookup, draw, policy, evidence, rng),
        100 * choice.expected_regret,
        100 * (lookup.reference - float(draw.judged[row])),
        choice.probability_best,
        float(draw.judged[row] >= draw.judged[lookup.rows].max()),
    )


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
            **{name: numbers(trial.mean_claim(name)) for name in CLAIMS},
        }
        for name, trial in trials
    }
    return {"table": table, "repeats": repeats, "policies": policies}
