"""The live view of a training: one panel, redrawn a few times a second from the newest state of the run."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from supernet_cli.cli.resizing import clearing_after_resize
from supernet_cli.cli.watch import Watch
from supernet_cli.glyphs import MARKS, bar, clock, floor_below, gib, sparkline
from supernet_cli.space.names import short_names
from supernet_cli.store.ranking import RANKED_BY
from supernet_cli.store.records import DevicesSampled, Gpu
from supernet_cli.store.snapshot import JobSnapshot, PathView, RunSnapshot
from supernet_cli.store.state import State

_REDRAWS = 4  # a second
_MOST_PATHS = 10
_COLUMNS_BESIDE_BARS = 24  # per cent, images, and three gaps

Draw = Callable[[RunSnapshot, int, int], RenderableType]
"""Draws a view, given columns and lines."""


@contextlib.contextmanager
def drawing(watch: Watch, stream: TextIO, draw: Draw) -> Iterator[Watch]:
    """Draw a watch on a terminal, in place, until the context is left."""
    console = Console(file=stream, highlight=False)
    live = Live(_Drawing(watch, draw), console=console, refresh_per_second=_REDRAWS, transient=True)
    with _no_echo_of_control_keys():
        live.start()
        try:
            with clearing_after_resize(console):
                yield watch
        finally:
            with contextlib.suppress(OSError):  # the terminal may be gone: that is what a hang-up means
                live.stop()


@contextlib.contextmanager
def _no_echo_of_control_keys() -> Iterator[None]:
    """Keep the terminal from writing `^C` into the panel, which would shift what is erased at the end."""
    if sys.platform == "win32" or sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    import termios

    descriptor = sys.stdin.fileno()
    if not _is_in_front(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    quiet = [*before]
    quiet[3] &= ~termios.ECHOCTL
    termios.tcsetattr(descriptor, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(descriptor, termios.TCSANOW, before)


def _is_in_front(terminal: int) -> bool:
    """Whether this process may change a terminal: not from the background, nor without a session on it."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False


class _Drawing:
    """Draws the newest view whenever Rich asks."""

    def __init__(self, watch: Watch, draw: Draw) -> None:
        self._watch, self._draw = watch, draw

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._draw(self._watch.view, options.max_width, console.size.height)


def draw_supernets(view: RunSnapshot, width: int, height: int) -> RenderableType:
    """Return the training of supernets, one after another, as one panel.

    Args:
        view: What to draw.
        width: Columns of the terminal.
        height: Lines of the terminal.
    """
    inner, job = width - 4, view.job
    parts: list[RenderableType] = [_progress(job, inner), _figures(job, inner), Text(), _paths(job, inner), Text()]
    if view.devices is not None:
        parts.append(draw_devices(view.devices))
    if len(view.jobs) > 1:
        parts.append(_jobs(view))
    return frame(parts, view.run, str(view.current))


def frame(parts: Sequence[RenderableType], run: str, what: str) -> RenderableType:
    """Return the panel around a view: the run, what is shown, and how to stop."""
    title = Text.assemble(" ", (run, "bold"), f" · {what} ")
    footer = Text(" Ctrl-C saves and stops ", style="dim")
    return Panel(
        Group(*parts), title=title, title_align="left", subtitle=footer, subtitle_align="right", border_style="dim"
    )


def progress_line(done: int, total: int, words: str, width: int) -> Text:
    """Return a bar over the whole width, followed by the percentage and words."""
    share = done / total if total else 0.0
    words = f"  {100 * share:3.0f} %  {words}"
    room = max(8, width - len(words))
    filled = round(share * room)
    return Text.assemble(("━" * filled, "green"), ("━" * (room - filled), "bright_black"), words)


def _progress(job: JobSnapshot, width: int) -> Text:
    words = f"epoch {max(job.epoch, 1)}/{job.epochs}  step {job.step:,}/{job.steps:,}" if job.steps else "starting"
    return progress_line(job.step, job.steps, words, width)


def time_left(job: JobSnapshot) -> str:
    """Return the time left in words; after the last step, its paths are still being evaluated."""
    is_evaluating = 0 < job.steps <= job.step and job.state is State.RUNNING
    return "evaluating" if is_evaluating else f"{clock(job.seconds_left)} left"


