"""One owner a job: an advisory lock on a file, held as long as the process lives. The seam between platforms."""

from __future__ import annotations

import sys
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

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            RunError: Another process holds it.
        """
        with disk_errors(self._path):
            file = self._path.open("ab")
        try:
            _lock(file)
        except OSError:
            file.close()
            raise RunError(
                f"{self._what} is being trained by another process.", "`supernet runs ls` shows it; wait, or stop it."
            ) from None
        self._file = file

    def release(self) -> None:
        """Let go."""
        if self._file is not None:
            self._file.close()
            self._file = None


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
