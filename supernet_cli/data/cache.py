"""Unpack compressed data files into the user's cache: atomic, checked, safe when several processes start at once."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from supernet_cli.errors import DataError
from supernet_cli.store.files import cache_folder, replacing

_OPENERS: dict[str, Callable[[Path], IO[bytes]]] = {".xz": lzma.open, ".gz": gzip.open}  # type: ignore[dict-item]
_CHUNK = 1 << 20


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(source: Path, target: Path, sha256: str | None = None, largest: int = 1 << 32) -> None:
    """Unpack an `.xz` or `.gz` file, unless that was done before.

    The content is written to a temporary file in the target's folder, checked, and renamed in one step. A process that
    starts at the same time sees either nothing or the whole file; whichever finishes last writes the same bytes.

    Args:
        source: The compressed file.
        target: Where the content goes.
        sha256: The expected hash of the content; None accepts any existing target.
        largest: Most bytes to unpack.

    Raises:
        DataError: The file is damaged or too large.
        DiskError: The cache cannot be written.
    """
    if target.is_file() and (sha256 is None or file_digest(target) == sha256):
        return
    hint = "Set SUPERNET_CACHE_DIR to a folder with 100 MB of space."
    with replacing(target, make_folder=True, hint=hint) as file:
        actual = _copy(source, file, largest)
        if sha256 is not None and actual != sha256:
            raise DataError(f"{source} has the wrong content: its SHA-256 is {actual}.", "Reinstall supernet.")


def _copy(source: Path, file: IO[bytes], largest: int) -> str:
    """Copy the unpacked content and return its SHA-256."""
    digest, size = hashlib.sha256(), 0
    try:
        with _OPENERS[source.suffix](source) as packed:
            while chunk := packed.read(_CHUNK):
                size += len(chunk)
                if size > largest:
                    raise DataError(f"{source} unpacks to more than {largest:,} bytes.", "Download the file again.")
                digest.update(chunk)
                file.write(chunk)
    except (lzma.LZMAError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{source} is damaged: {error}.", "Download the file again.") from error
    return digest.hexdigest()


def scratch(key: str) -> Path:
    """Return the folder in the cache for data with this key."""
    return cache_folder() / "data" / key
