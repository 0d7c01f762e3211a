"""The one order of paths: every table, live view, monitor panel and `--top` ranks paths with this key.

The score is the recalibrated validation loss of a path with inherited weights: `compare` correlates that loss with
stand-alone accuracy, so every other ranking a user sees has to agree with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol, TypeVar

RANKED_BY = "validation loss"
"""What the order is called wherever a ranking is shown: "by validation loss"."""

RankKey = tuple[bool, float, bool, float, str]
"""Sorts ascending, the best path first."""


class Scored(Protocol):
    """A path with its scores."""

    @property
    def path(self) -> str:
        """The path's name."""

    @property
    def loss(self) -> float | None:
        """Mean cross-entropy on validation, nats an image; None if it was not a number."""

    @property
    def accuracy(self) -> float | None:
        """Top-1 accuracy, a fraction; None if unknown."""


def rank_key(loss: float | None, accuracy: float | None, path: str) -> RankKey:
    """Return the key that sorts paths best first.

    Lower loss first, paths without a loss last; equal losses by accuracy, higher first; equal accuracies by name.

    Args:
        loss: Recalibrated validation loss, nats an image; None or not finite if missing.
        accuracy: Top-1 accuracy, a fraction; None or not finite if missing.
        path: The path's name, which makes the order total.

    Returns:
        A key to sort ascending.
    """
    return *_ascending(loss, 1.0), *_ascending(accuracy, -1.0), path


AnyScored = TypeVar("AnyScored", bound=Scored)


def ranked(scores: Iterable[AnyScored]) -> list[AnyScored]:
    """Return scored paths in order, the best first.

    Args:
        scores: Paths with loss and accuracy, in any order.

    Returns:
        The same objects, sorted by `rank_key`.
    """
    return sorted(scores, key=lambda score: rank_key(score.loss, score.accuracy, score.path))


def _ascending(value: float | None, sign: float) -> tuple[bool, float]:
    """Return whether a value is missing, and the value to sort by: NaN has no order of its own."""
    return (False, sign * value) if value is not None and math.isfinite(value) else (True, 0.0)
