"""What a search has found: the leading paths, the front, what evidence was worth, and what rivals would have found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from supernet_cli.policies._ordered import leading
from supernet_cli.policies._pool import grown
from supernet_cli.policies.choice import LEVEL, Choice, choose
from supernet_cli.policies.model import Posterior
from supernet_cli.policies.posterior import PosteriorPolicy
from supernet_cli.policies.problem import SIZES, Choices, Evidence, Floats, Path, Problem, as_paths

_COMPARED = 192
"""Random paths that random search and the worth of evidence are judged by."""

_DRAWS = 1200


@dataclass(frozen=True)
class Estimate:
    """What is expected of a path.

    Args:
        path: The path.
        mean: Its expected validation accuracy.
        interval: 90 % interval for it.
        trained: Whether it was trained.
    """

    path: Path
    mean: float
    interval: tuple[float, float]
    trained: bool


@dataclass(frozen=True)
class Worth:
    """How much of what other figures leave open one kind of evidence explains.

    Args:
        share: Share of the variance of accuracies, expected value.
        interval: 90 % interval for it.
    """

    share: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Answer:
    """What a search has found.

    Args:
        choice: The path to take, and how sure that is.
        leading: The paths of which most is expected, best first; all trained ones are among them.
        front: Paths that no other path beats in both expected accuracy and cost, the cheapest first.
        worth: By kind of evidence.
        rivals: Expected accuracy of what other policies would have taken for as many trainings.
        next_gain: What the most promising path that is not trained is expected to add to the accuracy of the choice.
    """

    choice: Choice
    leading: tuple[Estimate, ...]
    front: tuple[Estimate, ...]
    worth: Mapping[str, Worth]
    rivals: Mapping[str, float]
    next_gain: float


Costs = Callable[[Choices], Floats]
"""What accuracy is weighed against, of each path of a batch, (m,)."""


def answer(evidence: Evidence, cost: Costs, shown: int, rng: np.random.Generator) -> Answer:
    """Return what the trainings so far say.

    Args:
        evidence: Everything known, with at least one training.
        cost: What accuracy is weighed against.
        shown: How many leading paths are wanted besides those trained.
        rng: Draws.
    """
    policy, problem = PosteriorPolicy(), evidence.problem
    posterior = policy.posterior(evidence)
    pool = _pool(evidence, posterior, cost, rng)
    choice = choose(posterior, pool, rng)
    estimates = _estimates(posterior, pool)
    best = sorted(estimates, key=lambda estimate: -estimate.mean)
    kept = {estimate.path: estimate for estimate in best[:shown]}
    kept |= {estimate.path: estimate for estimate in best if estimate.trained}
    gains = posterior.predict(pool).improvement(choice.mean)
    untrained = np.array([not estimate.trained for estimate in estimates])
    return Answer(
        choice,
        tuple(sorted(kept.values(), key=lambda estimate: -estimate.mean)),
        _front(estimates, cost(pool)),
        _worth(posterior, problem, rng),
        _rivals(posterior, evidence, rng),
        float(gains[untrained].max()) if untrained.any() else 0.0,
    )


def most_expected(evidence: Evidence, cost: Costs, count: int, rng: np.random.Generator) -> list[Path]:
    """Return the paths of which most is expected, best first.

    Args:
        evidence: Everything known, with at least one training.
        cost: What a large space is also looked through for.
        count: How many.
        rng: Draws, in a large space.
    """
    posterior = PosteriorPolicy().posterior(evidence)
    pool = _pool(evidence, posterior, cost, rng)
    return as_paths(pool[np.argsort(-posterior.predict(pool).mean, kind="stable")[:count]])


def _pool(evidence: Evidence, posterior: Posterior, cost: Costs, rng: np.random.Generator) -> Choices:
    """Return the paths that are looked at, all of a small space.

    Of a large one, those that promise accuracy or little cost, random ones, and those trained.
    """
    problem = evidence.problem
    if problem.paths is not None:
        return problem.paths
    sample = problem.sample(rng, _COMPARED)
    costs, means = cost(sample), posterior.predict(sample).mean
    slope = float(means.std() / max(costs.std(), 1e-12))
    observed = [observation.path for observation in evidence.observations]
    found = [sample]
    for weight in (0.0, 0.5, 2.0):

        def value(paths: Choices, weight: float = weight) -> Floats:
            return posterior.predict(paths).mean - weight * slope * cost(paths)

        found.append(grown(problem, value, rng, observed))
    trained = posterior.trained.paths
    found.append(trained[problem.within_limits(trained)])
    return np.unique(np.concatenate(found), axis=0)


def _estimates(posterior: Posterior, paths: Choices) -> list[Estimate]:
    prediction = posterior.predict(paths)
    low, high = (prediction.quantile(level).tolist() for level in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    trained = {*as_paths(posterior.trained.paths)}
    rows = zip(as_paths(paths), prediction.mean.tolist(), low, high, strict=True)
    return [Estimate(path, mean, (least, most), path in trained) for path, mean, least, most in rows]


def _front(estimates: Sequence[Estimate], costs: Floats) -> tuple[Estimate, ...]:
    """Return the estimates that none beats in both mean and cost, the cheapest first."""
    front: list[Estimate] = []
    for place in np.lexsort((np.array([-estimate.mean for estimate in estimates]), costs)).tolist():
        if not front or estimates[place].mean > front[-1].mean:
            front.append(estimates[place])
    return tuple(front)


def _worth(posterior: Posterior, problem: Problem, rng: np.random.Generator) -> dict[str, Worth]:
    """Return how much of the accuracies of some paths each kind of evidence explains: random and measured ones.

    Of sizes, it is their share of the variance; of anything else, the share of the variance that sizes leave open.
    """
    measured = np.array(problem.measured, dtype=np.int64).reshape(-1, len(problem.decisions))
    measured = rng.permutation(measured[problem.within_limits(measured)])[:_COMPARED]
    paths = np.unique(np.concatenate([problem.sample(rng, _COMPARED), measured]), axis=0)
    known = problem.known(paths)
    named = dict(zip(problem.names, known.T, strict=True))
    columns = {name: column for name, column in named.items() if len(np.unique(column[np.isfinite(column)])) > 1}
    sizes = [column for name, column in columns.items() if name in SIZES]
    drawn = posterior.draw(paths, _DRAWS, rng)
    everywhere = np.ones(len(paths), dtype=bool)
    found = {"size": _explained(drawn, [], sizes, everywhere)} if sizes else {}
    for name, column in columns.items():
        if name not in SIZES:
            found[name] = _explained(drawn, sizes, [column], np.isfinite(column))
    return {name: worth for name, worth in found.items() if worth is not None}


def _explained(drawn: Floats, given: Sequence[Floats], more: Sequence[Floats], rows: np.ndarray) -> Worth | None:
    """Return the share of the variance left open by some columns that further columns explain; over some paths."""
    if rows.sum() < len(given) + len(more) + 3:
        return None
    values = drawn[:, rows]
    left = values - _fitted([column[rows] for column in given], values)
    rest = values - _fitted([column[rows] for column in (*given, *more)], values)
    shares = 1 - (rest**2).sum(axis=1) / np.maximum((left**2).sum(axis=1), 1e-18)
    low, high = np.quantile(shares, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Worth(float(shares.mean()), (low, high))


def _fitted(columns: Sequence[Floats], values: Floats) -> Floats:
    """Return the least-squares fit of each row of values (D, m) by a constant and columns (m,)."""
    design = np.column_stack([np.ones(values.shape[1]), *columns])
    base, _ = np.linalg.qr(design)
    return np.asarray((values @ base) @ base.T)


def _rivals(posterior: Posterior, evidence: Evidence, rng: np.random.Generator) -> dict[str, float]:
    """Return the expected accuracy of what other policies would take after as many trainings.

    Each trains its paths and takes the one with the best accuracy, noise included.
    """
    problem, count = evidence.problem, len(evidence.observations)
    blank = Evidence(problem)
    chosen = {"random": np.unique(problem.sample(rng, max(_COMPARED, count)), axis=0)}
    for rival, figure in (("largest", problem.size), ("one-shot", problem.score)):
        if figure is not None:
            chosen[rival] = leading(blank, figure, rng, count)
    chosen = {rival: batch for rival, batch in chosen.items() if len(batch)}
    paths = np.unique(np.concatenate(list(chosen.values())), axis=0)
    places = {path: place for place, path in enumerate(as_paths(paths))}
    drawn = posterior.draw(paths, _DRAWS, rng)
    noise = rng.choice(posterior.fit.settings.noise, len(drawn))[:, None] / np.sqrt(posterior.trained.seeds.mean())
    seen = drawn + noise * rng.standard_normal(drawn.shape)
    found = {}
    for rival, batch in chosen.items():
        columns = np.array([places[path] for path in as_paths(batch)])
        taken = np.tile(columns, (len(drawn), 1))
        if rival == "random":
            taken = rng.permuted(taken, axis=1)[:, :count]
        best = np.take_along_axis(seen, taken, 1).argmax(axis=1)
        found[rival] = float(np.take_along_axis(drawn, taken[np.arange(len(taken)), best][:, None], 1).mean())
    return found
