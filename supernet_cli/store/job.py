"""A job's folder: one training with its status, metrics, log, checkpoints and weights; one writer, many readers."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from supernet_cli.errors import DiskError, RunError
from supernet_cli.store.files import append, disk_errors, new_numbered, read_small, replace_file
from supernet_cli.store.layout import JobKey, Way
from supernet_cli.store.lock import FileLock
from supernet_cli.store.records import (
    Count,
    JobEnded,
    JobPaused,
    JobResumed,
    JobStarted,
    Moment,
    PathsEvaluated,
    Record,
    Seconds,
    StepsTrained,
    encode,
)
from supernet_cli.store.snapshot import JobSnapshot, fold
from supernet_cli.store.state import State, Wish
from supernet_cli.store.tail import JobTail

LOST_AFTER_SECONDS = 60.0
"""Age of another host's heartbeat at which its job counts as lost."""

_CLOCKS_APART = 3600.0  # seconds that another host's clock may be ahead

_BEAT_SECONDS = 1.0
_LARGEST = 1 << 20  # bytes of a status, a request or a name
_PATH_NAME = "path.txt"

logger = logging.getLogger(__name__)
_package = logging.getLogger("supernet_cli")


class JobStatus(BaseModel):
    """What a job's owner reports about itself, in status.json."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: State = State.CREATED
    reason: str = ""
    pid: Count = 0
    process_started: Moment = 0.0
    since_boot: Seconds = 0.0  # from the machine's start to the process's; independent of the clock
    host: str = ""
    heartbeat: Moment = 0.0
    step: Count = 0
    steps: Count = 0
    threads: Count = 0  # of each rank
    ranks: Count = 1
    seconds: Seconds = 0.0  # training and evaluation, over all segments


@dataclass(frozen=True)
class JobFolder:
    """Where a job's files are.

    Args:
        path: The folder.
        key: Which job of its run it is.
    """

    path: Path
    key: JobKey

    @property
    def seed(self) -> int:
        """The job's seed."""
        return self.key.seed

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint; the previous one is kept beside it."""
        return self.path / "checkpoint.pt"

    @property
    def checkpoints(self) -> tuple[Path, Path]:
        """The newest checkpoint, and the one before it."""
        return self.checkpoint, previous_checkpoint(self.checkpoint)

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint to resume from."""
        return any(path.exists() for path in self.checkpoints)

    @property
    def weights(self) -> Path:
        """The trained weights, which exist once the job is finished."""
        return self.path / "weights.safetensors"

    def status(self) -> JobStatus:
        """Return the job's status as it truly is: nothing is `running` without a living owner.

        A job without a status was only created; one with a damaged status counts as failed.
        """
        try:
            stored = JobStatus.model_validate_json(read_small(self.path / "status.json", _LARGEST))
        except FileNotFoundError:
            return JobStatus()
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else "its content is not valid"
            return JobStatus(state=State.FAILED, reason=f"status.json is damaged: {reason}")
        if stored.state.is_alive and not _owner_lives(stored):
            state = State.INTERRUPTED if stored.host == socket.gethostname() else State.LOST
            return stored.model_copy(update={"state": state, "reason": "its process is gone"})
        return stored

    @property
    def is_done(self) -> bool:
        """Whether running it again would give nothing new: it has its weights, or diverged."""
        state = self.status().state
        return state is State.DIVERGED or (state is State.FINISHED and self.weights.is_file())

    def reopen(self, reason: str) -> None:
        """Make a finished job resumable: its weights are no longer its last ones."""
        self.weights.unlink(missing_ok=True)
        status = self.status().model_copy(update={"state": State.INTERRUPTED, "reason": reason})
        replace_file(self.path / "status.json", status.model_dump_json(indent=2).encode())

    def snapshot(self) -> tuple[JobSnapshot, int]:
        """Return the state that results from the job's records, and how many lines were damaged."""
        tail = JobTail(self.path)
        while tail.read()[1]:
            pass
        return tail.snapshot, tail.damaged

    def request(self, what: Wish) -> None:
        """Request something from the owner, which responds at its next step by changing its state.

        Raises:
            DiskError: The folder cannot be written.
        """
        replace_file(self.path / "control", json.dumps({"request": what, "time": time.time()}).encode())


