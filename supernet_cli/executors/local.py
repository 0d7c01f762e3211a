"""Jobs in processes on this machine: each worker does one job after another.

Workers are spawned, not forked: torch's threads do not survive a fork. Shared data is sent once, its tensors through
shared memory, so that all workers use one copy. A worker reports through a pipe; when it dies the pipe closes, its job
is reported as failed, and another worker replaces it. Workers ignore the terminal's signals: only the parent asks them
to stop, through one byte of shared memory that a dead process cannot leave locked.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import connection
from typing import Any

from supernet_cli.errors import DiskError, RunError, SupernetError
from supernet_cli.executors import Job, Report, Work
from supernet_cli.runs.job import JobFolder, JobWriter
from supernet_cli.runs.layout import JobKey
from supernet_cli.runs.records import Fanout, JobEnded, Record
from supernet_cli.runs.state import State, Wish
from supernet_cli.training.driver import Outcome, Stop

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_WISHES = tuple(Wish)
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 10.0
_MOST_STILLBORN = 3

logger = logging.getLogger(__name__)


class LocalProcesses:
    """An executor on this machine.

    Args:
        workers: Number of jobs that run in parallel.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def run(self, work: Work, jobs: Sequence[Job], report: Report, stop: Stop) -> Mapping[JobKey, Outcome]:
        """Run jobs until all are done or a stop is requested; see `Executor`.

        Raises:
            DiskError: There is not enough shared memory for the data that jobs share.
            RunError: No worker can be started, or every worker dies before reporting anything.
        """
        crew, patience = _Crew(work, self._workers), _PATIENCE_SECONDS
        try:
            return crew.finish(deque(jobs), report, stop)
        except KeyboardInterrupt:  # the second one: end immediately
            patience = 0.0
            raise
        except Exception:
            crew.ask_to(Wish.INTERRUPT)
            raise
        finally:
            crew.dismiss(patience)


class _Crew:
    """The workers of one call, no more than there is work for."""

    def __init__(self, work: Work, most: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._work, self._most = work, most
        self._asked_to = self._context.RawValue("b", -1)  # position in _WISHES of what they are asked for
        self._workers: list[_Worker] = []
        self._stillborn = 0  # consecutive workers that died without reporting anything

    def finish(self, waiting: deque[Job], report: Report, stop: Stop) -> dict[JobKey, Outcome]:
        """Work until no job is waiting or running; return the outcome of each job that was started."""
        outcomes: dict[JobKey, Outcome] = {}
        while True:
            if self._asked_to.value < 0 and (asked := stop()) is not None:
                self.ask_to(asked)
            if self._asked_to.value >= 0:
                waiting.clear()
            self._assign(waiting)
            busy = [worker for worker in self._workers if worker.job is not None]
            if not busy:
                return outcomes
            for worker in _ready(busy):
                for key, outcome in worker.hear(report).items():
                    outcomes[key] = outcome
                    if (wish := Wish.behind(outcome.state)) is not None:  # a request to one job is meant for all
                        self.ask_to(wish)
                self._stillborn = 0 if worker.has_spoken else self._stillborn + 1
            if self._stillborn >= _MOST_STILLBORN:
                reason = next(reversed(outcomes.values())).reason
                raise RunError(
                    f"Workers exit before starting a job: {reason}.", "Read the jobs' log.txt, then try --workers 1."
                )

    def ask_to(self, wish: Wish) -> None:
        """Ask all workers to fulfil a wish."""
        self._asked_to.value = _WISHES.index(wish)

    def dismiss(self, patience: float) -> None:
        """Dismiss all workers; kill those that do not exit within this many seconds."""
        for worker in self._workers:
            worker.dismiss()
        for worker in self._workers:
            worker.reap(patience)

    def _assign(self, waiting: deque[Job]) -> None:
        """Give jobs to idle workers, and replace dead ones."""
        self._workers = [worker for worker in self._workers if worker.lives]
        idle = [worker for worker in self._workers if worker.job is None]
        while waiting and (idle or len(self._workers) < self._most):
            if not idle:
                idle.append(_Worker(self._context, self._work, self._asked_to))
                self._workers.append(idle[-1])
            idle.pop().give(waiting.popleft())


def _ready(workers: Sequence[_Worker]) -> list[_Worker]:
    """Wait briefly and return the workers that have reported something or died."""
    by_connection = {worker.connection: worker for worker in workers}
    return [by_connection[ready] for ready in connection.wait(list(by_connection), _POLL_SECONDS)]


class _Worker:
    """A worker, seen from its parent."""

    def __init__(self, context: Any, work: Work, asked_to: Any) -> None:
        self.job: Job | None = None
        self.lives = True
        self.has_spoken = False
        self._step, self._ended = 0, False  # according to its job's records so far
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(work, theirs, asked_to), daemon=True, name="supernet worker"
        )
        with _signals_held_back(), _shared_memory_errors():
            self._process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        """Send it a job; if it is dead, `hear` will notice."""
        self.job, self._step, self._ended = job, 0, False
        with contextlib.suppress(OSError):
            self.connection.send(job)

    def hear(self, report: Report) -> dict[JobKey, Outcome]:
        """Receive one report; return its job's outcome by key once there is one."""
        assert self.job is not None
        key = self.job.folder.key
        try:
            message = self.connection.recv()
            self.has_spoken = True
        except (EOFError, OSError, pickle.UnpicklingError):
            self.lives = False
            self.reap(_PATIENCE_SECONDS)
            message = Outcome(State.FAILED, f"its process died ({_how_it_ended(self._process.exitcode)})")
        match message:
            case Outcome() as outcome:
                if not self._ended:
                    report(key, JobEnded(step=self._step, state=outcome.state, reason=outcome.reason))
                self.job = None
                return {key: outcome}
            case str() as warning:
                logger.warning("%s: %s", key, warning)
            case record:
                self._step, self._ended = record.step, isinstance(record, JobEnded)
                report(key, record)
        return {}

    def dismiss(self) -> None:
        """Tell it that there are no more jobs."""
        with contextlib.suppress(OSError):
            self.connection.send(None)

    def reap(self, patience: float) -> None:
        """Wait until it has exited, or kill it."""
        self._process.join(patience)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.connection.close()


