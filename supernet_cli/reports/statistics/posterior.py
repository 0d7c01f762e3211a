"""What the trainings say about the expected accuracy of every path, as draws from a posterior distribution.

The expected accuracy of a path is the mean over infinitely many trainings from scratch, on the given test images. The
model is a Gaussian process over paths:

    y(a, s) = f(a) + seed noise
    f(a) = warp(constant + evidence + one effect per block and candidate + a rest) + a part of its own

The *warp* lets good paths crowd below a limit while poor ones trail far behind. *Evidence* is linear in what is known
of every path without training it: its one-shot score, its size. How much each part explains is not estimated but
averaged over: a grid of variances, weighted by how well each explains the trainings. So what a supernet's scores are
worth is learned from the trainings, and with few of them everything stays wide.

Picking the largest of many noisy figures picks luck. The posterior means are shrunk towards what the model expects,
most where a path has few seeds or many rivals (James and Stein 1961; Efron and Morris 1975).

Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2 and 5.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supernet_cli.reports.statistics.kendall import dense_ranks, tau_b_rows
from supernet_cli.reports.statistics.quantity import Floats, Integers
from supernet_cli.reports.statistics.ranking import FEWEST, finite_seeds

DRAWS = 2000
"""Draws from the posterior: enough for 95 % bounds to within a tenth of their width."""

_SHARES = (0.0, 0.03, 0.1, 0.3, 1.0)
"""Variances of each linear part that are averaged over, relative to the variance of the paths' means."""

_RESTS = (0.001, 0.01, 0.1, 1.0)
"""The same of each path's rest: never nothing, since no path is exactly the sum of its candidates."""

_OWN = (0.0003, 0.003, 0.03)
"""The same of a part of each path's own that is as large for good paths as for poor ones."""

_ROOMS = (math.inf, 0.5, 0.1)
"""Room above the best mean, in ranges of the means, of the limits that accuracies may crowd below.

An infinite room, for no such limit, is as likely beforehand as all others together.
"""

_WIDE = 10.0
"""Variance of the constant, relative to that of the means: wide enough not to matter."""

_NOTHING = 1e-9
"""Variance of the weights of a part that explains nothing."""

_NOISE = (0.01, 0.03, 0.1, 0.3, 0.6)
"""The same for the seed noise, where no path was trained with two seeds."""


@dataclass(frozen=True)
class Evidence:
    """What is known of m paths, the first n of which were trained from scratch.

    Args:
        known: (m, e) figures of each path, such as its one-shot score; constant or unknown columns carry nothing.
        choices: (m, b) position of the candidate that each path takes in each block.
        means: (n,) mean accuracy over the seeds of each trained path.
        noise: (n,) variance of these means due to seeds; None if no path has two seeds.
    """

    known: Floats
    choices: Integers
    means: Floats
    noise: Floats | None


