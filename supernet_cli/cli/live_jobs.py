"""The live view of many jobs that run side by side: one table, with running jobs always in sight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from supernet_cli.cli.live import draw_devices, frame, progress_line
from supernet_cli.glyphs import MARKS, bar, clock
from supernet_cli.space.names import short_names
from supernet_cli.store.layout import JobKey
from supernet_cli.store.snapshot import JobSnapshot, RunSnapshot

_LINES_AROUND = 9  # frame, progress, heading, summary, devices, and the prompt
_COLUMNS_BESIDE_BARS = 52
_LONGEST_BAR = 40


def draw_jobs(view: RunSnapshot, width: int, height: int) -> RenderableType:
    """Return jobs that run side by side as one panel.

    Args:
        view: What to draw.
        width: Columns of the terminal.
        height: Lines of the terminal.
    """
    inner = width - 4
    shown = _choose(view.jobs, max(3, height - _LINES_AROUND))
    states = Counter(_word(job) for _, job in view.jobs)
    done, total = view.progress
    counts = "  ".join(f"{states[word]} {word}" for word in ("finished", "running", "queued") if states[word])
    parts: list[RenderableType] = [
        progress_line(done, total, f"{counts}  {clock(view.seconds_left)} left", inner),
        Text(),
        _table(shown, inner),
    ]
    if len(shown) < len(view.jobs):
        parts.append(Text(f"{len(shown)} of {len(view.jobs):,} trainings", style="dim"))
    if view.devices is not None:
        parts += [Text(), draw_devices(view.devices)]
    return frame(parts, view.run, "stand-alone trainings")


def _choose(jobs: Sequence[tuple[JobKey, JobSnapshot]], room: int) -> list[tuple[JobKey, JobSnapshot]]:
    """Return the jobs to show, in order; running and failed ones first, then the last finished and the next queued."""
    if len(jobs) <= room:
        return list(jobs)
    urgent = [key for key, job in jobs if _word(job) not in ("finished", "queued")]
    finished = [key for key, job in jobs if _word(job) == "finished"]
    queued = [key for key, job in jobs if _word(job) == "queued"]
    left = max(0, room - len(urgent))
    last = finished[-max(left // 2, left - len(queued)) :] if left > 1 else []
    kept = {*urgent[:room], *last, *queued[: left - len(last)]}
    return [(key, job) for key, job in jobs if key in kept]


def _table(jobs: Sequence[tuple[JobKey, JobSnapshot]], width: int) -> Table:
    names = short_names(list(dict.fromkeys(key.path for key, _ in jobs)), max(14, width // 3 - 2))
    path = max(map(len, names.values())) + 2  # a mark and a space
    room = min(_LONGEST_BAR, max(6, width - path - _COLUMNS_BESIDE_BARS))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("path", min_width=path, no_wrap=True)
    table.add_column("seed", justify="right", no_wrap=True)
    table.add_column("progress", no_wrap=True, min_width=room + 6)
    table.add_column("loss", justify="right", no_wrap=True, min_width=6)
    table.add_column("validation", justify="right", no_wrap=True, min_width=10)
    table.add_column("left", justify="right", no_wrap=True, min_width=5)
    for key, job in jobs:
        table.add_row(*_row(key, names[key.path], job, room))
    return table


def _row(key: JobKey, name: str, job: JobSnapshot, room: int) -> tuple[Text, Text, Text, Text, Text, Text]:
    share = job.step / job.steps if job.steps else 0.0
    word = _word(job)
    running, quiet = word == "running", word == "queued"
    style = {"running": "bold", "queued": "dim", "finished": ""}.get(word, "red")
    progress = Text.assemble((bar(share, room), "green"), f" {100 * share:3.0f} %")
    if word not in ("running", "finished", "queued"):
        progress = Text(f"{MARKS[job.state]} {word}: {job.reason}"[: room + 6], style="red")
    losses, ranked = job.loss.values, job.ranked()
    return (
        Text.assemble(f"{MARKS['created' if quiet else job.state]} ", name, style=style),
        Text(str(key.seed), style=style),
        Text() if quiet else progress,
        Text(f"{losses[-1]:.4f}" if losses else "", style=style),
        Text(f"{100 * ranked[0].score.accuracy:.2f} %" if ranked else "", style=style),
        Text(clock(job.seconds_left) if running else "", style=style),
    )


def _word(job: JobSnapshot) -> str:
    """Return a job's state as shown here: one that is yet to start or to be resumed is queued."""
    return "queued" if job.state.can_resume else job.state
