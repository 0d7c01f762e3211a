"""A run and its jobs as they are now: frozen, for anything that draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from supernet_cli.store.activity import awaits_next_job
from supernet_cli.store.job import JobStatus
from supernet_cli.store.layout import JobKey, Way
from supernet_cli.store.records import DevicesSampled
from supernet_cli.store.run import Run
from supernet_cli.store.search import SearchJournal
from supernet_cli.store.snapshot import JobSnapshot
from supernet_cli.store.state import State


@dataclass(frozen=True)
class JobView:
    """The state of a job.

    Args:
        key: Which job of its run it is.
        status: What its owner reports, corrected if the owner is gone.
        snapshot: The state that its records add up to.
        damaged: Number of damaged lines in its metrics.
        filled: How much of its history has been read, as a fraction.
    """

    key: JobKey
    status: JobStatus = JobStatus()
    snapshot: JobSnapshot = JobSnapshot()
    damaged: int = 0
    filled: float = 1.0

    @property
    def state(self) -> State:
        """Its actual state."""
        return self.status.state

    @property
    def is_starting(self) -> bool:
        """Whether its owner is still loading what it needs: it has not reported its number of steps."""
        return self.state is State.RUNNING and not self.steps

    @property
    def step(self) -> int:
        """Steps done."""
        return max(self.status.step, self.snapshot.step)

    @property
    def steps(self) -> int:
        """Steps in total; 0 if not known yet."""
        return max(self.status.steps, self.snapshot.steps)

    @property
    def share(self) -> float:
        """Its progress, as a fraction."""
        if self.state is State.FINISHED:
            return 1.0
        return min(1.0, self.step / self.steps) if self.steps else 0.0


@dataclass(frozen=True)
class StandAlone:
    """What a path reached when trained from scratch.

    Args:
        accuracy: Mean validation accuracy over the seeds, a fraction.
        deviation: Standard deviation over the seeds; None for one.
        seeds: How many trainings there are.
    """

    accuracy: float
    deviation: float | None
    seeds: int


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True)
class RunView:
    """The state of a run.

    Args:
        id: Its name.
        folder: Its folder.
        preset: Name of its preset; empty if run.json cannot be read.
        created: When it was created, in seconds since 1970.
        host: The host that created it.
        jobs: Its jobs: supernets first, then paths trained alone.
        shown: Key of the job whose curves and log are shown; None if there are no jobs.
        blocks: The labels of each choice block's candidates; empty if the preset cannot be read.
        devices: The newest samples, oldest first.
        log: The last lines of the shown job's log.
        stand_alone: What paths reached alone, for finished trainings.
        comparison: results/comparison.json, or None.
        searched: results/search.json, or None.
        search: What a search has decided, or None if the run was never searched.
        problems: What is damaged, one sentence each.
        run: The run, for commands to suggest; None if run.json cannot be read.
        is_experiment: Whether `supernet experiment` has worked on it, and can resume it.
        worked_on: Whether an experiment holds the run, or a training is about to start its next job.
        gone: Whether the folder has vanished; everything else is the last known state.
    """

    id: str
    folder: Path
    preset: str = ""
    created: float | None = None
    host: str = ""
    jobs: tuple[JobView, ...] = ()
    shown: JobKey | None = None
    blocks: tuple[tuple[str, ...], ...] = ()
    devices: tuple[DevicesSampled, ...] = ()
    log: tuple[str, ...] = ()
    stand_alone: Mapping[str, StandAlone] = field(default_factory=_nothing)
    comparison: Mapping[str, Any] | None = None
    searched: Mapping[str, Any] | None = None
    search: SearchJournal | None = None
    problems: tuple[str, ...] = ()
    run: Run | None = None
    is_experiment: bool = False
    worked_on: bool = False
    gone: bool = False

    @property
    def job(self) -> JobView:
        """The job that is shown."""
        return next((job for job in self.jobs if job.key == self.shown), JobView(JobKey.supernet(0)))

    @property
    def state(self) -> State:
        """The state of the run: that of the job that most needs attention; `running` between two jobs."""
        if self.is_between_jobs:
            return State.RUNNING
        supernets = [job.state for job in self.jobs if job.key.way is Way.ONE_SHOT]
        busy = [job.state for job in self.jobs if job.state.is_alive]
        return State.overall(busy or supernets)

    @property
    def is_alive(self) -> bool:
        """Whether it is being trained now."""
        return self.is_between_jobs or any(job.state.is_alive for job in self.jobs)

    @property
    def is_starting(self) -> bool:
        """Whether a process has begun to train it and no job has reported its number of steps yet."""
        alive = [job for job in self.jobs if job.state is State.RUNNING]
        return self.is_alive and all(job.is_starting for job in alive)

    @property
    def is_between_jobs(self) -> bool:
        """Whether one job is done and the process that trains is about to start the next."""
        return self.worked_on and awaits_next_job([job.status for job in self.jobs])

    @property
    def num_paths(self) -> int:
        """Size of the search space; 0 if unknown."""
        size = 1
        for block in self.blocks:
            size *= len(block)
        return size if self.blocks else self.job.snapshot.num_paths
