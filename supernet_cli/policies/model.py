"""The expected accuracy of every path, with its uncertainty, from whatever is known: evidence and a few trainings.

    y(a, s) = f(a) + seed noise
    z(f(a)) = constant + evidence + effects of candidates and their interactions + the path's own rest

on a scale z where accuracies are closer to normal (`scale.py`). The effects are Gaussian processes (`kernel.py`).
Evidence is linear, with a known sign: a better one-shot score and a larger size usually mean a better path. Its weight
has the mean and variance of a half-normal distribution whose width is unknown, so that trainings can prove it
worthless, and with few of them it still counts. What is unknown of all this is averaged over (`hyperparameters.py`).

Source: Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", chapters 2 and 5.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supernet_cli.policies.hyperparameters import Prior, Settings, draws
from supernet_cli.policies.kernel import PARTS, Kernel, Standard
from supernet_cli.policies.problem import Choices, Floats, Observation, Problem, as_paths
from supernet_cli.policies.scale import Scale

_WIDE = 2.0
"""Deviation of the constant, in deviations of the paths."""

_PULL = math.sqrt(2 / math.pi)
"""Mean of a half-normal weight, in units of its width; its variance is 1 - 2/π."""

_DRAWS = 96
_KEPT = 24
"""Draws of the hyperparameters, and how many of them predict."""


@dataclass(frozen=True)
class Trained:
    """The trainings as the model sees them: n paths.

    Args:
        paths: The paths, (n, decisions).
        means: (n,) mean accuracy.
        seeds: (n,) trainings of each.
        squares: Sum over paths of the squared deviations of their accuracies from their mean.
        further: Trainings beyond the first of each path.
    """

    paths: Choices
    means: Floats
    seeds: Floats
    squares: float
    further: int

    @classmethod
    def of(cls, observations: Sequence[Observation]) -> Trained:
        """Summarise observations."""
        accuracies = [np.array(observation.accuracies) for observation in observations]
        squares = sum(float(((each - each.mean()) ** 2).sum()) for each in accuracies)
        return cls(
            np.array([observation.path for observation in observations], dtype=np.int64),
            np.array([each.mean() for each in accuracies]),
            np.array([len(each) for each in accuracies], dtype=np.float64),
            squares,
            sum(len(each) - 1 for each in accuracies),
        )


@dataclass(frozen=True)
class Features:
    """What is linear in the model, of m paths.

    Args:
        known: (m, e) standardised evidence, NaN where unknown.
        effects: (m, f) what the effect of each candidate counts for.
        signed: (e,) 1 for evidence of which more is expected to be better, otherwise 0.
    """

    known: Floats
    effects: Floats
    signed: Floats

    @cached_property
    def linear(self) -> Floats:
        """Both, (m, e + f); unknown figures count as average."""
        return np.concatenate([np.nan_to_num(self.known), self.effects], axis=1)


@dataclass(frozen=True)
class Fit:
    """Everything about K settings that predictions need.

    Args:
        settings: K settings.
        scale: Their scales.
        target: (K, n) what the processes explain: accuracies on the scale, less the expected part of evidence.
        root: (K, n, n) Cholesky factor of the covariance of the target.
        log_likelihood: (K,) of the accuracies.
    """

    settings: Settings
    scale: Scale
    target: Floats
    root: Floats
    log_likelihood: Floats

    def of(self, rows: slice) -> Fit:
        """Return the fit of some of the settings."""
        scale = Scale(self.scale.limit[rows], self.scale.reference)
        return Fit(self.settings.of(rows), scale, self.target[rows], self.root[rows], self.log_likelihood[rows])

    @cached_property
    def inverse(self) -> Floats:
        """Inverse of the root, (K, n, n)."""
        return np.asarray(np.linalg.inv(self.root), dtype=np.float64)

    @cached_property
    def solved(self) -> Floats:
        """Covariance's inverse times the target, (K, n)."""
        half = np.einsum("kij,kj->ki", self.inverse, self.target)
        return np.asarray(np.einsum("kij,ki->kj", self.inverse, half))


