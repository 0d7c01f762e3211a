"""A run while it trains: the state that views draw, and plain lines where nothing can be drawn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TextIO

from supernet_cli.cli.console import console, printable
from supernet_cli.glyphs import clock
from supernet_cli.store.layout import JobKey
from supernet_cli.store.ranking import ranked
from supernet_cli.store.records import JobEnded, PathsEvaluated, Record
from supernet_cli.store.snapshot import JobSnapshot, RunSnapshot, fold_run
from supernet_cli.store.state import State


class Watch:
    """Folds the records of a run's jobs into its newest snapshot; safe from any thread.

    Args:
        run: The run's id.
        jobs: Key and current state of each job.
        listener: Called with the new view and the record that caused it, in the recording thread.
    """

    def __init__(
        self,
        run: str,
        jobs: Sequence[tuple[JobKey, JobSnapshot]],
        listener: Callable[[RunSnapshot, Record], None] | None = None,
    ) -> None:
        self._guard = threading.Lock()
        self._listener = listener
        self.view = RunSnapshot(run, tuple(jobs), jobs[0][0])

    def take(self, key: JobKey | None, record: Record) -> None:
        """Take a record of a job, or a sample of the devices, which belongs to none."""
        with self._guard:
            self.view = fold_run(self.view, key, record)
        if self._listener is not None:
            self._listener(self.view, record)


class _Lines:
    """Lines on a stream; if the reader is gone (Rich then raises SystemExit), work continues silently."""

    def __init__(self, stream: TextIO) -> None:
        self._console = console(stream)

    def _say(self, line: str) -> None:
        """Print a line."""
        try:
            self._console.print(printable(line), markup=False, soft_wrap=True)
        except (OSError, SystemExit):
            self._console.quiet = True


class PlainLines(_Lines):
    """One line an epoch and one at the end of each job, without escape codes."""

    def __call__(self, view: RunSnapshot, record: Record) -> None:
        """Print what a record changed, if it is worth a line."""
        job = view.job
        if isinstance(record, PathsEvaluated):
            self._say(self._epoch(view, job, record))
        elif isinstance(record, JobEnded) and record.state is not State.FINISHED:
            self._say(f"{view.current}  {record.state} at step {record.step}: {record.reason}")

    def _epoch(self, view: RunSnapshot, job: JobSnapshot, record: PathsEvaluated) -> str:
        accuracies = [score.accuracy for score in record.scores]
        loss = f"{job.loss.values[-1]:.4f}" if job.loss.values else "n/a"
        parts = [
            f"{view.current}  epoch {record.epoch}/{job.epochs}",
            f"loss {loss}",
            f"{len(record.scores)} paths {100 * min(accuracies):.2f} to {100 * max(accuracies):.2f} %",
            f"best {ranked(record.scores)[0].path}",
            f"{job.images_per_second or 0:,.0f} images/s",
            f"{clock(job.seconds_left)} left",
        ]
        return "  ".join(parts)


class JobLines(_Lines):
    """One line at the end of each of many jobs that run side by side, without escape codes."""

    def __call__(self, view: RunSnapshot, record: Record) -> None:
        """Print how a job ended."""
        if not isinstance(record, JobEnded):
            return
        ended = sum(job.state.is_over or job.state.has_failed for _, job in view.jobs)
        job = view.job
        parts = [f"{ended}/{len(view.jobs)}  {view.current}  {record.state}"]
        parts += [f"{100 * path.score.accuracy:.2f} %" for path in job.ranked()[:1]]
        parts.append(record.reason or f"{clock(job.train_seconds + job.evaluation_seconds)}")
        if view.seconds_left is not None:
            parts.append(f"{clock(view.seconds_left)} left")
        self._say("  ".join(parts))
