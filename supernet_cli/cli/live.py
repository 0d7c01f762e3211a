"""The live view of a training: one panel, drawn a few times a second from the newest view of the run."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from types import TracebackType
from typing import TextIO

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from supernet_cli.cli.watch import RunView, Watch, clock
from supernet_cli.runs.records import DevicesSampled
from supernet_cli.runs.snapshot import JobSnapshot, PathView

_REDRAWS = 4  # a second
_MOST_PATHS = 10
_SPARKS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"
_MARKS = {"created": "○", "running": "●", "finished": "✔", "paused": "‖"}  # any other state: ✘


class LiveWatch:
    """A context that draws a watch on a terminal, in place, until it is left."""

    def __init__(self, stream: TextIO, watch: Watch) -> None:
        self._watch = watch
        self._live = Live(
            _Drawing(watch), console=Console(file=stream, highlight=False), refresh_per_second=_REDRAWS, transient=True
        )

    def __enter__(self) -> Watch:
        self._live.start()
        return self._watch

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone: that is what a hang-up means
            self._live.stop()


class _Drawing:
    """Draws the newest view whenever Rich asks."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield draw(self._watch.view, options.max_width)


def draw(view: RunView, width: int) -> RenderableType:
    """Return a run's view as one panel.

    Args:
        view: What to draw.
        width: Columns there are.
    """
    inner, job = width - 4, view.job
    parts: list[RenderableType] = [_progress(job, inner), _figures(job, inner), Text(), _paths(job, inner), Text()]
    if view.devices is not None:
        parts.append(_devices(view.devices, inner))
    if len(view.jobs) > 1:
        parts.append(_jobs(view))
    title = Text.assemble(" ", (view.run, "bold"), f" · {view.current} ")
    footer = Text(" Ctrl-C saves and stops ", style="dim")
    return Panel(
        Group(*parts), title=title, title_align="left", subtitle=footer, subtitle_align="right", border_style="dim"
    )


def sparkline(values: Sequence[float], width: int) -> str:
    """Return values as a line of at most `width` blocks, the last value last; a flat series is drawn low."""
    if not values or width < 1:
        return ""
    grouped = _resample(values, width)
    low, high = min(grouped), max(grouped)
    span = high - low
    return "".join(_SPARKS[int((value - low) / span * 7.999) if span > 0 else 0] for value in grouped)


def bar(share: float, width: int) -> str:
    """Return a bar of a share of `width`, to an eighth of a column, padded to `width`."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def _progress(job: JobSnapshot, width: int) -> Text:
    share = job.step / job.steps if job.steps else 0.0
    words = f"  {100 * share:3.0f} %  epoch {max(job.epoch, 1)}/{job.epochs or '?'}  step {job.step:,}/{job.steps:,}"
    room = max(8, width - len(words))
    filled = round(share * room)
    return Text.assemble(("━" * filled, "green"), ("━" * (room - filled), "bright_black"), words)


def _figures(job: JobSnapshot, width: int) -> Text:
    losses = job.loss.values
    pace = f"{job.images_per_second:,.0f} images/s" if job.images_per_second else "starting"
    left = f"{pace}   {clock(job.seconds_left)} left"
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
        return Text("paths are judged on validation at the end of each epoch", style="dim")
    shown = ranked if len(ranked) <= _MOST_PATHS else [*ranked[: _MOST_PATHS - 3], *ranked[-3:]]
    floor = _floor(min(view.score.accuracy for view in shown))
    longest = min(max(len(view.score.path) for view in shown), max(16, width // 3))
    spark = 12 if width >= 90 else 8
    room = max(6, min(60, width - longest - spark - 27))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("path", max_width=longest, no_wrap=True, overflow="ellipsis")
    table.add_column(f"validation, bars from {100 * floor:g} %"[: room + 9], no_wrap=True)
    table.add_column("history", no_wrap=True)
    table.add_column("images", justify="right", no_wrap=True)
    for view in shown:
        table.add_row(*_path_row(view, floor, room, spark, best=view is ranked[0]))
    unseen = job.num_paths - len(shown)
    if unseen <= 0:
        return table
    return Group(table, Text(f"{len(shown)} of {job.num_paths:,} paths", style="dim"))


def _path_row(view: PathView, floor: float, room: int, spark: int, best: bool) -> tuple[Text, Text, Text, Text]:
    score = view.score
    share = (score.accuracy - floor) / (1 - floor)
    style = "bold green" if best else "green"
    return (
        Text(score.path, style="bold" if best else ""),
        Text.assemble((bar(share, room), style), (f"{100 * score.accuracy:6.2f} %", "bold" if best else "")),
        Text(sparkline(view.history.values, spark), style="cyan"),
        Text(f"{score.trained_images:,}", style="dim"),
    )


def _devices(sample: DevicesSampled, width: int) -> Text:
    cores = sample.cores
    line = Text("cpu ", style="dim")
    if len(cores) <= 4:
        for core in cores:
            line.append(f"{bar(core / 100, 5)} {core:3.0f} %  ", style="")
    else:
        line.append(f"{sparkline(cores, min(len(cores), 32))} {sum(cores) / len(cores):3.0f} %  ")
    line.append("ram ", style="dim")
    line.append(f"{_gib(sample.memory_used_bytes)}/{_gib(sample.memory_total_bytes)} GiB  ")
    line.append("process ", style="dim")
    line.append(f"{_gib(sample.process_memory_bytes)} GiB")
    for number, gpu in enumerate(sample.gpus):
        line.append(f"\ngpu {number} ", style="dim")
        use = "N/A" if gpu.utilisation is None else f"{gpu.utilisation:.0f} %"
        memory = "N/A" if gpu.memory_used_bytes is None else f"{_gib(gpu.memory_used_bytes)} GiB"
        heat = "N/A" if gpu.temperature_celsius is None else f"{gpu.temperature_celsius:.0f} °C"
        power = "N/A" if gpu.power_watts is None else f"{gpu.power_watts:.0f} W"
        line.append(f"{gpu.name}  {use}  {memory}  {heat}  {power}")
    line.truncate(max(width, line.cell_len)) if "\n" in line.plain else line.truncate(width, overflow="ellipsis")
    return line


def _jobs(view: RunView) -> Text:
    line = Text("seeds", style="dim")
    for key, job in view.jobs:
        ranked = job.ranked()
        best = f" {100 * ranked[0].score.accuracy:.2f} %" if ranked else ""
        style = "bold" if key == view.current else ""
        line.append(f"  {_MARKS.get(job.state, '✘')} {key.rpartition('-')[2]}{best}", style=style)
    return line


def _floor(lowest: float) -> float:
    """Return where bars begin: a round number below the lowest accuracy, so that differences show."""
    step = next((step for step in (0.1, 0.05, 0.01, 0.005) if 1 - lowest > step), 0.001)
    return max(0.0, math.floor(lowest / step - 1e-9) * step)


def _resample(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    edges = [round(index * len(values) / width) for index in range(width + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f}"