class JobWriter:
    """A job's owner, as a context: holds the lock, writes a heartbeat once a second, and records what the job reports.

    It is a Recorder. Leaving the context without having recorded `JobEnded` marks the job as failed.

    Args:
        folder: The job's folder.
        source: The logger whose messages go to the job's log (default: the whole package). Jobs that share a process
            need one each.

    Raises:
        RunError: Another process owns the job.
        DiskError: The folder cannot be written.
    """

    def __init__(self, folder: JobFolder, source: logging.Logger = _package) -> None:
        self.folder = folder
        self._source = source
        self._level = source.level
        self._lock = FileLock(folder.path / "lock", f"The job {folder.key}")
        self._status = JobStatus()
        self._snapshot = JobSnapshot()
        self._guard = threading.Lock()
        self._finished = threading.Event()
        self._beat = threading.Thread(target=self._keep_beating, name=f"heartbeat {folder.key}", daemon=True)
        self._metrics: IO[bytes] | None = None
        self._log: logging.Handler | None = None
        self.stop_requested = False
        self.pause_requested = False

    def __enter__(self) -> JobWriter:
        with disk_errors(self.folder.path):
            self.folder.path.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        try:
            self._check_other_hosts()
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._status.state.is_alive:
                reason = str(error) or (kind.__name__ if kind is not None else "its process ended without a result")
                self._source.error("%s", reason, exc_info=error)
                state = State.INTERRUPTED if kind is KeyboardInterrupt else State.FAILED
                with contextlib.suppress(DiskError):  # the disk may be the reason
                    self.record(JobEnded(step=self._status.step, state=state, reason=reason))
        finally:
            self._close()

    def wanted(self, otherwise: Wish | None = None) -> Wish | None:
        """Return what is requested through `control` or otherwise; any end takes precedence over a pause."""
        if self.stop_requested:
            return Wish.STOP
        return otherwise or (Wish.PAUSE if self.pause_requested else None)

    def record(self, record: Record) -> None:
        """Append a record to the job's metrics and update its status."""
        if self._metrics is None:
            raise ValueError("the job is not open")
        append(self._metrics, encode(record), self.folder.path / "metrics")
        self._snapshot = fold(self._snapshot, record)
        match record:
            case JobStarted():
                self._update(state=State.RUNNING, **record.model_dump(include={"step", "steps", "threads", "ranks"}))
            case StepsTrained() | PathsEvaluated():
                seconds = self._snapshot.train_seconds + self._snapshot.evaluation_seconds
                with self._guard:  # the heartbeat writes the same
                    self._status = self._status.model_copy(update={"step": record.step, "seconds": seconds})
            case JobPaused():
                self._update(state=State.PAUSED, step=record.step)
            case JobResumed():
                self._update(state=State.RUNNING)
            case JobEnded():
                self._update(state=record.state, step=record.step, reason=record.reason)

    def _check_other_hosts(self) -> None:
        """Refuse a job whose owner is on another host: locks may not reach that far, heartbeats do.

        Raises:
            RunError: The owner was alive less than `LOST_AFTER_SECONDS` ago.
        """
        status = self.folder.status()
        if status.state.is_alive and status.host != socket.gethostname():
            raise RunError(
                f"The job {self.folder.key} is held by another process, on {status.host}.",
                f"Wait for it or stop it. If that host is gone, try again in {LOST_AFTER_SECONDS:.0f} s.",
            )

    def _open(self) -> None:
        (self.folder.path / "control").unlink(missing_ok=True)
        self._snapshot, _ = self.folder.snapshot()
        _, self._metrics = new_numbered(self.folder.path, "metrics")
        with disk_errors(self.folder.path):
            self._log = _JobLog(self.folder.path / "log.txt", encoding="utf-8")
        self._log.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._source.addHandler(self._log)
        self._source.setLevel(min(self._level or logging.INFO, logging.INFO))
        me = psutil.Process()
        started = {"process_started": me.create_time(), "since_boot": max(0.0, _since_boot(me))}
        self._update(state=State.RUNNING, pid=me.pid, host=socket.gethostname(), **started)
        self._beat.start()

    def _close(self) -> None:
        self._finished.set()
        if self._beat.is_alive():
            self._beat.join()
        if self._metrics is not None:
            self._metrics.close()
            self._metrics = None
        if self._log is not None:
            self._source.removeHandler(self._log)
            self._source.setLevel(self._level)
            with contextlib.suppress(OSError):  # what it could not write before, it still cannot
                self._log.close()
        self._lock.release()

    def _update(self, **changes: object) -> None:
        with self._guard:
            self._status = self._status.model_copy(update={**changes, "heartbeat": time.time()})
            replace_file(self.folder.path / "status.json", self._status.model_dump_json(indent=2).encode())

    def _keep_beating(self) -> None:
        while not self._finished.wait(_BEAT_SECONDS):
            self._read_control()
            try:
                self._update()
            except DiskError as error:  # the training itself fails at its next write
                self._source.warning("heartbeat: %s", error.message)

    def _read_control(self) -> None:
        """Read a request and remove it; an unreadable one counts as a request to stop, the safest choice."""
        control, taken = self.folder.path / "control", self.folder.path / ".control"
        try:
            os.replace(control, taken)  # a request that arrives now is a new file
        except OSError:
            return
        try:
            request = Wish(json.loads(read_small(taken, _LARGEST))["request"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            request = Wish.STOP
        with contextlib.suppress(OSError):
            taken.unlink()
        self._source.info("received the request to %s", request)
        if request in (Wish.PAUSE, Wish.RESUME):
            self.pause_requested = request is Wish.PAUSE
        else:
            self.stop_requested = True


class _JobLog(logging.FileHandler):
    """The job's log.txt; if it cannot be written, that is reported once and the training continues without it."""

    _failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._failed:
            self._failed = True
            logger.warning("%s cannot be written: %s", self.baseFilename, error.strerror or error)


def previous_checkpoint(path: Path) -> Path:
    """Return where the checkpoint is kept that was replaced by the one at a path."""
    return path.with_suffix(".previous.pt")


def list_jobs(folder: Path, ways: Sequence[Way] = tuple(Way)) -> list[JobFolder]:
    """Return the jobs in a run's folder, by way, path and seed.

    Args:
        folder: The run's folder.
        ways: How they train.
    """
    found = []
    for way in ways:
        names = (folder / way.folder).glob("seed-*" if way is Way.ONE_SHOT else "*/seed-*")
        jobs = []
        with contextlib.suppress(OSError):  # a folder that is unreadable, or vanishes meanwhile
            for path in names:
                with contextlib.suppress(ValueError):
                    key = JobKey.parse(path.relative_to(folder).as_posix())
                    if path.is_dir():
                        jobs.append(JobFolder(path, _named(key, path.parent)))
        found += sorted(jobs, key=lambda job: (job.key.folder, job.key.seed))
    return found


def _named(key: JobKey, folder: Path) -> JobKey:
    """Return the key of a job with the name of its path, if only a hash of that is in the folder's name."""
    if key.is_nameless:
        with contextlib.suppress(OSError, ValueError):
            return key.named(read_small(folder / _PATH_NAME, _LARGEST).decode())
    return key


def create_job(folder: JobFolder) -> None:
    """Create a job's folder in state `created`, so that readers know about it before it starts.

    A path whose name is too long for its folder's has it in a file there.
    """
    with disk_errors(folder.path):
        folder.path.mkdir(parents=True, exist_ok=True)
    if folder.key.folder != folder.key.path:
        replace_file(folder.path.parent / _PATH_NAME, folder.key.path.encode())
    replace_file(folder.path / "status.json", JobStatus().model_dump_json(indent=2).encode())


def _owner_lives(status: JobStatus) -> bool:
    if status.host != socket.gethostname():
        return -_CLOCKS_APART < time.time() - status.heartbeat < LOST_AFTER_SECONDS
    try:
        process = psutil.Process(status.pid)
        same = abs(process.create_time() - status.process_started) < 2.0
        if not same and status.since_boot:  # the clock was changed meanwhile, and times measured with it
            same = abs(_since_boot(process) - status.since_boot) < 2.0
        return same and bool(process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, ValueError, OverflowError):
        return False


def _since_boot(process: psutil.Process) -> float:
    """Return how long after the machine a process started, in seconds."""
    booted = psutil.boot_time()  # read first: what psutil reports about a process depends on it
    return float(psutil.Process(process.pid).create_time() - booted)
