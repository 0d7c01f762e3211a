"""The header: the run, its state, progress, pace and time left."""

from __future__ import annotations

from textual.content import Content

from supernet_cli.glyphs import clock
from supernet_cli.store.layout import Way
from supernet_cli.store.state import State
from supernet_cli.store.views import JobView, RunView
from supernet_cli.tui.draw import LOOKS, MUTED, Part, fit, line, lines, state_words
from supernet_cli.tui.panels.panel import Panel


class Header(Panel):
    """Two lines at the top of the monitor."""

    def draw(self, view: RunView, width: int, height: int) -> Content:
        """Return the run's name and state, and its progress."""
        return lines([_name(view, width), _progress(view.job, width)])


def _name(view: RunView, width: int) -> Content:
    job = view.job
    word = "starting" if view.is_starting else ""
    state = state_words(view.state, word) if not view.gone else Content.styled("? gone", "bold $error")
    what = _what(job, sum(other.key.way is Way.ONE_SHOT for other in view.jobs))
    if what and job.state != view.state:
        what += f" ({LOOKS[job.state].word})"
    room = width - state.cell_length - 2
    parts: list[Part] = [(view.preset or "?", "bold"), "  "]
    words = [view.id, *([what] if what else [])]
    left = room - len(view.preset or "?") - 2
    text = "  ".join(words)
    parts.append((fit(text, left) if len(text) > left else text, MUTED))
    name = line(*parts)
    return line(name, " " * max(1, width - name.cell_length - state.cell_length), state)


def _what(job: JobView, supernets: int) -> str:
    if job.key.path:
        return f"{job.key.path} seed {job.key.seed}"
    return f"seed {job.key.seed}" if supernets > 1 else ""


def _progress(job: JobView, width: int) -> Content:
    shot = job.snapshot
    figures = [f"{100 * job.share:3.0f} %"]
    if shot.epochs:
        figures.append(f"epoch {max(1, shot.epoch)}/{shot.epochs}")
    if job.steps:
        figures.append(f"step {job.step:,}/{job.steps:,}")
    if shot.images_per_second:
        figures.append(f"{shot.images_per_second:,.0f} img/s")
    if job.state is State.RUNNING:
        figures.append("evaluating" if 0 < job.steps <= job.step else f"{clock(shot.seconds_left)} left")
    elif shot.train_seconds:
        figures.append(f"{clock(shot.train_seconds + shot.evaluation_seconds)} total")
    while len(figures) > 1 and len("  ".join(figures)) > width - 10:
        figures.pop(2 if len(figures) > 3 else 1)
    words = "  ".join(figures)
    room = max(4, width - len(words) - 2)
    filled = round(job.share * room)
    return line(("━" * filled, "$success"), ("━" * (room - filled), "$foreground 20%"), "  ", words)
