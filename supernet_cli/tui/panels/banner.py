"""The line below the header: what is wrong or under way and what to do, there only when there is something to say."""

from __future__ import annotations

import shlex

from textual.content import Content

from supernet_cli.runs.views import RunView
from supernet_cli.tui.draw import MUTED, line, lines
from supernet_cli.tui.panels.panel import Panel

_MOST = 3


class Banner(Panel):
    """Says in words what a person should know of the run's state."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.request = ""

    def show(self, view: RunView) -> None:
        """Take the newest view; take no room where it has nothing to say."""
        self.display = bool(sayings(view, self.request))
        super().show(view)

    def redraw(self) -> None:
        """Draw again; what is said takes as many rows as it needs."""
        before = self._drawn
        super().redraw()
        if self._drawn is not before:
            self.refresh(layout=True)

    def draw(self, view: RunView, width: int, height: int) -> Content:
        """Return what there is to say, most urgent first."""
        said = sayings(view, self.request)[:_MOST]
        return lines([line((f"▌{text}", style)) for text, style in said])


def sayings(view: RunView, request: str = "") -> list[tuple[str, str]]:
    """Return what to say of a run, each with its style.

    Args:
        view: The run.
        request: What it was asked for and has not answered yet, in words.
    """
    if view.gone:
        return [(f" {view.folder} is gone; this is what was last seen of it.", "$error")]
    said = [(f" {text}", style) for text, style in _state(view)]
    if request:
        said.insert(0, (f" {request}", "$warning"))
    said += [(f" {problem}", "$warning") for problem in view.problems]
    if view.job.filled < 1.0:
        said.append((f" reading the past: {100 * view.job.filled:.0f} %", MUTED))
    return said


def _state(view: RunView) -> list[tuple[str, str]]:
    job = next((other for other in (view.job, *view.jobs) if other.state == view.state), view.job)
    reason, resume = job.status.reason, f"supernet train --resume {shlex.quote(view.id)}"
    match view.state:
        case "created" if not view.jobs:
            return [("no job is in this folder yet", MUTED)]
        case "created":
            return [("not begun: its training has not reported yet", MUTED)]
        case "paused":
            return [(f"paused at step {job.step:,}; p goes on", "$warning")]
        case "stopped":
            return [(f"stopped at step {job.step:,} after a checkpoint; go on: {resume}", "$warning")]
        case "interrupted":
            return [(f"interrupted at step {job.step:,}: {reason or 'a signal'}; go on: {resume}", "$warning")]
        case "diverged":
            return [(f"diverged: {reason}; try a lower rate: --set train.optimizer.lr=0.001", "$error")]
        case "failed":
            return [(f"failed: {reason or 'see its log'}", "$error")]
        case "lost":
            return [(f"lost: no sign of life from {job.status.host or 'its host'} for a minute or more", "$warning")]
        case _:
            return []
