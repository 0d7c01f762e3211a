"""EMNIST balanced: 112,800 + 18,800 handwritten letters and digits, 28×28, 47 classes; a download of 562 MB.

Source: Cohen et al. 2017, "EMNIST: an extension of MNIST to handwritten letters", arXiv 1702.05373.
The files store images on their side; here they stand upright, as in MNIST.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from supernet_cli.data import Dataset, Progress, Split, idx
from supernet_cli.data.download import downloads, fetch
from supernet_cli.errors import DataError
from supernet_cli.store.files import replacing

_KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")
_FILES = tuple(f"emnist-balanced-{part}-{kind}" for part in ("train", "test") for kind in _KINDS)


def load(root: Path | None, progress: Progress) -> Dataset:
    """Load EMNIST balanced from the user's folder, or download it.

    Args:
        root: The user's folder, or None.
        progress: Called during the download.

    Raises:
        DataError: Files are missing, damaged, or cannot be downloaded.
    """
    found = idx.find_files(root or _download(progress), "EMNIST", _FILES)
    dataset = idx.read("EMNIST", found, split="balanced")
    return Dataset(_upright(dataset.training), _upright(dataset.test), dataset.classes)


def _upright(split: Split) -> Split:
    return Split(split.images.transpose(1, 2).contiguous(), split.labels)


def _download(progress: Progress) -> Path:
    """Fetch the archive of all EMNIST splits and keep the files of the balanced one."""
    from torchvision import datasets

    folder = downloads() / "EMNIST" / "raw"
    if all((folder / f"{file}.gz").is_file() for file in _FILES):
        return downloads()
    archive = folder / "gzip.zip"
    wanted = [f"{file}.gz" for file in _FILES]
    fetch([datasets.EMNIST.url], archive, datasets.EMNIST.md5, progress, wanted)
    try:
        with zipfile.ZipFile(archive) as packed:
            for file in _FILES:
                with packed.open(f"gzip/{file}.gz") as source, replacing(folder / f"{file}.gz") as target:
                    shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{archive} is damaged: {error}.", f"Delete it and try again: rm {archive}") from error
    archive.unlink()
    return downloads()
