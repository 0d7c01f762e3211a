"""Workers as processes on this machine.

They are spawned, not forked: torch's threads do not survive a fork. Shared data is sent once, its tensors through
shared memory, so that all workers use one copy. A worker reports through a pipe, which closes when it dies; checkpoints
and weights it writes to the job's folder itself. Workers ignore the terminal's signals: only the parent asks them to
stop, through one byte of shared memory that a dead process cannot leave locked. When the parent is gone they exit at
once: they no longer own the folders.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from multiprocessing import connection
from pathlib import Path
from types import ModuleType
from typing import Any

from supernet_cli.errors import DiskError, RunError
from supernet_cli.executors import Job, Report, Work
from supernet_cli.executors._crew import DeadWorkerError, run_jobs
from supernet_cli.executors._worker import Line, Ready, Speaker, attempt
from supernet_cli.store.state import Wish
from supernet_cli.training.driver import Outcome, Stop

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_WISHES = tuple(Wish)
_DYING_SECONDS = 10.0  # between the end of a worker's pipe and that of its process


class LocalProcesses:
    """An executor on this machine.

    Args:
        workers: Number of jobs that run in parallel.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def run(self, work: Work, jobs: Iterable[Job], report: Report, stop: Stop) -> Mapping[Any, Outcome]:
        """Run jobs until all are done or a stop is requested; see `Executor`.

        Raises:
            DiskError: There is not enough shared memory for the data that jobs share.
            RunError: No worker can be started, or workers die before starting a job.
        """
        return run_jobs(_Processes(work, self._workers), jobs, report, stop)


class _Processes:
    """The transport to processes of this machine."""

    carries_files = False
    haste = 0.0
    remedy = "Read the jobs' log.txt, then try --workers 1."

    def __init__(self, work: Work, most: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._work, self._most = work, most

    def room(self) -> int:
        """Return the largest number of workers."""
        return self._most

    def hire(self) -> _Process:
        """Start a worker.

        Raises:
            DiskError: There is not enough shared memory.
            RunError: No process can be started.
        """
        return _Process(self._context, self._work)

    def heard(self, hands: Sequence[_Process], seconds: float) -> list[_Process]:
        """Wait briefly and return the workers that have said something or died."""
        by_connection = {hand.connection: hand for hand in hands}
        return [by_connection[ready] for ready in connection.wait(list(by_connection), seconds)]

    def reap(self, hands: Sequence[_Process], patience: float) -> None:
        """Wait until all have exited; kill the others."""
        deadline = time.monotonic() + patience
        for hand in hands:
            hand.end(max(0.0, deadline - time.monotonic()))
            hand.kill()


class _Process:
    """A worker, seen from its parent."""

    def __init__(self, context: Any, work: Work) -> None:
        self._asked = context.RawValue("b", -1)  # position in _WISHES of what its job is asked for
        with _signals_held_back(), _program_left_alone(), _shared_memory_errors():
            self._printed = _Printed()
            self.connection, theirs = context.Pipe()
            arguments = (work, theirs, self._asked, self._printed.path)
            self._process = context.Process(target=_serve, args=arguments, daemon=True, name="supernet worker")
            self._process.start()
        theirs.close()

    def give(self, job: Job, files: Mapping[str, bytes]) -> None:
        """Send it a job; it reads and writes the checkpoints itself."""
        self.ask(None)
        with contextlib.suppress(OSError):
            self.connection.send(job)

    def ask(self, wish: Wish | None) -> None:
        """Ask it for something, or to continue."""
        self._asked.value = -1 if wish is None else _WISHES.index(wish)

    def hear(self) -> Sequence[object]:
        """Return a message, after what libraries printed before it, or a crash.

        Raises:
            DeadWorkerError: It is dead.
        """
        printed = self._printed.lines()
        try:
            return [*printed, pickle.loads(self.connection.recv_bytes())]
        except (EOFError, OSError, pickle.UnpicklingError):
            self.end(_DYING_SECONDS)
            if printed := [*printed, *self._printed.lines()]:
                return printed  # the end of the pipe will be heard again
            reason = f"its process died ({_how_it_ended(self._process.exitcode)})"
            raise DeadWorkerError(reason) from None

    def dismiss(self) -> None:
        """Let it exit: there are no more jobs."""
        with contextlib.suppress(OSError):
            self.connection.send(None)

    def end(self, patience: float) -> None:
        """Wait until it has exited; kill it if that takes longer than this many seconds."""
        self._process.join(patience)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def kill(self) -> None:
        """Kill it, unless it has exited, and close what leads to it."""
        self.end(0.0)
        self.connection.close()
        self._printed.close()


class _Printed:
    """What a worker's libraries print, and a crash: a temporary file, which outlives the worker."""

    def __init__(self) -> None:
        number, path = tempfile.mkstemp(prefix="supernet-")
        self.path = Path(path)
        self._file = os.fdopen(number, "rb")

    def lines(self) -> list[Line]:
        """Return what is new."""
        text = self._file.read().decode(errors="replace").strip()
        return [Line(logging.INFO, text)] if text else []

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def _serve(work: Work, parent: connection.Connection, asked: Any, printed: Path) -> None:
    """Run as a worker: do jobs until there are no more or the parent is gone."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    _end_with_the_parent()
    _print_to(printed)
    turn = threading.Lock()

    def say(message: object) -> None:
        content = pickle.dumps(message)  # by value: this process may be gone before the parent reads it
        with turn, contextlib.suppress(OSError):
            parent.send_bytes(content)

    speaker = Speaker(say)

    def stop() -> Wish | None:
        return None if asked.value < 0 else _WISHES[asked.value]

    def do(job: Job) -> Outcome:
        work.set_up()
        return work.run(job, speaker, stop)

    say(Ready())
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        while (job := parent.recv()) is not None:
            say(attempt(partial(do, job)))


def _print_to(path: Path) -> None:
    """Send stdout and stderr to a file: the terminal belongs to the parent's display."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    os.close(file)
    with contextlib.suppress(OSError):  # the parent has it open, and may be killed before it can remove it
        path.unlink()
    with contextlib.suppress(AttributeError):  # a parent without a terminal may have no streams
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _end_with_the_parent() -> None:
    """Exit as soon as the parent is gone for any reason: another process may own the folders then."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="parent's end", daemon=True).start()


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
def _program_left_alone() -> Iterator[None]:
    """Keep a process that starts from importing the program of this one: a script would do all of its work again."""
    program, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


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