class Model:
    """The model of one problem.

    Args:
        problem: The paths and what is known of them.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.kernel = Kernel(problem.decisions)
        self.standard = Standard.of(problem)
        self._alive = [place for place, alive in enumerate(self.kernel.alive) if alive]

    def posterior(self, observations: Sequence[Observation]) -> Posterior:
        """Return what trainings say about all paths: the same every time.

        Args:
            observations: At least one.
        """
        rng = np.random.default_rng(len(observations))
        trained = Trained.of(observations)
        features = self.features(trained.paths)
        parts = self.kernel.between(trained.paths, trained.paths)[self._alive]
        prior = Prior(
            features.known.shape[1],
            features.effects.shape[1],
            tuple(PARTS[place] for place in self._alive),
            max(1 - float(trained.means.mean()), 1e-3),
        )

        def log_likelihood(normal: Floats) -> Floats:
            return fit(prior.settings(normal), trained, features, parts).log_likelihood

        places = draws(log_likelihood, prior.dimensions, rng, _DRAWS)
        kept = places[:: _DRAWS // _KEPT]
        return Posterior(self, trained, features, fit(prior.settings(kept), trained, features, parts))

    def features(self, paths: Choices) -> Features:
        """Return what is linear, of a batch."""
        return Features(self.standard.apply(self.problem, paths), self.kernel.effects(paths), self.standard.signed)

    def alive_parts(self, columns: NDArray[Any]) -> NDArray[Any]:
        """Return the parts that differ between paths."""
        return columns[self._alive]


def pull(settings: Settings, features: Features) -> Floats:
    """Return the expected part of evidence, (K, m): unknown figures count as average."""
    return np.asarray(_PULL * np.sqrt(settings.evidence) * features.signed @ np.nan_to_num(features.known).T)


def own_variance(settings: Settings, known: Floats) -> Floats:
    """Return the variance of what each path has of its own, (K, m): more where evidence is missing."""
    return np.asarray(settings.own[:, None] + settings.evidence @ np.isnan(known).T.astype(np.float64))


def linear_variance(settings: Settings, features: Features) -> Floats:
    """Return the variance of the weights of what is linear around what is expected of them, (K, e + f)."""
    return np.concatenate([(1 - _PULL**2 * features.signed) * settings.evidence, settings.effects], axis=1)


def fit(settings: Settings, trained: Trained, features: Features, parts: Floats) -> Fit:
    """Fit the trainings with each of N settings.

    Args:
        settings: N settings.
        trained: n paths.
        features: What is linear of them.
        parts: (parts, n, n) covariances between them.
    """
    number, size = len(settings.own), len(trained.means)
    noise = settings.noise[:, None]
    best, reference = float(trained.means.max()), float(trained.means.mean())
    scale = Scale(np.maximum(best + settings.room[:, None] + 2 * noise, reference + 1e-9), reference)
    slope = scale.slope(trained.means)
    target = scale.forward(trained.means) - pull(settings, features)
    covariance = (settings.parts @ parts.reshape(len(parts), size * size)).reshape(number, size, size)
    covariance += (features.linear * linear_variance(settings, features)[:, None]) @ features.linear.T
    covariance += (_WIDE**2 * settings.total)[:, None, None]
    places = np.arange(size)
    covariance[:, places, places] += own_variance(settings, features.known) + (noise * slope) ** 2 / trained.seeds
    covariance[:, places, places] += 1e-8 * settings.total[:, None]
    root, half = _rooted(covariance, target, 1e-8 * settings.total)
    height = -0.5 * (half**2).sum(axis=1) - np.log(root[:, places, places]).sum(axis=1) + np.log(slope).sum(axis=1)
    height += 0.5 * np.log(settings.total)  # the constant is where the data are: it must not speak for a small scale
    height -= trained.further * np.log(settings.noise) + trained.squares / (2 * settings.noise**2)
    return Fit(settings, scale, target, root, np.asarray(height - 0.5 * size * math.log(2 * math.pi)))


def _rooted(covariance: Floats, target: Floats, least: Floats) -> tuple[Floats, Floats]:
    """Return the roots of covariances, (N, n, n), and their inverses times the targets, (N, n).

    Both come from one factorisation: a further row of the matrix becomes the second in its root.

    Args:
        covariance: (N, n, n).
        target: (N, n).
        least: (N,) below which no eigenvalue lies.
    """
    number, size = target.shape
    bordered = np.empty((number, size + 1, size + 1))
    bordered[:, :size, :size] = covariance
    bordered[:, size, :size] = bordered[:, :size, size] = target
    bordered[:, size, size] = 1 + 2 * (target**2).sum(axis=1) / least  # large enough for the root to exist
    whole = np.linalg.cholesky(bordered)
    return np.asarray(whole[:, :size, :size]), np.asarray(whole[:, size, :size])


@dataclass(frozen=True)
class Posterior:
    """What the trainings say about every path.

    Args:
        model: The model.
        trained: The trainings.
        features: What is linear of them.
        fit: The settings that are averaged over.
    """

    model: Model
    trained: Trained
    features: Features
    fit: Fit

    def imagining(self, paths: Choices) -> Posterior:
        """Return the posterior as if some paths that are being trained had reached what is expected of them."""
        expected = self.predict(paths).mean
        trained = replace(
            self.trained,
            paths=np.concatenate([self.trained.paths, paths]),
            means=np.concatenate([self.trained.means, np.minimum(expected, self.trained.means.max())]),
            seeds=np.concatenate([self.trained.seeds, np.ones(len(paths))]),
        )
        features = self.model.features(trained.paths)
        parts = self.model.alive_parts(self.model.kernel.between(trained.paths, trained.paths))
        return Posterior(self.model, trained, features, fit(self.fit.settings, trained, features, parts))

    def thinned(self, count: int) -> Posterior:
        """Return the posterior with fewer settings, for a first look."""
        return replace(self, fit=self.fit.of(slice(None, None, max(1, len(self.fit.settings.own) // count))))

    def predict(self, paths: Choices, columns: NDArray[np.float32] | None = None) -> Prediction:
        """Return the prediction for a batch of m paths.

        Args:
            paths: (m, decisions).
            columns: (parts, n, m) covariances with the trained paths, if they are known already.
        """
        settings, features = self.fit.settings, self.model.features(paths)
        prior = own_variance(settings, features.known) + _WIDE**2 * settings.total[:, None]
        prior += linear_variance(settings, features) @ features.linear.T**2 + settings.parts @ self._diagonal(paths)
        mean, spread = np.empty_like(prior), np.empty_like(prior)
        for place, (centre, explained) in enumerate(self._conditioned(paths, features, columns)):
            mean[place], spread[place] = centre, np.einsum("nm,nm->m", explained, explained)
        deviation = np.sqrt(np.maximum(prior - spread, 1e-6 * settings.total[:, None]))
        return Prediction(self.fit.scale, mean, deviation, settings.noise)

    def draw(self, paths: Choices, count: int, rng: np.random.Generator) -> Floats:
        """Draw expected accuracies of m paths together, (count, m); at most some hundred paths."""
        settings, features = self.fit.settings, self.model.features(paths)
        parts = self.model.alive_parts(self.model.kernel.between(paths, paths))
        variance, own, drawn = linear_variance(settings, features), own_variance(settings, features.known), []
        number = len(settings.own)
        for place, (centre, explained) in enumerate(self._conditioned(paths, features, None)):
            covariance = np.tensordot(settings.parts[place], parts, 1) + _WIDE**2 * settings.total[place]
            covariance += (features.linear * variance[place]) @ features.linear.T - explained.T @ explained
            covariance[np.diag_indices(len(paths))] += own[place] + 1e-6 * settings.total[place]
            root = np.linalg.cholesky(covariance)
            share = (count + place) // number
            drawn.append(centre + rng.standard_normal((share, len(paths))) @ root.T)
        values = [self.fit.scale.row(place).back(each) for place, each in enumerate(drawn)]
        return np.concatenate(values)

    def _conditioned(
        self, paths: Choices, features: Features, columns: NDArray[np.float32] | None
    ) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Yield, for each setting, the mean (m,) and the covariance that the trainings explain, as a root (n, m)."""
        settings, single = self.fit.settings, np.float32 if columns is not None else np.float64
        given = self.model.kernel.between(self.trained.paths, paths) if columns is None else columns
        parts = self.model.alive_parts(given)
        flat = parts.reshape(len(parts), len(self.features.linear) * len(paths))
        variance = linear_variance(settings, features)
        linear, other = self.features.linear, np.ascontiguousarray(features.linear.T, dtype=single)
        same, own = _same_paths(paths, self.trained.paths), own_variance(settings, features.known)
        expected = pull(settings, features)
        for place in range(len(settings.own)):
            with_trained = (settings.parts[place].astype(single) @ flat).reshape(-1, len(paths))
            with_trained += (linear * variance[place]).astype(single) @ other
            with_trained += single(_WIDE**2 * settings.total[place])
            with_trained[same[::-1]] += own[place][same[0]].astype(single)
            centre = expected[place] + self.fit.solved[place].astype(single) @ with_trained
            yield centre, self.fit.inverse[place].astype(single) @ with_trained

    def _diagonal(self, paths: Choices) -> Floats:
        return self.model.alive_parts(self.model.kernel.variances(paths))


