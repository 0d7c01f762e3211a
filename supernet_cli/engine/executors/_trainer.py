"""What runs on the nodes of a Ray cluster: a trainer, and the packing of what its jobs share."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import pickle
import queue
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from supernet_cli.engine.executors import Job, Work
from supernet_cli.engine.training import Outcome
from supernet_cli.errors import SupernetError
from supernet_cli.runs.job import JobFolder
from supernet_cli.runs.records import Record, State

_BEAT_SECONDS = 1.0  # at most, until a trainer answers how it is

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Line:
    """A line for a job's log.

    Args:
        level: How grave it is.
        text: With its traceback, where it has one.
        ends_job: Whether the job's outcome tells the same.
    """

    level: int
    text: str
    ends_job: bool


@dataclass(frozen=True)
class Said:
    """What a trainer answers; its files first, since its words may rest on them.

    Args:
        files: Content of those that are new, by name.
        words: In the order in which they were said.
    """

    files: Mapping[str, bytes]
    words: Sequence[Record | Line | Outcome]


class Trainer(logging.Handler):
    """Does jobs on a node, one after another, each in a thread of its own; the actor's own thread answers the driver.

    It is the Recorder of its jobs, and hears what this package logs.

    Args:
        shared: The work, packed.
    """

    def __init__(self, shared: Packed) -> None:
        super().__init__(logging.INFO)
        self._work: Work = unpacked(shared)
        self._said: queue.SimpleQueue[Record | Line | Outcome] = queue.SimpleQueue()
        self._asked: State | None = None
        self._at_rest = threading.Event()
        self._at_rest.set()
        self._thread: threading.Thread | None = None
        self._place: tempfile.TemporaryDirectory[str] | None = None
        self._known: dict[str, tuple[int, int, int]] = {}  # files, as they were when they were sent
        package = logging.getLogger("supernet_cli")
        package.setLevel(logging.INFO)
        package.addHandler(self)

    def begin(self, job: Job, files: Mapping[str, bytes]) -> None:
        """Begin a job.

        Args:
            job: The job, with its folder as the driver sees it.
            files: Its checkpoints, by name.
        """
        if self._thread is not None:
            self._thread.join()  # it has told its outcome, and only leaves
        self._asked = None
        self._at_rest.clear()
        self._thread = threading.Thread(target=self._do, args=(job, files), name=job.folder.key, daemon=True)
        self._thread.start()

    def exchange(self, asked: State | None) -> Said:
        """Tell what is new since the last time, after a second or when the job ends, if that is sooner.

        Args:
            asked: State that the job is asked for.
        """
        self._asked = asked
        is_over = self._at_rest.wait(_BEAT_SECONDS)  # if so, what comes now is all there will be
        words = [self._said.get() for _ in range(self._said.qsize())]
        files = dict(self._new_files())
        if is_over:
            self._clear()
        return Said(files, words)

    def leave(self) -> None:
        """Leave nothing behind."""
        import ray

        self._clear()
        ray.actor.exit_actor()

    def record(self, record: Record) -> None:
        """Take a record of the job."""
        self._said.put(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line of the log."""
        self._said.put(Line(record.levelno, self.format(record), record.exc_info is not None))

    def _do(self, job: Job, files: Mapping[str, bytes]) -> None:
        try:
            self._said.put(self._outcome(job, files))
        finally:
            self._at_rest.set()

    def _outcome(self, job: Job, files: Mapping[str, bytes]) -> Outcome:
        """Do a job; whatever goes wrong is an outcome."""
        try:
            import ray

            node = ray.get_runtime_context().get_node_id()
            logger.info("on %s: node %s, process %d", socket.gethostname(), node[:12], os.getpid())
            place = tempfile.TemporaryDirectory(prefix="supernet-", ignore_cleanup_errors=True)
            here = JobFolder(Path(place.name), job.folder.key)
            for name, content in files.items():
                (here.path / name).write_bytes(content)
            self._known = {path.name: _stamp(path.stat()) for path in _results(here) if path.exists()}
            self._place = place  # from now on, what is new there is sent
            self._work.set_up()
            return self._work.run(dataclasses.replace(job, folder=here), self, lambda: self._asked)
        except Exception as error:
            logger.error("%s", error, exc_info=error)
            told = error.message if isinstance(error, SupernetError) else f"{type(error).__name__}: {error}"
            return Outcome("failed", told)

    def _new_files(self) -> Iterator[tuple[str, bytes]]:
        if self._place is None:
            return
        for path in _results(JobFolder(Path(self._place.name), "")):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                stamp = _stamp(os.fstat(file.fileno()))
                if stamp != self._known.get(path.name):
                    self._known[path.name] = stamp
                    yield path.name, file.read()

    def _clear(self) -> None:
        if self._place is not None:
            self._place.cleanup()
            self._place = None


def _results(folder: JobFolder) -> tuple[Path, Path]:
    return folder.checkpoint, folder.weights


def _stamp(look: os.stat_result) -> tuple[int, int, int]:
    """Return what changes when a file is replaced."""
    return look.st_ino, look.st_size, look.st_mtime_ns


@dataclass(frozen=True)
class Packed:
    """A value whose tensors are apart, as arrays, which Ray lays where processes of a node share them."""

    frame: bytes
    arrays: Sequence[np.ndarray]


class _Packer(pickle.Pickler):
    """Pickles tensors as arrays, whose content is handed to whoever asks for buffers."""

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, torch.Tensor):
            return _tensor, (value.detach().cpu().contiguous().numpy(),)
        return NotImplemented


def packed(value: object) -> Packed:
    """Return a value as Ray is to store it."""
    frame, buffers = BytesIO(), list[pickle.PickleBuffer]()
    _Packer(frame, protocol=5, buffer_callback=buffers.append).dump(value)
    return Packed(frame.getvalue(), [np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers])


def unpacked(value: Packed) -> Any:
    """Return a value that was packed; its tensors lie where the arrays do, and may be read-only."""
    return pickle.loads(value.frame, buffers=value.arrays)


def _tensor(array: np.ndarray) -> torch.Tensor:
    """Return an array as a tensor on the same memory, read-only though that may be: what jobs share is only read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(array)
