"""Walk through a folder of somebody's files: links are followed, and anything that is not a regular file is noted."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from supernet_cli.errors import DiskError
from supernet_cli.store.data_report import shown


@dataclass
class Walk:
    """What was met on the way.

    Args:
        unreadable: What cannot be an image, each with the reason.
        skipped: Files and links that are not used, each with the reason.
        links: Links followed.
        dangling: Links that point nowhere.
        hidden: Hidden files and folders, which are ignored.
    """

    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    links: int = 0
    dangling: int = 0
    hidden: int = 0

    def children(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """Return the folders and the regular files in a folder, in order.

        Raises:
            DiskError: The folder cannot be read.
        """
        folders: list[Path] = []
        files: list[Path] = []
        for path in sorted(_entries(folder)):
            if path.name.startswith("."):
                self.hidden += 1
                continue
            with read_errors(path):
                mode = _mode(path)
            if isinstance(mode, str):
                self.dangling += 1
                self.unreadable.append((path, mode))
                continue
            self.links += path.is_symlink()
            if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
                (folders if stat.S_ISDIR(mode) else files).append(path)
            else:
                self.unreadable.append((path, "not a regular file"))
        return folders, files

    def files_below(self, folder: Path, root: Path) -> list[Path]:
        """Return the files of a folder, also those in folders within it, in order.

        Args:
            folder: Where to start.
            root: A folder above it. Links to that, to what lies between, and to any other folder that contains the
                link are not followed: that would never end.

        Raises:
            DiskError: A folder cannot be read.
        """
        files: list[Path] = []
        stack = [(folder, frozenset({_identity(root), _identity(folder.parent)}))]
        while stack:
            inside, above = stack.pop()
            above |= {_identity(inside)}
            folders, found = self.children(inside)
            files += found
            for child in folders:
                if _identity(child) in above or _links_to_container(child):
                    self.skipped.append((child, "a link to a folder that contains it"))
                else:
                    stack.append((child, above))
        return sorted(files)


@contextlib.contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Name the file or folder that cannot be read.

    Raises:
        DiskError: It cannot be read.
    """
    try:
        yield
    except OSError as error:
        raise DiskError(f"{path} cannot be read: {error.strerror or error}.", "Check that you can read it.") from error


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, linked ones too, hidden ones not."""
    return [path for path in _entries(folder) if os.path.isdir(path) and not path.name.startswith(".")]


def has_images(folder: Path) -> bool:
    """Whether files directly in a folder are images, by the endings of their names."""
    known = Image.registered_extensions()
    names = [path for path in _entries(folder) if path.suffix.lower() in known and not path.name.startswith(".")]
    return any(not os.path.isdir(path) for path in names)


def _entries(folder: Path) -> list[Path]:
    with read_errors(folder):
        return list(folder.iterdir())


def _mode(path: Path) -> int | str:
    """Return what kind of file something is, or what is wrong with a link that points nowhere."""
    try:
        return path.stat().st_mode
    except OSError as error:
        if path.is_symlink() and error.errno == errno.ELOOP:
            return "a link that leads to itself"
        if path.is_symlink() and error.errno in (errno.ENOENT, errno.ENOTDIR):
            return f"a link to {shown(os.readlink(path))}, which is missing"
        raise


def _identity(folder: Path) -> tuple[int, int]:
    with read_errors(folder):
        look = folder.stat()
    return look.st_dev, look.st_ino


def _links_to_container(path: Path) -> bool:
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())
