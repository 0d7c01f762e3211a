"""The runs of a folder as rows of a list, read repeatedly, and only where something changed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from supernet_cli.errors import SupernetError
from supernet_cli.store.activity import awaits_next_job, is_written_to
from supernet_cli.store.files import file_stamp
from supernet_cli.store.job import JobFolder
from supernet_cli.store.ranking import ranked
from supernet_cli.store.records import PathScore
from supernet_cli.store.run import Run
from supernet_cli.store.runs import list_damaged_runs, read_run
from supernet_cli.store.state import State
from supernet_cli.store.tail import JobTail, segments


@dataclass(frozen=True)
class RunRow:
    """A run in a list.

    Args:
        id: Its name.
        folder: Its folder.
        preset: Name of its preset.
        created: When it was created, in seconds since 1970.
        state: Its actual state.
        share: Progress of its supernets, as a fraction.
        best_path: The best path by validation loss; empty before the first evaluation.
        best_accuracy: Its validation accuracy.
        is_damaged: Whether its run.json cannot be read.
    """

    id: str
    folder: Path
    preset: str
    created: float
    state: State
    share: float
    best_path: str = ""
    best_accuracy: float | None = None
    is_damaged: bool = False


class RunLister:
    """Lists the runs of a folder repeatedly, reading only what changed."""

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self._runs: dict[Path, tuple[tuple[int, ...] | None, Run | None]] = {}
        self._best: dict[Path, tuple[object, PathScore | None]] = {}

    def rows(self) -> tuple[RunRow, ...]:
        """Return the runs, newest first; none if the folder cannot be read."""
        try:
            folders = [Path(entry.path) for entry in os.scandir(self.runs_dir) if _is_folder(entry)]
        except OSError:
            return ()
        runs = [run for folder in folders if (run := self._run(folder)) is not None]
        rows = [*map(self._row, runs), *self._damaged()]
        return tuple(sorted(rows, key=lambda row: (row.created, row.id), reverse=True))

    def _damaged(self) -> list[RunRow]:
        try:
            found = list_damaged_runs(self.runs_dir)
        except SupernetError:
            return []
        stamps = [(run, file_stamp(run.folder / "run.json")) for run in found]
        return [
            RunRow(run.id, run.folder, "", stamp[2] / 1e9 if stamp else 0.0, State.FAILED, 0.0, is_damaged=True)
            for run, stamp in stamps
        ]

    def _run(self, folder: Path) -> Run | None:
        stamp = file_stamp(folder / "run.json")
        known = self._runs.get(folder)
        if known is None or known[0] != stamp:
            known = self._runs[folder] = (stamp, None if stamp is None else read_run(folder))
        return known[1]

    def _row(self, run: Run) -> RunRow:
        jobs = run.supernet_jobs()
        statuses = [job.status() for job in jobs]
        best = next(iter(ranked(score for job in jobs if (score := self._best_of(job)))), None)
        done, steps = sum(status.step for status in statuses), sum(status.steps for status in statuses)
        states = [status.state for status in statuses]
        if not any(state.is_alive for state in states) and is_written_to(run.folder):
            everyone = [job.status() for job in run.jobs()]
            states += [status.state for status in everyone if status.state.is_alive]
            states += [State.RUNNING] if awaits_next_job(everyone) else []
        return RunRow(
            id=run.id,
            folder=run.folder,
            preset=run.manifest.preset,
            created=run.manifest.created,
            state=State.overall(states),
            share=1.0 if all(s.state is State.FINISHED for s in statuses) else min(1.0, done / max(1, steps)),
            best_path=best.path if best else "",
            best_accuracy=best.accuracy if best else None,
        )

    def _best_of(self, job: JobFolder) -> PathScore | None:
        stamp = tuple(file_stamp(job.path / name) for name in segments(job.path))
        known = self._best.get(job.path)
        if known is None or known[0] != stamp:
            tail = JobTail(job.path, recent=1 << 16)
            while tail.read()[1]:
                pass
            best = next(iter(tail.snapshot.ranked()), None)
            known = self._best[job.path] = (stamp, best.score if best else None)
        return known[1]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
