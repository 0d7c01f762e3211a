"""The crew: workers that do one job after another, wherever a transport starts them.

The crew's process owns every job's folder: what a worker reports is written there. If a worker dies, its job resumes
from its checkpoint with another one, as a new segment, a few times at most. Jobs whose workers die before they report
anything wait until the others have had their turn; if one job after another is lost like that, that is an error.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from supernet_cli.errors import RunError, SupernetError
from supernet_cli.executors import Job, Key, Report
from supernet_cli.executors._worker import Line, NewFile, Ready
from supernet_cli.glyphs import counted
from supernet_cli.store.job import JobWriter
from supernet_cli.store.records import JobEnded
from supernet_cli.store.state import State, Wish
from supernet_cli.training import checkpoint
from supernet_cli.training.driver import Outcome, Stop

_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 10.0
_RETRIES = 3  # of a job whose worker died
_MOST_STILLBORN = 3

logger = logging.getLogger(__name__)


class DeadWorkerError(Exception):
    """A worker is gone; the message says why, in a few words."""


class Hand(Protocol):
    """A worker, seen from the crew."""

    def give(self, job: Job, files: Mapping[str, bytes]) -> None:
        """Send it a job with its checkpoints, if the transport carries files; if it is dead, `hear` will notice."""

    def ask(self, wish: Wish | None) -> None:
        """Ask it for something, or to continue; called a few times per second while it has a job."""

    def hear(self) -> Sequence[object]:
        """Return what it has said: `Ready` once, then lines, new files, records, and each job's outcome.

        Raises:
            DeadWorkerError: It is dead.
        """

    def dismiss(self) -> None:
        """Let it exit: there are no more jobs."""

    def kill(self) -> None:
        """End it at once, if it is still there; on return it writes no more to a folder of this machine."""


H = TypeVar("H", bound=Hand)


class Transport(Protocol[H]):
    """Starts workers somewhere, and listens to them.

    Attributes:
        carries_files: Whether workers cannot use the jobs' folders themselves.
        haste: Seconds that workers have to exit when everything must end immediately.
        remedy: What to do if workers exit before they start a job.
    """

    carries_files: bool
    haste: float
    remedy: str

    def room(self) -> int:
        """Return the largest number of workers at the moment, at least 1."""

    def hire(self) -> H:
        """Start a worker.

        Raises:
            SupernetError: That is impossible.
        """

    def heard(self, hands: Sequence[H], seconds: float) -> Sequence[H]:
        """Wait until some workers have said something or died, but not longer than this; return those."""

    def reap(self, hands: Sequence[H], patience: float) -> None:
        """Wait until all these workers have exited; kill those that take longer than this many seconds."""


def run_jobs(transport: Transport[H], jobs: Iterable[Job], report: Report, stop: Stop) -> dict[Key, Outcome]:
    """Run jobs until all are done or a stop is requested; see `Executor`.

    Raises:
        RunError: Workers exit before starting a job.
        SupernetError: No worker can be started.
    """
    crew, patience = _Crew(transport), _PATIENCE_SECONDS
    try:
        return crew.finish(jobs, report, stop)
    except KeyboardInterrupt:  # the second one: end immediately
        patience = transport.haste
        raise
    except Exception:
        crew.finish((), lambda key, record: None, lambda: Wish.INTERRUPT)
        raise
    finally:
        crew.dismiss(patience)


class _Crew(Generic[H]):
    """The workers of one call, no more than there is work and room for."""

    def __init__(self, transport: Transport[H]) -> None:
        self._transport = transport
        self._workers: list[_Worker[H]] = []
        self._leaving: list[H] = []
        self._asked: Wish | None = None
        self._deaths: Counter[Key] = Counter()
        self._stillborn: set[object] = set()  # jobs whose workers died before they began any, or one of many if none

    def finish(self, jobs: Iterable[Job], report: Report, stop: Stop) -> dict[Key, Outcome]:
        """Work until no job is waiting or running; return the outcome of each job that was started."""
        queue, outcomes = _Queue(jobs), dict[Key, Outcome]()
        while True:
            self._asked = self._asked or stop()
            if self._asked is not None:
                queue = _Queue(())
            self._staff(queue, outcomes, report)
            busy = [worker for worker in self._workers if worker.desk is not None]
            if not busy and not queue.look_ahead(1):
                return outcomes
            for worker in busy:
                worker.ask(self._asked)
            by_hand = {worker.hand: worker for worker in self._workers}
            for hand in self._transport.heard(list(by_hand), _POLL_SECONDS):
                self._listen(by_hand[hand], queue, outcomes, report)

    def dismiss(self, patience: float) -> None:
        """Dismiss all workers; kill those that do not exit within this many seconds."""
        for worker in self._workers:
            self._let_go(worker)
        self._transport.reap(self._leaving, patience)
        for worker in self._workers:
            if worker.desk is not None:
                worker.desk.end(Outcome(State.INTERRUPTED, "ended immediately"))

    def _staff(self, queue: _Queue, outcomes: dict[Key, Outcome], report: Report) -> None:
        """Give jobs to workers, start more if there is room, and dismiss those that are not needed."""
        for worker in self._workers:
            while worker.is_ready and worker.desk is None and queue.look_ahead(1):
                outcomes |= worker.give(queue.take(), self._transport.carries_files, report)
        idle = [worker for worker in self._workers if worker.desk is None]
        while queue.look_ahead(len(idle) + 1) > len(idle) and self._has_room():
            idle.append(_Worker(self._transport.hire()))
            self._workers.append(idle[-1])
        if not queue.look_ahead(1):
            for worker in idle:
                self._let_go(worker)
                self._workers.remove(worker)

    def _has_room(self) -> bool:
        """Whether there is room for another worker; not if new ones die at once, and there are others."""
        if self._workers and len(self._stillborn) >= _MOST_STILLBORN:
            return False
        return len(self._workers) < self._transport.room()

    def _let_go(self, worker: _Worker[H]) -> None:
        worker.hand.dismiss()
        if not worker.is_ready:  # it may still wait for resources, or load torch
            worker.hand.kill()
        self._leaving.append(worker.hand)

    def _listen(self, worker: _Worker[H], queue: _Queue, outcomes: dict[Key, Outcome], report: Report) -> None:
        """Process what a worker said.

        Raises:
            RunError: Workers die before starting a job.
        """
        had_begun = worker.has_begun
        try:
            ended = worker.hear(report)
        except DeadWorkerError as error:
            outcomes |= self._bury(worker, str(error), queue, report)
            return
        if worker.has_begun and not had_begun:
            self._stillborn.clear()
        if not worker.lives:
            self._workers.remove(worker)
        outcomes |= ended
        for outcome in ended.values():
            self._asked = self._asked or Wish.behind(outcome.state)  # a request to one job is meant for all

    def _bury(self, worker: _Worker[H], why: str, queue: _Queue, report: Report) -> dict[Key, Outcome]:
        """Queue the job of a dead worker again, unless it has been retried too often or is asked to stop.

        Raises:
            RunError: Workers die before starting a job.
        """
        worker.kill()
        self._workers.remove(worker)
        desk, ended = worker.desk, dict[Key, Outcome]()
        if desk is None:
            logger.warning("a worker exited before starting a job: %s", why)
        else:
            self._deaths[desk.job.key] += 1
            wanted = desk.wanted(self._asked)
            if self._deaths[desk.job.key] > _RETRIES:
                reason = f"{why}, even after {counted(_RETRIES, 'retry', 'retries')}"
                ended = worker.end(Outcome(State.FAILED, reason), report)
            else:
                ended = worker.end(Outcome(State.INTERRUPTED, why), report)
                if wanted in (None, Wish.PAUSE):
                    queue.put_back(desk)
                else:
                    self._asked = wanted
        if not worker.has_begun:
            self._stillborn.add(object() if desk is None else desk.job.key)
            if len(self._stillborn) >= _MOST_STILLBORN and not self._workers and queue.look_ahead(1):
                raise RunError(f"Workers exit before starting a job: {why}.", self._transport.remedy)
        return ended


class _Queue:
    """Jobs that wait; they are taken from their source only when they are needed.

    Args:
        jobs: Their source.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._source, self._waiting, self._last = iter(jobs), deque[Job](), deque[Job]()

    def look_ahead(self, count: int) -> int:
        """Return how many jobs wait, if there are fewer than a certain number."""
        self._waiting.extend(itertools.islice(self._source, max(0, count - len(self._waiting))))
        while self._last and len(self._waiting) < count:
            self._waiting.append(self._last.popleft())
        return len(self._waiting)

    def take(self) -> Job:
        """Return the next job."""
        return self._waiting.popleft()

    def put_back(self, desk: _Desk) -> None:
        """Queue a job again: next if it had begun, last otherwise: it may kill every worker."""
        if desk.has_begun:
            self._waiting.appendleft(desk.job)
        else:
            self._last.append(desk.job)


