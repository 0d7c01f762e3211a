"""The monitor: everything that matters about one run, at a glance."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
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
from supernet_cli.store.job import list_jobs
from supernet_cli.store.layout import JobKey
from supernet_cli.store.state import State, Wish
from supernet_cli.store.views import JobView, RunView
from supernet_cli.tui.curves import SMOOTHINGS
from supernet_cli.tui.draw import LOOKS, clean
from supernet_cli.tui.panels.banner import Banner
from supernet_cli.tui.panels.devices import DevicesPanel
from supernet_cli.tui.panels.header import Header
from supernet_cli.tui.panels.jobs import JobsPanel
from supernet_cli.tui.panels.log import LogPanel
from supernet_cli.tui.panels.loss import AIR, LossPanel
from supernet_cli.tui.panels.panel import Panel
from supernet_cli.tui.panels.paths import PathsPanel
from supernet_cli.tui.panels.search import SearchPanel, is_searched
from supernet_cli.tui.reader import RunReader, ViewChanged

if TYPE_CHECKING:
    from supernet_cli.tui.navigation import Navigator

_PATIENCE_SECONDS = 60.0
_BUSY = "No training is running at the moment; try again when the next one has started."
_ZOOM = 2.0
_VIEW = Binding.Group("View")
_CHART = Binding.Group("Chart")


@dataclass(frozen=True)
class _Asked:
    """A request that has not been answered yet.

    Args:
        request: What was asked for.
        when: Seconds on the monotonic clock.
        jobs: Keys of the jobs that were asked.
    """

    request: Wish
    when: float
    jobs: frozenset[JobKey]

    def answer(self, jobs: Sequence[JobView]) -> JobView | None:
        """Return a job that has done as asked, or one that ended before it could; None while none has."""
        asked = [job for job in jobs if job.key in self.jobs]
        if any(job.state.is_alive and job.state is not self.request.state for job in asked):
            return None
        return next((job for job in asked if job.state is self.request.state), asked[0] if asked else None)

    def message(self, now: float) -> str:
        """Return what to show until it is answered."""
        if now - self.when > _PATIENCE_SECONDS:
            return f"asked to {self.request}, but no answer for a minute; see the log (l)"
        return f"asked to {self.request}; the trainer answers at its next step"


class MonitorScreen(Screen[None]):
    """Shows a run and passes requests on to its trainer.

    Args:
        folder: The run's folder.
        overlaid: Folders of runs to overlay on its loss chart.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-normal"), (120, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "Pause", tooltip="Pause or resume the training"),
        Binding("s", "stop", "Stop", tooltip="Save a checkpoint and stop the training"),
        Binding("r", "runs", "Runs", tooltip="Choose another run, or overlay runs on this one"),
        Binding("c", "compare", "Compare", tooltip="Compare one-shot with stand-alone accuracy"),
        Binding("m", "space", "Map", tooltip="Map the space: histogram, heat map, best and worst paths"),
        Binding("l", "log", "Log", tooltip="Show the whole log"),
        Binding("n", "new", "New", tooltip="Start a training from a preset"),
        Binding("e", "search", "Search", tooltip="Show or hide the search of this run", show=False),
        Binding("f", "follow", "Follow", tooltip="Follow the newest step", show=False),
        Binding("plus,equals_sign", "smooth(1)", "More smoothing", key_display="+", show=False),
        Binding("minus", "smooth(-1)", "Less smoothing", key_display="-", show=False),
        Binding("y", "log_scale", "Switch between log and linear losses", show=False),
        Binding("w", "raw", "Show or hide raw losses", show=False),
        Binding("i", "zoom(1)", "Zoom in", show=False),
        Binding("o", "zoom(-1)", "Zoom out", show=False),
        Binding("left", "pan(-1)", "Pan left", show=False),
        Binding("right", "pan(1)", "Pan right", show=False),
        Binding("0", "all_steps", "Reset zoom", show=False),
        Binding("up", "scroll(-3)", "Scroll up", show=False),
        Binding("down", "scroll(3)", "Scroll down", show=False),
        Binding("left_square_bracket", "job(-1)", "Previous job", key_display="[", show=False),
        Binding("right_square_bracket", "job(1)", "Next job", key_display="]", show=False),
    ]

    def __init__(self, folder: Path, overlaid: tuple[Path, ...] = ()) -> None:
        super().__init__()
        self.folder = folder
        self.view: RunView | None = None
        self._overlaid: dict[Path, RunView | None] = dict.fromkeys(overlaid)
        self._readers: list[RunReader] = []
        self._asked: _Asked | None = None
        self._wants_search: bool | None = None  # what was typed; None for wherever there is one

    def compose(self) -> ComposeResult:
        """Yield the panels."""
        yield Header(id="header")
        yield Banner(id="banner")
        with VerticalScroll(id="body", can_focus=False):
            yield SearchPanel(id="search")
            with Horizontal(id="upper"):
                yield LossPanel(id="loss")
                yield PathsPanel(id="paths")
            with Horizontal(id="lower"):
                yield DevicesPanel(id="devices")
                yield JobsPanel(id="jobs")
            yield LogPanel(id="log")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Start reading."""
        for folder in (self.folder, *self._overlaid):
            reader = RunReader(folder, lambda view: self.post_message(ViewChanged(view)))
            self._readers.append(reader)
            self._read(reader)
        self.set_interval(1.0, self._show_request)

    def on_unmount(self) -> None:
        """Stop reading."""
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
        wanted = is_searched(self.view) if self._wants_search is None else self._wants_search
        self.set_class(wanted, "-searched")
        self.set_class(self.view.searched is None, "-begun")
        for panel in self.query(Panel):
            panel.show(self.view)
        self.query_one(LossPanel).show(self.view, tuple(v for v in self._overlaid.values() if v is not None))
        self.monitor.seen(self.view)

    @property
    def monitor(self) -> Navigator:
        """The application."""
        return cast("Navigator", self.app)

    # Requests to the trainer

    def action_pause(self) -> None:
        """Ask the trainer to pause or to resume."""
        paused = self.view is not None and self.view.state is State.PAUSED
        self._ask(Wish.RESUME if paused else Wish.PAUSE)

    def action_stop(self) -> None:
        """Ask the trainer to stop, after confirmation."""
        if not self._can_ask():
            return
        from supernet_cli.tui.screens.confirm import ConfirmScreen

        question = ConfirmScreen(
            "Stop training?", "A checkpoint is saved and you can resume later.", "Stop", "Keep training"
        )
        self.app.push_screen(question, lambda yes: self._ask(Wish.STOP) if yes else None)

    def _can_ask(self) -> bool:
        view = self.view
        if view is not None and not view.gone and any(job.state.is_alive for job in view.jobs):
            return True
        is_busy = view is not None and not view.gone and view.worked_on
        self.app.notify(_BUSY if is_busy else "This run is not being trained.", severity="warning")
        return False

    def _ask(self, request: Wish) -> None:
        if not self._can_ask():
            return
        try:
            asked = [job for job in list_jobs(self.folder) if job.status().state.is_alive]
            for job in asked:
                job.request(request)
        except SupernetError as error:
            self.app.notify(clean(error.message), severity="error", markup=False)
            return
        self._asked = _Asked(request, time.monotonic(), frozenset(job.key for job in asked))
        self._show_request()
        self._readers[0].look_now()

    def _check_answer(self, view: RunView) -> None:
        """Drop a request once it has been answered, and report the answer."""
        if self._asked is None:
            return
        answer = self._asked.answer(view.jobs)
        if answer is not None:
            self._asked = None
            word = "resumed" if answer.state is State.RUNNING else LOOKS[answer.state].word
            self.app.notify(f"Training {word} at step {answer.step:,}.")
            self._show_request()

    def _show_request(self) -> None:
        banner = self.query_one(Banner)
        message = self._asked.message(time.monotonic()) if self._asked is not None else ""
        if banner.request != message and self.view is not None:
            banner.request = message
            banner.show(self.view)

    # How the chart is drawn

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
        """Keep the newest step in sight, at the current zoom."""
        self.query_one(LossPanel).change(end=None)

    def action_all_steps(self) -> None:
        """Show every step and follow."""
        self.query_one(LossPanel).change(width=None, end=None)

    def action_zoom(self, direction: int) -> None:
        """Show half as many steps, or twice as many; a followed newest step stays in sight."""
        loss = self.query_one(LossPanel)
        (low, high), (first, last) = loss.window(), loss.extent()
        width = (high - low) / _ZOOM**direction
        if width >= last - first:
            loss.change(width=None, end=None)
            return
        end = None if loss.look.end is None else min(last, (low + high) / 2 + width / 2)
        loss.change(width=max(width, 4.0), end=end)

    def action_pan(self, direction: int) -> None:
        """Move to earlier or later steps; at the end, follow again."""
        loss = self.query_one(LossPanel)
        (low, high), (first, last) = loss.window(), loss.extent()
        width = min(high - low, (last - first) / 2) if loss.look.width is None else high - low
        end = max(first + width, high + direction * width / 4)
        loss.change(width=width, end=None if end >= last else end)

    @on(PlotWidget.ScaleChanged)
    def take_window(self, message: PlotWidget.ScaleChanged) -> None:
        """Show what the mouse chose."""
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
        place = next((place for place, key in enumerate(keys) if key == self.view.shown), 0)
        self._readers[0].select(keys[(place + direction) % len(keys)])

    def action_search(self) -> None:
        """Show the search, or hide it."""
        if self.view is not None and self.view.search is None and self.view.searched is None:
            self.app.notify("This run has not been searched.", severity="warning")
            return
        self._wants_search = not self.has_class("-searched")
        self._show()

    def action_scroll(self, rows: int) -> None:
        """Scroll through the panels if they do not all fit."""
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
