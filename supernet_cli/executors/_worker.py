"""A worker's side of every transport: what it says to its crew, and how it does a job."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from supernet_cli.errors import SupernetError
from supernet_cli.store.records import Record
from supernet_cli.store.state import State
from supernet_cli.training.driver import Outcome

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ready:
    """The worker can take its first job."""


@dataclass(frozen=True)
class Line:
    """A line for a job's log.

    Args:
        level: Logging level.
        text: Message, with its traceback if there is one.
        ends_job: Whether the job's outcome reports the same.
    """

    level: int
    text: str
    ends_job: bool = False


@dataclass(frozen=True)
class NewFile:
    """A file of a job's folder, from a worker that cannot write there."""

    name: str
    content: bytes


class Speaker(logging.Handler):
    """The Recorder of a worker's jobs, and a handler for this package's log: all of it becomes messages.

    Args:
        say: Sends a message; called from any thread.
    """

    def __init__(self, say: Callable[[object], None]) -> None:
        super().__init__(logging.INFO)
        self._say = say
        package = logging.getLogger("supernet_cli")
        package.setLevel(logging.INFO)
        package.addHandler(self)

    def record(self, record: Record) -> None:
        """Pass a record on."""
        self._say(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a line of the log on."""
        self._say(Line(record.levelno, self.format(record), record.exc_info is not None))


def attempt(do: Callable[[], Outcome]) -> Outcome:
    """Do a job; any failure becomes an outcome, with its traceback in the log."""
    try:
        return do()
    except Exception as error:
        logger.error("%s", error, exc_info=error)
        return Outcome(
            State.FAILED, error.message if isinstance(error, SupernetError) else f"{type(error).__name__}: {error}"
        )
