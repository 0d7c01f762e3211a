"""Where many independent jobs run: the interface between a job's work and the processes or machines that do it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field
from typing import Any, ClassVar, Protocol

from supernet_cli.store.job import JobFolder
from supernet_cli.store.layout import JobKey
from supernet_cli.training.driver import Outcome, Stop

Key = JobKey | str
"""What a job is called: its place in the run, or words if it keeps nothing there."""

Report = Callable[[Any, Any], None]
"""Called with a job's key and what it reports, a Record for a training, in the thread that called the executor."""


class Job(Protocol):
    """One of many jobs: a dataclass of plain data that can be sent to another process or machine."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def key(self) -> Key:
        """Its name, unique among the jobs that run together."""

    @property
    def folder(self) -> JobFolder | None:
        """Its folder, or None if it keeps nothing; elsewhere, a local one with its checkpoint, for its weights."""


class Work(Protocol):
    """The work to do for each job, with all data that jobs share; sent to every process once."""

    def set_up(self) -> None:
        """Prepare a process for a job."""

    def run(self, job: Any, recorder: Any, stop: Stop) -> Outcome:
        """Do one job until its end or a requested stop; what is recorded must be fit to be sent."""


class Executor(Protocol):
    """Runs jobs in parallel; owns their folders, and writes each job's records to its folder."""

    def run(self, work: Work, jobs: Iterable[Job], report: Report, stop: Stop) -> Mapping[Any, Outcome]:
        """Run jobs until all are done or a stop is requested.

        A job that fails is an outcome like any other and does not affect other jobs. One whose worker dies is resumed
        from its checkpoint, a few times at most.

        Args:
            work: The work to do for each job.
            jobs: In the order in which they start; taken as workers need them.
            report: Called with every record of every job.
            stop: Called a few times per second; once it returns a wish, running jobs save and stop, and no more start.

        Returns:
            The outcome of each job that was started, by key.
        """
