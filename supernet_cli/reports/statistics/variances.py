"""How much a path's accuracy varies between seeds: an estimate per path, from few seeds each.

Two or three seeds say little about one path's variance, and one variance for all is wrong where some trainings are far
less stable than others. So each path's variance is moved towards the pooled one, by as much as the variances of all
paths resemble each other.

Source: Smyth 2004, "Linear models and empirical Bayes methods for assessing differential expression", Statistical
Applications in Genetics and Molecular Biology 3(1). How much they resemble each other, d0, is estimated as there, from
the spread of log variances. Two things differ, because a few unstable paths among stable ones would pass for stable:
variances move towards their mean rather than towards the prior's scale, which is near the variance of the stable paths,
and a path whose own variance is greater keeps it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supernet_cli.reports.statistics.quantity import Floats, needs

_STABLE = 0.9
"""Of paths with equal variances, the share whose own variance is not taken for a greater one."""

_ROUNDING = 1e-12
"""Smaller variances, relative to the greatest, are zero but for rounding."""


@dataclass(frozen=True)
class SeedVariances:
    """Variances of one training's accuracy, of n paths; squared fractions.

    Args:
        per_path: (n,) variance of each path, shrunken towards the pooled one; that one for a path with one seed.
        pooled: The mean over paths, weighted by dₐ = Sₐ - 1.
        freedom: (n,) degrees of freedom of `per_path`: d0 + dₐ, or dₐ where a path keeps its own variance.
        seeds: (n,) seeds Sₐ of each path.
    """

    per_path: NDArray[np.float64]
    pooled: float
    freedom: NDArray[np.float64]
    seeds: NDArray[np.int64]

    @property
    def of_means(self) -> NDArray[np.float64]:
        """Variances of the means over each path's seeds, (n,)."""
        return self.per_path / self.seeds

    @property
    def total(self) -> int:
        """Degrees of freedom of the pooled variance."""
        return int((self.seeds - 1).sum())


def seed_variances(truth: Floats) -> SeedVariances | str:
    """Estimate the variance of accuracy between seeds, of each path.

    A path keeps its own variance if that exceeds the pooled one, where variances differ; where all may be equal, if it
    exceeds the 90 % bound of such a variance.

    Args:
        truth: (n, S) accuracy, NaN where a path lacks a seed.

    Returns:
        The variances, or the reason why there are none.
    """
    known = np.isfinite(truth)
    seeds = known.sum(axis=1)
    if not len(truth) or not seeds.all():
        return "An accuracy is missing or not finite."
    if seeds.max() < 2:
        return needs(2, "stand-alone seeds", int(seeds.max()))
    values = np.where(known, truth, 0.0).astype(np.float64)
    means = values.sum(axis=1) / seeds
    squares = (np.where(known, values - means[:, None], 0.0) ** 2).sum(axis=1)
    own_freedom = (seeds - 1).astype(np.float64)
    total, own = float(own_freedom.sum()), squares / np.maximum(own_freedom, 1.0)
    pooled = float(squares.sum() / total)
    prior = prior_freedom(own[own_freedom > 0], own_freedom[own_freedom > 0])
    if math.isinf(prior):
        shrunken, freedom = np.full(len(truth), pooled), np.full(len(truth), total)
    else:
        shrunken, freedom = (prior * pooled + squares) / (prior + own_freedom), np.minimum(prior + own_freedom, total)
    keeps = own > (pooled * _bounds(own_freedom, total) if math.isinf(prior) else pooled)
    return SeedVariances(
        np.where(keeps, own, shrunken), pooled, np.where(keeps, own_freedom, freedom), seeds.astype(np.int64)
    )


def _bounds(freedom: Floats, total: float) -> NDArray[np.float64]:
    """Return the 90 % bounds of paths' variances relative to the pooled one, if all are equal, (n,)."""
    from scipy.special import fdtri

    bounds = np.full(len(freedom), 1e300)  # of a path that the others say nothing of: none
    some = (freedom > 0) & (freedom < total)
    bounds[some] = fdtri(freedom[some], total - freedom[some], _STABLE)
    return bounds


def prior_freedom(variances: Floats, freedom: Floats) -> float:
    """Return d0: log variances spread by trigamma(d/2) if all are equal, and by trigamma(d0/2) more if they are not.

    A variance of zero counts as the smallest other one: accuracies are counts of images, so seeds may tie.

    Args:
        variances: (g,) of the paths with two seeds or more.
        freedom: (g,) their degrees of freedom.

    Returns:
        The degrees of freedom that the other paths' variances are worth; infinite if all may be equal.
    """
    from scipy.special import digamma, polygamma

    positive = variances[variances > _ROUNDING * variances.max()]
    if len(variances) < 2 or not len(positive):
        return math.inf
    logs = np.log(np.maximum(variances, positive.min())) - digamma(freedom / 2) + np.log(freedom / 2)
    excess = float(logs.var(ddof=1) - polygamma(1, freedom / 2).mean())
    return 2 * _inverse_trigamma(excess) if excess > 0 else math.inf


def _inverse_trigamma(value: float) -> float:
    """Return x > 0 with trigamma(x) = value, by Newton's method (Smyth 2004, appendix)."""
    from scipy.special import polygamma

    if value > 1e7:
        return 1 / math.sqrt(value)
    if value < 1e-6:
        return 1 / value
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if -step / x < 1e-8:
            break
    return x
