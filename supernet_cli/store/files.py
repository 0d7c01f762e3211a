"""Write a file so that readers see the old content or the new, never a part; report failures in plain words."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import platformdirs

from supernet_cli.errors import DiskError

_CHECK_FOLDER = "Check that you can write to this folder."


def cache_folder() -> Path:
    """Return the folder for files that can be made again: `SUPERNET_CACHE_DIR`, otherwise the platform's own."""
    return Path(os.environ.get("SUPERNET_CACHE_DIR") or platformdirs.user_cache_dir("supernet", appauthor=False))


def replace_file(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Give a file new content in one step.

    Args:
        path: The file.
        content: The whole content.
        durable: Wait until the disk has it, so that a power cut cannot lose it.

    Raises:
        DiskError: The write failed; the old content is unchanged.
    """
    with replacing(path, durable=durable, needed=len(content)) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(
    path: Path, *, durable: bool = False, make_folder: bool = False, hint: str = "", needed: int = 0
) -> Iterator[IO[bytes]]:
    """Open a temporary file next to a file; it replaces the file when the context ends without an error.

    Args:
        path: The file.
        durable: Wait until the disk has it.
        make_folder: Create the file's folder if it is missing; otherwise a missing folder is an error.
        hint: What to do if it fails.
        needed: Size of the new content in bytes, if known.

    Raises:
        DiskError: The write failed; the old content is unchanged.
    """
    with disk_errors(path, hint, needed):
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            # Temporary files are private; results are not, unless the old file was.
            os.chmod(name, path.stat().st_mode & 0o777 if path.exists() else 0o644)
            os.replace(name, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)


def append(file: IO[bytes], line: str, path: Path) -> None:
    """Append a line to an unbuffered file, whole or not at all as far as readers can see.

    Raises:
        DiskError: It could not be written; on a nearly full disk a part of it may remain, without a newline.
    """
    content = line.encode() + b"\n"
    with disk_errors(path, needed=len(content)):
        if file.write(content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def next_number(folder: Path, stem: str) -> int:
    """Return the number after the highest of the files `<stem>-<number>.jsonl` in a folder; 0 if there are none."""
    words = (path.stem.removeprefix(f"{stem}-") for path in folder.glob(f"{stem}-*.jsonl"))
    return max((int(word) for word in words if word.isdecimal() and word.isascii()), default=-1) + 1


def new_numbered(folder: Path, stem: str) -> tuple[Path, IO[bytes]]:
    """Open a new file `<stem>-<number>.jsonl` in a folder, unbuffered: two writers never get the same one.

    Raises:
        DiskError: It cannot be created.
    """
    number = next_number(folder, stem)
    while True:
        path = folder / f"{stem}-{number}.jsonl"
        with disk_errors(path), contextlib.suppress(FileExistsError):
            return path, path.open("xb", buffering=0)
        number += 1


def read_small(path: Path, most: int = 1 << 26) -> bytes:
    """Return the content of a regular file of limited size.

    A pipe or a device in place of a file would make a reader wait, or never end.

    Raises:
        OSError: It cannot be read, is not a regular file, or is larger.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, "is too large", str(path))
    return content


def file_stamp(path: Path) -> tuple[int, ...] | None:
    """Return what changes when a file does: inode, size and time in nanoseconds; None if there is no file."""
    try:
        look = path.stat()
    except OSError:
        return None
    return look.st_ino, look.st_size, look.st_mtime_ns


@contextlib.contextmanager
def disk_errors(path: Path, hint: str = "", needed: int = 0) -> Iterator[None]:
    """Turn a failed write into a `DiskError`.

    Args:
        path: The file.
        hint: What to do about it; by default, to free space or to check the folder.
        needed: Bytes to write, if known.

    Raises:
        DiskError: Names the folder, the reason and the space left.
    """
    try:
        yield
    except OSError as error:
        free = ""
        if error.errno == errno.ENOSPC:
            with contextlib.suppress(OSError):
                free = f" {shutil.disk_usage(path.parent).free / 1e6:,.2f} MB are free there"
                free += f", and it needs {needed / 1e6:,.2f} MB." if needed else "."
        usual = "Free some space, then resume with `supernet train --resume RUN`." if free else _CHECK_FOLDER
        raise DiskError(f"{path} cannot be written: {error.strerror or error}.{free}", hint or usual) from error
