"""What a figure of a search shows: the trained paths, the front, and the pick, each at its cost and accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from supernet_cli.reports.search.document import Axis, Searched, SearchedPath
from supernet_cli.ticks import Choices, linear, whole_steps


class Kind(StrEnum):
    """What a path is in a figure; the most important one comes last, so that it is drawn on top."""

    OVER = "over a limit"
    TRAINED = "trained"
    PREDICTED = "predicted"
    PICK = "pick"


@dataclass(frozen=True)
class Point:
    """A path in a figure.

    Args:
        path: The path.
        kind: What it is.
        x: What it costs, in the axis's unit.
        y: Its expected accuracy in per cent.
    """

    path: SearchedPath
    kind: Kind
    x: float
    y: float


@dataclass(frozen=True)
class Across:
    """The axis of costs.

    Args:
        label: What it is called, with its unit.
        unit: What a figure is divided by.
        ticks: Its ticks.
    """

    label: str
    unit: float = 1.0
    ticks: Choices = whole_steps


ACROSS: Mapping[Axis, Across] = {
    "macs": Across("multiply-accumulates"),
    "parameters": Across("parameters"),
    "weights": Across("bytes of weights"),
    "latency": Across("latency per image, ms", 1e-3, linear),
}
"""The axis of each figure that accuracy is weighed against."""

UP = "expected accuracy, %"
"""What the other axis is called."""


def points(found: Searched) -> list[Point]:
    """Return the pick, the front and all trained paths, the most important last; without those of unknown cost."""
    every = {path.path: path for path in (*found.front, *found.paths, found.pick)}
    kinds = {name: _kind(found, path) for name, path in every.items()}
    shown = [(kind, every[name]) for name, kind in kinds.items() if kind is not None]
    drawn = [_point(found, path, kind) for kind, path in shown]
    order = list(Kind)
    known = [point for point in drawn if point is not None]
    return sorted(known, key=lambda point: (order.index(point.kind), point.x, point.y))


def staircase(found: Searched) -> list[Point]:
    """Return the front, the cheapest path first; without paths of unknown cost."""
    drawn = [_point(found, path, _kind(found, path) or Kind.PREDICTED) for path in found.front]
    return [point for point in drawn if point is not None]


def _kind(found: Searched, path: SearchedPath) -> Kind | None:
    """Return what a path is in a figure; None if it is only one of many that might be good."""
    if path.path == found.pick.path:
        return Kind.PICK
    if path.trained:
        return Kind.TRAINED if path.within_limits else Kind.OVER
    return Kind.PREDICTED if path.on_front else None


def _point(found: Searched, path: SearchedPath, kind: Kind) -> Point | None:
    cost = path.along(found.against)
    return None if cost is None else Point(path, kind, cost / ACROSS[found.against].unit, 100 * path.accuracy)
