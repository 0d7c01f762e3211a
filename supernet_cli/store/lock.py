"""One owner per job: an advisory lock on a file, held as long as the process lives, on every platform."""

from __future__ import annotations

import errno
import sys
import time
from pathlib import Path
from typing import IO

from supernet_cli.errors import DiskError, RunError
from supernet_cli.store.files import disk_errors

_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
"""Error numbers for a lock that another process holds."""


_PAUSE_SECONDS = 0.05


class FileLock:
    """An exclusive lock; the kernel releases it when the process ends, however it ends.

    Args:
        path: The file to lock; created if missing.
        what: What is locked, for the message.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what
        self._file: IO[bytes] | None = None

    def acquire(self, patience: float = 0.0) -> None:
        """Take the lock.

        Args:
            patience: Seconds to wait for it.

        Raises:
            RunError: Another process holds it.
            DiskError: The file system does not support locks.
        """
        with disk_errors(self._path):
            file = self._path.open("ab")
        deadline = time.monotonic() + patience
        while not self._take(file):
            if time.monotonic() >= deadline:
                file.close()
                raise RunError(
                    f"{self._what} is held by another process.",
                    "`supernet runs ls` shows what is running; wait for it, or stop it.",
                )
            time.sleep(_PAUSE_SECONDS)
        self._file = file

    def _take(self, file: IO[bytes]) -> bool:
        """Take the lock if it is free; return whether it is ours.

        Raises:
            DiskError: The file system does not support locks.
        """
        try:
            _lock(file)
        except OSError as error:
            if error.errno in _HELD:
                return False
            file.close()
            raise DiskError(
                f"{self._path} cannot be locked: {error.strerror or error}.",
                "Keep runs on a disk that supports locks, such as a local one, with --runs-dir DIR.",
            ) from error
        return True

    def release(self) -> None:
        """Release the lock."""
        if self._file is not None:
            self._file.close()
            self._file = None


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock of a file.

    To find out, the lock is taken for a moment: ask this only of locks whose takers wait.
    """
    lock = FileLock(path, str(path))
    try:
        if not path.is_file():
            return False
        lock.acquire()
    except RunError:
        return True
    except DiskError:  # a run that is only read from
        return False
    lock.release()
    return False


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
