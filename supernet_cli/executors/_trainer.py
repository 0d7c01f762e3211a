"""The code that runs on the nodes of a Ray cluster: a trainer, and the packing of the data its jobs share."""

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

from supernet_cli.executors import Job, Work
from supernet_cli.executors._worker import Speaker, attempt
from supernet_cli.store.job import JobFolder
from supernet_cli.store.state import Wish
from supernet_cli.training.driver import Outcome

_BEAT_SECONDS = 1.0  # longest wait of an exchange

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reply:
    """A trainer's reply; to be processed files first, since the messages may refer to them.

    Args:
        files: Content of new files, by name.
        messages: In the order in which they were sent.
    """

    files: Mapping[str, bytes]
    messages: Sequence[object]


class Trainer:
    """Does jobs on a node, one after another, each in a thread of its own; the actor's main thread answers the driver.

    Args:
        shared: The work, packed.
    """

    def __init__(self, shared: Packed) -> None:
        self._work: Work = unpacked(shared)
        self._messages: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._speaker = Speaker(self._messages.put)
        self._asked: Wish | None = None
        self._at_rest = threading.Event()
        self._at_rest.set()
        self._thread: threading.Thread | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._folder: JobFolder | None = None  # in it
        self._sent: dict[str, tuple[int, int, int]] = {}  # files as last sent

    def begin(self, job: Job, files: Mapping[str, bytes]) -> None:
        """Start a job.

        Args:
            job: The job, with its folder on the driver's machine.
            files: Its checkpoints, by name.
        """
        if self._thread is not None:
            self._thread.join()  # it has reported its outcome and is about to end
        self._asked = None
        self._at_rest.clear()
        self._thread = threading.Thread(target=self._do, args=(job, files), name=str(job.key), daemon=True)
        self._thread.start()

    def exchange(self, asked: Wish | None) -> Reply:
        """Return what is new since the last call, after a second or when the job ends, whichever is sooner.

        Args:
            asked: What the job is asked for.
        """
        self._asked = asked
        is_over = self._at_rest.wait(_BEAT_SECONDS)  # if so, there will be no further messages
        messages = [self._messages.get() for _ in range(self._messages.qsize())]
        files = dict(self._new_files())
        if is_over:
            self._clear()
        return Reply(files, messages)

    def leave(self) -> None:
        """Remove the job's files and exit."""
        import ray

        self._clear()
        ray.actor.exit_actor()

    def _do(self, job: Job, files: Mapping[str, bytes]) -> None:
        try:
            self._messages.put(attempt(lambda: self._outcome(job, files)))
        finally:
            self._at_rest.set()

    def _outcome(self, job: Job, files: Mapping[str, bytes]) -> Outcome:
        import ray

        node = ray.get_runtime_context().get_node_id()
        logger.info("on %s: node %s, process %d", socket.gethostname(), node[:12], os.getpid())
        if job.folder is not None:
            job = dataclasses.replace(job, folder=self._local(job.folder, files))
        self._work.set_up()
        return self._work.run(job, self._speaker, lambda: self._asked)

    def _local(self, folder: JobFolder, files: Mapping[str, bytes]) -> JobFolder:
        """Return a job's folder on this node, with its checkpoints; from now on, new files in it are sent."""
        directory = tempfile.TemporaryDirectory(prefix="supernet-", ignore_cleanup_errors=True)
        local = JobFolder(Path(directory.name), folder.key)
        for name, content in files.items():
            (local.path / name).write_bytes(content)
        self._sent = {path.name: _stamp(path.stat()) for path in _results(local) if path.exists()}
        self._directory, self._folder = directory, local
        return local

    def _new_files(self) -> Iterator[tuple[str, bytes]]:
        if self._folder is None:
            return
        for path in _results(self._folder):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                stamp = _stamp(os.fstat(file.fileno()))
                if stamp != self._sent.get(path.name):
                    self._sent[path.name] = stamp
                    yield path.name, file.read()

    def _clear(self) -> None:
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = self._folder = None


def _results(folder: JobFolder) -> tuple[Path, Path]:
    return folder.checkpoint, folder.weights


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    """Return values that change when a file is replaced."""
    return status.st_ino, status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class Packed:
    """A value whose tensors are stored separately as arrays, which Ray shares between the processes of a node."""

    frame: bytes
    arrays: Sequence[np.ndarray]


class _Packer(pickle.Pickler):
    """Pickles tensors as arrays, whose content is stored out of band."""

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, torch.Tensor):
            return _tensor, (value.detach().cpu().contiguous().numpy(),)
        return NotImplemented


def packed(value: object) -> Packed:
    """Return a value in the form that is given to Ray."""
    frame, buffers = BytesIO(), list[pickle.PickleBuffer]()
    _Packer(frame, protocol=5, buffer_callback=buffers.append).dump(value)
    return Packed(frame.getvalue(), [np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers])


def unpacked(value: Packed) -> Any:
    """Return a packed value; its tensors share memory with the arrays, and may be read-only."""
    return pickle.loads(value.frame, buffers=value.arrays)


def _tensor(array: np.ndarray) -> torch.Tensor:
    """Return an array as a tensor in the same memory, even if read-only: jobs only read what they share."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(array)
