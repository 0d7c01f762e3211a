"""Results of `statistics/` as figures of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supernet_cli.reports.figures import Bounds, Measure, Pair, Range, Spread

if TYPE_CHECKING:
    from supernet_cli.reports.statistics.choice import Bounds as Drawn
    from supernet_cli.reports.statistics.quantity import Interval, Quantity
    from supernet_cli.reports.statistics.ranking import Spread as OverSeeds


def measure(quantity: Quantity) -> Measure:
    """Return a quantity as a figure."""
    return Measure(value=quantity.value, note=quantity.note)


def spread(found: OverSeeds, caution: str = "") -> Spread:
    """Return a coefficient over seeds as a figure.

    Args:
        found: The coefficient.
        caution: What to say before its own note.
    """
    note = " ".join(filter(None, (caution, found.mean.note)))
    return Spread(mean=found.mean.value, per_seed=found.per_seed, low=found.low.value, high=found.high.value, note=note)


def interval(found: Interval) -> Range:
    """Return an interval as a figure."""
    return Range(low=found.low.value, high=found.high.value, note=found.low.note)


def pair(found: Interval) -> Pair | None:
    """Return the bounds of an interval; None if they are unknown."""
    return interval(found).bounds


def bounds(drawn: Drawn | None) -> Bounds:
    """Return a mean with its interval as a figure."""
    return Bounds() if drawn is None else Bounds(mean=drawn.mean, low=drawn.low, high=drawn.high)
