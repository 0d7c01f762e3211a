"""Evaluation as jobs: each evaluates a group of networks, and reports what it found to the process that stores it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from supernet_cli.errors import RunError, SupernetError
from supernet_cli.executors import Executor
from supernet_cli.store.records import JobEnded
from supernet_cli.store.state import State, Wish
from supernet_cli.training.driver import Outcome, Stop
from supernet_cli.training.judge import Judge, Judged, Part, Spread, Take

logger = logging.getLogger(__name__)


def spread_over(executor: Executor, stop: Stop) -> Spread:
    """Return a way to evaluate on an executor.

    Args:
        executor: Where to evaluate.
        stop: Called a few times per second; once it returns a wish, the evaluation ends with a KeyboardInterrupt.
    """

    def spread(judge: Judge, parts: Iterable[Part], take: Take) -> None:
        """Evaluate parts.

        Raises:
            KeyboardInterrupt: A stop was requested.
            RunError: A worker failed, or none can be started.
            SupernetError: The judge raised it.
        """
        jobs = (_PartJob(f"evaluation {number}", number, part) for number, part in enumerate(parts))
        in_tray = _InTray(take)
        try:
            outcomes = executor.run(
                _Judging(judge), jobs, in_tray.put, lambda: stop() if in_tray.error is None else Wish.INTERRUPT
            )
        finally:
            in_tray.empty()
        if in_tray.error is not None:
            raise in_tray.error
        if stop() is not None or any(outcome.state is not State.FINISHED for outcome in outcomes.values()):
            raise KeyboardInterrupt

    return spread


@dataclass(frozen=True)
class _PartJob:
    """A group of networks to evaluate; nothing of it is kept in a folder."""

    key: str
    number: int
    part: Part
    folder: None = None


@dataclass(frozen=True)
class _Found:
    """What a job found, or the error that ended it."""

    number: int
    judged: Sequence[Judged] = ()
    error: SupernetError | None = None


class _StoppedError(Exception):
    """A stop was requested while networks were evaluated."""


@dataclass(frozen=True)
class _Judging:
    """The work of these jobs."""

    judge: Judge

    def set_up(self) -> None:
        """Do nothing: the judge sets up threads for each network."""

    def run(self, job: _PartJob, recorder: Any, stop: Stop) -> Outcome:
        """Evaluate a group of networks."""

        def stop_if_asked() -> None:
            if stop() is not None:
                raise _StoppedError

        try:
            recorder.record(_Found(job.number, self.judge(job.part, stop_if_asked)))
        except _StoppedError:
            return Outcome(State.INTERRUPTED)
        except SupernetError as error:
            recorder.record(_Found(job.number, error=error))
            return Outcome(State.FAILED, error.message)
        return Outcome(State.FINISHED)


class _InTray:
    """Passes results on in the order of the parts, whatever the order in which they arrive.

    Args:
        take: Receives them.
    """

    def __init__(self, take: Take) -> None:
        self.error: SupernetError | None = None
        self._take = take
        self._waiting: dict[int, Sequence[Judged]] = {}
        self._next = 0

    def put(self, key: str, message: _Found | JobEnded) -> None:
        """Take what a job reports."""
        match message:
            case _Found(number, judged, None):
                self._waiting[number] = judged
            case _Found(error=error):
                self.error = self.error or error
            case JobEnded(state=State.FAILED, reason=reason):
                hint = "The results so far are stored. Repeat the command; try --workers 1 if it fails again."
                self.error = self.error or RunError(f"A worker that evaluates failed: {reason}.", hint)
            case JobEnded(state=State.INTERRUPTED, reason=reason) if reason:
                logger.warning("%s is repeated: %s", key, reason)
        while self._next in self._waiting:
            self._take(self._waiting.pop(self._next))
            self._next += 1

    def empty(self) -> None:
        """Pass on what waits for parts that will not come."""
        for number in sorted(self._waiting):
            self._take(self._waiting.pop(number))
