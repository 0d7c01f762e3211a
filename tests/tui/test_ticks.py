"""Labels of the chart's axes: each is the value at its row or column, and none touches another."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual_hires_canvas import Canvas
from textual_plot.plot_widget import map_coordinate_to_pixel

from supernet_cli.ticks import Choices, linear, logarithmic, whole_steps
from supernet_cli.tui.axes import HorizontalAxis, VerticalAxis
from supernet_cli.tui.panels.loss import LossChart

UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
MARGIN = 7


class Plot(NamedTuple):
    """The geometry of a plot inside its frame, without the widget."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: int
    height: int
    margin_left: int = MARGIN

    def get_pixel_from_coordinate(self, x: float, y: float) -> tuple[int, int]:
        region = Region(1, 1, self.width - 2, self.height - 2)
        return map_coordinate_to_pixel(x, y, *self.x, *self.y, region=region)


def value_of(label: str) -> float:
    match = re.fullmatch(r"(-?[0-9.]+(?:e-?[0-9]+)?)([kMG]?)", label)
    assert match, label
    return float(match[1]) * UNITS[match[2]]


def is_close(label: str, position: float, scale: Choices) -> bool:
    value = value_of(label)
    return math.isclose(math.log10(value) if scale is logarithmic else value, position, rel_tol=1e-9, abs_tol=1e-300)


RANGES = st.tuples(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9)).map(lambda pair: (pair[0], pair[0] + pair[1]))
LOGS = st.tuples(st.floats(-12, 38), st.floats(1e-5, 30)).map(lambda pair: (pair[0], pair[0] + pair[1]))
STEPS = st.tuples(st.integers(0, 10**9), st.integers(1, 10**9)).map(lambda pair: (float(pair[0]), float(sum(pair))))


@given(st.one_of(st.tuples(st.just(linear), RANGES), st.tuples(st.just(logarithmic), LOGS)), st.integers(3, 60))
def test_a_label_at_the_left_is_the_value_of_its_row_and_alone_there(
    axis: tuple[Choices, tuple[float, float]], height: int
) -> None:
    scale, limits = axis
    assume(limits[0] < limits[1])
    plot = Plot((0.0, 1.0), limits, 40, height)
    positions, labels = VerticalAxis(plot, scale).get_ticks_and_labels(*limits)
    rows = [plot.get_pixel_from_coordinate(0.0, at)[1] + (at == limits[0]) for at in positions]  # as the plot does
    assert len(set(rows)) == len(rows)
    assert all(0 <= row < height for row in rows)
    assert all(limits[0] <= position <= limits[1] for position in positions)
    assert all(len(label) < MARGIN for label in labels)
    assert all(is_close(label, position, scale) for label, position in zip(labels, positions, strict=True))


@given(st.one_of(st.tuples(st.just(linear), RANGES), st.tuples(st.just(whole_steps), STEPS)), st.integers(10, 200))
def test_labels_below_are_the_values_of_their_columns_and_never_touch(
    axis: tuple[Choices, tuple[float, float]], width: int
) -> None:
    scale, limits = axis
    assume(limits[0] < limits[1])
    plot = Plot(limits, (0.0, 1.0), width - MARGIN, 20)
    positions, labels = HorizontalAxis(plot, scale, lambda: width).get_ticks_and_labels(*limits)
    row = [" "] * width
    for position, label in zip(positions, labels, strict=True):
        assert is_close(label, position, scale)
        column = MARGIN + plot.get_pixel_from_coordinate(position, 0.0)[0] - (position == limits[0])
        begin = column - len(label) + 1 if position == limits[1] else column - (len(label) - 1) // 2
        row[begin : begin + len(label)] = label
    assert len(row) == width
    assert "".join(row).split() == labels


@pytest.mark.parametrize(
    ("scale", "limits", "labels"),
    [
        (linear, (97.1, 99.3), ["97.5", "98.0", "98.5", "99.0"]),
        (logarithmic, (math.log10(0.03), math.log10(3)), ["0.05", "0.1", "0.2", "0.5", "1", "2"]),
        (logarithmic, (math.log10(2.2899), math.log10(2.3001)), ["2.290", "2.292", "2.294", "2.296", "2.298", "2.300"]),
        (whole_steps, (0.0, 2340.0), ["0", "500", "1k", "1.5k", "2k"]),
        (whole_steps, (12_510.0, 12_514.0), ["12510", "12511", "12512", "12513", "12514"]),
        (whole_steps, (0.0, 4e6), ["0", "1M", "2M", "3M", "4M"]),
    ],
)
def test_ticks_are_as_many_as_are_easy_to_read(scale: Choices, limits: tuple[float, float], labels: list[str]) -> None:
    assert list(next(scale(*limits)).labels) == labels


@pytest.mark.parametrize("scale", [linear, logarithmic, whole_steps])
@pytest.mark.parametrize("limits", [(1.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (-math.inf, math.inf), (-1e308, 1e308)])
def test_limits_that_hold_nothing_have_no_ticks(scale: Choices, limits: tuple[float, float]) -> None:
    assert list(scale(*limits)) == []


class ChartApp(App[None]):
    """Nothing but a chart."""

    def compose(self) -> ComposeResult:
        yield LossChart()


def drawn_rows(canvas: Canvas) -> list[str]:
    return ["".join(row) for row in canvas._buffer]


def draw_at_every_size(check: Callable[[LossChart, Choices, tuple[float, float]], None]) -> None:
    async def main() -> None:
        app = ChartApp()
        async with app.run_test(size=(80, 24)) as pilot:
            chart = app.query_one(LossChart)
            cases: list[tuple[Choices, tuple[float, float]]] = [
                (logarithmic, (math.log10(0.7), math.log10(1.4))),
                (logarithmic, (-3.2, 1.7)),
                (logarithmic, (0.3598, 0.3617)),
                (linear, (0.12341, 0.12349)),
            ]
            for size in ((80, 24), (38, 6), (30, 5), (120, 40), (24, 9), (17, 8)):
                await pilot.resize_terminal(*size)
                for scale, limits in cases:
                    chart.clear()
                    chart.set_axes(whole_steps, scale)
                    chart.scatter([12_340, 13_999], list(limits))
                    chart.set_xlimits(12_340, 14_000)
                    chart.set_ylimits(*limits)
                    await pilot.pause()
                    await pilot.pause()
                    check(chart, scale, limits)

    asyncio.run(main())


def test_the_chart_writes_what_was_chosen_at_every_size() -> None:
    """Reads what the widget has written: each text at the left is the value of its row."""
    written: list[Any] = []

    def check(chart: LossChart, scale: Choices, limits: tuple[float, float]) -> None:
        for number, text in enumerate(drawn_rows(chart.query_one("#margin-left", Canvas))):
            if not text.strip():
                continue
            value = value_of(text.strip())
            position = math.log10(value) if scale is logarithmic else value
            assert chart.get_pixel_from_coordinate(0.0, position)[1] == number
            written.append(value)
        (steps,) = drawn_rows(chart.query_one("#margin-bottom", Canvas))
        values = [value_of(label) for label in steps.split()]
        assert values == sorted(set(values))
        assert all(12_340 <= value <= 14_000 for value in values)
        written.extend(values)

    draw_at_every_size(check)
    assert len(written) > 100
