"""Whether a process works on a run although none of its jobs is running: between two jobs, none has an owner."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from supernet_cli.store.files import file_stamp
from supernet_cli.store.job import JobStatus
from supernet_cli.store.lock import is_held
from supernet_cli.store.run import EXPERIMENT_LOCK, SEARCH_LOCK
from supernet_cli.store.state import State

_FRESH_SECONDS = 10.0  # of samples of the devices, which are taken every second


def is_worked_on(folder: Path, jobs: Sequence[JobStatus]) -> bool:
    """Return whether an experiment or a search holds a run, or a training is about to start its next job.

    Args:
        folder: The run's folder.
        jobs: The status of each of its jobs.
    """
    return _is_held(folder) or (awaits_next_job(jobs) and _has_fresh_samples(folder))


def awaits_next_job(jobs: Sequence[JobStatus]) -> bool:
    """Return whether jobs look as they do between two: none runs, the newest has ended by itself, another is queued.

    Args:
        jobs: The status of each job of a run.
    """
    if any(job.state.is_alive for job in jobs) or not any(job.state is State.CREATED for job in jobs):
        return False
    return max(jobs, key=lambda job: job.heartbeat).state.is_over


def is_written_to(folder: Path) -> bool:
    """Return whether a process seems to work on a run: cheaper than the status of every job.

    Args:
        folder: The run's folder.
    """
    return _has_fresh_samples(folder) or _is_held(folder)


def is_searched(folder: Path) -> bool:
    """Return whether a process searches a run.

    Args:
        folder: The run's folder.
    """
    return is_held(folder / SEARCH_LOCK)


def _is_held(folder: Path) -> bool:
    return is_held(folder / EXPERIMENT_LOCK) or is_searched(folder)


def _has_fresh_samples(folder: Path) -> bool:
    stamps = [file_stamp(path) for path in folder.glob("devices-*.jsonl")]
    newest = max((stamp[2] for stamp in stamps if stamp), default=0)
    return time.time() - newest / 1e9 < _FRESH_SECONDS
