"""The monitor: one run, everything that matters of it at one look."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer
from textual_plot import PlotWidget

from supernet_cli.errors import SupernetError
from supernet_cli.runs.job import Request, list_jobs
from supernet_cli.runs.records import ALIVE
from supernet_cli.runs.views import RunView
from supernet_cli.tui.curves import SMOOTHINGS
from supernet_cli.tui.draw import clean
from supernet_cli.tui.panels.banner import Banner
from supernet_cli.tui.panels.devices import DevicesPanel
from supernet_cli.tui.panels.header import Header
from supernet_cli.tui.panels.jobs import JobsPanel
from supernet_cli.tui.panels.log import LogPanel
from supernet_cli.tui.panels.loss import AIR, LossPanel
from supernet_cli.tui.panels.panel import Panel
from supernet_cli.tui.panels.paths import PathsPanel
from supernet_cli.tui.reader import RunReader, ViewChanged

if TYPE_CHECKING:
    from supernet_cli.tui.app import MonitorApp

_PATIENCE_SECONDS = 60.0
_ZOOM = 2.0
_VIEW = Binding.Group("View")
_CHART = Binding.Group("Chart")


class MonitorScreen(Screen[None]):
    """Shows a run and passes on what a person asks of its trainer.

    Args:
        folder: The run's folder.
        overlaid: Folders of runs to lay over its loss chart.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-normal"), (120, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "Pause", tooltip="Pause the training, or go on"),
        Binding("s", "stop", "Stop", tooltip="Ask the training to save and stop"),
        Binding("r", "runs", "Runs", tooltip="Choose another run, or lay some over this one"),
        Binding("c", "compare", "Compare", tooltip="One-shot against stand-alone accuracy"),
        Binding("m", "space", "Map", tooltip="The space: histogram, heat map, best and worst paths"),
        Binding("l", "log", "Log", tooltip="The whole log"),
        Binding("n", "new", "New", tooltip="Start a training from a preset"),
        Binding("f", "follow", "Follow", tooltip="Follow the newest step again", show=False),
        Binding("plus,equals_sign", "smooth(1)", "Smoother", key_display="+", show=False),
        Binding("minus", "smooth(-1)", "Rougher", key_display="-", show=False),
        Binding("y", "log_scale", "Log or linear losses", show=False),
        Binding("w", "raw", "Raw losses on or off", show=False),
        Binding("i", "zoom(1)", "Zoom in", show=False),
        Binding("o", "zoom(-1)", "Zoom out", show=False),
        Binding("left", "pan(-1)", "Earlier", show=False),
        Binding("right", "pan(1)", "Later", show=False),
        Binding("0", "all_steps", "All steps", show=False),
        Binding("up", "scroll(-3)", "Scroll up", show=False),
        Binding("down", "scroll(3)", "Scroll down", show=False),
        Binding("left_square_bracket", "job(-1)", "Job before", key_display="[", show=False),
        Binding("right_square_bracket", "job(1)", "Next job", key_display="]", show=False),
    ]

    def __init__(self, folder: Path, overlaid: tuple[Path, ...] = ()) -> None:
        super().__init__()
        self.folder = folder
        self.view: RunView | None = None
        self._overlaid: dict[Path, RunView | None] = dict.fromkeys(overlaid)
        self._readers: list[RunReader] = []
        self._asked: tuple[Request, float] | None = None

    def compose(self) -> ComposeResult:
        """Yield the panels."""
        yield Header(id="header")
        yield Banner(id="banner")
        with VerticalScroll(id="body", can_focus=False):
            with Horizontal(id="upper"):
                yield LossPanel(id="loss")
                yield PathsPanel(id="paths")
            with Horizontal(id="lower"):
                yield DevicesPanel(id="devices")
                yield JobsPanel(id="jobs")
            yield LogPanel(id="log")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to read."""
        for folder in (self.folder, *self._overlaid):
            reader = RunReader(folder, lambda view: self.post_message(ViewChanged(view)))
            self._readers.append(reader)
            self._read(reader)
        self.set_interval(1.0, self._tell_request)

    def on_unmount(self) -> None:
        """Stop to read."""
        for reader in self._readers:
            reader.stop()

    @work(thread=True, group="readers")
    def _read(self, reader: RunReader) -> None:
        reader.run()

    @on(ViewChanged)
    def take(self, message: ViewChanged) -> None:
        """Show a new view."""
        view = message.view
        if view.folder != self.folder:
            self._overlaid[view.folder] = view
        else:
            self.view = view
            self._check_answer(view)
        self._show()

    def _show(self) -> None:
        if self.view is None:
            return
        for panel in self.query(Panel):
            panel.show(self.view)
        self.query_one(LossPanel).show(self.view, tuple(v for v in self._overlaid.values() if v is not None))
        self.monitor.seen(self.view)

    @property
    def monitor(self) -> MonitorApp:
        """The application."""
        return cast("MonitorApp", self.app)

    # What is asked of the trainer

    def action_pause(self) -> None:
        """Ask the trainer to pause, or to go on."""
        paused = self.view is not None and self.view.state == "paused"
        self._ask("resume" if paused else "pause")

    def action_stop(self) -> None:
        """Ask the trainer to stop, once a person said yes."""
        if not self._can_ask():
            return
        from supernet_cli.tui.screens.confirm import ConfirmScreen

        question = ConfirmScreen("Stop this training?", "It saves a checkpoint first and can go on from there.", "Stop")
        self.app.push_screen(question, lambda yes: self._ask("stop") if yes else None)

    def _can_ask(self) -> bool:
        if self.view is not None and self.view.is_alive and not self.view.gone:
            return True
        self.app.notify("Nobody trains this run now.", severity="warning")
        return False

    def _ask(self, request: Request) -> None:
        if not self._can_ask():
            return
        try:
            for job in list_jobs(self.folder):
                if job.status().state in ALIVE:
                    job.request(request)
        except SupernetError as error:
            self.app.notify(clean(error.message), severity="error", markup=False)
            return
        self._asked = (request, time.monotonic())
        self._tell_request()
        self._readers[0].look_now()

    def _check_answer(self, view: RunView) -> None:
        """Forget a request once its answer is seen, and say it."""
        if self._asked is None:
            return
        answers = {"pause": view.state == "paused", "resume": view.state == "running", "stop": False}
        if not view.is_alive or answers[self._asked[0]]:
            self._asked = None
            self.app.notify(f"The trainer answered: {view.state} at step {view.job.step:,}.")
            self._tell_request()

    def _tell_request(self) -> None:
        banner = self.query_one(Banner)
        told = ""
        if self._asked is not None:
            request, when = self._asked
            told = f"asked to {request}; waiting for the trainer to answer at its next step"
            if time.monotonic() - when > _PATIENCE_SECONDS:
                told = f"asked to {request}, and no answer for a minute: look at its log (l)"
        if banner.request != told and self.view is not None:
            banner.request = told
            banner.show(self.view)

    # How the chart is looked at

    def action_smooth(self, direction: int) -> None:
        """Smooth more, or less."""
        loss = self.query_one(LossPanel)
        loss.change(smoothing=max(0, min(len(SMOOTHINGS) - 1, loss.look.smoothing + direction)))

    def action_log_scale(self) -> None:
        """Switch between a logarithmic and a linear axis."""
        loss = self.query_one(LossPanel)
        loss.change(log=not loss.look.log)

    def action_raw(self) -> None:
        """Show or hide the raw losses."""
        loss = self.query_one(LossPanel)
        loss.change(raw=not loss.look.raw)

    def action_follow(self) -> None:
        """Keep the newest step in sight, at the zoom there is."""
        self.query_one(LossPanel).change(end=None)

    def action_all_steps(self) -> None:
        """Show every step and follow."""
        self.query_one(LossPanel).change(width=None, end=None)

    def action_zoom(self, direction: int) -> None:
        """Show half as many steps, or twice as many; the newest stays in sight while it is followed."""
        loss = self.query_one(LossPanel)
        (low, high), (first, last) = loss.window(), loss.extent()
        width = (high - low) / _ZOOM**direction
        if width >= last - first:
            loss.change(width=None, end=None)
            return
        end = None if loss.look.end is None else min(last, (low + high) / 2 + width / 2)
        loss.change(width=max(width, 4.0), end=end)

    def action_pan(self, direction: int) -> None:
        """Look at what was earlier, or later; at the end follow again."""
        loss = self.query_one(LossPanel)
        (low, high), (first, last) = loss.window(), loss.extent()
        width = min(high - low, (last - first) / 2) if loss.look.width is None else high - low
        end = max(first + width, high + direction * width / 4)
        loss.change(width=width, end=None if end >= last else end)

    @on(PlotWidget.ScaleChanged)
    def take_window(self, message: PlotWidget.ScaleChanged) -> None:
        """Keep to what the mouse chose."""
        loss = self.query_one(LossPanel)
        _, last = loss.extent()
        width = max(4.0, (message.x_max - message.x_min) / (1 + AIR))
        end = message.x_min + width
        loss.change(width=width, end=None if end >= last else end)

    def action_job(self, direction: int) -> None:
        """Show another job of the run."""
        if self.view is None or not self.view.jobs:
            return
        keys = [job.key for job in self.view.jobs]
        place = keys.index(self.view.shown) if self.view.shown in keys else 0
        self._readers[0].select(keys[(place + direction) % len(keys)])

    def action_scroll(self, rows: int) -> None:
        """Move through the panels where they do not all fit."""
        self.query_one("#body").scroll_relative(y=rows, animate=False)

    # Other screens

    def action_runs(self) -> None:
        """Choose another run."""
        self.monitor.choose_run()

    def action_compare(self) -> None:
        """Open the comparison."""
        from supernet_cli.tui.screens.compare import ComparisonScreen

        if self.view is not None:
            self.app.push_screen(ComparisonScreen(self.view))

    def action_space(self) -> None:
        """Open the map of the space."""
        from supernet_cli.tui.screens.space import SpaceScreen

        if self.view is not None:
            self.app.push_screen(SpaceScreen(self.view))

    def action_log(self) -> None:
        """Open the log."""
        from supernet_cli.tui.screens.log import LogScreen

        if self.view is not None:
            self.app.push_screen(LogScreen(self.view))

    def action_new(self) -> None:
        """Start a training."""
        self.monitor.start_training()
