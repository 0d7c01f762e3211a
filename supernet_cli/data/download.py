"""Download the files of a public data set into the cache, verified by the checksums that torchvision publishes."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from supernet_cli.data import Progress
from supernet_cli.data.cache import scratch
from supernet_cli.errors import DataError
from supernet_cli.store.files import disk_errors, replacing

_CHUNK = 1 << 16
_TIMEOUT_SECONDS = 30.0


def downloads() -> Path:
    """Return the cache's folder for downloaded files, laid out as torchvision expects."""
    return scratch("downloads")


def fetch(urls: Sequence[str], target: Path, md5: str, progress: Progress, wanted: Sequence[str] = ()) -> None:
    """Download a file, unless it is already complete.

    Args:
        urls: Addresses to try, in order.
        target: Where it goes; its folder is created.
        md5: Its checksum.
        progress: Called as bytes arrive.
        wanted: All files of the data set, for the message (default: this one).

    Raises:
        DataError: No address works; names the file and the folder to put it into.
        DiskError: The cache cannot be written.
    """
    if target.is_file() and _md5(target) == md5:
        return
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)  # even if the download fails: the hint names this folder
    reasons = []
    for url in urls:
        try:
            _fetch_one(url, target, md5, progress)
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ValueError) as error:
            reasons.append(f"{url}: {getattr(error, 'reason', None) or error}")
        else:
            return
    files = ", ".join(wanted or [target.name])
    raise DataError(
        f"{target.name} cannot be downloaded ({'; '.join(reasons)}).",
        f"Without a network, put {files} into {target.parent}, or into a folder of your own: --data-root FOLDER",
    )


def _fetch_one(url: str, target: Path, md5: str, progress: Progress) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "supernet"})
    digest = hashlib.md5(usedforsecurity=False)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
        total = int(response.headers.get("Content-Length") or 0)
        with replacing(target) as file:
            done = 0
            while chunk := _read(response):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                progress(f"downloading {target.name}", done, total)
            if digest.hexdigest() != md5:
                raise ValueError(f"this is not the file: its MD5 is {digest.hexdigest()}, not {md5}")


def _read(response: IO[bytes]) -> bytes:
    """Return the next bytes; a failing network must not be reported as a failing disk."""
    try:
        return response.read(_CHUNK)
    except OSError as error:
        raise ValueError(f"connection lost: {error}") from error


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