def normal_scores(orders: Floats) -> NDArray[np.float64]:
    """Return what normal numbers in the same order would be on average, mean over several orders.

    Source: Blom 1958, "Statistical Estimates and Transformed Beta-Variables".

    Args:
        orders: (m,) or (R, m) figures; rows that are not finite are skipped.

    Returns:
        (m,), NaN if no row is finite.
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    rows, _ = finite_seeds(np.atleast_2d(orders).astype(np.float64))
    if not len(rows):
        return np.full(np.shape(orders)[-1], np.nan)
    ranks = rankdata(rows, axis=1)
    return np.asarray(ndtri((ranks - 0.375) / (rows.shape[1] + 0.25)).mean(axis=0))


def tau_of_draws(orders: Floats, draws: Floats) -> NDArray[np.float64] | None:
    """Return Kendall's tau of orders with each draw of the expected accuracies, mean over several orders.

    Args:
        orders: (m,) or (R, m) figures; rows that are not finite are skipped.
        draws: (D, m) expected accuracies.

    Returns:
        (D,) tau-b; None if there is nothing to rank.
    """
    rows, _ = finite_seeds(np.atleast_2d(orders).astype(np.float64))
    rows = rows[np.ptp(rows, axis=1) > 0] if len(rows) else rows
    if not len(rows) or draws.shape[1] < FEWEST or not np.ptp(draws):
        return None
    ranks = np.argsort(np.argsort(draws, axis=1), axis=1)
    return np.asarray(np.mean([tau_b_rows(ranks, dense_ranks(row)) for row in rows], axis=0))


def draw(evidence: Evidence, rng: np.random.Generator, draws: int = DRAWS) -> NDArray[np.float64]:
    """Draw expected accuracies of all m paths.

    Args:
        evidence: What is known.
        rng: Draws.
        draws: How many.

    Returns:
        (draws, m), fractions.
    """
    means = evidence.means.astype(np.float64)
    if len(means) < 2 or not np.ptp(means):
        return np.tile(means.mean(), (draws, len(evidence.choices)))
    parts = _parts(evidence)
    design = np.hstack([np.ones((len(evidence.choices), 1)), *parts])
    widths = [part.shape[1] for part in parts]
    shares = np.array(list(itertools.product(*(_SHARES if width else (0.0,) for width in widths), _RESTS)))
    fits, logs = [], []
    for noise, own, room in itertools.product(_noises(evidence), _OWN, _ROOMS):
        own = own * float(means.var(ddof=1))
        warp = _Warp.to(means, room, noise)
        target, jacobian = warp.forward(means), float(np.log(warp.slope(means)).sum())
        warped_noise = (noise + own) * warp.slope(_towards_mean(means, noise)) ** 2
        fit = _Fits.to(target, design, widths, shares, warped_noise)
        prior = math.log(len(_ROOMS) - 1) if math.isinf(room) else 0.0
        fits.append((warp, fit, noise, own))
        logs.append(fit.log_evidence + jacobian + prior)
    weights = np.exp(np.array(logs) - np.max(logs))
    counts = rng.multinomial(draws, (weights / weights.sum()).ravel()).reshape(weights.shape)
    drawn = []
    for number, (warp, fit, noise, own) in enumerate(fits):
        for setting in np.flatnonzero(counts[number]).tolist():
            smooth = warp.back(fit.draw(setting, int(counts[number, setting]), rng))
            drawn.append(smooth + _own_parts(means - smooth[:, : len(means)], noise, own, smooth.shape[1], rng))
    return np.concatenate(drawn)


def _own_parts(
    residuals: NDArray[np.float64], noise: NDArray[np.float64], own: float, paths: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw what paths have of their own on the scale of accuracies, given what the rest of the model leaves of means.

    Args:
        residuals: (count, n) of the trained paths.
        noise: (n,) variance of their means.
        own: Variance of the parts.
        paths: All paths m, the trained ones first.
        rng: Draws.

    Returns:
        (count, m).
    """
    trained, gain = residuals.shape[1], own / (own + noise)
    centre, deviation = np.zeros((len(residuals), paths)), np.full(paths, math.sqrt(own))
    centre[:, :trained] = gain * residuals
    deviation[:trained] = np.sqrt(gain * noise)
    return centre + deviation * rng.standard_normal(centre.shape)


def _noises(evidence: Evidence) -> list[NDArray[np.float64]]:
    """Return the variances of the means due to seeds, (n,) each, to average over: one if it is known."""
    scale = evidence.means.var(ddof=1)
    if evidence.noise is not None:
        return [np.maximum(evidence.noise, 1e-6 * scale)]
    return [np.full(len(evidence.means), level * scale) for level in _NOISE]


