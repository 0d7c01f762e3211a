"""Figures as text: a dash stands for one that is missing."""

from __future__ import annotations

from supernet_cli.glyphs import number
from supernet_cli.reports.figures import Bounds, Pair, Spread

ABSENT = "–"
"""Shown in place of a missing value."""


def coefficient(value: float | None, spec: str = "z.2f") -> str:
    """Return a coefficient, with two decimals unless a format says otherwise."""
    return ABSENT if value is None else number(value, spec)


def bounded(figure: Bounds) -> str:
    """Return a coefficient with its 95 % interval."""
    return f"{number(known.mean)} ({ranged((known.low, known.high))})" if (known := figure.known) else ABSENT


def ranged(bounds: Pair | None) -> str:
    """Return the range of a coefficient."""
    return ABSENT if bounds is None else f"{number(bounds[0])} to {number(bounds[1])}"


def over_supernets(spread: Spread, seeds: int) -> str:
    """Return the range of a coefficient over supernets.

    Args:
        spread: The coefficient.
        seeds: How many supernets there are.
    """
    if seeds < 2:
        return "one supernet"
    return f"{coefficient(spread.low)} to {coefficient(spread.high)} over {seeds} supernets"


def percent(value: float | None) -> str:
    """Return a fraction as a percentage."""
    return ABSENT if value is None else f"{100 * value:.2f} %"


def points(value: float | None) -> str:
    """Return a difference of accuracies in points, with its sign."""
    return ABSENT if value is None else number(100 * value, "+z.2f")


def regret(value: float | None) -> str:
    """Return a loss of accuracy in points."""
    return ABSENT if value is None else number(100 * value, "z.3f")


def deviation(value: float | None) -> str:
    """Return a standard deviation of accuracies in points."""
    return ABSENT if value is None else f"{100 * value:.2f}"


def nats(value: float | None) -> str:
    """Return a loss."""
    return ABSENT if value is None else f"{value:.4f}"


def probability(value: float | None) -> str:
    """Return a p-value."""
    if value is None:
        return ABSENT
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def p_value(value: float) -> str:
    """Return a p-value as an equation."""
    return f"p = {value:.2g}" if value >= 0.001 else "p < 0.001"


def amount(value: float | None) -> str:
    """Return a large number in short form: 12,345 as it is, 12,345,678 as 12.3 M."""
    if value is None:
        return ABSENT
    for unit, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """Return a duration in a suitable unit."""
    if seconds is None:
        return ABSENT
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def milliseconds(value: float | None) -> str:
    """Return a time in milliseconds."""
    return ABSENT if value is None else f"{1000 * value:.2f} ms"
