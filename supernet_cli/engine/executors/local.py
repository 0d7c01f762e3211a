"""Jobs in processes of this machine: each worker takes a job, does it, and asks for the next.

Workers are spawned, not forked: torch's threads do not survive a fork. What the jobs share is sent once, its tensors
through shared memory, so that data is held once for all workers. A worker speaks through a pipe; when it dies the pipe
ends, its job is told as failed, and another worker takes its place. Workers ignore the signals of the terminal: whether
to stop is asked by the parent alone, through one byte of shared memory that no dead process can leave locked.
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
from typing import Any, get_args

from supernet_cli.engine.executors import Job, Report, Work
from supernet_cli.engine.training import Outcome, Stop
from supernet_cli.errors import DiskError, RunError, SupernetError
from supernet_cli.runs.job import JobFolder, JobWriter
from supernet_cli.runs.records import Fanout, JobEnded, Record, State

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_STATES: tuple[State, ...] = get_args(State)
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 10.0
_MOST_STILLBORN = 3

logger = logging.getLogger(__name__)


class LocalProcesses:
    """An executor on this machine.

    Args:
        workers: How many jobs run side by side.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def run(self, work: Work, jobs: Sequence[Job], report: Report, stop: Stop) -> Mapping[str, Outcome]:
        """Run jobs until all are done or a stop is asked; see `Executor`.

        Raises:
            DiskError: There is not enough shared memory for what the jobs share.
            RunError: No worker can be started, or each dies before it has said anything.
        """
        crew, patience = _Crew(work, self._workers), _PATIENCE_SECONDS
        try:
            return crew.finish(deque(jobs), report, stop)
        except KeyboardInterrupt:  # the second one: at once
            patience = 0.0
            raise
        except Exception:
            crew.ask_to("interrupted")
            raise
        finally:
            crew.dismiss(patience)


class _Crew:
    """The workers of one call, as many as there is work for."""

    def __init__(self, work: Work, most: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._work, self._most = work, most
        self._asked_to = self._context.RawValue("b", -1)  # position in _STATES of the state to end in
        self._workers: list[_Worker] = []
        self._stillborn = 0  # workers, one after another, that died without a word

    def finish(self, waiting: deque[Job], report: Report, stop: Stop) -> dict[str, Outcome]:
        """Work until nothing is waiting or running; return how each job that was started ended."""
        outcomes: dict[str, Outcome] = {}
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
                    if outcome.state in ("stopped", "interrupted"):  # where somebody asked one job, all are meant
                        self.ask_to(outcome.state)
                self._stillborn = 0 if worker.has_spoken else self._stillborn + 1
            if self._stillborn >= _MOST_STILLBORN:
                reason = next(reversed(outcomes.values())).reason
                raise RunError(
                    f"Workers end before they begin: {reason}.", "Try --workers 1, and look at the jobs' logs."
                )

    def ask_to(self, state: State) -> None:
        """Ask everybody to save and end in a state."""
        self._asked_to.value = _STATES.index(state)

    def dismiss(self, patience: float) -> None:
        """Let everybody go; who does not within so many seconds is ended."""
        for worker in self._workers:
            worker.dismiss()
        for worker in self._workers:
            worker.reap(patience)

    def _assign(self, waiting: deque[Job]) -> None:
        """Give jobs to whoever has none, and hire in the place of the dead."""
        self._workers = [worker for worker in self._workers if worker.lives]
        idle = [worker for worker in self._workers if worker.job is None]
        while waiting and (idle or len(self._workers) < self._most):
            if not idle:
                idle.append(_Worker(self._context, self._work, self._asked_to))
                self._workers.append(idle[-1])
            idle.pop().give(waiting.popleft())


def _ready(workers: Sequence[_Worker]) -> list[_Worker]:
    """Wait a moment and return the workers that have said something, or have died."""
    by_connection = {worker.connection: worker for worker in workers}
    return [by_connection[heard] for heard in connection.wait(list(by_connection), _POLL_SECONDS)]


class _Worker:
    """A worker, as its parent sees it."""

    def __init__(self, context: Any, work: Work, asked_to: Any) -> None:
        self.job: Job | None = None
        self.lives = True
        self.has_spoken = False
        self._step, self._ended = 0, False  # what its job's records have said so far
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(work, theirs, asked_to), daemon=True, name="supernet worker"
        )
        with _signals_held_back(), _shared_memory_errors():
            self._process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        """Hand it a job; one that is dead is found out when it is listened to."""
        self.job, self._step, self._ended = job, 0, False
        with contextlib.suppress(OSError):
            self.connection.send(job)

    def hear(self, report: Report) -> dict[str, Outcome]:
        """Take what it says; return its job's outcome by key, once it has one."""
        assert self.job is not None
        key = self.job.folder.key
        try:
            said = self.connection.recv()
            self.has_spoken = True
        except (EOFError, OSError, pickle.UnpicklingError):
            self.lives = False
            self.reap(_PATIENCE_SECONDS)
            said = Outcome("failed", f"its process died ({_how_it_ended(self._process.exitcode)})")
        match said:
            case Outcome():
                if not self._ended:
                    report(key, JobEnded(step=self._step, state=said.state, reason=said.reason))
                self.job = None
                return {key: said}
            case str():
                logger.warning("%s: %s", key, said)
            case _:
                self._step, self._ended = said.step, isinstance(said, JobEnded)
                report(key, said)
        return {}

    def dismiss(self) -> None:
        """Tell it that there are no more jobs."""
        with contextlib.suppress(OSError):
            self.connection.send(None)

    def reap(self, patience: float) -> None:
        """Wait until it has ended, or end it."""
        self._process.join(patience)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.connection.close()


