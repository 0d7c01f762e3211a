"""The jobs of a run: supernets and paths trained alone, each with its state and progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from textual.content import Content

from supernet_cli.glyphs import MARKS, bar, clock
from supernet_cli.space.names import short_names
from supernet_cli.store.layout import Way
from supernet_cli.store.state import State
from supernet_cli.store.views import JobView, RunView
from supernet_cli.tui.draw import LOOKS, MUTED, Part, fit, heading, line, lines
from supernet_cli.tui.panels.panel import Panel

_WAYS = {Way.INHERITED: " fine-tuned", Way.SHORT: " short", Way.FINAL: " final"}


class JobsPanel(Panel):
    """The jobs that most need attention, and counts of the rest."""

    def draw(self, view: RunView, width: int, height: int) -> Content:
        """Return a line for each job that fits."""
        done = sum(job.state is State.FINISHED for job in view.jobs)
        info = f"{done}/{len(view.jobs)} done" if view.jobs else ""
        title = heading("Jobs", width, (info, MUTED))
        if not view.jobs:
            return lines([title, line(("none yet", MUTED))])
        shown = _choose(view.jobs, height - 1)
        tails = {job.key: _tail(job, view) for job in shown}
        room = max(9, width - 24 - max(map(len, tails.values())))
        names = short_names(list(dict.fromkeys(job.key.path for job in shown if job.key.path)), room, view.blocks)
        rows = [_row(job, view, names.get(job.key.path, "supernet") + tails[job.key], width) for job in shown]
        hidden = [job for job in view.jobs if job not in shown]
        if hidden:
            rows.append(_rest(hidden, width))
        return lines([title, *rows])


def _choose(jobs: Sequence[JobView], rows: int) -> list[JobView]:
    if len(jobs) <= rows:
        return list(jobs)
    urgent = sorted(jobs, key=lambda job: -job.state.severity)[: max(0, rows - 1)]
    return [job for job in jobs if job in urgent]


def _tail(job: JobView, view: RunView) -> str:
    """Return what tells a job apart from others of the same path."""
    host = f" on {job.snapshot.host}" if _is_elsewhere(job, view) else ""
    return f" seed {job.key.seed}{_WAYS.get(job.key.way, '')}{host}"


def _row(job: JobView, view: RunView, name: str, width: int) -> Content:
    marked = job.key == view.shown and len(view.jobs) > 1
    left = job.snapshot.seconds_left if job.state is State.RUNNING else None
    figures = f"{100 * job.share:3.0f} %"
    if job.is_starting or job.state is State.CREATED:
        figures = "starting" if job.is_starting else LOOKS[job.state].word
    elif job.state not in (State.RUNNING, State.FINISHED):
        figures = f"{LOOKS[job.state].word}  {figures}"
    elif left is not None and width >= 44:
        figures = f"{clock(left)} left  {figures}"
    room = width - 2 - len(figures) - 1
    length = min(16, room - len(name) - 1)
    drawn = bar(job.share, length) if length >= 6 and job.share else ""
    named = fit(name, room - (len(drawn) + 1 if drawn else 0))
    parts: list[Part] = [(f"{MARKS[job.state]} ", LOOKS[job.state].style), (named, "bold" if marked else "")]
    parts += [" ", (drawn, "$success 60%")] if drawn else []
    return line(*parts, " ", figures)


def _is_elsewhere(job: JobView, view: RunView) -> bool:
    """Whether a job runs on another host than the one that created the run."""
    return job.state.is_alive and job.snapshot.host not in ("", view.host)


def _rest(jobs: Sequence[JobView], width: int) -> Content:
    counts = Counter(job.state for job in jobs)
    words = ", ".join(f"{counts[state]:,} {LOOKS[state].word}" for state in reversed(State) if counts[state])
    return line((f"… and {words}", MUTED)).truncate(width, ellipsis=True)
