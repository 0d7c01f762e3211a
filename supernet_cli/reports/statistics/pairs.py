"""Pairs of paths: which differ by more than noise, and whether the supernet orders them correctly.

Shapes: n paths, S stand-alone seeds, R supernet seeds, N test images, the same for every network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supernet_cli.reports.statistics.intervals import holm
from supernet_cli.reports.statistics.quantity import Booleans, Floats, Quantity, needs, unknown
from supernet_cli.reports.statistics.ranking import finite_seeds, mean_accuracy
from supernet_cli.reports.statistics.variances import SeedVariances, seed_variances

MOST_NETWORKS = 200
"""Networks at most, of which all pairs are tested."""


@dataclass(frozen=True)
class ResolvedPairs:
    """Pairs of paths whose stand-alone accuracies differ by more than noise.

    Args:
        mask: (n, n) bool, symmetric: whether a pair is resolved; None if unknown.
        resolved: How many pairs are resolved.
        pairs: How many pairs there are.
        share: Share of pairs that are resolved.
        gamma: Goodman and Kruskal's: the resolved pairs that the supernets' mean score orders correctly minus those it
            orders wrongly, over their sum.
        seed_sd: Standard deviation of a path's accuracy between seeds, pooled over paths; a fraction.
    """

    mask: Booleans | None
    resolved: Quantity
    pairs: int
    share: Quantity
    gamma: Quantity
    seed_sd: Quantity


@dataclass(frozen=True)
class McNemarPairs:
    """McNemar's test on all pairs of some networks.

    Args:
        pairs: How many pairs there are.
        differing: How many differ at 0.05 after Holm's correction.
    """

    pairs: int
    differing: Quantity


def resolved_pairs(truth: Floats, correct: Floats | None, scores: Floats) -> ResolvedPairs:
    """Find the pairs whose difference noise does not explain, and whether scores order them correctly.

    A pair is resolved if |Δȳ| > t(0.975, f) · SE with SE² = v_a/S_a + v_b/S_b + var_i(d_i)/N: the noise of two means
    over seeds, and that of the images, from the difference d_i in seed-mean correctness on image i. The last term
    counts again what seeds do to individual images, so SE errs on the large side. v are the variances of
    `variances.py`, and f Welch's and Satterthwaite's degrees of freedom, at most those of the pooled variance. The 5 %
    level holds for each pair on its own. With two seeds, paths ten times as unstable as most differ from equal ones in
    about 9 % of their pairs.

    Args:
        truth: (n, S) stand-alone test accuracy, NaN where a path lacks a seed.
        correct: (n, N) seed-mean correctness on each test image, from the same seeds; None if not stored.
        scores: (R, n) one-shot scores; their mean over seeds is tested.
    """
    count, variances = len(truth), seed_variances(truth)
    pairs = count * (count - 1) // 2
    if isinstance(variances, str):
        reason, deviation = variances, unknown(variances)
    else:
        reason, deviation = _why_unresolved(count, correct), Quantity(math.sqrt(variances.pooled))
    if isinstance(variances, str) or correct is None or reason:
        return ResolvedPairs(None, unknown(reason), pairs, unknown(reason), unknown(reason), deviation)
    accuracy = mean_accuracy(truth)
    difference = accuracy[:, None] - accuracy[None, :]
    mask = np.abs(difference) > _bounds(variances, _difference_variance(correct) / correct.shape[1])
    resolved = int(np.triu(mask, 1).sum())
    gamma = _gamma(np.where(mask, np.sign(difference), 0.0), scores)
    return ResolvedPairs(mask, Quantity(resolved), pairs, Quantity(resolved / pairs), gamma, deviation)


def _bounds(variances: SeedVariances, of_images: Floats) -> NDArray[np.float64]:
    """Return how far each pair's means differ at most by noise, 95 % of the time, (n, n).

    Args:
        variances: Between seeds.
        of_images: (n, n) variance of each pair's difference due to the choice of images.
    """
    from scipy.special import stdtrit

    of_means = variances.of_means
    squared_error = of_means[:, None] + of_means[None, :] + of_images
    parts = of_means**2 / variances.freedom
    satterthwaite = squared_error**2 / np.maximum(parts[:, None] + parts[None, :], 1e-300)
    quantile = stdtrit(np.clip(satterthwaite, 0.1, variances.total), 0.975)
    return np.asarray(quantile * np.sqrt(squared_error))


def mcnemar(bits_a: Booleans, bits_b: Booleans) -> float:
    """Return McNemar's exact two-sided p: whether two trained networks (not architectures) err equally often.

    Source: McNemar 1947, with the binomial instead of its approximation.

    Args:
        bits_a: (N,) whether the first network got each image right.
        bits_b: (N,) the same for the second.
    """
    return float(_exact(np.array([(bits_a & ~bits_b).sum()]), np.array([(~bits_a & bits_b).sum()]))[0])


def mcnemar_pairs(bits: Booleans) -> McNemarPairs:
    """Count the pairs of networks that differ by McNemar's test, Holm-corrected.

    Args:
        bits: (n, N) whether each network got each image right.
    """
    count = len(bits)
    pairs = count * (count - 1) // 2
    if not pairs:
        return McNemarPairs(pairs, unknown(needs(2, "networks", count)))
    if count > MOST_NETWORKS:
        return McNemarPairs(pairs, unknown(f"Skipped: more than {MOST_NETWORKS} networks ({pairs:,} pairs)."))
    right = bits.astype(np.float32)  # counts to 2^24 exactly, and multiplies fast
    both = np.rint(right @ right.T).astype(np.int64)
    one, other = np.triu_indices(count, 1)
    alone = np.diag(both)
    p_values = _exact(alone[one] - both[one, other], alone[other] - both[one, other])
    return McNemarPairs(pairs, Quantity(int((np.array(holm(p_values.tolist())) <= 0.05).sum())))


def _why_unresolved(count: int, correct: Floats | None) -> str:
    if count < 2:
        return needs(2, "paths", count)
    if correct is None:
        return "Which test images each network got right was not stored, so image noise is unknown."
    return ""


def _difference_variance(correct: Floats) -> NDArray[np.float64]:
    """Return the variance over images of each pair's difference in correctness, (n, n)."""
    centred = correct.astype(np.float64)
    centred -= centred.mean(axis=0)  # how hard an image is cancels in differences
    centred -= centred.mean(axis=1, keepdims=True)
    products = centred @ centred.T / (correct.shape[1] - 1)
    own = np.diag(products)
    return np.asarray(np.maximum(own[:, None] + own[None, :] - 2 * products, 0.0))


def _gamma(order: Floats, scores: Floats) -> Quantity:
    scores, lost = finite_seeds(scores)
    if not len(scores):
        return unknown(lost or "There are no supernet seeds.")
    if not order.any():
        return unknown("No pair differs by more than noise.")
    mean = scores.mean(axis=0, dtype=np.float64)
    agreeing = np.sign(mean[:, None] - mean[None, :]) * order
    if not agreeing.any():
        return unknown("The scores are equal in every pair that differs by more than noise.")
    return Quantity(float(agreeing.sum() / np.abs(agreeing).sum()), lost)


def _exact(only_a: NDArray[np.int64], only_b: NDArray[np.int64]) -> NDArray[np.float64]:
    from scipy.special import bdtr

    tail = bdtr(np.minimum(only_a, only_b).astype(np.float64), only_a + only_b, 0.5)
    return np.minimum(1.0, 2 * np.asarray(tail, dtype=np.float64))
