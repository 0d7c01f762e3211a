"""Agreement of two rankings: tau-b and Spearman's rho of one-shot scores with stand-alone accuracy, and among seeds.

Shapes: n paths, S stand-alone seeds, R supernet seeds. Accuracies are fractions; higher scores are better.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supernet_cli.reports.statistics.quantity import Floats, Quantity, needs, unknown
from supernet_cli.reports.statistics.seeds import largest_block

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
        best_tau: Tau-b within the best quarter by stand-alone accuracy; None below three paths.
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

    Args:
        scores: (R, n) one-shot scores.
        truth: (n, S) stand-alone test accuracy, NaN where a path lacks a seed.
    """
    accuracy, best = mean_accuracy(truth), best_quarter(truth)
    return Agreement(
        tau=_over_seeds(_tau, scores, accuracy),
        rho=_over_seeds(_rho, scores, accuracy),
        best_tau=_over_seeds(_tau, scores[:, best], accuracy[best]),
        best_rho=_over_seeds(_rho, scores[:, best], accuracy[best]),
        best_paths=len(best),
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
    found = _between_seeds(block.of(truth).T, "stand-alone")
    if found.value is None or len(block.paths) == len(truth) and len(block.seeds) == truth.shape[1]:
        return found
    note = f"From the {len(block.paths)} paths that share {len(block.seeds)} seeds."
    return Quantity(found.value, f"{note} {found.note}".strip())


def supernet_agreement(scores: Floats) -> Quantity:
    """Return t_x, the mean tau-b between pairs of supernet seeds.

    Args:
        scores: (R, n) one-shot scores.
    """
    return _between_seeds(scores, "supernet")


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
