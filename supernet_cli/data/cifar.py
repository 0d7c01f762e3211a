"""CIFAR-10 and CIFAR-100: one archive each, read by torchvision, which verifies every file before opening it."""

from __future__ import annotations

import hashlib
import platform
import tarfile
from pathlib import Path
from typing import Any

import torch

from supernet_cli.data import Dataset, Progress, Split
from supernet_cli.data.cache import file_digest, scratch
from supernet_cli.data.download import downloads, fetch
from supernet_cli.errors import DataError
from supernet_cli.store.files import disk_errors


def load_or_download(name: str, root: Path | None, progress: Progress) -> Dataset:
    """Load a CIFAR data set from the user's folder, or download it.

    Args:
        name: The class of torchvision.datasets.
        root: The user's folder, with the archive or its extracted files; or None.
        progress: Called during the download.

    Raises:
        DataError: Files are missing, damaged, or cannot be downloaded.
    """
    from torchvision import datasets

    kind: Any = getattr(datasets, name)
    if root is None:
        fetch([kind.url], downloads() / kind.filename, kind.tgz_md5, progress)
    found = _find(root or downloads(), kind)
    try:
        training, test = (kind(str(found), train=train, download=False) for train in (True, False))
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk failed, not the files
            raise
        raise DataError(f"The {name} files in {found} cannot be read: {error}.", "Download the files again.") from error
    return Dataset(_split(training), _split(test), tuple(training.classes))


def _split(part: Any) -> Split:
    return Split(torch.from_numpy(part.data.copy()), torch.tensor(part.targets))


def _find(root: Path, kind: Any) -> Path:
    """Return a root for torchvision: the user's, or one in the cache if only the archive exists."""
    if (root / kind.base_folder).is_dir():
        return root
    archive: Path = root / kind.filename
    if not archive.is_file():
        raise DataError(
            f"data.root = {root}: neither {kind.base_folder} nor {kind.filename} found.",
            f"Put {kind.filename} there, or omit data.root and --data-root to download it.",
        )
    return _extract(archive, kind)


def _extract(archive: Path, kind: Any) -> Path:
    """Extract an archive into the cache, keyed by its content, unless that was done before."""
    root = scratch(f"{kind.__name__.lower()}-{hashlib.sha256(file_digest(archive).encode()).hexdigest()[:16]}")
    done = root / "extracted"
    if not done.is_file():
        if not hasattr(tarfile, "data_filter"):  # before Python 3.11.4, an archive could write anywhere
            raise DataError(
                f"{archive} cannot be extracted safely by Python {platform.python_version()}.",
                f"Extract it in {archive.parent} yourself, or use Python 3.11.4 or newer.",
            )
        try:
            with disk_errors(root), tarfile.open(archive) as packed:
                root.mkdir(parents=True, exist_ok=True)
                packed.extractall(root, filter="data")
                done.touch()
        except (tarfile.TarError, EOFError) as error:
            raise DataError(f"{archive} is damaged: {error}.", "Download the file again.") from error
    return root
