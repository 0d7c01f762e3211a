"""What a ranking knows beyond size: its agreement with the truth among paths of equal size.

Kendall's partial τ is no measure of it: where scores and truth both follow size, each with a noise of its own, and have
nothing else in common, it is still above zero (0.12 to 0.18 in such simulations of 64 paths). Here ranks become normal
scores, whatever a cubic in the logarithm of the size explains of them is removed, and what is left is correlated. It is
zero on average if there is nothing else in common.

Shapes: n paths, R supernet seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supernet_cli.reports.statistics.additive import Additive
from supernet_cli.reports.statistics.posterior import normal_scores
from supernet_cli.reports.statistics.quantity import Floats, Integers, Interval, Quantity, needs, unknown
from supernet_cli.reports.statistics.ranking import Spread, finite_seeds, mean_accuracy, spread_of

FEWEST_PATHS = 10
DRAWS = 2000
_DEGREE = 3


@dataclass(frozen=True)
class BeyondSize:
    """Agreement of scores and truth among paths of equal size.

    Args:
        correlation: Partial correlation of normal scores, over supernet seeds.
        null: Central 95 % of what rankings without any knowledge beyond size reach, mean over seeds.
        p: Share of these that reach as much, one-sided.
    """

    correlation: Spread
    null: Interval
    p: Quantity


def beyond_size(
    scores: Floats, truth: Floats, size: Floats | None, choices: Integers, rng: np.random.Generator, draws: int = DRAWS
) -> BeyondSize:
    """Correlate scores with the truth, given size.

    The null keeps what scores and truth owe to size, and relabels what is left of the scores (Freedman and Lane 1983):
    the candidates of each block swap their names, so that paths go on sharing candidates. If not all paths are there,
    the candidates' effects swap instead, and what these leave is shuffled. With fewer paths than effects all of it is
    shuffled; then p is too small, because paths share candidates.

    Args:
        scores: (R, n) one-shot scores.
        truth: (n, S) stand-alone test accuracy.
        size: (n,) such as multiply-accumulates, above 0; None if unknown.
        choices: (n, b) position of the candidate that each path takes in each block.
        rng: Draws relabellings.
        draws: How many.
    """
    scores, lost = finite_seeds(scores)
    accuracy = mean_accuracy(truth)
    reason = _why_not(scores, accuracy, size, lost)
    if reason or size is None:
        none = unknown(reason or "The paths' sizes have not been measured.")
        return BeyondSize(Spread(none, none, none, ()), Interval(none, none), none)
    given = _given(np.log(size))
    left_of_truth = _without(normal_scores(accuracy), given)
    left = np.array([_without(normal_scores(row), given) for row in scores])
    observed = [_correlation(row, left_of_truth) for row in left]
    relabelled = np.array(
        [
            np.mean([_correlation(_without(row, given), left_of_truth) for row in rows])
            for rows in _relabelled(left, choices, rng, draws)
        ]
    )
    low, high = np.quantile(relabelled, [0.025, 0.975])
    as_good = int((relabelled >= np.mean(observed) - 1e-12).sum())
    correlation = spread_of([Quantity(value) for value in observed], "supernet seeds")
    p = Quantity((1 + as_good) / (1 + len(relabelled)), lost)
    return BeyondSize(correlation, Interval(Quantity(float(low)), Quantity(float(high))), p)


def _why_not(scores: Floats, accuracy: Floats, size: Floats | None, lost: str) -> str:
    if size is None:
        return "The paths' sizes have not been measured."
    if not len(scores):
        return lost or "There are no supernet seeds."
    if len(accuracy) < FEWEST_PATHS:
        return needs(FEWEST_PATHS, "paths", len(accuracy))
    if not np.isfinite(accuracy).all():
        return "An accuracy is missing or not finite."
    if size.min() <= 0 or len(np.unique(size)) <= _DEGREE:
        return "The paths have too few different sizes."
    if not np.ptp(accuracy) or not np.ptp(scores, axis=1).all():
        return "All scores or all accuracies are equal, so there is no order to compare."
    return ""


def _given(logs: Floats) -> NDArray[np.float64]:
    """Return an orthonormal basis of the polynomials in the logarithm of the size, (n, 4)."""
    standard = (logs - logs.mean()) / logs.std()
    return np.asarray(np.linalg.qr(np.vander(standard, _DEGREE + 1))[0])


def _without(values: NDArray[np.float64], given: NDArray[np.float64]) -> NDArray[np.float64]:
    return values - given @ (given.T @ values)


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the correlation of two residuals, whose means are 0; 0 if one of them is constant."""
    scale = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / scale if scale > 1e-12 else 0.0


def _relabelled(
    values: NDArray[np.float64], choices: Integers, rng: np.random.Generator, draws: int
) -> Iterator[NDArray[np.float64]]:
    """Yield values, (R, n), that relabelled paths would have; those of a draw are relabelled alike."""
    columns = [np.unique(column, return_inverse=True)[1] for column in choices.T]
    sizes = [int(column.max()) + 1 for column in columns]
    numbered = np.stack(columns, axis=1)
    if len(np.unique(numbered, axis=0)) == math.prod(sizes):
        table = np.empty(sizes, dtype=np.int64)
        table[tuple(columns)] = np.arange(len(choices))
        for _ in range(draws):
            orders = zip(columns, sizes, strict=True)
            yield values[:, table[tuple(rng.permutation(size)[column] for column, size in orders)]]
        return
    additive = Additive.of(numbered, sizes)
    effects = values @ additive.weights.T * (additive.freedom > 0)
    rests, firsts = values - effects @ additive.holds, np.cumsum([0, *sizes[:-1]])
    for _ in range(draws):
        swapped = np.concatenate([first + rng.permutation(size) for first, size in zip(firsts, sizes, strict=True)])
        yield effects[:, swapped] @ additive.holds + rests[:, rng.permutation(len(choices))]
