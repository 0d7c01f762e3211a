"""A number or the reason why there is none, so that no report shows NaN and no null is left unexplained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
Integers: TypeAlias = NDArray[np.integer[Any]]
Booleans: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Quantity:
    """A number, with a note if it needs one.

    Args:
        value: Finite, or None where it cannot be computed.
        note: A sentence: why there is no value, or what limits it; may be empty if there is a value.
    """

    value: float | None
    note: str = ""

    def __post_init__(self) -> None:
        assert self.note if self.value is None else math.isfinite(self.value)


@dataclass(frozen=True)
class Interval:
    """Two bounds: a confidence interval, or a range of chance."""

    low: Quantity
    high: Quantity


def unknown(reason: str) -> Quantity:
    """Return a quantity that cannot be computed, with the reason."""
    return Quantity(None, reason)


def needs(least: int, what: str, known: int) -> str:
    """Return a sentence on how many of something a quantity needs, and how many there are."""
    return f"Needs at least {least} {what}; this comparison has {known}."
