"""A number or the reason why there is none, so that no report shows NaN and no null is left unexplained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
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


def document(result: object, name: str = "") -> tuple[Any, dict[str, str]]:
    """Convert a result to JSON values, and collect its notes.

    Quantities become their values, results and mappings objects, tuples lists. Arrays in results are omitted: they are
    for further computing, not for reading.

    Args:
        result: A result of this package, or a mapping or tuple of results.
        name: Its name in the document; the notes' keys begin with it.

    Returns:
        The value, and field -> sentence; a field's key is its dotted path, such as `tau.mean` or `others.0.p`.
    """
    notes: dict[str, str] = {}
    return _plain(result, name, notes), notes


def _plain(value: object, name: str, notes: dict[str, str]) -> Any:
    if isinstance(value, Quantity):
        if value.note:
            notes[name] = value.note
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
        value = {key: part for key, part in value.items() if not isinstance(part, np.ndarray)}
    if isinstance(value, Mapping):
        return {key: _plain(part, _join(name, key), notes) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(part, _join(name, index), notes) for index, part in enumerate(value)]
    return value


def _join(name: str, part: object) -> str:
    return f"{name}.{part}" if name else str(part)