class _Worker(Generic[H]):
    """A worker and its current job."""

    def __init__(self, hand: H) -> None:
        self.hand = hand
        self.desk: _Desk | None = None
        self.lives, self.is_ready = True, False
        self.has_begun = False  # whether it ever reported anything about a job
        self._heard: deque[object] = deque()  # and not yet processed

    def give(self, job: Job, carries_files: bool, report: Report) -> dict[Key, Outcome]:
        """Send it a job; return the job's outcome if its folder cannot be opened."""
        self.desk = _Desk(job)
        try:
            files = self.desk.open(carries_files)
        except SupernetError as error:
            return self.end(Outcome(State.FAILED, error.message), report)
        self.hand.give(job, files)
        return {}

    def ask(self, asked: Wish | None) -> None:
        """Pass on what its job is asked for."""
        if self.desk is not None:
            self.hand.ask(self.desk.wanted(asked))

    def hear(self, report: Report) -> dict[Key, Outcome]:
        """Process what it said; return its job's outcome by key once there is one.

        Raises:
            DeadWorkerError: It is dead.
        """
        self._heard.extend(self.hand.hear())
        while self._heard:
            message = self._heard.popleft()
            if isinstance(message, Ready):
                self.is_ready = True
            elif self.desk is not None:
                try:
                    outcome = self.desk.take(message, report)
                except SupernetError as error:
                    self.kill()
                    return self.end(Outcome(State.FAILED, error.message), report)
                self.has_begun |= self.desk.has_begun
                if outcome is not None:
                    return self.end(outcome, report)
        return {}

    def end(self, outcome: Outcome, report: Report) -> dict[Key, Outcome]:
        """Close its job's folder and return the outcome by key."""
        assert self.desk is not None
        desk, self.desk = self.desk, None
        desk.end(outcome, report)
        return {desk.job.key: outcome}

    def kill(self) -> None:
        """Kill it."""
        self.lives = False
        self.hand.kill()