def _figures(job: JobSnapshot, width: int) -> Text:
    losses = job.loss.values
    left = f"{job.images_per_second:,.0f} images/s   {time_left(job)}" if job.images_per_second else ""
    if not losses:
        return Text.assemble(("loss ", "dim"), "…".ljust(max(1, width - len(left) - 5)), left)
    head = f"{losses[-1]:.4f} "
    room = max(0, width - len(left) - len(head) - 5 - 3)
    logs = [math.log10(max(value, 1e-9)) for value in losses]
    return Text.assemble(
        ("loss ", "dim"), (head, "bold"), (sparkline(logs, min(room, 60)).ljust(room), "yellow"), "   ", left
    )


def _paths(job: JobSnapshot, width: int) -> RenderableType:
    ranked = job.ranked()
    if not ranked:
        return Text("waiting for the first evaluation", style="dim")
    shown = ranked if len(ranked) <= _MOST_PATHS else [*ranked[: _MOST_PATHS - 3], *ranked[-3:]]
    floor = floor_below(min(view.score.accuracy for view in shown))
    names = short_names([view.score.path for view in shown], max(16, width // 3))
    longest = max(map(len, names.values()))
    spark = 12 if width >= 90 else 8
    room = max(6, width - longest - spark - _COLUMNS_BESIDE_BARS)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("path", min_width=longest, no_wrap=True)
    table.add_column(f"validation, bars from {100 * floor:g} %"[: room + 9], no_wrap=True)
    table.add_column("history", no_wrap=True, min_width=spark)
    table.add_column("images", justify="right", no_wrap=True, min_width=9)
    for view in shown:
        table.add_row(*_path_row(names[view.score.path], view, floor, room, spark, best=view is ranked[0]))
    hidden = max(job.num_paths, len(ranked)) > len(shown)
    count = f"{len(shown)} of {max(job.num_paths, len(ranked)):,}" if hidden else f"{len(shown)}"
    return Group(table, Text(f"{count} {'path' if count == '1' else 'paths'}, by {RANKED_BY}", style="dim"))


def _path_row(
    name: str, view: PathView, floor: float, room: int, spark: int, best: bool
) -> tuple[Text, Text, Text, Text]:
    score = view.score
    share = (score.accuracy - floor) / (1 - floor)
    style = "bold green" if best else "green"
    return (
        Text(name, style="bold" if best else ""),
        Text.assemble((bar(share, room), style), (f"{100 * score.accuracy:6.2f} %", "bold" if best else "")),
        Text(sparkline(view.history.values, spark), style="cyan"),
        Text(f"{score.trained_images:,}", style="dim"),
    )


def draw_devices(sample: DevicesSampled) -> RenderableType:
    """Return the use of the devices, a line for the host and one for each GPU."""
    host = Text.assemble(("cpu ", "dim"), no_wrap=True, overflow="ellipsis")
    if len(sample.cores) <= 4:
        for core in sample.cores:
            host.append(bar(core / 100, 6), style="cyan")
            host.append(f" {core:3.0f} %  ")
    else:
        host.append(sparkline(sample.cores, 32, low=0.0, high=100.0), style="cyan")
        host.append(f" {sum(sample.cores) / len(sample.cores):3.0f} % of {len(sample.cores)}  ")
    host.append("ram ", style="dim")
    host.append(f"{gib(sample.memory_used_bytes)}/{gib(sample.memory_total_bytes)} GiB  ")
    host.append("process ", style="dim")
    host.append(f"{gib(sample.process_memory_bytes)} GiB")
    return Group(host, *(_gpu(number, gpu) for number, gpu in enumerate(sample.gpus)))


def _gpu(number: int, gpu: Gpu) -> Text:
    used = None if gpu.memory_used_bytes is None else gpu.memory_used_bytes / 2**30
    figures = (
        _figure(gpu.utilisation, ".0f", "%"),
        _figure(used, ".1f", "GiB"),
        _figure(gpu.temperature_celsius, ".0f", "°C"),
        _figure(gpu.power_watts, ".0f", "W"),
    )
    words = f"{gpu.name}  {'  '.join(figures)}"
    return Text.assemble((f"gpu {number} ", "dim"), words, no_wrap=True, overflow="ellipsis")


def _figure(value: float | None, form: str, unit: str) -> str:
    return "N/A" if value is None else f"{value:{form}} {unit}"


def _jobs(view: RunSnapshot) -> Text:
    line = Text.assemble(("seeds", "dim"), no_wrap=True, overflow="ellipsis")
    for key, job in view.jobs:
        ranked = job.ranked()
        best = f" {100 * ranked[0].score.accuracy:.2f} %" if ranked else ""
        line.append(f"  {MARKS[job.state]} {key.seed}{best}", "bold" if key == view.current else "")
    return line
