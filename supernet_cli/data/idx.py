"""Data sets of the MNIST family: four IDX files, read by torchvision from a folder with the unpacked files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from supernet_cli.data import Dataset, Progress, Split
from supernet_cli.data.cache import file_digest, scratch, unpack
from supernet_cli.data.download import downloads, fetch
from supernet_cli.errors import DataError
from supernet_cli.store.files import replacing

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def load_or_download(name: str, root: Path | None, progress: Progress) -> Dataset:
    """Load a data set of four files from the user's folder, or download it.

    Args:
        name: The class of torchvision.datasets; it knows the addresses and checksums of the files.
        root: The user's folder, or None.
        progress: Called during the download.

    Raises:
        DataError: Files are missing, damaged, or cannot be downloaded.
    """
    return read(name, find_files(root or _download(name, progress), name))


def unpack_embedded(folder: Path, digests: Mapping[str, str], name: str) -> Path:
    """Unpack `.xz` files shipped with the package into the cache.

    Args:
        folder: The folder of the `.xz` files.
        digests: SHA-256 of each file's content, by file name.
        name: The class of torchvision.datasets, which is also the name of the sub-folder that it reads.

    Returns:
        The root to give to torchvision.
    """
    root = scratch(f"{name.lower()}-{_combined(digests.values())}")
    for file, sha256 in digests.items():
        unpack(folder / f"{file}.xz", root / name / "raw" / file, sha256)
    return root


def find_files(root: Path, name: str, files: Iterable[str] = FILES) -> Path:
    """Return a root for torchvision with a user's files unpacked; nothing is written into the user's folder.

    Args:
        root: The user's folder: either `<root>/<name>/raw/<file>`, torchvision's layout, or the files directly in it.
        name: The class of torchvision.datasets.
        files: Names of the files, without `.gz`.

    Raises:
        DataError: A file is missing, both plain and as `.gz`.
    """
    usual = root / name / "raw"
    first, *_ = files = tuple(files)
    folder = root if _source(usual, first) is None and _source(root, first) is not None else usual
    sources = {file: _source(folder, file) for file in files}
    missing = [file for file, source in sources.items() if source is None]
    if missing:
        raise DataError(
            f"data.root = {root}: {', '.join(missing)} not found in {folder}.",
            "Put the files there, plain or as .gz, or omit data.root and --data-root to use the package's or a "
            "downloaded copy.",
        )
    if folder == usual and all(source == folder / file for file, source in sources.items()):
        return root
    return _mirror({file: source for file, source in sources.items() if source is not None}, name)


def read(name: str, root: Path, **options: Any) -> Dataset:
    """Read the four files through torchvision.

    Args:
        name: The class of torchvision.datasets.
        root: A root with the unpacked files.
        **options: Passed on to the class.

    Raises:
        DataError: Their content does not match their names.
    """
    from torchvision import datasets  # takes a second to import; only when data is read

    kind = getattr(datasets, name)
    try:
        training, test = (kind(str(root), train=train, download=False, **options) for train in (True, False))
    except (RuntimeError, ValueError, AssertionError, EOFError, OSError, KeyError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk failed, not the files
            raise
        raise DataError(f"The {name} files in {root} cannot be read: {error}.", "Download the files again.") from error
    return Dataset(_split(training, root), _split(test, root), tuple(map(str, training.classes)))


def _download(name: str, progress: Progress) -> Path:
    from torchvision import datasets

    kind = getattr(datasets, name)
    folder, wanted = downloads() / name / "raw", [file for file, _ in kind.resources]
    for file, md5 in kind.resources:
        fetch([f"{mirror}{file}" for mirror in kind.mirrors], folder / file, md5, progress, wanted)
    return downloads()


def _split(part: Any, root: Path) -> Split:
    images: Tensor = part.data
    labels: Tensor = part.targets
    if images.dim() != 3 or len(images) != len(labels) or not len(images):
        raise DataError(
            f"The files in {root} do not belong together: {len(images):,} images, {len(labels):,} labels.",
            "Download the files again.",
        )
    if int(labels.min()) < 0 or int(labels.max()) >= len(part.classes):
        raise DataError(
            f"The files in {root} contain labels outside the {len(part.classes)} classes.", "Download the files again."
        )
    return Split(images.unsqueeze(-1).contiguous(), labels.long())


def _source(folder: Path, file: str) -> Path | None:
    return next((path for path in (folder / file, folder / f"{file}.gz") if path.is_file()), None)


def _mirror(sources: Mapping[str, Path], name: str) -> Path:
    """Copy files into the cache, in torchvision's layout, keyed by the hash of their content."""
    root = scratch(f"{name.lower()}-{_combined(file_digest(path) for path in sources.values())}")
    for file, source in sources.items():
        target = root / name / "raw" / file
        if source.suffix == ".gz":
            unpack(source, target)
        elif not target.exists():  # a copy: a link would follow later changes of the file
            with replacing(target, make_folder=True) as copy:
                copy.write(source.read_bytes())
    return root


def _combined(digests: Iterable[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]
