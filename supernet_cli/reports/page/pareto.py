"""Accuracy against size: the paths to choose from, with the front that no path is better and smaller than."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from supernet_cli.glyphs import short as in_short
from supernet_cli.reports.page.canvas import (
    ACCENT,
    INK,
    MANY_POINTS,
    MUTED,
    PAPER,
    SECOND,
    Drawing,
    axes,
    dots,
    label_points,
    name_axes,
    short,
    svg,
    ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW_BARS = 300
_LONGEST_NAME = 30

SIZES = {"macs": "multiply-accumulates", "parameters": "parameters"}


def pareto(entry: dict[str, Any], size: str, name: str) -> Drawing | None:
    """Draw expected accuracy against a size; None if fewer than two paths have both.

    Args:
        entry: Of the document.
        size: `macs` or `parameters`.
        name: The figure's.
    """
    rows = [row for row in entry["rows"] if row.get("expected_accuracy") is not None and row[size]]
    if len(rows) < 2:
        return None
    rows.sort(key=lambda row: (row[size], -row["expected_accuracy"]))
    x, y = [float(row[size]) for row in rows], [100 * row["expected_accuracy"] for row in rows]
    on_front = front(y)
    figure, plot = axes(380)
    if len(rows) <= _FEW_BARS:
        for row, place in zip(rows, x, strict=True):
            bounds = [100 * row["expected_low"], 100 * row["expected_high"]]
            plot.plot([place, place], bounds, color=MUTED, lw=1.0, alpha=0.45, zorder=1)
    best, others = ([index for index, is_on in enumerate(on_front) if is_on is wanted] for wanted in (True, False))
    right, up = [x[index] for index in others], [y[index] for index in others]
    if len(rows) > MANY_POINTS:
        plot.plot(dots(right), dots(up), color=MUTED, lw=2.6, alpha=0.7)
    else:
        plot.plot(right, up, "o", ms=5, mfc=PAPER, mec=MUTED, mew=1.2, zorder=2)
    front_x, front_y = [x[index] for index in best], [y[index] for index in best]
    plot.plot(front_x, front_y, "o", ms=7, mfc=ACCENT, mec=ACCENT, zorder=4)
    steps: Any = {"color": ACCENT, "lw": 1.2, "zorder": 3, "drawstyle": "steps-post"}
    plot.plot(front_x, front_y, **steps)
    places = {row["path"]: place for row, *place in zip(rows, x, y, strict=True)}
    _mark_decision(plot, entry.get("decision") or {}, places)
    plot.margins(0.08)
    ticks(plot.xaxis, 5)
    ticks(plot.yaxis, 5)
    plot.xaxis.set_major_formatter(lambda value, _: in_short(value) if value > 0 else f"{value:.0f}")
    name_axes(plot, f"{SIZES[size]} →", "↑ expected accuracy from scratch, %")
    if len(rows) <= MANY_POINTS:
        order = [*reversed(best), *others]  # the best first: what does not fit is omitted
        names = [short(rows[index]["path"], _LONGEST_NAME) for index in reversed(best)] + [""] * len(others)
        label_points(plot, [x[index] for index in order], [y[index] for index in order], names)
    caption = (
        "Each point is a path trained from scratch: its expected accuracy, shrunken for noise, with its 95 % interval. "
        "Filled: the front; no path is both smaller and better."
    )
    if entry.get("decision"):
        caption += " Ring: the best path; square: the cheapest one within noise of it."
    alt = f"Expected accuracy of {len(rows)} paths against {SIZES[size]}; {len(best)} are on the front."
    return Drawing(name, f"Accuracy and {SIZES[size]}", caption, alt, svg(figure, name, alt))


def front(accuracies: Sequence[float]) -> list[bool]:
    """Return which paths are better than every smaller one.

    Args:
        accuracies: Of paths from the smallest to the largest; of equal size, the best first.
    """
    best, on_front = float("-inf"), []
    for accuracy in accuracies:
        on_front.append(accuracy > best)
        best = max(best, accuracy)
    return on_front


def _mark_decision(plot: Axes, decision: dict[str, Any], places: Mapping[str, Sequence[float]]) -> None:
    for which, marker, colour in (("best", "o", INK), ("cheapest", "s", SECOND)):
        chosen = decision.get(which)
        if chosen and chosen["path"] in places:
            right, up = places[chosen["path"]]
            plot.plot([right], [up], marker, ms=13, mfc="none", mec=colour, mew=1.6, zorder=5)
