"""Writing a file so that a reader sees the old one or the new one, never a part; failures named for a person."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from supernet_cli.errors import DiskError


def replace_file(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Give a file new content in one step.

    Args:
        path: The file.
        content: All of it.
        durable: Wait until the disk has it, so that a power cut cannot lose it.

    Raises:
        DiskError: The write failed; the old content is still there.
    """
    with disk_errors(path):
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), 0o644) if hasattr(os, "fchmod") else None
                if durable:
                    os.fsync(file.fileno())
            os.replace(name, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a failed write into words.

    Raises:
        DiskError: Names the folder, the reason and the space left.
    """
    try:
        yield
    except OSError as error:
        free = ""
        if error.errno == errno.ENOSPC:
            with contextlib.suppress(OSError):
                free = f" {shutil.disk_usage(path.parent).free / 1e6:,.1f} MB are free there."
        hint = (
            "Make space and go on with `supernet train --resume RUN`."
            if free
            else "See that the folder can be written."
        )
        raise DiskError(f"{path} cannot be written: {error.strerror or error}.{free}", hint) from error
