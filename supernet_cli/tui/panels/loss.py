"""The loss chart: raw, smoothed and validation losses; log or linear; zoom, pan and follow; overlaid runs."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static
from textual_plot import HiResMode, PlotWidget

from supernet_cli.store.snapshot import JobSnapshot, Point
from supernet_cli.store.views import RunView
from supernet_cli.ticks import Choices, linear, logarithmic, whole_steps
from supernet_cli.tui.axes import HorizontalAxis, VerticalAxis
from supernet_cli.tui.curves import SMOOTHINGS, limits, smoothed, trimmed, visible
from supernet_cli.tui.draw import MUTED, Part, blended, heading, rich_colour

AIR = 0.015
"""Fraction of the width left free after the newest step, so that its mark does not fall on the frame."""

_OVERLAID = ("secondary", "warning", "accent", "error", "success")
_TIME_SHARE = 0.05  # of a core that drawing the chart may take


@dataclass(frozen=True)
class View:
    """How the chart is drawn.

    Args:
        log: Whether the axis of losses is logarithmic.
        smoothing: Index into `SMOOTHINGS`.
        raw: Whether the raw losses are shown as dots.
        width: Steps across; None for all.
        end: Right edge; None to follow the newest step.
    """

    log: bool = True
    smoothing: int = 2
    raw: bool = True
    width: float | None = None
    end: float | None = None


class LossChart(PlotWidget, inherit_bindings=False):
    """The plot itself; the screen has the keys."""

    can_focus = False

    def on_mount(self) -> None:
        """Leave as much room as possible to the curves."""
        self.margin_top, self.margin_bottom, self.margin_left = 0, 1, 7
        self.set_axes(whole_steps, linear)
        super().on_mount()

    def set_axes(self, across: Choices, up: Choices) -> None:
        """Choose what the axes are labelled with.

        Args:
            across: Ticks of the axis below.
            up: Ticks of the axis at the left.
        """
        self.set_x_formatter(HorizontalAxis(self, across, lambda: self.size.width))
        self.set_y_formatter(VerticalAxis(self, up))


class LossPanel(Vertical):
    """The chart below its heading."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.look = View()
        self.view: RunView | None = None
        self.overlaid: tuple[RunView, ...] = ()
        self._key: object = None
        self._due = 0.0
        self._waiting = False

    def compose(self) -> ComposeResult:
        """Yield the heading, the chart and the text shown while there is nothing to draw."""
        yield Static(id="loss-heading")
        yield LossChart(id="loss-chart")
        yield Static(id="loss-empty")

    def show(self, view: RunView, overlaid: tuple[RunView, ...] = ()) -> None:
        """Take the newest views of the run and of those overlaid on it."""
        self.view, self.overlaid = view, overlaid
        self.redraw()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self._key = None
        self.call_after_refresh(self.redraw)

    def change(self, **changes: object) -> None:
        """Change how the chart is drawn, at once."""
        from dataclasses import replace

        self.look = replace(self.look, **changes)  # type: ignore[arg-type]
        self._due = 0.0
        self.redraw()

    def redraw(self) -> None:
        """Draw if something changed, but never spend more than a small fraction of a core on it."""
        if self.view is None or not self.size.area:
            return
        shots = self._shots()
        key = (*((shot.loss, shot.validation) for shot in shots), self.look, self.size, self.app.theme)
        if key == self._key:
            return
        now = time.monotonic()
        if now < self._due:
            if not self._waiting:
                self._waiting = True
                self.set_timer(self._due - now, self._redraw_later)
            return
        self._key = key
        self._draw(shots)
        took = time.monotonic() - now
        self._due = now + max(0.25, took / _TIME_SHARE)

    def _shots(self) -> tuple[JobSnapshot, ...]:
        """Return what is drawn: the run itself, and those overlaid."""
        views = () if self.view is None else (self.view, *self.overlaid)
        return tuple(view.job.snapshot for view in views)

    def _redraw_later(self) -> None:
        self._waiting = False
        self.redraw()

    def _draw(self, shots: Sequence[JobSnapshot]) -> None:
        chart, empty = self.query_one(LossChart), self.query_one("#loss-empty", Static)
        has_points = any(shot.loss.values or shot.validation.values for shot in shots)
        chart.display, empty.display = has_points, not has_points
        if not has_points:
            empty.update("No loss has been reported yet.")
        self.query_one("#loss-heading", Static).update(self._heading(shots[0]), layout=False)
        if has_points:
            self._plot(chart, shots)

    def _heading(self, shot: JobSnapshot) -> Content:
        width = self.size.width
        weight = SMOOTHINGS[self.look.smoothing]
        curve = smoothed(_points(shot.loss.points, shot.loss.pending), weight)
        parts: list[Part] = []
        if curve:
            parts += [("━ ", "$primary"), (f"{curve[-1].value:.4f}", "bold")]
            parts += [(f" smooth {weight:g}" if width >= 50 else f" s{weight:g}", MUTED)]
        if self.overlaid:
            names = [f"{number} {other.id}" for number, other in enumerate(self.overlaid, start=1)]
            parts += [("  " + "  ".join(names), "$foreground 80%")]
            return heading("Loss", width, *parts)
        if curve and self.look.raw and width >= 60:
            parts += [("  · raw", MUTED)]
        if shot.validation.values and (self.look.end is None or width >= 50):  # else the hint has no room
            parts += [("  ◆ ", "$warning"), (f"{shot.validation.values[-1]:.4f}", "bold")]
            parts += [(" validation" if width >= 66 else " val", MUTED)]
        if self.look.log and width >= 44:
            parts += [("  log", MUTED)]
        if self.look.end is not None:
            parts += [("  f: follow", "$warning")]
        return heading("Loss", width, *parts)

    def _plot(self, chart: LossChart, shots: Sequence[JobSnapshot]) -> None:
        window = self.window(shots)
        colours = self.app.theme_variables
        most = max(16, 2 * chart.size.width)
        chart.clear()
        values: list[float] = []
        for number, shot in reversed(list(enumerate(shots))):  # the run itself on top
            points = _points(shot.loss.points, shot.loss.pending)
            raw = visible(points, window, 2 * most) if self.look.raw and len(shots) == 1 else []
            curve = visible(smoothed(points, SMOOTHINGS[self.look.smoothing]), window, most)
            evaluated = visible(shot.validation.points, window, most)
            name = "primary" if number == 0 else _OVERLAID[(number - 1) % len(_OVERLAID)]
            colour = rich_colour(colours, name)
            if raw and self.look.smoothing:
                self._scatter(chart, raw, blended(colours, "primary", 0.45))
            self._line(chart, curve, colour)
            if number and curve:
                self._marks(chart, [curve[len(curve) * 9 // 10]], str(number % 10), colour)
            self._marks(chart, evaluated, "◆", rich_colour(colours, "warning") if number == 0 else colour)
            values += [self._y(v) for v in trimmed([p.value for p in raw])]
            values += [self._y(point.value) for point in (*curve, *evaluated)]
        chart.set_axes(whole_steps, logarithmic if self.look.log else linear)
        chart.set_xlimits(window[0], window[1] + (window[1] - window[0]) * AIR)
        chart.set_ylimits(*limits(values))

    def window(self, shots: Sequence[JobSnapshot] | None = None) -> tuple[float, float]:
        """Return the first and the last visible step."""
        if shots is None:
            shots = self._shots()
        steps = [p.step for s in shots for p in (*s.loss.points[:1], *s.loss.points[-1:], *s.loss.pending[-1:])]
        steps += [p.step for s in shots for p in (*s.validation.points[:1], *s.validation.points[-1:])]
        first, last = float(min(steps, default=0)), float(max(steps, default=1))
        if self.look.width is None:
            return first, max(last, first + 1)
        end = last if self.look.end is None else self.look.end
        return end - self.look.width, end

    def extent(self) -> tuple[float, float]:
        """Return the first and the last step of all."""
        look, self.look = self.look, View()
        try:
            return self.window()
        finally:
            self.look = look

    def _y(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.look.log else value

    def _line(self, chart: LossChart, points: Sequence[Point], style: str) -> None:
        if points:
            x, y = [p.step for p in points], [self._y(p.value) for p in points]
            chart.plot(x, y, line_style=style, hires_mode=HiResMode.BRAILLE)

    def _scatter(self, chart: LossChart, points: Sequence[Point], style: str) -> None:
        x, y = [p.step for p in points], [self._y(p.value) for p in points]
        chart.scatter(x, y, marker_style=style, hires_mode=HiResMode.BRAILLE)

    def _marks(self, chart: LossChart, points: Sequence[Point], marker: str, style: str) -> None:
        if points:
            x, y = [p.step for p in points], [self._y(p.value) for p in points]
            chart.scatter(x, y, marker=marker, marker_style=f"bold {style}")


def _points(points: Sequence[Point], pending: Sequence[Point]) -> tuple[Point, ...]:
    return (*points, *pending[-1:])
