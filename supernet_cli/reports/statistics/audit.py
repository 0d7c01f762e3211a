"""Where one-shot scores and stand-alone accuracies differ: how much is noise, and which operations are over-rated.

Shapes: n paths, S stand-alone seeds, R supernet seeds, N test images, b blocks.

Score and accuracy have different units, so the scores' mean over R is brought to the mean and standard deviation (over
paths) of the stand-alone accuracies. d(a) is this matched score minus path a's stand-alone accuracy, in accuracy
points. The variance of d over paths is what there is to explain. It has four terms:

- stand-alone noise, s_w²/S: other seeds would have given other accuracies on these images. It includes everything that
  differs between seeds, including what they do to individual images.
- supernet noise: other supernets would have given other scores. A seed that is better for all paths does not change
  their order, so only the interaction of path and seed counts, divided by R.
- image noise: other test images would have given other accuracies, even as means over any number of seeds. All networks
  see the same images, and one that is hard for all does not change their order. So it is half the mean over pairs of
  var_i(d_i)/N, with d_i the pair's difference in correctness on image i; that equals the variance over paths, image by
  image. Measured on means over few seeds it also includes what seeds do to individual images, which the first term
  already counts: m(1-m)/(S-1) for a seed mean m is subtracted, so that it does not count twice.
- sharing bias: the rest. It includes the effect of the *validation* images on the scores, which is not measured, and
  whatever a straight line from score to accuracy cannot map; losses map worse than accuracies if paths are unequal.

The noise terms are unbiased. The rest comes out somewhat low, by about 2/(n-1) of the noise, because the matching
follows the noise; by more if a supernet's noise moves all paths of a candidate together. With few paths every term is
a rough estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supernet_cli.reports.statistics.quantity import Floats, Integers, Quantity, needs, unknown
from supernet_cli.reports.statistics.ranking import finite_seeds, mean_accuracy, why_unranked
from supernet_cli.reports.statistics.variances import seed_variances

POINTS = 100.0
"""Accuracy points per unit."""


@dataclass(frozen=True)
class CandidateBias:
    """How a supernet rates one candidate.

    Args:
        block: Number of its block, from 0.
        label: Its name.
        paths: How many contain it.
        bias: Mean d over these, points; positive if the supernet over-rates it.
        error: Its standard error: what other supernets, other stand-alone seeds and other images would change. With one
            supernet seed, the spread of d over paths instead; its note says so.
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
        differences: d of each path, points; empty if unknown.
        candidates: The bias of each candidate, block by block.
    """

    total: Quantity
    stand_alone: Quantity
    supernet: Quantity
    images: Quantity
    sharing: Quantity
    differences: tuple[float, ...]
    candidates: tuple[CandidateBias, ...]


def audit(
    scores: Floats, truth: Floats, correct: Floats | None, choices: Integers, labels: Sequence[Sequence[str]]
) -> Audit:
    """Split the disagreement of scores and accuracies into noise and bias.

    Args:
        scores: (R, n) one-shot scores; accuracies map to the stand-alone scale better than losses do.
        truth: (n, S) stand-alone test accuracy, fractions.
        correct: (n, N) seed-mean correctness on each test image, from the same seeds; None if not stored.
        choices: (n, b) position of the candidate that each path takes in each block.
        labels: Names of the candidates, block by block.
    """
    scores, lost = finite_seeds(scores)
    accuracy, groups = mean_accuracy(truth) * POINTS, _groups(choices, labels)
    reason = _why_no_audit(scores, accuracy)
    if reason:
        none = unknown(f"{lost} {reason}".strip())
        candidates = tuple(CandidateBias(g.block, g.label, int(g.holds.sum()), none, none) for g in groups)
        return Audit(none, none, none, none, none, (), candidates)
    score = scores.mean(axis=0, dtype=np.float64)
    matched = scores * float(accuracy.std(ddof=1) / score.std(ddof=1))
    differences = matched.mean(axis=0) - matched.mean() - (accuracy - accuracy.mean())
    noise = {
        "stand-alone noise": _seed_noise(truth),
        "supernet noise": _supernet_noise(matched),
        "image noise": _image_noise(correct, np.isfinite(truth).sum(axis=1)),
    }
    total = float(differences.var(ddof=1))
    return Audit(
        total=Quantity(total, lost),
        stand_alone=noise["stand-alone noise"],
        supernet=noise["supernet noise"],
        images=noise["image noise"],
        sharing=_rest(total, noise),
        differences=tuple(differences.tolist()),
        candidates=tuple(_bias(group, groups, differences, matched, truth, correct) for group in groups),
    )


@dataclass(frozen=True)
class _Group:
    """The paths that contain one candidate, (n,) bool."""

    block: int
    label: str
    holds: NDArray[np.bool_]

    @property
    def weights(self) -> NDArray[np.float64]:
        """The weight of each path in the group's mean minus the mean over all paths."""
        return self.holds / max(int(self.holds.sum()), 1) - 1 / len(self.holds)


