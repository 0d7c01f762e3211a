"""Which files of a folder are images of which class, and of which split where the folder has `train/` and `test/`."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from supernet_cli.data.walk import Walk, has_images, subfolders
from supernet_cli.errors import DataError
from supernet_cli.glyphs import counted
from supernet_cli.store.data_report import SPLITS, Layout, SplitName

_SPLITS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_NEEDED = "At least two classes are needed, each a sub-folder of images."


@dataclass(frozen=True)
class Found:
    """A file with its class and, where the folder gives one, its split."""

    path: Path
    label: int
    split: SplitName | None


@dataclass
class Listing:
    """What lies in a folder.

    Args:
        root: The folder, absolute.
        layout: How it is laid out.
        classes: Names of the classes, by label.
        files: Regular files that should be images, class by class.
        walk: What was met besides these.
        warnings: What somebody should look at.
    """

    root: Path
    layout: Layout = "classes"
    classes: tuple[str, ...] = ()
    files: list[Found] = field(default_factory=list)
    walk: Walk = field(default_factory=Walk)
    warnings: list[str] = field(default_factory=list)

    @cached_property
    def given(self) -> frozenset[SplitName]:
        """The splits that the folder gives."""
        return frozenset(found.split for found in self.files if found.split is not None)


def list_images(root: Path) -> Listing:
    """Return the classes of a folder and their files; links are followed, hidden files and folders ignored.

    Args:
        root: A folder with one sub-folder per class, or `train/`, `val/` and `test/` with the classes below.

    Raises:
        DataError: The folder is missing, has fewer than two classes, or is laid out half as given splits.
        DiskError: A folder cannot be read.
    """
    if not os.path.isdir(root):
        problem = "not a folder" if os.path.lexists(root) else "no such folder"
        raise DataError(f"data.root = {root}: {problem}.", "Give a folder with one sub-folder per class.")
    listing = Listing(root)
    folders = _class_folders(root, listing)
    splits = _given_splits(root, folders, listing)
    if splits:
        listing.layout = "splits"
        _add_classes(listing, [(each, split) for folder, split in splits for each in _class_folders(folder, listing)])
    else:
        _add_classes(listing, [(folder, None) for folder in folders])
    return listing


def _class_folders(folder: Path, listing: Listing) -> list[Path]:
    folders, files = listing.walk.children(folder)
    listing.walk.skipped += [(path, "not in a class folder") for path in files]
    return folders


def _add_classes(listing: Listing, folders: list[tuple[Path, SplitName | None]]) -> None:
    """Number the classes by name and list their files.

    Raises:
        DataError: There are fewer than two classes, or one has no files.
    """
    listing.classes = tuple(sorted({folder.name for folder, _ in folders}))
    _check_number(listing)
    labels = {name: label for label, name in enumerate(listing.classes)}
    empty = set(listing.classes)
    for folder, split in folders:
        unreadable = len(listing.walk.unreadable)
        paths = listing.walk.files_below(folder, listing.root)
        listing.files += [Found(path, labels[folder.name], split) for path in paths]
        if paths or len(listing.walk.unreadable) > unreadable:
            empty.discard(folder.name)
    if empty:
        names = ", ".join(sorted(empty))
        raise DataError(f"data.root = {listing.root}: no files in {names}.", "Add images, or remove what is empty.")


def _check_number(listing: Listing) -> None:
    """Make sure that there are two classes.

    Raises:
        DataError: There are fewer; names the folder below that has them, if there is one.
    """
    root, names = listing.root, listing.classes
    if len(names) >= 2:
        return
    inner = [root / name for name in names if listing.layout == "classes" and len(subfolders(root / name)) >= 2]
    hint = f"If its classes are one level down: --data-root {shlex.quote(str(inner[0]))}" if inner else _NEEDED
    raise DataError(f"data.root = {root}: {counted(len(names), 'class folder')}.", hint)


def _given_splits(root: Path, folders: list[Path], listing: Listing) -> list[tuple[Path, SplitName]]:
    """Return the folders of given splits, training first; none if the folders are classes.

    They are splits if each is named after one and holds class folders instead of images.

    Raises:
        DataError: Only some of them are.
    """
    named = [folder for folder in folders if folder.name.casefold() in _SPLITS]
    if len(named) < 2:
        return []
    nested = [folder for folder in named if subfolders(folder)]
    flat = [folder for folder in named if has_images(folder)]
    others = [folder for folder in folders if folder not in named]
    if nested and not others:
        _check_splits(root, named, nested, flat)
        splits = [(folder, _SPLITS[folder.name.casefold()]) for folder in named]
        return sorted(splits, key=lambda each: SPLITS.index(each[1]))
    if nested and not flat:
        remedy = f"move {_names(others)} out of data.root"
    else:
        remedy = "sort their images into class folders"
    if others and flat:
        return []  # classes that only happen to have such names
    listing.warnings.append(f"{_names(named)} are read as classes. If they are splits, {remedy}.")
    return []


def _check_splits(root: Path, named: list[Path], nested: list[Path], flat: list[Path]) -> None:
    """Make sure that split folders are complete and unambiguous.

    Raises:
        DataError: They are not.
    """
    numbers = Counter(_SPLITS[folder.name.casefold()] for folder in named)
    twice = [split for split in SPLITS if numbers[split] > 1]
    wrong = next((folder for folder in named if folder in flat or folder not in nested), None)
    problem, remedy = "", ""
    if twice:
        problem, remedy = f"the {twice[0]} split is there twice", "Merge the two folders, or remove one."
    elif wrong is not None:
        problem = f"{wrong.name}/ holds {'images outside class folders' if wrong in flat else 'no class folders'}"
        remedy = f"Sort its images into class folders, or move {wrong.name}/ out of data.root."
    elif not numbers["train"]:
        problem, remedy = "train/ is missing", f"Add {root / 'train'}."
    if problem:
        raise DataError(f"data.root = {root}: {_names(named)} look like given splits, but {problem}.", remedy)


def _names(folders: Iterable[Path]) -> str:
    return ", ".join(f"{folder.name}/" for folder in folders)
