"""Who sees what happens while a use case works: a command's output, a notebook's, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supernet_cli.data import Progress
    from supernet_cli.store.layout import JobKey
    from supernet_cli.store.records import Record
    from supernet_cli.store.snapshot import JobSnapshot

Take = Callable[["JobKey | None", "Record"], None]
"""Called with a job's key and one of its records, or with None and a sample of the devices; from any thread."""


class Observer:
    """Sees what a use case does. This one shows nothing: override what you want to see.

    `record` alone is enough to follow a training: it is called with every record that is also written to the run.
    """

    def note(self, text: str) -> None:
        """Take a remark beside the result."""

    def announce(self, text: str) -> None:
        """Take a line on what begins now, for those who do not draw it."""

    def advance(self, doing: str, done: int, total: int) -> None:
        """Take how far something is that trains nothing: loading data, evaluating, measuring.

        Args:
            doing: What is being done.
            done: How much of it is done.
            total: Of how much; 0 where that is unknown.
        """

    def record(self, key: JobKey | None, record: Record) -> None:
        """Take a record of a training; called from any thread.

        Args:
            key: The job, such as `supernet/seed-0`; None for a sample of the devices.
            record: What happened.
        """

    @contextmanager
    def working(self, what: str) -> Iterator[Progress]:
        """Be shown that something takes a while; yields the function that says how far it is."""
        self.advance(what, 0, 0)
        yield self.advance

    @contextmanager
    def watching(
        self, run: str, jobs: Sequence[tuple[JobKey, JobSnapshot]], side_by_side: bool = False
    ) -> Iterator[Take]:
        """Watch jobs while they are trained; yields the function that takes their records.

        Args:
            run: The run's id.
            jobs: Key and current state of each job.
            side_by_side: Whether many jobs run at once, rather than one after another.
        """
        yield self.record

    @contextmanager
    def warnings(self) -> Iterator[None]:
        """Show what this package logs as warnings while inside."""
        yield


class Together(Observer):
    """Several observers as one.

    Args:
        observers: Each sees everything, in this order.
    """

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def note(self, text: str) -> None:
        """Pass it to all."""
        for observer in self._observers:
            observer.note(text)

    def announce(self, text: str) -> None:
        """Pass it to all."""
        for observer in self._observers:
            observer.announce(text)

    def advance(self, doing: str, done: int, total: int) -> None:
        """Pass it to all."""
        for observer in self._observers:
            observer.advance(doing, done, total)

    def record(self, key: JobKey | None, record: Record) -> None:
        """Pass it to all."""
        for observer in self._observers:
            observer.record(key, record)

    @contextmanager
    def working(self, what: str) -> Iterator[Progress]:
        """Pass it to all."""
        with ExitStack() as open_ones:
            all_of_them = [open_ones.enter_context(observer.working(what)) for observer in self._observers]
            yield _each(all_of_them)

    @contextmanager
    def watching(
        self, run: str, jobs: Sequence[tuple[JobKey, JobSnapshot]], side_by_side: bool = False
    ) -> Iterator[Take]:
        """Pass it to all."""
        with ExitStack() as open_ones:
            all_of_them = [
                open_ones.enter_context(observer.watching(run, jobs, side_by_side)) for observer in self._observers
            ]
            yield _each(all_of_them)

    @contextmanager
    def warnings(self) -> Iterator[None]:
        """Pass it to all."""
        with ExitStack() as open_ones:
            for observer in self._observers:
                open_ones.enter_context(observer.warnings())
            yield


def _each(functions: Sequence[Callable[..., None]]) -> Callable[..., None]:
    """Return a function that calls all of these with what it is given."""

    def call(*values: object) -> None:
        for function in functions:
            function(*values)

    return call


@dataclass(frozen=True)
class JobRecorder:
    """The recorder of one job, or of the devices where it has no key."""

    take: Take
    key: JobKey | None = None

    def record(self, record: Record) -> None:
        """Pass a record on with its job's key."""
        self.take(self.key, record)