class _Desk:
    """A job as its crew sees it: the owner of its folder, if it has one."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.has_begun = False  # whether anything was reported
        self._log = logging.Logger(str(job.key))
        self._open = contextlib.ExitStack()
        self._writer: JobWriter | None = None
        self._step, self._ended = 0, False  # according to its records

    def open(self, carries_files: bool) -> dict[str, bytes]:
        """Take hold of the folder; return its checkpoints by name, if a worker elsewhere needs them.

        Raises:
            SupernetError: It cannot be written or read, or another process owns it.
        """
        folder = self.job.folder
        if folder is None:
            return {}
        self._writer = self._open.enter_context(JobWriter(folder, self._log))
        paths = folder.checkpoints if carries_files else ()
        try:
            return {path.name: path.read_bytes() for path in paths if path.exists()}
        except OSError as error:
            raise RunError(f"its checkpoint cannot be read: {error.strerror}") from error

    def wanted(self, asked: Wish | None) -> Wish | None:
        """Return what the job is asked for, by all or through its folder."""
        return asked if self._writer is None else self._writer.wanted(asked)

    def take(self, message: object, report: Report) -> Outcome | None:
        """Write what its worker said to the folder; return the outcome if that is what it was.

        Raises:
            SupernetError: The folder cannot be written.
        """
        match message:
            case Line():
                if self._writer is not None:
                    self._log.log(message.level, "%s", message.text)
                if message.level >= logging.WARNING and not message.ends_job:
                    logger.warning("%s: %s", self.job.key, message.text)
            case NewFile():
                self.has_begun = True
                self._keep(message)
            case Outcome():
                self.has_begun = True
                return message
            case record:
                self.has_begun = True
                self._step, self._ended = getattr(record, "step", self._step), isinstance(record, JobEnded)
                if self._writer is not None:
                    self._writer.record(record)  # type: ignore[arg-type]
                report(self.job.key, record)
        return None

    def end(self, outcome: Outcome, report: Report | None = None) -> None:
        """Record how the job ended, unless it did so itself, and release the folder."""
        with self._open:
            if self._ended:
                return
            record = JobEnded(step=self._step, state=outcome.state, reason=outcome.reason)
            if self._writer is not None:
                with contextlib.suppress(SupernetError):  # a full disk may be the reason
                    self._writer.record(record)
            if report is not None:
                report(self.job.key, record)

    def _keep(self, file: NewFile) -> None:
        folder = self.job.folder
        assert folder is not None
        keep = checkpoint.keep_checkpoint if file.name == folder.checkpoint.name else checkpoint.keep_weights
        keep(folder.path / file.name, file.content)
