"""The mathematics of the loss chart, apart from any widget: smoothing, what is visible, limits, ticks of a log axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

from textual_plot.axis_formatter import AxisFormatter, NumericAxisFormatter

from supernet_cli.glyphs import short
from supernet_cli.runs.snapshot import Point

SMOOTHINGS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Weights of the past in the moving average, that + and - go through."""


def smoothed(points: Sequence[Point], weight: float) -> list[Point]:
    """Return the exponential moving average of a curve, without the pull of its start towards zero."""
    average, total, curve = 0.0, 0.0, []
    for step, value in points:
        average = weight * average + (1 - weight) * value
        total = weight * total + (1 - weight)
        curve.append(Point(step, average / total))
    return curve


def visible(points: Sequence[Point], window: tuple[float, float], most: int) -> list[Point]:
    """Return what a window shows of a curve, one point beyond either edge included, as at most `most` points."""
    low, high = window
    inside = [i for i, point in enumerate(points) if low <= point.step <= high]
    if not inside:
        return []
    shown = list(points[max(0, inside[0] - 1) : inside[-1] + 2])
    if len(shown) <= most:
        return shown
    edges = [round(i * len(shown) / most) for i in range(most + 1)]
    groups = [shown[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True)]
    means = [Point(group[-1].step, sum(p.value for p in group) / len(group)) for group in groups]
    return [shown[0], *means[1:-1], shown[-1]]


def limits(values: Sequence[float]) -> tuple[float, float]:
    """Return the limits of an axis that shows values, with a little air; any limits where there are none."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    air = (high - low) * 0.06 or max(abs(high) * 0.05, 1e-3)
    return low - air, high + air


def trimmed(values: Sequence[float], share: float = 0.01) -> list[float]:
    """Return values without their most extreme ones, which would flatten everything else."""
    kept = sorted(values)
    cut = int(len(kept) * share)
    return kept[cut : len(kept) - cut] if cut else kept


class StepFormatter(NumericAxisFormatter):
    """Labels whole steps shortly: `500`, `1.5k`, `2M`."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Return the labels."""
        return [_step(tick) for tick in ticks]

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        """Return round numbers, whole steps alone."""
        if max_ - min_ <= 0:
            return []
        return [tick for tick in super().get_ticks(min_, max_, max_ticks) if abs(tick - round(tick)) < 1e-6]


class SparseFormatter(NumericAxisFormatter):
    """Labels few ticks, for axes with long labels and little room."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        """Return every other round number, or fewer, where there are many."""
        ticks = super().get_ticks(min_, max_, max_ticks)
        return ticks[:: max(1, -(-len(ticks) // 4))]


class LogFormatter(AxisFormatter):
    """Labels an axis of logarithms with the numbers themselves: 1, 2 and 5 of each decade, or round ones between."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        """Return the logarithms of round numbers."""
        decades = range(math.floor(min_), math.ceil(max_) + 1)
        for digits in ((1, 2, 5), (1, 3), (1,)):
            ticks = [d + math.log10(m) for d in decades for m in digits if min_ <= d + math.log10(m) <= max_]
            if 3 <= len(ticks) <= 6 or (len(ticks) > 1 and digits == (1,)):
                return ticks
        low, high = 10**min_, 10**max_
        if high - low <= 0:
            return []
        return [
            math.log10(t) for t in NumericAxisFormatter().get_ticks(low, high, max_ticks) if low <= t <= high and t > 0
        ]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Return the numbers, as short as they stay apart."""
        return [f"{10**tick:.3g}" for tick in ticks]


def _step(value: float) -> str:
    text = short(abs(value))
    head, unit = (text[:-1], text[-1]) if text[-1:].isalpha() else (text, "")
    if "." in head:
        head = head.rstrip("0").rstrip(".")
    return ("-" if value <= -0.5 else "") + head + unit
