"""Where many independent jobs run: the interface between a job's work and the processes or machines that do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field
from typing import Any, ClassVar, Protocol

from supernet_cli.runs.job import JobFolder
from supernet_cli.runs.layout import JobKey
from supernet_cli.runs.records import Record, Recorder
from supernet_cli.training.driver import Outcome, Stop

Report = Callable[[JobKey, Record], None]
"""Called with a job's key and one of its records, in the thread that called the executor."""


class Job(Protocol):
    """One of many jobs: a dataclass of plain data that can be sent to another process or machine."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def folder(self) -> JobFolder:
        """The job's folder; on another machine, a local one with its checkpoint, to which its weights are written."""


class Work(Protocol):
    """The work to do for each job, with all data that jobs share; sent to every process once."""

    def set_up(self) -> None:
        """Prepare a process before its first job."""

    def run(self, job: Any, recorder: Recorder, stop: Stop) -> Outcome:
        """Do one job until its end or a requested stop."""


class Executor(Protocol):
    """Runs jobs in parallel and writes each job's records to its folder."""

    def run(self, work: Work, jobs: Sequence[Job], report: Report, stop: Stop) -> Mapping[JobKey, Outcome]:
        """Run jobs until all are done or a stop is requested.

        A job that fails, or whose process dies, is an outcome like any other and does not affect other jobs.

        Args:
            work: The work to do for each job.
            jobs: In the order in which they start.
            report: Called with every record of every job.
            stop: Called a few times per second; once it returns a state, running jobs save and stop, and no more start.

        Returns:
            The outcome of each job that was started, by key.
        """
