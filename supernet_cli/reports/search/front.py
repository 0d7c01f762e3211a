"""The front of a search in plain text: expected accuracy over cost, in characters that any terminal shows.

What a path is can be read from its mark alone, without colour, and also where everything becomes ASCII.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from supernet_cli.reports.search.document import Searched
from supernet_cli.reports.search.points import ACROSS, UP, Kind, Point, points, staircase
from supernet_cli.space.names import Blocks, short_names
from supernet_cli.ticks import Choices, Ticks, linear, most, side_by_side

MARKS: Mapping[Kind, str] = {Kind.PICK: "◆", Kind.TRAINED: "●", Kind.PREDICTED: "○", Kind.OVER: "×"}
"""The mark of each kind of path."""

HEIGHT = 14
"""Lines of a drawing that has the whole width of a terminal."""

_LINE = "⠤⠤"
_FEWEST_ROWS, _FEWEST_COLUMNS = 3, 16
_LEAST_NAME = 9
_AIR = 0.06
"""Share of an axis's range that is left free at both of its ends."""

_LEAST_POINTS = 0.5
"""Points of accuracy around equal accuracies."""

_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bits of a braille character, by column and row of its dots."""


def front_lines(found: Searched, width: int, height: int = HEIGHT, blocks: Blocks = ()) -> list[str]:
    """Return a drawing of the front; nothing if there is no room, or no path of known cost.

    Args:
        found: What a search has found.
        width: Columns available.
        height: Lines available.
        blocks: Labels of each block's candidates, so that abbreviated names stay the same whichever paths are shown.
    """
    shown, across = points(found), ACROSS[found.against]
    below = _below(found, shown, f"{across.label} →", width)
    rows = height - 3 - len(below)
    if not shown or rows < _FEWEST_ROWS:
        return []
    low, high = _limits([point.y for point in shown], _LEAST_POINTS)
    up = _Scale(low, high + (high - low) / rows, rows, 4, is_upward=True)  # a row for the name of the best path
    ticks = most(linear, up.low, up.high, lambda ticks: _in_rows_of_their_own(ticks, up))
    margin = max(map(len, ticks.labels), default=0) + 2
    columns = width - margin - 1
    if columns < _FEWEST_COLUMNS:
        return []
    costs = [point.x for point in shown]
    right = _Scale(*_limits(costs, 0.05 * max(costs) or 1.0), columns, 2)
    canvas = _drawn(found, shown, right, up)
    _name(canvas, found, shown, (right, up), blocks)
    labels = {up.cell(at): label for at, label in zip(ticks.positions, ticks.labels, strict=True)}
    body = [
        f"{labels.get(row, ''):>{margin - 1}} {'┤' if row in labels else '│'}{canvas.row(row)}".rstrip()
        for row in range(rows)
    ]
    return [f"↑ {UP}", *body, *_axis(across.ticks, right, margin, width), *below]


@dataclass(frozen=True)
class _Scale:
    """An axis: values, and the dots and cells where they are.

    Args:
        low: Value at one end.
        high: Value at the other.
        cells: Characters along it.
        dots: Dots of a character along it.
        is_upward: Whether cells are counted from the high end.
    """

    low: float
    high: float
    cells: int
    dots: int
    is_upward: bool = False

    def dot(self, value: float) -> int:
        """Return the dot at a value."""
        share = (value - self.low) / (self.high - self.low)
        return round((1 - share if self.is_upward else share) * (self.cells * self.dots - 1))

    def cell(self, value: float) -> int:
        """Return the character at a value."""
        return self.dot(value) // self.dots


@dataclass
class _Canvas:
    """Characters of a drawing: dots, and what stands in their place.

    Args:
        columns: Its width.
        dots: Braille patterns by column and row.
        text: Characters by column and row.
    """

    columns: int
    dots: dict[tuple[int, int], int] = field(default_factory=dict)
    text: dict[tuple[int, int], str] = field(default_factory=dict)

    def draw(self, x: int, y: int) -> None:
        """Set a dot."""
        cell = (x // 2, y // 4)
        self.dots[cell] = self.dots.get(cell, 0) | _BITS[x % 2][y % 4]

    def write(self, column: int, row: int, text: str) -> None:
        """Write a text over whatever is there."""
        self.text |= {(column + place, row): character for place, character in enumerate(text)}

    def is_free(self, column: int, row: int, length: int) -> bool:
        """Whether a text has room, with a blank at both of its ends."""
        cells = [(place, row) for place in range(column - 1, column + length + 1)]
        return 0 <= column <= self.columns - length and not any(
            cell in self.dots or cell in self.text for cell in cells
        )

    def row(self, row: int) -> str:
        """Return a line of the drawing."""
        cells = [(column, row) for column in range(self.columns)]
        return "".join(
            self.text.get(cell) or (chr(0x2800 + self.dots[cell]) if cell in self.dots else " ") for cell in cells
        )


def _drawn(found: Searched, shown: Sequence[Point], right: _Scale, up: _Scale) -> _Canvas:
    canvas, front = _Canvas(right.cells), staircase(found)
    for one, other in zip(front, front[1:], strict=False):
        begin, end, level = right.dot(one.x), right.dot(other.x), up.dot(one.y)
        for x in range(begin, end + 1):
            canvas.draw(x, level)
        for y in range(up.dot(other.y), level + 1):
            canvas.draw(end, y)
    for point in shown:
        canvas.write(right.cell(point.x), up.cell(point.y), MARKS[point.kind])
    return canvas


def _name(
    canvas: _Canvas, found: Searched, shown: Sequence[Point], scales: tuple[_Scale, _Scale], blocks: Blocks
) -> None:
    """Name the pick and the front beside their marks, the best path first; what has no room is left out."""
    right, up = scales
    named = [point for point in shown if point.kind is Kind.PICK]
    named += [point for point in reversed(staircase(found)) if point.kind is not Kind.PICK]
    names = short_names([point.path.path for point in named], max(_LEAST_NAME, right.cells // 3), blocks)
    for point in named:
        name, column, row = _printable(names[point.path.path]), right.cell(point.x), up.cell(point.y)
        for first, line in _places(column, row, len(name), is_pick=point.kind is Kind.PICK):
            if line >= 0 and canvas.is_free(first, line, len(name)):
                canvas.write(first, line, name)
                break


def _places(column: int, row: int, length: int, is_pick: bool) -> Iterator[tuple[int, int]]:
    """Yield where a name of some length may begin: beside its mark; that of the pick also above it."""
    yield column + 2, row
    yield column - 1 - length, row
    if is_pick:
        yield column, row - 1
        yield column - length + 1, row - 1
        yield column - length // 2, row - 1


def _printable(name: str) -> str:
    """Return a name in which every character is as wide as it looks."""
    return "".join(character if character.isprintable() else "?" for character in name)


def _axis(choices: Choices, scale: _Scale, margin: int, width: int) -> list[str]:
    """Return the axis below, and its labels."""

    def begin(position: float, label: str) -> int:
        return margin + 1 + scale.cell(position) - (len(label) - 1) // 2

    ticks = most(choices, scale.low, scale.high, lambda ticks: side_by_side(ticks, begin, width))
    at = {scale.cell(position) for position in ticks.positions}
    line = "".join("┬" if column in at else "─" for column in range(scale.cells))
    labels = ""
    for position, label in zip(ticks.positions, ticks.labels, strict=True):
        labels = labels.ljust(begin(position, label)) + label
    return [f"{' ' * margin}└{line}", labels]


def _below(found: Searched, shown: Sequence[Point], label: str, width: int) -> list[str]:
    """Return the legend and what the axis below is called, side by side if there is room."""
    kinds = {point.kind for point in shown}
    entries = [f"{mark} {kind}" for kind, mark in MARKS.items() if kind in kinds]
    entries += [f"{_LINE} front"] if len(staircase(found)) > 1 else []
    glued = "  ".join(entry.replace(" ", "\N{NO-BREAK SPACE}") for entry in entries)
    legend = [line.replace("\N{NO-BREAK SPACE}", " ") for line in textwrap.wrap(glued, max(1, width - 1))]
    if len(legend) == 1 and len(legend[0]) + len(label) + 4 <= width:
        return [legend[0] + label.rjust(width - 1 - len(legend[0]))]
    return [label.rjust(width - 1), *legend]


def _limits(values: Sequence[float], least: float) -> tuple[float, float]:
    """Return the ends of an axis, not below zero: a little beyond the values, or around them if they are equal."""
    low, high = min(values), max(values)
    air = _AIR * (high - low) or max(least, 1e-3 * abs(high))
    return max(min(low, 0.0), low - air), high + air


def _in_rows_of_their_own(ticks: Ticks, scale: _Scale) -> Ticks:
    """Return the ticks of possible accuracies, if no two share a row."""
    possible = sum(position <= 100 for position in ticks.positions)
    ticks = Ticks(ticks.positions[:possible], ticks.labels[:possible])
    rows = {scale.cell(position) for position in ticks.positions}
    return ticks if len(rows) == len(ticks.positions) else Ticks()