def _serve(work: Work, parent: connection.Connection, asked_to: Any) -> None:
    """Live as a worker: do jobs until there are no more, or the parent is gone."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    _keep_quiet()
    speaker = _Speaker(parent)
    logging.getLogger("supernet_cli").addHandler(speaker)
    orphaned = _notice_the_parents_end()

    def stop() -> State | None:
        if orphaned.is_set():
            return "interrupted"
        return None if asked_to.value < 0 else _STATES[asked_to.value]

    set_up = functools.cache(work.set_up)
    with contextlib.suppress(EOFError, OSError):  # the parent is gone: nobody is left to work for
        while (job := parent.recv()) is not None:
            state = stop()  # asked while this process was starting: nothing has begun
            speaker.say(_do(work, set_up, job, speaker, stop) if state is None else Outcome(state, "before it began"))


def _do(work: Work, set_up: Callable[[], None], job: Job, speaker: _Speaker, stop: Stop) -> Outcome:
    """Do one job as the owner of its folder; whatever goes wrong is an outcome."""
    try:
        with JobWriter(job.folder) as writer, _own_output(job.folder):
            set_up()
            return work.run(job, Fanout(writer, speaker), lambda: writer.wanted(stop()))
    except SupernetError as error:
        return Outcome("failed", error.message)
    except Exception as error:  # JobWriter has put its traceback into the job's log
        return Outcome("failed", f"{type(error).__name__}: {error}")


class _Speaker(logging.Handler):
    """Passes records and warnings to the parent, from any thread; in silence once that is gone."""

    def __init__(self, parent: connection.Connection) -> None:
        super().__init__(logging.WARNING)
        self._parent = parent
        self._turn = threading.Lock()

    def say(self, what: Outcome | Record | str) -> None:
        """Pass something on."""
        with self._turn, contextlib.suppress(OSError):
            self._parent.send(what)

    def record(self, record: Record) -> None:
        """Pass a record on."""
        self.say(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a warning on; what ends a job is told by its outcome."""
        if record.exc_info is None:
            self.say(record.getMessage())


def _keep_quiet() -> None:
    """Give stdout and stderr to nobody: the terminal belongs to the parent's display."""
    nobody = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nobody, descriptor)
    os.close(nobody)


@contextlib.contextmanager
def _own_output(folder: JobFolder) -> Iterator[None]:
    """Send whatever is printed, by libraries or by a crash, to the job's log."""
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
    """Return what is set when the parent is gone, however it went."""
    gone, parent = threading.Event(), multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            gone.set()

    threading.Thread(target=wait, name="parent's end", daemon=True).start()
    return gone


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """Keep signals from a process while it starts: it has no handlers yet, and ours would not be theirs."""
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
    """Turn a full /dev/shm into words.

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
            f"The images cannot be put into shared memory: {str(error).partition(chr(10))[0]}.",
            "Give /dev/shm more space; for a container, docker run --shm-size=2g.",
        ) from error
    except OSError as error:
        raise RunError(
            f"No worker process could be started: {error.strerror or error}.", "Try fewer --workers."
        ) from error


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"{name}; the system does that where memory runs out" if name == "SIGKILL" else name
    return f"exit code {code}"
