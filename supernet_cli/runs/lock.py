"""One owner a job: an advisory lock on a file, held as long as the process lives. The seam between platforms."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import IO

from supernet_cli.errors import RunError
from supernet_cli.runs.files import disk_errors


class FileLock:
    """An exclusive lock; the kernel lets go of it when the process ends, however it ends.

    Args:
        path: The file to lock; made where it is missing.
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
        """
        with disk_errors(self._path):
            file = self._path.open("ab")
        deadline = time.monotonic() + patience
        while not _free(file):
            if time.monotonic() >= deadline:
                file.close()
                raise RunError(
                    f"{self._what} is held by another process.", "`supernet runs ls` shows what runs; wait, or stop it."
                )
            time.sleep(0.05)
        self._file = file

    def release(self) -> None:
        """Let go."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _free(file: IO[bytes]) -> bool:
    """Take the lock if nobody has it; return whether it is ours."""
    try:
        _lock(file)
    except OSError:
        return False
    return True


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