def _serve(work: Work, parent: connection.Connection, asked_to: Any) -> None:
    """Run as a worker: do jobs until there are no more or the parent is gone."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    _keep_quiet()
    speaker = _Speaker(parent)
    logging.getLogger("supernet_cli").addHandler(speaker)
    orphaned = _notice_the_parents_end()

    def stop() -> Wish | None:
        if orphaned.is_set():
            return Wish.INTERRUPT
        return None if asked_to.value < 0 else _WISHES[asked_to.value]

    set_up = functools.cache(work.set_up)
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        while (job := parent.recv()) is not None:
            wish = stop()  # requested while this process was starting
            if wish is None:
                speaker.say(_do(work, set_up, job, speaker, stop))
            else:
                speaker.say(Outcome(wish.state, "before it started"))


def _do(work: Work, set_up: Callable[[], None], job: Job, speaker: _Speaker, stop: Stop) -> Outcome:
    """Do one job as the owner of its folder; any failure becomes an outcome."""
    try:
        with JobWriter(job.folder) as writer, _own_output(job.folder):
            set_up()
            return work.run(job, Fanout(writer, speaker), lambda: writer.wanted(stop()))
    except SupernetError as error:
        return Outcome(State.FAILED, error.message)
    except Exception as error:  # JobWriter has put its traceback into the job's log
        return Outcome(State.FAILED, f"{type(error).__name__}: {error}")


class _Speaker(logging.Handler):
    """Passes records and warnings to the parent, from any thread; does nothing once the parent is gone."""

    def __init__(self, parent: connection.Connection) -> None:
        super().__init__(logging.WARNING)
        self._parent = parent
        self._turn = threading.Lock()

    def say(self, message: Outcome | Record | str) -> None:
        """Send a message."""
        with self._turn, contextlib.suppress(OSError):
            self._parent.send(message)

    def record(self, record: Record) -> None:
        """Pass a record on."""
        self.say(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a warning on; errors that end a job are reported by its outcome."""
        if record.exc_info is None:
            self.say(record.getMessage())


def _keep_quiet() -> None:
    """Discard stdout and stderr: the terminal belongs to the parent's display."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


@contextlib.contextmanager
def _own_output(folder: JobFolder) -> Iterator[None]:
    """Send everything that libraries or a crash print to the job's log."""
    with contextlib.suppress(OSError):
        log = os.open(folder.path / "log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        os.close(log)
    try:
        yield
    finally:
        _keep_quiet()


def _notice_the_parents_end() -> threading.Event:
    """Return an event that is set when the parent is gone for any reason."""
    gone, parent = threading.Event(), multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            gone.set()

    threading.Thread(target=wait, name="parent's end", daemon=True).start()
    return gone


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """Block signals while a process starts: it has no handlers of its own yet."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _shared_memory_errors() -> Iterator[None]:
    """Turn a full /dev/shm into a DiskError.

    Raises:
        DiskError: The data could not be shared.
        RunError: No process could be started.
    """
    try:
        yield
    except RuntimeError as error:
        if "shared memory" not in str(error) and "shm" not in str(error) and "/torch_" not in str(error):
            raise
        raise DiskError(
            f"The images do not fit into shared memory: {str(error).partition(chr(10))[0]}.",
            "Make /dev/shm larger; in a container: docker run --shm-size=2g.",
        ) from error
    except OSError as error:
        raise RunError(
            f"No worker process could be started: {error.strerror or error}.", "Use fewer workers, such as --workers 1."
        ) from error


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"{name}; usually because memory ran out" if name == "SIGKILL" else name
    return f"exit code {code}"
