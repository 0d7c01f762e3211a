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
from supernet_cli.runs.files import cache_folder, replacing

_OPENERS: dict[str, Callable[[Path], IO[bytes]]] = {".xz": lzma.open, ".gz": gzip.open}  # type: ignore[dict-item]
_CHUNK = 1 << 20


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(source: Path, target: Path, sha256: str | None = None, largest: int = 1 << 32) -> None:
    """Unpack an `.xz` or `.gz` file, unless what it holds is there already.

    The content goes to a temporary file in the target's folder, is checked, and takes the target's name in one step: a
    process that starts at the same time sees either nothing or the whole file, and the last one to finish wins with the
    same bytes.

    Args:
        source: The compressed file.
        target: Where the content belongs.
        sha256: What the content must hash to; None accepts a target that exists.
        largest: Bytes at which unpacking gives up.

    Raises:
        DataError: The file is damaged or too large.
        DiskError: The cache cannot be written.
    """
    if target.is_file() and (sha256 is None or file_digest(target) == sha256):
        return
    hint = "Set SUPERNET_CACHE_DIR to a folder with 100 MB of space."
    with replacing(target, make_folder=True, hint=hint) as file:
        found = _copy(source, file, largest)
        if sha256 is not None and found != sha256:
            raise DataError(f"{source} does not hold what it should: its SHA-256 is {found}.", "Install it again.")


def _copy(source: Path, file: IO[bytes], largest: int) -> str:
    """Copy the unpacked content and return its SHA-256."""
    digest, size = hashlib.sha256(), 0
    try:
        with _OPENERS[source.suffix](source) as packed:
            while chunk := packed.read(_CHUNK):
                size += len(chunk)
                if size > largest:
                    raise DataError(f"{source} unpacks to more than {largest:,} bytes.")
                digest.update(chunk)
                file.write(chunk)
    except (lzma.LZMAError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{source} is damaged: {error}.", "Get the file again.") from error
    return digest.hexdigest()


def scratch(key: str) -> Path:
    """Return the cache's folder for something named by its content."""
    return cache_folder() / "data" / key
