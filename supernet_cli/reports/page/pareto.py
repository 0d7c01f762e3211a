"""Accuracy against size: the paths to choose from, with the front that no path is better and smaller than."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from supernet_cli.glyphs import short as in_short
from supernet_cli.reports.comparison import PathRow, RunComparison
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
from supernet_cli.reports.parts import Decision

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW_BARS = 300
_LONGEST_NAME = 30


@dataclass(frozen=True)
class Size:
    """A size of paths.

    Args:
        name: A word.
        label: What it is called.
        of: A path's.
    """

    name: str
    label: str
    of: Callable[[PathRow], float | None]


SIZES = (
    Size("macs", "multiply-accumulates", lambda row: row.macs),
    Size("parameters", "parameters", lambda row: row.parameters),
)


def pareto(run: RunComparison, size: Size, name: str) -> Drawing | None:
    """Draw expected accuracy against a size; None if fewer than two paths have both.

    Args:
        run: The run's comparison.
        size: The size.
        name: The figure's.
    """
    found = [
        (float(width), 100 * accuracy, row)
        for row in run.rows
        if (width := size.of(row)) and (accuracy := row.expected_accuracy) is not None
    ]
    if len(found) < 2:
        return None
    found.sort(key=lambda point: (point[0], -point[1]))
    x, y = [point[0] for point in found], [point[1] for point in found]
    on_front = front(y)
    figure, plot = axes(380)
    if len(found) <= _FEW_BARS:
        for place, _, row in found:
            bounds = [100 * bound for bound in (row.expected_low, row.expected_high) if bound is not None]
            plot.plot([place] * len(bounds), bounds, color=MUTED, lw=1.0, alpha=0.45, zorder=1)
    best, others = ([index for index, is_on in enumerate(on_front) if is_on is wanted] for wanted in (True, False))
    right, up = [x[index] for index in others], [y[index] for index in others]
    if len(found) > MANY_POINTS:
        plot.plot(dots(right), dots(up), color=MUTED, lw=2.6, alpha=0.7)
    else:
        plot.plot(right, up, "o", ms=5, mfc=PAPER, mec=MUTED, mew=1.2, zorder=2)
    front_x, front_y = [x[index] for index in best], [y[index] for index in best]
    plot.plot(front_x, front_y, "o", ms=7, mfc=ACCENT, mec=ACCENT, zorder=4)
    steps: Any = {"color": ACCENT, "lw": 1.2, "zorder": 3, "drawstyle": "steps-post"}
    plot.plot(front_x, front_y, **steps)
    if run.decision is not None:
        _mark_decision(plot, run.decision, {row.path: (right, up) for right, up, row in found})
    plot.margins(0.08)
    ticks(plot.xaxis, 5)
    ticks(plot.yaxis, 5)
    plot.xaxis.set_major_formatter(lambda value, _: in_short(value) if value > 0 else f"{value:.0f}")
    name_axes(plot, f"{size.label} →", "↑ expected accuracy from scratch, %")
    if len(found) <= MANY_POINTS:
        order = [*reversed(best), *others]  # the best first: what does not fit is omitted
        names = [short(found[index][2].path, _LONGEST_NAME) for index in reversed(best)] + [""] * len(others)
        label_points(plot, [x[index] for index in order], [y[index] for index in order], names)
    caption = (
        "Each point is a path trained from scratch: its expected accuracy, shrunken for noise, with its 95 % interval. "
        "Filled: the front; no path is both smaller and better."
    )
    if run.decision is not None:
        caption += " Ring: the best path; square: the cheapest one within noise of it."
    alt = f"Expected accuracy of {len(found)} paths against {size.label}; {len(best)} are on the front."
    return Drawing(name, f"Accuracy and {size.label}", caption, alt, svg(figure, name, alt))


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


def _mark_decision(plot: Axes, decision: Decision, places: Mapping[str, Sequence[float]]) -> None:
    for chosen, marker, colour in ((decision.best, "o", INK), (decision.cheapest, "s", SECOND)):
        if chosen is not None and chosen.path in places:
            right, up = places[chosen.path]
            plot.plot([right], [up], marker, ms=13, mfc="none", mec=colour, mew=1.6, zorder=5)
