"""Where one-shot scores and stand-alone accuracies differ: how much is noise, and which operations are over-rated.

Shapes: n paths, S stand-alone seeds, R supernet seeds, N test images, b blocks, c candidates in all blocks.

Score and accuracy have different units. Both are split into a mean, one effect per candidate, and a rest of each path.
A line through the candidates' effects gives what a unit of score is worth in accuracy; its slope is freed from the
noise of the effects, which is known from the rests (Deming's regression; Fuller, "Measurement Error Models", 1987). To
match the spread over paths instead would make bad candidates look over-rated wherever scores or accuracies have a rest:
the spread of a noisy score is wider, so the matched score is closer to the mean.

d(a) is the matched score minus path a's stand-alone accuracy, in accuracy points. The variance of d over paths is what
there is to explain. It has four terms:

- stand-alone noise, s_w²/S: other seeds would have given other accuracies on these images. It includes everything that
  differs between seeds, including what they do to individual images.
- supernet noise: other supernets would have given other scores. A seed that is better for all paths does not change
  their order, so only the interaction of path and seed counts, divided by R.
- image noise: other test images would have given other accuracies, even as means over any number of seeds. All networks
  see the same images, and one that is hard for all does not change their order. So it is half the mean over pairs of
  var_i(d_i)/N, with d_i the pair's difference in correctness on image i; that equals the variance over paths, image by
  image. Measured on means over few seeds it also includes what seeds do to individual images, which the first term
  already counts: m(1-m)/(S-1) for a seed mean m is subtracted, so that it does not count twice.
- sharing bias: the rest, so it is an upper bound. It includes the effect of the *validation* images on the scores,
  which is not measured, and whatever a straight line from score to accuracy cannot map.

With few paths every term is a rough estimate. One that comes out negative is zero within its noise, and set to that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supernet_cli.reports.statistics.additive import Additive
from supernet_cli.reports.statistics.quantity import Floats, Integers, Quantity, needs, unknown
from supernet_cli.reports.statistics.ranking import finite_seeds, mean_accuracy, why_unranked
from supernet_cli.reports.statistics.variances import seed_variances

POINTS = 100.0
"""Accuracy points per unit."""

_NO_SCALE = (
    "Which operations the scores and the accuracies prefer has too little in common to bring both to one scale, or "
    "there are too few paths to tell."
)

_WORDS = {"stand_alone": "stand-alone noise", "supernet": "supernet noise", "images": "image noise"}


@dataclass(frozen=True)
class CandidateBias:
    """How a supernet rates one candidate.

    Args:
        block: Number of its block, from 0.
        label: Its name.
        paths: How many contain it.
        bias: By how many points the supernet over-rates it, compared with the other candidates of its block; negative
            if it under-rates it.
        error: Its standard error: what other supernets, other stand-alone seeds, other images, and other paths of the
            same candidates would change. With few paths it is wider, so that two of them hold about 95 %.
    """

    block: int
    label: str
    paths: int
    bias: Quantity
    error: Quantity


@dataclass(frozen=True)
class Audit:
    """The disagreement of scores and accuracies; the first five are variances over paths, in squared points.

    Args:
        total: Variance of d.
        stand_alone: Its part from stand-alone seeds.
        supernet: From supernet seeds.
        images: From test images.
        sharing: The rest, at least zero; its note says what else it includes, and whether it was set to zero.
        shares: The last four as fractions that sum to 1; noise that exceeds the total is scaled down to it.
        differences: d of each path, points; empty if unknown.
        candidates: The bias of each candidate, block by block.
    """

    total: Quantity
    stand_alone: Quantity
    supernet: Quantity
    images: Quantity
    sharing: Quantity
    shares: Mapping[str, Quantity]
    differences: tuple[float, ...]
    candidates: tuple[CandidateBias, ...]


def audit(
    scores: Floats, truth: Floats, correct: Floats | None, choices: Integers, labels: Sequence[Sequence[str]]
) -> Audit:
    """Split the disagreement of scores and accuracies into noise and bias.

    Args:
        scores: (R, n) one-shot scores; accuracies map to the stand-alone scale better than losses do.
        truth: (n, S) stand-alone test accuracy, fractions, NaN where a path lacks a seed.
        correct: (n, N) seed-mean correctness on each test image, from the same seeds; None if not stored.
        choices: (n, b) position of the candidate that each path takes in each block.
        labels: Names of the candidates, block by block.
    """
    scores, lost = finite_seeds(scores)
    accuracy, effects = mean_accuracy(truth) * POINTS, Additive.of(choices, [len(names) for names in labels])
    reason = _why_no_audit(scores, accuracy) or effects.why_no_rest()
    if reason:
        none = unknown(f"{lost} {reason}".strip())
        unbiased = _candidates(effects, labels, lambda _: (none, none))
        return Audit(none, none, none, none, none, _no_shares(none), (), unbiased)
    score, common = scores.mean(axis=0, dtype=np.float64), _CommonNoise.of(effects, scores, correct)
    line, seeds = effects.line(score, accuracy), np.isfinite(truth).sum(axis=1)
    stand_alone, images = _seed_noise(truth), _image_noise(correct, seeds)
    candidates = _candidates(effects, labels, lambda number: _bias(effects, number, score, accuracy, common))
    if line is None:
        none = unknown(f"{lost} {_NO_SCALE}".strip())
        return Audit(none, stand_alone, none, images, none, _no_shares(none), (), candidates)
    supernet = _supernet_noise(scores / line.slope)
    differences = (score - score.mean()) / line.slope - (accuracy - accuracy.mean())
    total, noise = float(differences.var(ddof=1)), {"stand_alone": stand_alone, "supernet": supernet, "images": images}
    return Audit(
        total=Quantity(total, lost),
        stand_alone=stand_alone,
        supernet=supernet,
        images=images,
        sharing=_rest(total, noise),
        shares=_shares(total, noise),
        differences=tuple(differences.tolist()),
        candidates=candidates,
    )


def _why_no_audit(scores: Floats, accuracy: Floats) -> str:
    if not len(scores):
        return "No supernet seed has a finite score for every path."
    return why_unranked(scores.mean(axis=0), accuracy)


def _seed_noise(truth: Floats) -> Quantity:
    """Return the variance of a mean over seeds, mean over paths, in squared points."""
    variances = seed_variances(truth)
    if isinstance(variances, str):
        return unknown(variances)
    return Quantity(float((variances.pooled / variances.seeds).mean()) * POINTS**2)


def _supernet_noise(matched: Floats) -> Quantity:
    """Return the variance of path and seed's interaction over R, from (R, n) matched scores."""
    seeds, count = matched.shape
    if seeds < 2:
        return unknown(needs(2, "supernet seeds", seeds))
    residual = matched - matched.mean(axis=0) - matched.mean(axis=1, keepdims=True) + matched.mean()
    return Quantity(float((residual**2).sum() / ((seeds - 1) * (count - 1) * seeds)))


