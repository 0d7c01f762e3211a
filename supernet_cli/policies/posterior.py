"""Expected improvement over a model of all that is known: scores and sizes are evidence, whose worth is learned.

Starts with the path that evidence speaks for, and two of the better quarter that share least with what is trained. From
then on it trains the path whose accuracy is expected to exceed the best expected so far by most, as the draws of the
model agree; paths that are still being trained count as if they had reached what is expected of them. Until every
candidate has been tried in every decision, only paths are trained that bring in untried ones in half of the decisions:
a few candidates matter far more than all others, and only trying them shows which. Takes the path with the best
expected accuracy, not the best accuracy seen, which is mostly luck.

Source: Jones, Schonlau and Welch 1998, "Efficient Global Optimization of Expensive Black-Box Functions"; Ginsbourger,
Le Riche and Carraro 2010, "Kriging Is Well-Suited to Parallelize Optimization".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supernet_cli.policies._pool import grown
from supernet_cli.policies._simple import Memoryless, filled
from supernet_cli.policies.kernel import Columns
from supernet_cli.policies.model import Model, Posterior, Prediction
from supernet_cli.policies.problem import Choices, Evidence, Floats, Observation, Path, Problem, as_paths

_START = 3
"""Trainings before the model decides: with fewer, it would take the likeness of two paths for that of all."""

_PART = 0.25
"""Share of the paths that the first ones are drawn from: those with the best evidence."""

_LEADING = 1024
_GLANCE = 6
"""Paths that are looked at with all settings, and how many of the settings choose them from a larger space."""

_POOL = 4096
"""Paths of a large space that stand for all of them."""


class PosteriorPolicy(Memoryless):
    """Keeps the model of the problem it was last asked about, which saves time and decides nothing."""

    def __init__(self) -> None:
        self._model: Model | None = None
        self._columns: Columns | None = None
        self._latest: tuple[Sequence[Observation], Posterior] | None = None

    def propose(self, evidence: Evidence, rng: np.random.Generator, n: int) -> list[Path]:
        """Return the paths with the largest expected improvement, one after another."""
        chosen = [*evidence.pending]
        for _ in range(n):
            if len(evidence.observations) + len(chosen) < _START or not evidence.observations:
                following = self._start(evidence, chosen, rng)
            else:
                following = self._next(evidence, chosen, rng)
            if following is None:
                break
            chosen.append(following)
        return filled(chosen[len(evidence.pending) :], evidence, rng, n)

    def pick(self, evidence: Evidence, rng: np.random.Generator) -> Path:
        """Return the trained path with the best expected accuracy."""
        if not evidence.observations:
            raise ValueError("no path is trained yet")
        return as_paths(best_trained(self.posterior(evidence))[:1])[0]

    def posterior(self, evidence: Evidence) -> Posterior:
        """Return what the trainings say, at least one of them."""
        model = self.model(evidence.problem)  # forgets what another problem's trainings said
        if self._latest is None or self._latest[0] is not evidence.observations:
            self._latest = (evidence.observations, model.posterior(evidence.observations))
        return self._latest[1]

    def model(self, problem: Problem) -> Model:
        """Return the model of a problem."""
        if self._model is None or self._model.problem is not problem:
            self._model, self._latest = Model(problem), None
            self._columns = Columns(self._model.kernel, problem.paths) if problem.paths is not None else None
        return self._model

    def promising(self, posterior: Posterior, threshold: float, rng: np.random.Generator, untried: int = 0) -> Choices:
        """Return the paths that promise most beyond an accuracy: all of a small space, in order.

        Those of a larger space are found by some of the settings; those of one that is not enumerated are grown.

        Args:
            posterior: What the trainings say.
            threshold: The accuracy.
            rng: Draws the first generation of what is grown.
            untried: How many candidates a path must bring in that no trained path has in that decision. Where paths are
                grown, those that bring in fewer come last.
        """
        paths, trained = posterior.model.problem.paths, posterior.trained.paths
        if paths is None:
            value = partial(_value, posterior, threshold, untried)
            return grown(posterior.model.problem, value, rng, as_paths(trained))
        kept = _untried(paths, trained) >= untried
        most = _LEADING + len(trained)  # so that some are not trained yet
        if kept.sum() > most:
            gains = np.where(kept, self.predict_all(posterior.thinned(_GLANCE)).promise(threshold), -1.0)
            return paths[np.sort(np.argsort(-gains, kind="stable")[:most])]
        return paths[kept]

    def predict_all(self, posterior: Posterior) -> Prediction:
        """Return the prediction for all paths of an enumerated space, in order."""
        paths = posterior.model.problem.paths
        assert paths is not None
        assert self._columns is not None
        return posterior.predict(paths, self._columns.of(as_paths(posterior.trained.paths)))

    def _start(self, evidence: Evidence, chosen: list[Path], rng: np.random.Generator) -> Path | None:
        """Return the path that evidence speaks for most, then of the better part the one with most untried candidates.

        Without evidence, all paths are the better part.
        """
        model, problem = self.model(evidence.problem), evidence.problem

        def value(paths: Choices) -> Floats:
            return np.asarray(np.nan_to_num(model.standard.apply(problem, paths)) @ model.standard.signed)

        informed, pool = model.standard.signed.any(), problem.paths
        if informed and not chosen and not evidence.observations:
            pool = pool if pool is not None else grown(problem, value, rng, ())
            return _in_order(pool, value(pool), rng)[0]
        pool = pool if pool is not None else problem.sample(rng, _POOL)
        values = value(pool)  # all the same without evidence
        better = pool[values >= np.quantile(values, 1 - _PART)]
        taken = [*(observation.path for observation in evidence.observations), *chosen]
        untried = _untried(better, np.array(taken, dtype=np.int64).reshape(-1, better.shape[1]))
        return next((path for path in _in_order(better, untried, rng) if path not in taken), None)

    def _next(self, evidence: Evidence, chosen: list[Path], rng: np.random.Generator) -> Path | None:
        """Return the path with the largest expected improvement, given those chosen already."""
        problem = evidence.problem
        taken = {*evidence.taken, *chosen}
        posterior = self.posterior(evidence)
        if chosen:
            posterior = posterior.imagining(np.array(chosen, dtype=np.int64))
        threshold = float(posterior.predict(best_trained(posterior)[:1]).mean[0])
        trained = posterior.trained.paths
        least = min(max(1, trained.shape[1] // 2), _most_untried(problem, trained))
        pool = self.promising(posterior, threshold, rng, least)
        order = np.argsort(-_value(posterior, threshold, least, pool), kind="stable")
        leading = (as_paths(pool[[place]])[0] for place in order.tolist())
        return next((path for path in leading if path not in taken), None)


def best_trained(posterior: Posterior) -> Choices:
    """Return the trained paths, the best by expected accuracy first; only those within the limits, if there are any."""
    trained = posterior.trained.paths
    within = posterior.model.problem.within_limits(trained)
    trained = trained[within] if within.any() else trained
    return trained[np.argsort(-posterior.predict(trained).mean, kind="stable")]


def _value(posterior: Posterior, threshold: float, untried: int, paths: Choices) -> Floats:
    """Return what paths promise beyond an accuracy, (m,): negative where they bring in too few untried candidates."""
    gains = posterior.predict(paths).promise(threshold)
    return np.where(_untried(paths, posterior.trained.paths) >= untried, gains, gains - 1)


def _in_order(paths: Choices, values: NDArray[Any], rng: np.random.Generator) -> list[Path]:
    """Return paths by their values, the largest first, equals in random order."""
    return as_paths(paths[np.lexsort((rng.random(len(paths)), -values))])


def _untried(paths: Choices, trained: Choices) -> NDArray[np.int64]:
    """Return how many candidates of each path stand in no trained path in that decision, (m,)."""
    columns = zip(paths.T, trained.T, strict=True)
    return np.asarray(sum((~np.isin(column, tried)).astype(np.int64) for column, tried in columns))


def _most_untried(problem: Problem, trained: Choices) -> int:
    """Return in how many decisions some path within the limits has an untried candidate, as far as is known."""
    paths = problem.paths
    if paths is not None:
        return int(_untried(paths, trained).max())
    pairs = zip(problem.decisions, trained.T, strict=True)
    return sum(len(np.unique(tried)) < len(labels) for labels, tried in pairs)


def build() -> PosteriorPolicy:
    """Build the policy."""
    return PosteriorPolicy()