def _same_paths(paths: Choices, trained: Choices) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places (in the batch, among the trained) of paths that are both."""
    rows = {tuple(row): place for place, row in enumerate(trained.tolist())}
    mixed = np.random.default_rng(0).integers(1, 1 << 40, paths.shape[1])  # their sums rarely agree by chance
    alike = np.flatnonzero(np.isin(paths @ mixed, trained @ mixed))
    found = [
        (place, rows[path]) for place, path in zip(alike.tolist(), as_paths(paths[alike]), strict=True) if path in rows
    ]
    batch = np.array([one for one, _ in found], dtype=np.int64)
    return batch, np.array([other for _, other in found], dtype=np.int64)


@dataclass(frozen=True)
class Prediction:
    """A mixture of K normal distributions for each of m paths, each on a scale of its own.

    Args:
        scale: K scales.
        centre: (K, m) means on the scales.
        deviation: (K, m).
        noise: (K,) deviation between seeds, in accuracy.
    """

    scale: Scale
    centre: Floats
    deviation: Floats
    noise: Floats

    def of_trainings(self, counts: Floats) -> Prediction:
        """Return the prediction of the mean accuracy over so many further trainings of each path, (m,)."""
        slope = self.scale.slope(np.minimum(self.scale.back(self.centre), self.scale.limit - self.noise[:, None]))
        return replace(self, deviation=np.hypot(self.deviation, self.noise[:, None] * slope / np.sqrt(counts)))

    @cached_property
    def mean(self) -> Floats:
        """Expected accuracy of each path, (m,)."""
        return np.asarray(self.scale.excess(self.centre, self.deviation, 0.0).mean(axis=0))

    def improvement(self, threshold: float) -> Floats:
        """Return the expected improvement of each path over an accuracy, (m,).

        Source: Jones, Schonlau and Welch 1998, "Efficient Global Optimization of Expensive Black-Box Functions".
        """
        return np.asarray(self.scale.excess(self.centre, self.deviation, threshold).mean(axis=0))

    def promise(self, threshold: float) -> Floats:
        """Return what each path promises beyond an accuracy, (m,): the expected improvement, agreed on by the draws.

        It is the mean over the draws of the square root. With few trainings, the plain mean is decided by the few draws
        in which accuracies vary most, and leads to paths that promise nothing under the others.
        """
        return np.asarray(np.sqrt(self.scale.excess(self.centre, self.deviation, threshold)).mean(axis=0) ** 2)

    def quantile(self, level: float) -> Floats:
        """Return a quantile of each path's accuracy, (m,), to within a 4,000th of the widest range."""
        from scipy.special import ndtr, ndtri

        ends = self.scale.back(self.centre + ndtri(level) * self.deviation)
        low, high = ends.min(axis=0), ends.max(axis=0)
        for _ in range(12):
            middle = (low + high) / 2
            inside = np.minimum(middle, self.scale.limit - 1e-12)
            below = ndtr((self.scale.forward(inside) - self.centre) / self.deviation).mean(axis=0) < level
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray((low + high) / 2)
