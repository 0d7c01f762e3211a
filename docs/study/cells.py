"""Markdown tables, and how numbers are written in them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from supernet_cli import glyphs
from supernet_cli.reports.statistics.intervals import tau_interval
from supernet_cli.reports.statistics.regret import Loss


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table: words on the left, the rest on the right."""
    lines = [head, [":--", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None) -> str:
    """Return a coefficient."""
    return "–" if value is None else glyphs.number(value)


def signed(value: float | None) -> str:
    """Return a difference."""
    return "–" if value is None else glyphs.number(value, "+z.2f")


def points(value: float | None) -> str:
    """Return a fraction in points."""
    return "–" if value is None else glyphs.number(100 * value)


def probability(value: float | None) -> str:
    """Return a p-value."""
    return "–" if value is None else f"{value:.3f}" if value >= 0.001 else "< 0.001"


def spread(values: Sequence[float | None]) -> str:
    """Return a mean with its range."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    mean = number(statistics.fmean(known))
    return f"{mean} ({number(min(known))}–{number(max(known))})" if len(known) > 1 else mean


def interval(taus: Sequence[float]) -> str:
    """Return the 95 % interval over supernets; with fewer than five, the range."""
    bounds = tau_interval(taus)
    if bounds.low.value is None:
        return f"({number(min(taus))}–{number(max(taus))})*"
    return f"({number(bounds.low.value)}–{number(bounds.high.value)})"


def lost(found: Loss) -> str:
    """Return a loss of accuracy with its interval, in points."""
    low, high = found.interval.low.value, found.interval.high.value
    return f"{points(found.mean.value)} ({points(low)}–{points(high)})"
