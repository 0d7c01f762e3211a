"""What a search has found, for the report: its answer in words, the front as a figure, the leading paths as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from supernet_cli.glyphs import counted
from supernet_cli.glyphs import short as in_short
from supernet_cli.reports.page.canvas import (
    ACCENT,
    INK,
    MUTED,
    PAPER,
    SECOND,
    Drawing,
    axes,
    label_points,
    name_axes,
    short,
    svg,
    ticks,
)
from supernet_cli.reports.search import words
from supernet_cli.reports.search.document import Searched
from supernet_cli.reports.search.points import ACROSS, UP, Kind, Point, points, staircase

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEADING = 20
_LONGEST_NAME = 30

_MARKS: dict[Kind, tuple[str, dict[str, Any]]] = {
    Kind.OVER: ("x", {"ms": 7, "mec": MUTED, "mew": 1.6}),
    Kind.TRAINED: ("o", {"ms": 7, "mfc": ACCENT, "mec": ACCENT}),
    Kind.PREDICTED: ("D", {"ms": 6, "mfc": PAPER, "mec": ACCENT, "mew": 1.4}),
    Kind.PICK: ("s", {"ms": 14, "mfc": "none", "mec": SECOND, "mew": 1.8}),
}
_SHAPES = {
    Kind.TRAINED: "Discs: trained paths, with 90 % intervals",
    Kind.PREDICTED: "hollow diamonds: paths on the front that were never trained",
    Kind.OVER: "crosses: trained paths over a limit",
    Kind.PICK: "square: the pick",
}
"""How the caption says what each mark means."""


def search(found: Searched, name: str) -> dict[str, object]:
    """Return what the page says of a search, as the template names it.

    Args:
        found: What the search has found.
        name: The figure's.
    """
    figure = front(found, name)
    return {
        "sentence": words.sentence(found),
        "lines": list(words.lines(found)),
        "command": "" if found.finished else found.command,
        "figures": [] if figure is None else [figure],
        "sheet": words.sheet(found, _LEADING),
    }


def front(found: Searched, name: str) -> Drawing | None:
    """Draw expected accuracy against cost; None if the cost of no path is known.

    Args:
        found: What the search has found.
        name: The figure's.
    """
    shown, across = points(found), ACROSS[found.against]
    if not shown:
        return None
    figure, plot = axes(380)
    steps = staircase(found)
    plot.plot(_x(steps), _y(steps), color=ACCENT, lw=1.2, drawstyle="steps-post", zorder=2)
    for point in shown:
        if point.path.trained:
            bounds = [100 * bound for bound in point.path.interval]
            plot.plot([point.x, point.x], bounds, color=MUTED, lw=1.0, alpha=0.6, zorder=1)
    _mark(plot, shown)
    plot.margins(0.08)
    ticks(plot.xaxis, 5)
    ticks(plot.yaxis, 5)
    if found.against != "latency":
        plot.xaxis.set_major_formatter(lambda value, _: in_short(value) if value > 0 else f"{value:.0f}")
    name_axes(plot, f"{across.label} →", f"↑ {UP}")
    named = [point for point in shown if point.kind is Kind.PICK]
    named += [point for point in reversed(steps) if point.kind is not Kind.PICK]
    rest = [point for point in shown if point not in named]
    names = [short(point.path.path, _LONGEST_NAME) for point in named]
    label_points(plot, _x([*named, *rest]), _y([*named, *rest]), names + [""] * len(rest))
    alt = (
        f"Expected accuracy against {across.label} of {counted(len(shown), 'path')}; {len(steps)} are on the front, "
        f"the pick is {found.pick.path}."
    )
    return Drawing(name, "The front of the search", _caption(shown), alt, svg(figure, name, alt))


def _mark(plot: Axes, shown: Sequence[Point]) -> None:
    """Draw a mark of its own shape for each kind; the pick's is around what it would be otherwise."""
    for kind, (marker, look) in _MARKS.items():
        chosen = [point for point in shown if point.kind is kind]
        plot.plot(_x(chosen), _y(chosen), marker, zorder=3 + list(_MARKS).index(kind), **look)
    for point in shown:
        if point.kind is Kind.PICK:
            marker, look = _MARKS[Kind.TRAINED if point.path.trained else Kind.PREDICTED]
            plot.plot([point.x], [point.y], marker, zorder=7, **{**look, "mec": INK})


def _caption(shown: Sequence[Point]) -> str:
    kinds = {point.kind for point in shown}
    trained = any(point.path.trained for point in shown)
    shapes = [text for kind, text in _SHAPES.items() if kind in kinds or (kind is Kind.TRAINED and trained)]
    text = "; ".join(shapes)
    line = " The line is the front: no path has less cost and is expected to be better."
    return f"{text[:1].upper()}{text[1:]}.{line}"


def _x(shown: Iterable[Point]) -> list[float]:
    return [point.x for point in shown]


def _y(shown: Iterable[Point]) -> list[float]:
    return [point.y for point in shown]
