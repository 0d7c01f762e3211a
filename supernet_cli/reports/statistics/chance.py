"""Chance: how often a ranking without any knowledge would do as well.

Paths share candidates, so their accuracies are far from independent, and the p-value that scipy gives with tau is far
too small. Relabelling keeps the sharing: it swaps the names of candidates within a block.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supernet_cli.reports.statistics.kendall import BATCH, dense_ranks, tau_b_rows
from supernet_cli.reports.statistics.quantity import Floats, Integers, Interval, Quantity, unknown
from supernet_cli.reports.statistics.ranking import finite_seeds, mean_accuracy, why_unranked

_EXHAUSTIVE = 20_000
_TOLERANCE = 1e-9
_ALL_ORDERS = 8


@dataclass(frozen=True)
class Relabelling:
    """A test by relabelling.

    Args:
        p: Chance of a tau as high as the observed one, or higher, if names of candidates meant nothing.
        smallest: The smallest p that the test can give.
        relabellings: How many were tried.
        exhaustive: Whether these are all there are.
    """

    p: Quantity
    smallest: Quantity
    relabellings: int
    exhaustive: bool


def relabel_p(
    choices: Integers,
    scores: Floats,
    truth: Floats,
    rows: Integers,
    sizes: Sequence[int],
    rng: np.random.Generator,
    draws: int = 10_000,
) -> Relabelling:
    """Test a supernet's ranking against relabelled candidates.

    A relabelling permutes the candidates of each block and gives every path the score of the path that its choices
    then name. The statistic is the mean over supernet seeds of tau-b with the mean stand-alone accuracy, one-sided. All
    ∏ k! relabellings are tried if there are at most 20,000, including the identity; otherwise p is
    (1 + those as good) / (1 + draws) (Phipson and Smyth 2010).

    Args:
        choices: (m, b) position of the candidate that each scored path takes in each block.
        scores: (R, m) one-shot scores.
        truth: (n, S) stand-alone test accuracy.
        rows: (n,) which scored path each path of `truth` is.
        sizes: (b,) candidates in each block. Each path of the space needs a score, since relabelling reaches all.
        rng: Draws relabellings.
        draws: How many to draw.
    """
    total = math.prod(math.factorial(size) for size in sizes)
    exhaustive = total <= _EXHAUSTIVE
    count = total if exhaustive else draws
    smallest = Quantity(1 / total if exhaustive else 1 / (1 + draws))
    scores, lost = finite_seeds(scores)
    accuracy, scored = mean_accuracy(truth), len(np.unique(choices, axis=0))
    reason = _why_no_test(scored, math.prod(sizes), [why_unranked(row[rows], accuracy) for row in scores])
    if reason:
        return Relabelling(unknown(f"{lost} {reason}".strip()), smallest, count, exhaustive)
    strides = _strides(sizes)
    table = np.empty((len(scores), math.prod(sizes)), dtype=np.int64)
    table[:, choices @ strides] = [dense_ranks(row) for row in scores]
    ranks, chosen = dense_ranks(accuracy), choices[rows]
    observed = tau_b_rows(table[:, chosen @ strides], ranks).mean()
    batch, as_good = max(1, BATCH // len(rows)), 0
    for permutations in (_all_of if exhaustive else _drawn_from)(sizes, count, batch, rng):
        relabelled = sum(s * p[:, chosen[:, b]] for b, (s, p) in enumerate(zip(strides, permutations, strict=True)))
        mean_tau = sum(tau_b_rows(row[relabelled], ranks) for row in table) / len(table)
        as_good += int((mean_tau >= observed - _TOLERANCE).sum())
    return Relabelling(
        Quantity(as_good / count if exhaustive else (1 + as_good) / (1 + count), lost), smallest, count, exhaustive
    )


def random_order_range(accuracy: Floats, rng: np.random.Generator, draws: int = 10_000) -> Interval:
    """Return the range of tau-b that holds the central 95 % of random orders; exact up to eight paths.

    Every order of the paths is equally likely here, even those that no sum of candidates' effects could give: this is
    what an order drawn from a hat scores, not a test of a supernet.

    Args:
        accuracy: (n,) mean stand-alone accuracy.
        rng: Draws orders.
        draws: How many to draw.
    """
    count = len(accuracy)
    reason = why_unranked(np.arange(count, dtype=np.float64), accuracy)
    if reason:
        return Interval(unknown(reason), unknown(reason))
    if count <= _ALL_ORDERS:
        orders = np.array(list(itertools.permutations(range(count))))
    else:
        orders = rng.permuted(np.tile(np.arange(count), (draws, 1)), axis=1)
    taus = np.round(tau_b_rows(orders, dense_ranks(accuracy)), 9)
    low, high = np.quantile(taus, [0.025, 0.975], method="inverted_cdf")
    return Interval(Quantity(float(low)), Quantity(float(high)))


def _why_no_test(scored: int, size: int, seeds: list[str]) -> str:
    if not seeds:
        return "No supernet seed has a finite score for every path."
    if scored < size:
        return f"Needs a score for every path; only {scored:,} of {size:,} have one."
    return next((reason for reason in seeds if reason), "")


def _strides(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Return what a choice in each block adds to a path's index; the last block varies fastest."""
    return np.array([math.prod(sizes[block + 1 :]) for block in range(len(sizes))], dtype=np.int64)


def _all_of(
    sizes: Sequence[int], count: int, batch: int, _rng: np.random.Generator
) -> Iterator[list[NDArray[np.int64]]]:
    """Yield all relabellings in batches: (batch, k) a block."""
    orders = [np.array(list(itertools.permutations(range(size)))) for size in sizes]
    for start in range(0, count, batch):
        parts = np.unravel_index(np.arange(start, min(start + batch, count)), [len(order) for order in orders])
        yield [order[part] for order, part in zip(orders, parts, strict=True)]


def _drawn_from(
    sizes: Sequence[int], count: int, batch: int, rng: np.random.Generator
) -> Iterator[list[NDArray[np.int64]]]:
    """Yield drawn relabellings in batches: (batch, k) a block."""
    for start in range(0, count, batch):
        drawn = min(batch, count - start)
        yield [rng.permuted(np.tile(np.arange(size), (drawn, 1)), axis=1) for size in sizes]
