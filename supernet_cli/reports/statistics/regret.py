"""Regret@k: what is lost by training only the k paths with the best scores.

Shapes: n paths trained from scratch, S stand-alone seeds, R supernet seeds, D draws. Accuracies are fractions.

The best path is unknown: the one with the highest accuracy is, in part, the luckiest. Compared with it, every choice
looks worse than it is if it is judged by the same trainings, and better if it is judged by others. So the expected
accuracies are drawn from their posterior distribution (`posterior.py`), and each draw has its own best path.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supernet_cli.reports.statistics.choice import Bounds
from supernet_cli.reports.statistics.quantity import Floats, Interval, Quantity, needs, unknown
from supernet_cli.reports.statistics.ranking import finite_seeds

RANDOM = "random"
"""The order that draws paths from a hat."""


@dataclass(frozen=True)
class Loss:
    """Test accuracy lost compared with the best path.

    Args:
        mean: Its expectation.
        interval: Its 95 % interval: what the trainings leave open, given these scores.
        paths: Expected number of paths trained, weighted by what each costs.
    """

    mean: Quantity
    interval: Interval
    paths: Quantity


@dataclass(frozen=True)
class Regret:
    """What is lost by training k paths from scratch and keeping the best of them.

    Args:
        k: Paths trained.
        supernet: The k best by one-shot score, mean over supernets.
        per_seed: Expected loss of each supernet seed.
        others: The k first by orders that need no supernet, by name; `random` for k random paths.
    """

    k: int
    supernet: Loss
    per_seed: tuple[float, ...]
    others: Mapping[str, Loss]


def regret(
    scores: Floats,
    draws: Floats,
    validation: Floats,
    k: int,
    others: Mapping[str, Floats | None],
    costs: Floats | None = None,
) -> Regret:
    """Return what is lost by picking among k paths.

    The pick is, among k paths, the one with the best validation accuracy over its seeds, shrunken towards the mean of
    all paths; if these are equal, the one with the higher score. Remaining ties are averaged over, including those at
    the k-th place.

    Args:
        scores: (R, n) one-shot scores.
        draws: (D, n) expected test accuracies, from `posterior.draw`.
        validation: (n, S) stand-alone validation accuracy, NaN where a path lacks a seed.
        k: Paths to train from scratch, 1 or more.
        others: Other orders by name, (n,) figures each, higher is better; None if unknown.
        costs: (n,) what training each path costs, relative to the mean over paths; None if unknown.
    """
    assert k >= 1
    count = draws.shape[1]
    scores, lost = finite_seeds(scores)
    reason = _why_no_regret(validation, k)
    names = [*others, RANDOM]
    if reason:
        none = _unknown(reason)
        return Regret(k, none, (), dict.fromkeys(names, none))

    def loss(orders: Iterable[Floats], note: str = "") -> tuple[Loss, list[float]]:
        orders = [order.astype(np.float64) for order in orders]
        losses = losses_of(orders, draws, validation, k)
        bounds = Bounds.of(losses.mean(axis=1))
        paths = [float(_inclusion(order, k) @ costs) for order in orders] if costs is not None else []
        return Loss(
            Quantity(bounds.mean, note),
            Interval(Quantity(bounds.low), Quantity(bounds.high)),
            Quantity(math.fsum(paths) / len(paths)) if paths else unknown(_NO_SIZES),
        ), losses.mean(axis=0).tolist()

    found, per_seed = loss(scores, lost) if len(scores) else (_unknown(lost or "There are no supernet seeds."), [])
    rivals = {
        name: _unknown(_NO_SIZES) if order is None else loss([order])[0]
        for name, order in {**others, RANDOM: np.zeros(count)}.items()
    }
    return Regret(k, found, tuple(per_seed), rivals)


def losses_of(orders: Sequence[Floats], draws: Floats, validation: Floats, k: int) -> NDArray[np.float64]:
    """Return what is lost by picking among the k first of each order, in each draw of the accuracies: (D, R).

    Args:
        orders: R orders, (n,) each, higher is better.
        draws: (D, n) expected test accuracies.
        validation: (n, S) stand-alone validation accuracy.
        k: Paths to train from scratch.
    """
    quality = shrunken(validation)
    chances = np.array([_chances_of_picks(order, k, quality) for order in orders])
    return np.asarray(draws.max(axis=1)[:, None] - draws @ chances.T)


def shrunken(accuracies: Floats) -> NDArray[np.float64]:
    """Return each path's mean over its seeds, shrunken towards the mean of all paths by how noisy it is.

    With the same number of seeds for all paths their order stays; a path with fewer seeds must be further ahead. Means
    are rounded, so that equal ones are equal numbers whatever the order of seeds.

    Source: James and Stein 1961, with unequal variances as in Efron and Morris 1975.

    Args:
        accuracies: (n, S), NaN where a path lacks a seed.

    Returns:
        (n,) means; plain ones if no path has two seeds.
    """
    known = np.isfinite(accuracies)
    seeds = known.sum(axis=1)
    means = np.nansum(np.where(known, accuracies, 0.0), axis=1) / seeds
    freedom = int((seeds - 1).sum())
    if freedom and len(means) > 1:
        squares = float((np.where(known, accuracies - means[:, None], 0.0) ** 2).sum())
        noise = squares / freedom / seeds
        signal = max(0.0, float(means.var(ddof=1) - noise.mean()))
        gain = signal / (signal + noise) if signal else 1 / (1 + noise / max(noise.min(), 1e-300))
        means = means.mean() + gain * (means - means.mean())
    return np.asarray(np.round(means, 10))


_NO_SIZES = "The paths' sizes have not been measured."


def _unknown(reason: str) -> Loss:
    return Loss(unknown(reason), Interval(unknown(reason), unknown(reason)), unknown(reason))


def _why_no_regret(validation: Floats, k: int) -> str:
    if k > len(validation):
        return needs(k, "paths", len(validation))
    if not np.isfinite(validation).any(axis=1).all():
        return "A validation accuracy is missing or not finite."
    return ""


def _inclusion(score: Floats, k: int) -> NDArray[np.float64]:
    """Return the chance of each path to be among the k first; ties at the k-th place are drawn."""
    cut = np.sort(score)[-k]
    above, tied = score > cut, score == cut
    return np.asarray(above + tied * (k - above.sum()) / tied.sum())


def _chances_of_picks(score: Floats, k: int, quality: Floats) -> NDArray[np.float64]:
    """Return the chance of each path to have the best `quality` among the k with the highest `score`.

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
    shared = np.bincount(group, weights=chance) / np.bincount(group)
    chances = np.zeros(len(score))
    chances[order] = shared[group]
    return chances


def _none_drawn(tied: int, spare: int) -> NDArray[np.float64]:
    """Return the chance that none of the first t of `tied` is among `spare` random ones, for t = 0 … tied."""
    left = np.arange(tied, 0, -1, dtype=np.float64)
    return np.concatenate([[1.0], np.cumprod(np.maximum(left - spare, 0.0) / left)])
