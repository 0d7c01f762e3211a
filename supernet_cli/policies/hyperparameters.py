"""What the model does not know beforehand, and draws of it: how much each part explains, the scale, the noise.

A few trainings are not enough to estimate these, so nothing is estimated: draws from broad priors are moved towards
what explains the trainings, in steps, and predictions average over them. The priors are on ratios: the scale is
relative to the error rate, the noise relative to it too, and the parts share the variance.

Source: Neal 1999, "Regression and Classification Using Gaussian Process Priors"; Del Moral, Doucet and Jasra 2006,
"Sequential Monte Carlo samplers"; the moves are those of Cotter, Roberts, Stuart and White 2013, arXiv 1202.0709.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from supernet_cli.policies.problem import Floats

_SHARE_SPREAD = 1.3
_SHARES = {"alike-one": -0.3, "alike-many": -0.3, "pairs": -0.8, "many": -1.5, "own": -1.8}
_EVIDENCE, _EFFECTS = 0.0, -0.8
"""Logarithms of how much each part explains, up to a common constant: their medians and the deviation around them."""

_TAIL = 2.0
"""Deviation of the logarithm of each effect's variance: a few candidates matter far more than the others."""

_SCALE = (np.log(0.2), 0.9)
"""Deviation of the paths' expected accuracies, relative to the mean error rate: median and deviation of the log."""

_NOISE = (np.log(0.04), 0.7)
"""The same for the deviation between seeds of one path."""

_ROOM = (np.log(0.2), 0.8)
"""The same for the room between the best accuracy and the limit of the scale."""


@dataclass(frozen=True)
class Settings:
    """N settings of everything unknown.

    Args:
        evidence: (N, e) variance of each piece of evidence.
        effects: (N, f) variance of the effect of each candidate in each decision.
        parts: (N, parts) variance of each part.
        own: (N,) variance of each path's own rest. These four are in squared units of accuracy at the reference.
        noise: (N,) deviation between seeds, in accuracy.
        room: (N,) between the best accuracy and the limit, in accuracy.
    """

    evidence: Floats
    effects: Floats
    parts: Floats
    own: Floats
    noise: Floats
    room: Floats

    @property
    def total(self) -> Floats:
        """Variance of the paths, (N,)."""
        effects = self.effects.sum(axis=1) / max(1, self.effects.shape[1])
        return np.asarray(self.evidence.sum(axis=1) + effects + self.parts.sum(axis=1) + self.own)

    def of(self, rows: slice) -> Settings:
        """Return some of the settings."""
        return Settings(
            self.evidence[rows],
            self.effects[rows],
            self.parts[rows],
            self.own[rows],
            self.noise[rows],
            self.room[rows],
        )


@dataclass(frozen=True)
class Prior:
    """The prior, as a function of standard normal numbers.

    Args:
        evidence: How many pieces of evidence there are.
        effects: How many candidates there are, in all decisions that are open.
        parts: Names of the parts that are alive.
        error: Mean error rate of the trained paths, which the scales are relative to.
    """

    evidence: int
    effects: int
    parts: tuple[str, ...]
    error: float

    @property
    def _centres(self) -> Floats:
        """Of the logarithms of the shares: evidence, parts, own, and effects where there are any."""
        evidence = [_EVIDENCE - np.log(max(1, self.evidence))] * self.evidence
        return np.array(evidence + [_SHARES[part] for part in (*self.parts, "own")] + [_EFFECTS] * (self.effects > 0))

    @property
    def dimensions(self) -> int:
        """Numbers that make a setting."""
        return len(self._centres) + 3 + self.effects

    def settings(self, normal: Floats) -> Settings:
        """Return the settings that (N, dimensions) standard normal numbers stand for."""
        centres, number, parts = self._centres, self.evidence, len(self.parts)
        shares = np.exp(centres + _SHARE_SPREAD * normal[:, : len(centres)])
        scale, noise, room, *_ = normal[:, len(centres) :].T
        deviation = self.error * np.exp(_SCALE[0] + _SCALE[1] * scale)
        variances = shares / shares.sum(axis=1, keepdims=True) * deviation[:, None] ** 2
        tails = np.exp(_TAIL * normal[:, len(centres) + 3 :] - _TAIL**2 / 2)
        return Settings(
            variances[:, :number],
            variances[:, -1:] * tails,
            variances[:, number : number + parts],
            variances[:, number + parts],
            self.error * np.exp(_NOISE[0] + _NOISE[1] * noise),
            self.error * np.exp(_ROOM[0] + _ROOM[1] * room),
        )


def draws(
    log_likelihood: Callable[[Floats], Floats], dimensions: int, rng: np.random.Generator, count: int, moves: int = 2
) -> Floats:
    """Draw from the posterior of standard normal numbers, by sequential Monte Carlo.

    Args:
        log_likelihood: Of (N, dimensions) numbers, (N,).
        dimensions: How many numbers.
        rng: Draws.
        count: Draws N.
        moves: Moves of each draw at each temperature.

    Returns:
        (count, dimensions), equally weighted.
    """
    places = rng.standard_normal((count, dimensions))
    heights, power, stride = log_likelihood(places), 0.0, 0.7
    while power < 1:
        step = _step(heights, 1 - power)
        power += step
        weights = np.exp(step * (heights - heights.max()))
        offsets = (rng.random() + np.arange(count)) / count
        kept = np.minimum(np.searchsorted(np.cumsum(weights) / weights.sum(), offsets), count - 1)
        places, heights = places[kept], heights[kept]
        for _ in range(moves):
            moved = np.sqrt(1 - stride**2) * places + stride * rng.standard_normal(places.shape)
            reached = log_likelihood(moved)
            accepted = np.log(rng.random(count)) < power * (reached - heights)
            places, heights = np.where(accepted[:, None], moved, places), np.where(accepted, reached, heights)
            stride = float(np.clip(stride * np.exp(accepted.mean() - 0.3), 0.08, 0.95))
    return places


def _step(heights: Floats, most: float) -> float:
    """Return the longest step of the power, at most `most`, that leaves half the draws their weight."""
    low, high = 0.0, most
    if _effective(heights, most) >= 0.5:
        return most
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if _effective(heights, middle) >= 0.5 else (low, middle)
    return max(low, 1e-6)


def _effective(heights: Floats, step: float) -> float:
    weights = np.exp(step * (heights - heights.max()))
    return float(weights.sum() ** 2 / (weights**2).sum() / len(weights))
