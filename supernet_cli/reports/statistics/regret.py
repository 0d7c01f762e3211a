"""Regret@k: what is lost by training only the k paths with the best scores.

Shapes: n paths, S stand-alone seeds, R supernet seeds. Accuracies and regrets are fractions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supernet_cli.reports.statistics.quantity import Floats, Integers, Quantity, needs, unknown
from supernet_cli.reports.statistics.ranking import finite_seeds, mean_accuracy

MOST_SPLITS = 200


@dataclass(frozen=True)
class Regret:
    """Test accuracy lost compared with the best path; negative if the pick turned out better than the reference.

    Args:
        k: Paths trained from scratch before one is picked.
        splits: Splits of the seeds that the regret is averaged over.
        supernet: Regret of the pick among the k best by one-shot score, mean over supernet seeds.
        per_seed: The same for each supernet seed.
        random: Expected regret of the pick among k random paths.
        largest: Regret of the pick among the k paths with most parameters.
    """

    k: int
    splits: int
    supernet: Quantity
    per_seed: tuple[float, ...]
    random: Quantity
    largest: Quantity


def regret(
    scores: Floats,
    truth: Floats,
    validation: Floats,
    k: int,
    parameters: Integers | Floats | None,
    rng: np.random.Generator,
) -> Regret:
    """Return the regret of picking among k paths.

    The seeds are split in halves. On the first, the reference is the path with the best test accuracy; the pick is,
    among k paths, the one with the best validation accuracy. Both are evaluated by their test accuracy on the second
    half, so that a lucky seed does not count in favour of the path it chose. Averaged over all splits, or over 200
    random ones; an odd S is split both ways.

    If validation accuracies are equal, the higher score is picked; remaining ties are averaged over, including those
    at the k-th place.

    Args:
        scores: (R, n) one-shot scores.
        truth: (n, S) stand-alone test accuracy.
        validation: (n, S) stand-alone validation accuracy.
        k: Paths to train from scratch, 1 or more.
        parameters: (n,) parameter count of each path; None if unknown.
        rng: Draws splits if there are too many.
    """
    assert k >= 1
    count, seeds = truth.shape
    scores, lost = finite_seeds(scores)
    reason = _why_no_regret(truth, validation, k)
    if reason:
        return Regret(k, 0, unknown(reason), (), unknown(reason), unknown(reason))
    judges = [row.astype(np.float64) for row in scores] + [np.zeros(count)]
    judges += [] if parameters is None else [parameters.astype(np.float64)]
    losses = []
    for first in _splits(seeds, rng):
        judged = mean_accuracy(truth[:, ~first])
        reference = _expected_pick(np.zeros(count), count, mean_accuracy(truth[:, first]), judged)
        quality = mean_accuracy(validation[:, first])
        losses.append([reference - _expected_pick(judge, k, quality, judged) for judge in judges])
    means = np.mean(losses, axis=0).tolist()
    each = means[: len(scores)]
    return Regret(
        k=k,
        splits=len(losses),
        supernet=Quantity(math.fsum(each) / len(each), lost)
        if each
        else unknown(lost or "There are no supernet seeds."),
        per_seed=tuple(each),
        random=Quantity(means[len(scores)]),
        largest=unknown("The paths' sizes have not been measured.") if parameters is None else Quantity(means[-1]),
    )


def _why_no_regret(truth: Floats, validation: Floats, k: int) -> str:
    count, seeds = truth.shape
    if seeds < 2:
        return needs(2, "stand-alone seeds, one to pick by and one to evaluate on", seeds)
    if k > count:
        return needs(k, "paths", count)
    if not (np.isfinite(truth).all() and np.isfinite(validation).all()):
        return "An accuracy is missing or not finite."
    return ""


def _splits(seeds: int, rng: np.random.Generator) -> Iterator[NDArray[np.bool_]]:
    """Yield which seeds are in the first half, (S,) bool per split."""
    sizes = sorted({seeds // 2, seeds - seeds // 2})
    if sum(math.comb(seeds, size) for size in sizes) <= MOST_SPLITS:
        halves = (half for size in sizes for half in itertools.combinations(range(seeds), size))
    else:
        halves = (tuple(rng.permutation(seeds)[: sizes[i % len(sizes)]].tolist()) for i in range(MOST_SPLITS))
    for half in halves:
        yield np.isin(np.arange(seeds), half)


def _expected_pick(score: Floats, k: int, quality: Floats, judged: Floats) -> float:
    """Return the expected `judged` of the path with the best `quality` among the k with the highest `score`.

    Of the g paths that tie at the k-th place, j random ones are in. From the best quality down, the first that is in is
    the pick; none of the first t tied ones is in with probability C(g-t, j) / C(g, j). With equal scores these are k
    random paths.
    """
    cut = np.sort(score)[-k]
    candidates = np.flatnonzero(score >= cut)
    order = candidates[np.lexsort((-score[candidates], -quality[candidates]))]
    tied = score[order] == cut
    spare = k - int((~tied).sum())
    none_of = _none_drawn(int(tied.sum()), spare)
    before = np.concatenate([[0], np.cumsum(tied)[:-1]])
    chance = np.where(tied, none_of[before] - none_of[before + tied], none_of[before])
    sure = np.flatnonzero(~tied)
    if len(sure):
        chance[sure[0] + 1 :] = 0.0
    _, group = np.unique(np.stack([quality[order], score[order]]), axis=1, return_inverse=True)
    means = np.bincount(group, weights=judged[order]) / np.bincount(group)
    return float(chance @ means[group])


def _none_drawn(tied: int, spare: int) -> NDArray[np.float64]:
    """Return the chance that none of the first t of `tied` is among `spare` random ones, for t = 0 … tied."""
    left = np.arange(tied, 0, -1, dtype=np.float64)
    return np.concatenate([[1.0], np.cumprod(np.maximum(left - spare, 0.0) / left)])
