"""Intervals of tau, and strategies compared with a baseline.

Over supernet seeds everything is computed on artanh tau, which is closer to normal and keeps bounds within ±1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supernet_cli.reports.statistics.kendall import BATCH, dense_ranks, tau_b_rows
from supernet_cli.reports.statistics.quantity import Floats, Interval, Quantity, needs, unknown
from supernet_cli.reports.statistics.ranking import finite_seeds, mean_accuracy, why_unranked

FEWEST_SEEDS = 5
FEWEST_TO_PREDICT = 3
FEWEST_PATHS = 10


@dataclass(frozen=True)
class Contrast:
    """A strategy compared with the baseline.

    Args:
        difference: Its mean tau minus the baseline's.
        p: Two-sided, by Welch's test on artanh tau.
        adjusted: p after Holm's correction for the number of strategies compared.
    """

    difference: Quantity
    p: Quantity
    adjusted: Quantity


def tau_interval(taus: Sequence[float | None]) -> Interval:
    """Return the 95 % t-interval of tau over supernet seeds; None with fewer than five.

    Args:
        taus: Tau-b of each seed.
    """
    reason = _why_no_spread(taus, FEWEST_SEEDS) or _why_no_variance(taus)
    if reason:
        return Interval(unknown(reason), unknown(reason))
    from scipy import stats

    values = _artanh(taus)
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    return Interval(Quantity(math.tanh(low)), Quantity(math.tanh(high)))


def prediction_interval(taus: Sequence[float | None], count: int) -> Interval:
    """Return where the mean tau of further supernets of the same kind falls with a probability of 95 %.

    Source: Hahn and Meeker 1991, "Statistical Intervals", section 4.7: the prediction interval of a normal mean.

    Args:
        taus: Tau-b of each known seed; at least three.
        count: Further supernets that the mean is taken over.
    """
    reason = _why_no_spread(taus, FEWEST_TO_PREDICT) or _why_no_variance(taus)
    if reason:
        return Interval(unknown(reason), unknown(reason))
    from scipy import stats

    values = _artanh(taus)
    spread = float(values.std(ddof=1)) * math.sqrt(1 / len(values) + 1 / count)
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), spread)
    return Interval(Quantity(math.tanh(low)), Quantity(math.tanh(high)))


def bootstrap_interval(scores: Floats, truth: Floats, rng: np.random.Generator, draws: int = 2000) -> Interval:
    """Return the 95 % percentile interval of the mean tau-b, by drawing paths with replacement.

    It covers the choice of paths, so it is only meaningful if these were sampled from a larger space. A path that is
    drawn twice ties with itself on both sides, which tau-b ignores.

    Source: Efron 1979. The intervals of small samples are somewhat too short.

    Args:
        scores: (R, n) one-shot scores.
        truth: (n, S) stand-alone test accuracy.
        rng: Draws paths.
        draws: How many samples to draw.
    """
    scores, lost = finite_seeds(scores)
    accuracy = mean_accuracy(truth)
    reasons = [why_unranked(row, accuracy) for row in scores] or [lost or "There are no supernet seeds."]
    reason = next((reason for reason in reasons if reason), "")
    if not reason and len(accuracy) < FEWEST_PATHS:
        reason = needs(FEWEST_PATHS, "paths", len(accuracy))
    if reason:
        return Interval(unknown(reason), unknown(reason))
    ranks, truth_ranks, taus = [dense_ranks(row) for row in scores], dense_ranks(accuracy), []
    batch = max(1, BATCH // len(accuracy))
    for start in range(0, draws, batch):
        drawn = rng.integers(len(accuracy), size=(min(batch, draws - start), len(accuracy)))
        taus.append(np.mean([tau_b_rows(row[drawn], truth_ranks[drawn]) for row in ranks], axis=0))
    low, high = np.quantile(np.concatenate(taus), [0.025, 0.975])
    return Interval(Quantity(float(low), lost), Quantity(float(high), lost))


def welch_against(
    baseline: Sequence[float | None], others: Mapping[str, Sequence[float | None]]
) -> dict[str, Contrast]:
    """Compare strategies with a baseline, over supernet seeds.

    Source: Welch 1947; Holm 1979.

    Args:
        baseline: Tau-b of each supernet seed under the baseline, such as `uniform`.
        others: The same for each strategy, by name.

    Returns:
        Name -> comparison, in the order given; strategies that cannot be tested do not count for Holm.
    """
    tested = {name: _welch(baseline, taus) for name, taus in others.items()}
    known = {name: p.value for name, p in tested.items() if p.value is not None}
    adjusted = dict(zip(known, holm(list(known.values())), strict=True))
    return {
        name: Contrast(
            _difference(baseline, others[name]), p, Quantity(adjusted[name]) if name in adjusted else unknown(p.note)
        )
        for name, p in tested.items()
    }


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values corrected by Holm's step-down method, which bounds the chance of any false finding.

    Args:
        p_values: One per hypothesis, in any order.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return tuple(adjusted.tolist())


def _welch(baseline: Sequence[float | None], taus: Sequence[float | None]) -> Quantity:
    reason = next((r for side in (baseline, taus) if (r := _why_no_spread(side, 2))), "")
    if reason:
        return unknown(reason)
    from scipy import stats

    one, other = _artanh(baseline), _artanh(taus)
    if np.ptp(one) == 0 and np.ptp(other) == 0:
        return unknown("On both sides all supernet seeds have the same τ, so their spread is unknown.")
    sides = [(side.mean(), side.std(ddof=1), len(side)) for side in (one, other)]
    return Quantity(float(stats.ttest_ind_from_stats(*sides[0], *sides[1], equal_var=False).pvalue))


def _difference(baseline: Sequence[float | None], taus: Sequence[float | None]) -> Quantity:
    one, other = ([tau for tau in side if tau is not None] for side in (baseline, taus))
    if not one or not other:
        return unknown("One of the two strategies has no τ.")
    return Quantity(math.fsum(other) / len(other) - math.fsum(one) / len(one))


def _why_no_spread(taus: Sequence[float | None], fewest: int) -> str:
    known = [tau for tau in taus if tau is not None]
    if len(known) < fewest:
        usable = " with a τ" if len(known) < len(taus) else ""
        return f"Needs {fewest} supernet seeds{usable}; this run has {len(known)}."
    if any(abs(tau) > 1 - 1e-12 for tau in known):
        return "A supernet seed ranks the paths perfectly, or exactly in reverse, where artanh τ is infinite."
    return ""


def _why_no_variance(taus: Sequence[float | None]) -> str:
    is_constant = np.ptp(_artanh(taus)) == 0
    return "All supernet seeds have the same τ, so their spread is unknown." if is_constant else ""


def _artanh(taus: Sequence[float | None]) -> NDArray[np.float64]:
    return np.arctanh(np.array([tau for tau in taus if tau is not None], dtype=np.float64))