def _image_noise(correct: Floats | None, seeds: Integers) -> Quantity:
    if correct is None:
        return unknown("Which test images each network got right was not stored.")
    images = correct.shape[1]
    by_image = correct.var(axis=0, ddof=1, dtype=np.float64).mean()
    raw = float((by_image - correct.mean(axis=1, dtype=np.float64).var(ddof=1)) / (images - 1))
    repeated = seeds > 1
    if not repeated.any():
        return Quantity(raw * POINTS**2, "Includes what the one stand-alone seed does to individual images.")
    # On an image that a share p of all seeds gets right, one seed has the variance p(1-p), estimated by m(1-m) S/(S-1).
    # A path with one seed gets, relative to what it were if all images were equally hard, that of the others.
    of_one = (correct * (1 - correct)).mean(axis=1, dtype=np.float64) * seeds / np.maximum(seeds - 1, 1)
    mean = correct.mean(axis=1, dtype=np.float64)
    if_alike = mean * (1 - mean)
    share = of_one[repeated].sum() / max(float(if_alike[repeated].sum()), 1e-300)
    single = np.where(repeated, of_one, share * if_alike) / (seeds * images)
    return Quantity(max(0.0, raw - float(single.mean())) * POINTS**2)


def _rest(total: float, noise: Mapping[str, Quantity]) -> Quantity:
    rest = total - math.fsum(part.value for part in noise.values() if part.value is not None)
    missing = [_WORDS[name] for name, part in noise.items() if part.value is None]
    notes = ["At most: it is what the other sources leave."] if rest > 0 else []
    notes += [f"Includes what could not be measured: {', '.join(missing)}."] if missing else []
    notes += ["Set to 0: noise alone already explains more than the observed disagreement."] if rest < 0 else []
    return Quantity(max(0.0, rest), " ".join(notes))


