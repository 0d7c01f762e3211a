"""The axes of the monitor's charts: ticks whose labels fit their room and never touch each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from textual_plot.axis_formatter import AxisFormatter

from supernet_cli.ticks import Choices, Ticks, most, side_by_side


class Chart(Protocol):
    """The part of a plot that its axes need."""

    margin_left: int

    def get_pixel_from_coordinate(self, x: float, y: float) -> tuple[int, int]:
        """Return column and row of a point on the canvas."""


class _Axis(AxisFormatter):
    """An axis that shows the most ticks whose labels all fit."""

    def __init__(self, chart: Chart, choices: Choices) -> None:
        self._chart = chart
        self._choices = choices

    def get_ticks_and_labels(self, min_: float, max_: float, max_ticks: int = 8) -> tuple[list[float], list[str]]:
        """Return ticks and their labels; none where no label fits."""
        ticks = most(self._choices, min_, max_, lambda ticks: self.fitting(ticks, min_, max_))
        return list(ticks.positions), list(ticks.labels)

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        """Return only the ticks."""
        return self.get_ticks_and_labels(min_, max_, max_ticks)[0]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Return labels of ticks that somebody else chose."""
        return [f"{tick:g}" for tick in ticks]

    def fitting(self, ticks: Ticks, low: float, high: float) -> Ticks:
        """Return ticks whose labels can be read; none if labels would touch each other."""
        raise NotImplementedError


class VerticalAxis(_Axis):
    """An axis at the left: a row holds one label, and the margin the whole of it."""

    def fitting(self, ticks: Ticks, low: float, high: float) -> Ticks:
        """Return the ticks if their labels are short enough and in rows of their own."""
        rows = [self._chart.get_pixel_from_coordinate(0.0, position)[1] for position in ticks.positions]
        rows = [row + (position == low) for row, position in zip(rows, ticks.positions, strict=True)]
        is_short = max(map(len, ticks.labels), default=0) < self._chart.margin_left
        return ticks if is_short and len(set(rows)) == len(rows) else Ticks()


class HorizontalAxis(_Axis):
    """An axis below: labels stand in one row, centred below their ticks.

    Args:
        chart: The chart.
        choices: Its ticks.
        columns: Returns the width of the row of labels.
    """

    def __init__(self, chart: Chart, choices: Choices, columns: Callable[[], int]) -> None:
        super().__init__(chart, choices)
        self._columns = columns

    def fitting(self, ticks: Ticks, low: float, high: float) -> Ticks:
        """Return the ticks whose labels are inside the row, if there is a blank between any two."""

        def begin(position: float, label: str) -> int:
            column = self._chart.margin_left + self._chart.get_pixel_from_coordinate(position, 0.0)[0]
            if position == high:
                return column - len(label) + 1
            return column - (position == low) - (len(label) - 1) // 2

        return side_by_side(ticks, begin, self._columns())