def _groups(choices: Integers, labels: Sequence[Sequence[str]]) -> list[_Group]:
    return [
        _Group(block, label, choices[:, block] == position)
        for block, names in enumerate(labels)
        for position, label in enumerate(names)
    ]


def _why_no_audit(scores: Floats, accuracy: Floats) -> str:
    if not len(scores):
        return "No supernet seed has a finite score for every path."
    return why_unranked(scores.mean(axis=0), accuracy)


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
    single = _chance_of_single_images(correct, seeds)
    if single is None:
        return Quantity(raw * POINTS**2, "Includes what the one stand-alone seed does to individual images.")
    return Quantity(max(0.0, raw - float(single.mean())) * POINTS**2)


def _chance_of_single_images(correct: Floats, seeds: Integers) -> NDArray[np.float64] | None:
    """Return the part of each mean accuracy's variance that comes from individual seeds on individual images, (n,).

    For one seed it is p(1-p) on an image that a share p of all seeds gets right, estimated by m(1-m) S/(S-1). A path
    with one seed gets the mean of the other paths; None if no path has two.
    """
    repeated = seeds > 1
    if not repeated.any():
        return None
    of_one = (correct * (1 - correct)).mean(axis=1, dtype=np.float64) * seeds / np.maximum(seeds - 1, 1)
    return np.asarray(np.where(repeated, of_one, of_one[repeated].mean()) / (seeds * correct.shape[1]))


def _rest(total: float, noise: dict[str, Quantity]) -> Quantity:
    rest = total - math.fsum(part.value for part in noise.values() if part.value is not None)
    missing = [name for name, part in noise.items() if part.value is None]
    notes = [f"Includes what could not be measured: {', '.join(missing)}."] if missing else []
    notes += ["Set to 0: noise alone already explains more than the observed disagreement."] if rest < 0 else []
    return Quantity(max(0.0, rest), " ".join(notes))


def _bias(
    group: _Group,
    groups: Sequence[_Group],
    differences: Floats,
    matched: Floats,
    truth: Floats,
    correct: Floats | None,
) -> CandidateBias:
    count = int(group.holds.sum())
    if not count:
        none = unknown("No path contains it.")
        return CandidateBias(group.block, group.label, 0, none, none)
    bias = Quantity(float(differences[group.holds].mean()))
    if len(matched) < 2:
        return CandidateBias(group.block, group.label, count, bias, _spread(differences[group.holds]))
    block = [other for other in groups if other.block == group.block and other.holds.any()]
    effects = np.array([matched @ other.weights for other in block])
    of_supernets = effects.var(axis=1, ddof=1).mean() / len(matched)  # pooled over the block: seeds are few
    of_truth = _truth_variance(group.weights, truth, correct) * POINTS**2
    note = "" if truth.shape[1] > 1 else "Excludes stand-alone noise: there is only one seed."
    return CandidateBias(group.block, group.label, count, bias, Quantity(math.sqrt(of_supernets + of_truth), note))


def _spread(differences: Floats) -> Quantity:
    if len(differences) < 2:
        return unknown("One path and one supernet seed: there is no spread to estimate from.")
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return Quantity(error, "Estimated from one supernet seed; another supernet may differ by more.")


def _truth_variance(weights: Floats, truth: Floats, correct: Floats | None) -> float:
    """Return the variance of a weighted sum of mean accuracies, over seeds and images where known."""
    variances = seed_variances(truth)
    of_seeds = 0.0 if isinstance(variances, str) else float(weights**2 @ variances.of_means)
    if correct is None:
        return of_seeds
    of_images = float((weights @ correct).var(ddof=1) / correct.shape[1])
    single = _chance_of_single_images(correct, np.isfinite(truth).sum(axis=1))
    if single is not None:
        of_images -= float(weights**2 @ single)
    return of_seeds + max(0.0, of_images)


def _seed_noise(truth: Floats) -> Quantity:
    """Return the variance of a mean over seeds, mean over paths, in squared points."""
    variances = seed_variances(truth)
    if isinstance(variances, str):
        return unknown(variances)
    return Quantity(float((variances.pooled / variances.seeds).mean()) * POINTS**2)