def _towards_mean(means: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return means shrunken towards their mean: the noise of a lucky one is not that of so good a path."""
    signal = max(0.0, float(means.var(ddof=1) - noise.mean()))
    return np.asarray(means.mean() + signal / (signal + noise) * (means - means.mean()))


@dataclass(frozen=True)
class _Warp:
    """A scale on which accuracies are closer to normal: their distance to a limit above them, as a logarithm.

    Good paths often crowd below a limit, and poor ones trail far behind. On a normal scale the crowd would be as wide
    as the trail.

    Source: Snelson, Rasmussen and Ghahramani, "Warped Gaussian Processes", NeurIPS 2003.

    Args:
        limit: Above all means; infinite for the scale of accuracies themselves.
        centre: Mean of the warped means.
        scale: Their standard deviation.
    """

    limit: float
    centre: float
    scale: float

    @classmethod
    def to(cls, means: NDArray[np.float64], room: float, noise: NDArray[np.float64]) -> _Warp:
        """Return the one whose limit is `room` ranges of the means above the best of them, and beyond their noise."""
        limit = float(means.max() + room * np.ptp(means) + math.sqrt(noise.mean()))
        warped = cls(limit, 0.0, 1.0).forward(means)
        return cls(limit, float(warped.mean()), float(warped.std(ddof=1)))

    def forward(self, accuracies: NDArray[np.float64]) -> NDArray[np.float64]:
        warped = accuracies if math.isinf(self.limit) else -np.log(self.limit - accuracies)
        return np.asarray((warped - self.centre) / self.scale)

    def slope(self, accuracies: NDArray[np.float64]) -> NDArray[np.float64]:
        steepness = np.ones_like(accuracies) if math.isinf(self.limit) else 1 / (self.limit - accuracies)
        return np.asarray(steepness / self.scale)

    def back(self, warped: NDArray[np.float64]) -> NDArray[np.float64]:
        values = self.centre + self.scale * warped
        return np.asarray(values if math.isinf(self.limit) else self.limit - np.exp(-values))


def _parts(evidence: Evidence) -> list[NDArray[np.float64]]:
    """Return the columns of the model's linear parts: standardised evidence, and one column per block and candidate."""
    columns = []
    for values in evidence.known.T.astype(np.float64):
        if np.isfinite(values).all() and np.ptp(values) > 0:
            columns.append((values - values.mean()) / values.std())
    known = np.stack(columns, axis=1) if columns else np.zeros((len(evidence.choices), 0))
    effects = [
        (evidence.choices[:, block] == candidate)[:, None]
        for block in range(evidence.choices.shape[1])
        for candidate in np.unique(evidence.choices[:, block])
        if len(np.unique(evidence.choices[:, block])) > 1
    ]
    additive = np.hstack(effects).astype(np.float64) if effects else np.zeros((len(evidence.choices), 0))
    return [known / math.sqrt(max(1, known.shape[1])), additive / math.sqrt(max(1, evidence.choices.shape[1]))]


@dataclass(frozen=True)
class _Fits:
    """Posteriors of the linear weights, and of each path's rest given these, for c settings of the variances.

    Args:
        design: (m, k) what the linear weights are multiplied by; the first n rows are those of trained paths.
        target: (n,) standardised means.
        noise: (n,) their noise.
        rest: (c,) variance of the rest.
        mean: (c, k) of the weights.
        root: (c, k, k) times standard normal numbers, the weights' deviation from their mean.
        log_evidence: (c,) density of the target, as a logarithm, up to a constant.
    """

    design: NDArray[np.float64]
    target: NDArray[np.float64]
    noise: NDArray[np.float64]
    rest: NDArray[np.float64]
    mean: NDArray[np.float64]
    root: NDArray[np.float64]
    log_evidence: NDArray[np.float64]

    @classmethod
    def to(
        cls,
        target: NDArray[np.float64],
        design: NDArray[np.float64],
        widths: Sequence[int],
        variances: NDArray[np.float64],
        noise: NDArray[np.float64],
    ) -> _Fits:
        """Fit all settings at once.

        Args:
            target: (n,) standardised means.
            design: (m, k): a column of ones, then the parts.
            widths: Columns of each part.
            variances: (c, parts + 1) of the weights of each part, and of the rest.
            noise: (n,) of the means.
        """
        parts = np.repeat(np.maximum(variances[:, :-1], _NOTHING), widths, axis=1)
        prior = np.hstack([np.full((len(variances), 1), _WIDE), parts])
        rest = variances[:, -1]
        rows, spread = design[: len(target)], rest[:, None] + noise
        precision = (rows.T / spread[:, None, :]) @ rows
        places = np.arange(design.shape[1])
        precision[:, places, places] += 1 / prior
        lower = np.linalg.cholesky(precision)
        root = np.linalg.inv(lower).transpose(0, 2, 1)
        half = np.einsum("ckj,cj->ck", root.transpose(0, 2, 1), (target / spread) @ rows)
        log_evidence = 0.5 * ((half**2).sum(axis=1) - (target**2 / spread).sum(axis=1) - np.log(spread).sum(axis=1))
        log_evidence -= 0.5 * np.log(prior).sum(axis=1) + np.log(lower[:, places, places]).sum(axis=1)
        mean = np.einsum("ckj,cj->ck", root, half)
        return cls(design, target, noise, rest, mean, root, log_evidence)

    def draw(self, setting: int, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return (count, m) draws of one setting, standardised."""
        deviations = rng.standard_normal((count, self.design.shape[1])) @ self.root[setting].T
        linear = (self.mean[setting] + deviations) @ self.design.T
        trained, rest = len(self.target), float(self.rest[setting])
        gain = rest / (rest + self.noise)
        centre, deviation = np.zeros_like(linear), np.full(linear.shape[1], math.sqrt(rest))
        centre[:, :trained] = gain * (self.target - linear[:, :trained])
        deviation[:trained] = np.sqrt(gain * self.noise)
        return np.asarray(linear + centre + deviation * rng.standard_normal(linear.shape))
