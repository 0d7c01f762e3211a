"""Where many independent jobs run: the seam between what a job does and the processes or machines that do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field
from typing import Any, ClassVar, Protocol

from supernet_cli.engine.training import Outcome, Stop
from supernet_cli.runs.job import JobFolder
from supernet_cli.runs.records import Record, Recorder

Report = Callable[[str, Record], None]
"""Told a job's key and a record of it, in the thread that called the executor."""


class Job(Protocol):
    """One of many; a dataclass of plain data that can be sent to another process, or machine."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def folder(self) -> JobFolder:
        """Where its facts go; on another machine, where its checkpoint lies and its weights are to be put."""


class Work(Protocol):
    """What is done for each job; sent once to every process, with whatever the jobs share."""

    def set_up(self) -> None:
        """Make a process ready, before its jobs."""

    def run(self, job: Any, recorder: Recorder, stop: Stop) -> Outcome:
        """Do one job to its end, or until told to stop."""


class Executor(Protocol):
    """Runs jobs side by side; each one's records reach its own folder."""

    def run(self, work: Work, jobs: Sequence[Job], report: Report, stop: Stop) -> Mapping[str, Outcome]:
        """Run jobs until all are done or a stop is asked.

        A job that fails, or whose process dies, is an outcome like any other, and costs no other job.

        Args:
            work: What is done for each.
            jobs: In the order in which they start.
            report: Told every record of every job.
            stop: Asked a few times a second; once it answers, running jobs save and stop, and no other starts.

        Returns:
            By key, how each job that was started ended.
        """
