"""The lines below the header: what is wrong or in progress and what to do; hidden when there is nothing to report."""

from __future__ import annotations

from textual.content import Content

from supernet_cli.errors import SupernetError
from supernet_cli.store.state import State
from supernet_cli.store.views import RunView
from supernet_cli.tui.draw import MUTED, line, lines
from supernet_cli.tui.panels.panel import Panel

_MOST = 3


class Banner(Panel):
    """Explains the run's state in words."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.request = ""

    def show(self, view: RunView) -> None:
        """Take the newest view; take no room if there is nothing to report."""
        self.display = bool(messages(view, self.request))
        super().show(view)

    def redraw(self) -> None:
        """Draw again, in as many rows as the messages need."""
        before = self._drawn
        super().redraw()
        if self._drawn is not before:
            self.refresh(layout=True)

    def draw(self, view: RunView, width: int, height: int) -> Content:
        """Return the messages, most urgent first."""
        shown = messages(view, self.request)[:_MOST]
        return lines([line((f"▌{text}", style)) for text, style in shown])


def messages(view: RunView, request: str = "") -> list[tuple[str, str]]:
    """Return the messages about a run, each with its style.

    Args:
        view: The run.
        request: A request that has not been answered yet, in words.
    """
    if view.gone:
        return [(f" {view.folder} is gone; showing the last known state", "$error")]
    found = [(f" {text}", style) for text, style in _state(view)]
    if request:
        found.insert(0, (f" {request}", "$warning"))
    found += [(f" {problem}", "$warning") for problem in view.problems]
    if view.job.filled < 1.0:
        found.append((f" loading older history: {100 * view.job.filled:.0f} %", MUTED))
    return found


def _state(view: RunView) -> list[tuple[str, str]]:
    """Return why nothing is being trained and what to do, or what is about to be."""
    job = next((other for other in (view.job, *view.jobs) if other.state == view.state), view.job)
    reason = job.status.reason
    match view.state:
        case State.PAUSED:
            return [(f"paused at step {job.step:,}; press p to resume", "$warning")]
        case State.STOPPED:
            return [(f"stopped at step {job.step:,} after a checkpoint{_resume(view)}", "$warning")]
        case State.INTERRUPTED:
            return [(f"interrupted at step {job.step:,}: {reason or 'a signal'}{_resume(view)}", "$warning")]
        case State.DIVERGED:
            return [(f"diverged: {reason}{_gentler(view)}", "$error")]
        case State.FAILED:
            return [(f"failed: {reason or 'see the log (l)'}", "$error")]
        case State.LOST:
            return [(f"lost: {job.status.host or 'its host'} has not reported for at least a minute", "$warning")]
        case _:
            return _activity(view)


def _resume(view: RunView) -> str:
    """Return how to resume a run, as the end of a sentence."""
    if view.run is None:
        return ""
    return f"; resume with: {view.run.command('experiment' if view.is_experiment else 'train')}"


def _gentler(view: RunView) -> str:
    """Return what to try after a run that diverged, as the end of a sentence."""
    from supernet_cli.reports.next_step import gentler_step

    try:
        return f"; try a lower learning rate: {gentler_step(view.run).command}" if view.run is not None else ""
    except SupernetError:  # its preset is damaged, which is a message of its own
        return ""


def _activity(view: RunView) -> list[tuple[str, str]]:
    """Return what a run that is well is doing while nothing is being trained."""
    if view.is_between_jobs:
        return [("the next training is about to start", MUTED)]
    if view.worked_on and not view.is_alive:
        return [("an experiment is working on this run; no training is running at the moment", MUTED)]
    if view.state is State.CREATED:
        return [("queued: the training has not reported yet" if view.jobs else "no jobs in this folder yet", MUTED)]
    return []
