"""Which path to take: the best by expected accuracy, and the cheapest that is hardly worse.

Shapes: n paths, D draws of their expected accuracies from `posterior.draw`. Accuracies are fractions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from supernet_cli.reports.statistics.quantity import Floats


@dataclass(frozen=True)
class Bounds:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, draws: Floats) -> Bounds:
        """Return those of draws, (D,); of a few extreme ones, the mean may be a bound."""
        mean = float(draws.mean())
        low, high = np.quantile(draws, [0.025, 0.975])
        return cls(mean, min(float(low), mean), max(float(high), mean))


@dataclass(frozen=True)
class Choice:
    """The paths to take.

    Args:
        best: Index of the path with the highest expected accuracy.
        accuracy: Its expected accuracy.
        probability: That no other path is better.
        cheapest: Index of the cheapest path within noise of the best; None if costs are unknown.
        loss: What that path loses in expected accuracy.
    """

    best: int
    accuracy: Bounds
    probability: float
    cheapest: int | None
    loss: Bounds | None


def choose(draws: Floats, costs: Floats | None) -> Choice:
    """Return which path to take.

    *Within noise* is the rule of one standard error (Breiman et al., "Classification and Regression Trees", 1984): the
    expected loss is at most its own standard deviation. The interval of a wide posterior would let any path pass.

    Args:
        draws: (D, n) expected accuracies.
        costs: (n,) such as multiply-accumulates, lower is better; None if unknown.
    """
    best = int(np.argmax(draws.mean(axis=0)))
    winners = np.bincount(np.argmax(draws, axis=1), minlength=draws.shape[1])
    cheapest, loss = None, None
    if costs is not None:
        losses = draws[:, [best]] - draws
        within = losses.mean(axis=0) <= losses.std(axis=0)
        cheapest = min(np.flatnonzero(within).tolist(), key=lambda path: (costs[path], losses[:, path].mean()))
        loss = Bounds.of(losses[:, cheapest])
    return Choice(best, Bounds.of(draws[:, best]), float(winners[best] / len(draws)), cheapest, loss)
