"""The mathematics of the loss chart, apart from any widget: smoothing, what is visible, limits."""

from __future__ import annotations

from collections.abc import Sequence

from supernet_cli.store.snapshot import Point

SMOOTHINGS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Weights of the past in the moving average; + and - step through them."""


def smoothed(points: Sequence[Point], weight: float) -> list[Point]:
    """Return the exponential moving average of a curve, corrected for its start at zero."""
    average, total, curve = 0.0, 0.0, []
    for step, value in points:
        average = weight * average + (1 - weight) * value
        total = weight * total + (1 - weight)
        curve.append(Point(step, average / total))
    return curve


def visible(points: Sequence[Point], window: tuple[float, float], most: int) -> list[Point]:
    """Return the part of a curve in a window and one point beyond either edge, as at most `most` points."""
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
    """Return the limits of an axis that shows values, with a small margin; 0 to 1 if there are no values."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    air = (high - low) * 0.06 or max(abs(high) * 0.05, 1e-3)
    return low - air, high + air


def trimmed(values: Sequence[float], share: float = 0.01) -> list[float]:
    """Return values without the most extreme ones, which would flatten everything else."""
    kept = sorted(values)
    cut = int(len(kept) * share)
    return kept[cut : len(kept) - cut] if cut else kept