def _shares(total: float, noise: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Return the share of each source in the total, and that of the rest."""
    if not total:
        return dict.fromkeys((*noise, "sharing"), unknown("Scores and accuracies do not differ."))
    scale = max(total, math.fsum(part.value for part in noise.values() if part.value is not None))
    shares = {name: part if part.value is None else Quantity(part.value / scale) for name, part in noise.items()}
    rest = 1 - math.fsum(share.value for share in shares.values() if share.value is not None)
    return {**shares, "sharing": Quantity(max(0.0, rest))}


def _no_shares(none: Quantity) -> dict[str, Quantity]:
    return dict.fromkeys((*_WORDS, "sharing"), none)


def _candidates(
    effects: Additive, labels: Sequence[Sequence[str]], bias: Callable[[int], tuple[Quantity, Quantity]]
) -> tuple[CandidateBias, ...]:
    """Return the bias of each candidate.

    Args:
        effects: Of the paths.
        labels: Names of the candidates, block by block.
        bias: Returns the bias and its error of a candidate, by its number in all blocks, if some path takes it.
    """
    names = [(block, label) for block, candidates in enumerate(labels) for label in candidates]
    found = []
    for number, (block, label) in enumerate(names):
        reason = effects.why_no_effect(number)
        each = (unknown(reason), unknown(reason)) if reason else bias(number)
        found.append(CandidateBias(block, label, effects.paths(number), *each))
    return tuple(found)


@dataclass(frozen=True)
class _CommonNoise:
    """Variances of the candidates' effects from what moves all paths of a candidate together, (c,) each.

    Args:
        supernets: Of the mean score, in squared scores; pooled over the candidates of a block, because seeds are few.
            None with one supernet.
        images: Of the accuracies, in squared points; None if unknown.
        seeds: Supernet seeds.
    """

    supernets: NDArray[np.float64] | None
    images: NDArray[np.float64] | None
    seeds: int

    @classmethod
    def of(cls, effects: Additive, scores: Floats, correct: Floats | None) -> _CommonNoise:
        supernets = None
        if len(scores) > 1:
            each = effects.common_noise(scores.T) / len(scores)
            supernets = np.array([each[effects.block_of(number)].mean() for number in range(len(each))])
        images = None if correct is None else effects.common_noise(correct) / correct.shape[1] * POINTS**2
        return cls(supernets, images, len(scores))


def _bias(
    effects: Additive, number: int, score: Floats, accuracy: Floats, noise: _CommonNoise
) -> tuple[Quantity, Quantity]:
    """Return a candidate's bias and its error.

    The line comes from all effects but this candidate's, whose bias would bend it.
    """
    line = effects.line(score, accuracy, number)
    if line is None:
        return unknown(_NO_SCALE), unknown(_NO_SCALE)
    weights = effects.weights[number]
    effect = float(weights @ score) / line.slope
    parts = [(line.rest * float(weights @ weights) + (effect * line.error) ** 2, effects.freedom)]
    if noise.supernets is not None:
        freedom = (noise.seeds - 1) * max(1, int(effects.block_of(number).sum()) - 1)
        parts.append((float(noise.supernets[number]) / line.slope**2, freedom))
    variance = math.fsum(part for part, _ in parts)
    error = math.sqrt(variance + (0.0 if noise.images is None else float(noise.images[number])))
    note = "" if noise.seeds > 1 else "Estimated from one supernet seed; another supernet may differ by more."
    return Quantity(effect - float(weights @ accuracy)), Quantity(error * _wider(parts), note)


def _wider(parts: Sequence[tuple[float, int]]) -> float:
    """Return by how much Student's 95 % bounds are wider than normal ones.

    Args:
        parts: Variances that sum up, each with its degrees of freedom.
    """
    from scipy.special import ndtri, stdtrit

    squares = math.fsum(part**2 / freedom for part, freedom in parts)
    if not squares:
        return 1.0
    freedom = math.fsum(part for part, _ in parts) ** 2 / squares  # Welch and Satterthwaite
    return float(stdtrit(freedom, 0.975) / ndtri(0.975))
