"""Agreement of two rankings: tau-b and Spearman's rho of one-shot scores with stand-alone accuracy, and among seeds.

Shapes: n paths, S stand-alone seeds, R supernet seeds. Accuracies are fractions; higher scores are better.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from supernet_cli.reports.statistics.quantity import Floats, Quantity, needs, unknown
from supernet_cli.reports.statistics.seeds import Block, largest_block, splits

FEWEST = 3
"""Paths that a ranking needs: two are in order or not, which measures nothing."""


@dataclass(frozen=True)
class Spread:
    """A coefficient over seeds.

    Args:
        mean: Mean over the seeds that have one.
        low: The smallest.
        high: The largest.
        per_seed: For each seed, or None if it has none; the mean's note says why.
    """

    mean: Quantity
    low: Quantity
    high: Quantity
    per_seed: tuple[float | None, ...]


@dataclass(frozen=True)
class Agreement:
    """How well one-shot scores rank paths, compared with the mean stand-alone accuracy.

    Args:
        tau: Kendall's tau-b.
        rho: Spearman's rho.
        best_tau: Tau-b within the best quarter, which some stand-alone seeds choose and the others judge; None below
            three paths.
        best_rho: Rho within it.
        best_paths: Paths in it.
    """

    tau: Spread
    rho: Spread
    best_tau: Spread
    best_rho: Spread
    best_paths: int


def kendall_tau(a: Floats, b: Floats) -> float | None:
    """Return Kendall's tau-b; None with fewer than three points, or if one side is constant or not finite.

    Args:
        a: (n,) values.
        b: (n,) values of the same items.
    """
    return _coefficient(_tau, a, b).value


def spearman_rho(a: Floats, b: Floats) -> float | None:
    """Return Spearman's rho; None with fewer than three points, or if one side is constant or not finite.

    Args:
        a: (n,) values.
        b: (n,) values of the same items.
    """
    return _coefficient(_rho, a, b).value


def mean_accuracy(accuracies: Floats) -> NDArray[np.float64]:
    """Return each path's mean over its seeds, rounded so that equal means are equal numbers whatever their order.

    Args:
        accuracies: (n, S) fractions, NaN where a path lacks a seed.

    Returns:
        (n,) fractions, NaN for a path without any.
    """
    known = ~np.isnan(accuracies)
    seeds = known.sum(axis=1)
    sums = np.where(known, accuracies, 0.0).sum(axis=1, dtype=np.float64)
    return np.asarray(np.round(np.where(seeds > 0, sums / np.maximum(seeds, 1), np.nan), 10))


def best_quarter(truth: Floats) -> NDArray[np.int64]:
    """Return the ceil(n/4) paths with the best mean accuracy, best first; ties keep their order.

    Args:
        truth: (n, S) stand-alone test accuracy, NaN where a path lacks a seed.
    """
    order = np.argsort(-mean_accuracy(truth), kind="stable")
    return order[: math.ceil(len(truth) / 4)]


def agreement(scores: Floats, truth: Floats) -> Agreement:
    """Compare each supernet seed's ranking with the mean stand-alone accuracy, over all paths and the best quarter.

    Where the same seeds chose the best quarter and judged it, it would be full of lucky paths whose luck the scores
    cannot know. So it is chosen by the mean of some seeds and judged by the mean of the others, averaged over splits of
    the seeds. If paths have unequal seeds, that is done within the largest block of paths that share some.

    Args:
        scores: (R, n) one-shot scores.
        truth: (n, S) stand-alone test accuracy, NaN where a path lacks a seed.
    """
    accuracy, block = mean_accuracy(truth), largest_block(truth)
    return Agreement(
        tau=_over_seeds(_tau, scores, accuracy),
        rho=_over_seeds(_rho, scores, accuracy),
        best_tau=_within_best_quarter(_tau, scores, truth, block),
        best_rho=_within_best_quarter(_rho, scores, truth, block),
        best_paths=math.ceil(len(block.paths) / 4),
    )


def sparse_tau(scores: Floats, truth: Floats) -> Spread:
    """Return tau-b with accuracies rounded to 0.001, so that smaller differences count as ties.

    Source: K. Yu, Ranftl and Salzmann, "How to train your super-net", arXiv 2003.04276.

    Args:
        scores: (R, n) one-shot scores.
        truth: (n, S) stand-alone test accuracy, NaN where a path lacks a seed.
    """
    return _over_seeds(_tau, scores, np.round(mean_accuracy(truth), 3))


def seed_agreement(truth: Floats) -> Quantity:
    """Return t₁, the mean tau-b between pairs of stand-alone seeds: their agreement, not a ceiling.

    All seeds are evaluated on the same images, so what these images do to every seed's ranking counts as agreement. If
    paths have unequal seeds, it comes from the largest block of paths that share some.

    Args:
        truth: (n, S) stand-alone test accuracy, NaN where a path lacks a seed.
    """
    block = largest_block(truth)
    return _from_block(_between_seeds(block.of(truth).T, "stand-alone"), block, truth)


def seed_agreement_of_best(truth: Floats) -> Quantity:
    """Return t₁ in the best quarter: some seeds choose it, the mean tau-b is that between pairs of the others.

    Args:
        truth: (n, S) stand-alone test accuracy, NaN where a path lacks a seed.
    """
    block = largest_block(truth)
    accuracies = block.of(truth)
    if len(block.seeds) < 3:
        return unknown(needs(3, "stand-alone seeds: some choose the paths, two others are compared", len(block.seeds)))
    each = [
        _between_seeds(accuracies[best_quarter(accuracies[:, choosing])][:, judging].T, "stand-alone")
        for choosing, judging in splits(len(block.seeds), judges=2)
    ]
    return _from_block(spread_of(each, "splits of the seeds").mean, block, truth)


def supernet_agreement(scores: Floats) -> Quantity:
    """Return t_x, the mean tau-b between pairs of supernet seeds.

    Args:
        scores: (R, n) one-shot scores.
    """
    return _between_seeds(scores, "supernet")


def _within_best_quarter(
    statistic: Callable[[Floats, Floats], float], scores: Floats, truth: Floats, block: Block
) -> Spread:
    accuracies, ways = block.of(truth), splits(len(block.seeds))
    if not ways:
        reason = needs(2, "stand-alone seeds: some choose the paths, others judge them", len(block.seeds))
        return spread_of([unknown(reason)] * len(scores), "supernet seeds")
    chosen = [best_quarter(accuracies[:, choosing]) for choosing, _ in ways]
    judged = [mean_accuracy(accuracies[:, judging]) for _, judging in ways]
    of_seeds = []
    for row in scores[:, block.paths]:
        each = [_coefficient(statistic, row[best], mean[best]) for best, mean in zip(chosen, judged, strict=True)]
        of_seeds.append(spread_of(each, "splits of the stand-alone seeds").mean)
    found = spread_of(of_seeds, "supernet seeds")
    return replace(found, mean=_from_block(found.mean, block, truth))


def _from_block(found: Quantity, block: Block, truth: Floats) -> Quantity:
    """Add to a quantity which paths it comes from, unless these are all."""
    if found.value is None or block.of(truth).shape == truth.shape:
        return found
    note = f"From the {len(block.paths)} paths that share {len(block.seeds)} seeds."
    return replace(found, note=f"{note} {found.note}".strip())


def _between_seeds(rankings: Floats, kind: str) -> Quantity:
    if len(rankings) < 2:
        return unknown(needs(2, f"{kind} seeds", len(rankings)))
    return spread_of([_coefficient(_tau, a, b) for a, b in itertools.combinations(rankings, 2)], "pairs of seeds").mean


def _over_seeds(statistic: Callable[[Floats, Floats], float], scores: Floats, accuracy: Floats) -> Spread:
    return spread_of([_coefficient(statistic, row, accuracy) for row in scores], "supernet seeds")


def spread_of(each: Sequence[Quantity], what: str) -> Spread:
    """Return the mean, the extremes and the values of a coefficient over seeds.

    Args:
        each: The coefficient of each seed.
        what: The seeds, in words.
    """
    known = [quantity.value for quantity in each if quantity.value is not None]
    reason = next((quantity.note for quantity in each if quantity.value is None), f"There are no {what}.")
    values = tuple(quantity.value for quantity in each)
    if not known:
        return Spread(unknown(reason), unknown(reason), unknown(reason), values)
    note = "" if len(known) == len(each) else f"Only {len(known)} of {len(each)} {what} could be used. {reason}"
    return Spread(Quantity(math.fsum(known) / len(known), note), Quantity(min(known)), Quantity(max(known)), values)


def _coefficient(statistic: Callable[[Floats, Floats], float], a: Floats, b: Floats) -> Quantity:
    reason = why_unranked(a, b)
    return unknown(reason) if reason else Quantity(statistic(a, b))


def why_unranked(a: Floats, b: Floats) -> str:
    """Return why two rankings of the same items cannot be compared; empty if they can.

    Args:
        a: (n,) values.
        b: (n,) values of the same items.
    """
    if len(a) < FEWEST:
        return f"Too few paths: {len(a)} of the {FEWEST} needed."
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return "A score or an accuracy is missing or not finite."
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return "All scores or all accuracies are equal, so there is no order to compare."
    return ""


def _tau(a: Floats, b: Floats) -> float:
    from scipy.stats import kendalltau

    return float(kendalltau(a, b).statistic)


def _rho(a: Floats, b: Floats) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic)


def finite_seeds(scores: Floats) -> tuple[Floats, str]:
    """Drop supernet seeds that gave a path no finite score.

    Args:
        scores: (R, n) one-shot scores.

    Returns:
        The remaining seeds, and a sentence about the dropped ones; empty if there are none.
    """
    kept = scores[np.isfinite(scores).all(axis=1)]
    lost = len(scores) - len(kept)
    return kept, f"Skipped {lost} of {len(scores)} supernet seeds: a score is not finite." if lost else ""
