"""data.json: what a run's images are: classes, splits, sizes, conversions, and everything that was skipped.

It is made before training starts, so that nothing happens to somebody's images in silence.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from supernet_cli.errors import DataError
from supernet_cli.glyphs import counted
from supernet_cli.store.files import replace_file

DATA_REPORT = "data.json"
"""The report's file in a run's folder."""

MOST_SKIPPED = 100
"""Skipped files that a report lists; the others are only counted."""

_NAMED = 5  # classes in a sentence

SplitName = Literal["train", "validation", "test"]

SPLITS: tuple[SplitName, ...] = get_args(SplitName)

Layout = Literal["classes", "splits", "shipped"]
"""How images are laid out: a folder per class; `train/`, `val/` and `test/` with a folder per class; or as its authors
published the data set."""


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ClassCount(_Fact):
    """A class and its images in each split."""

    name: str
    train: int
    validation: int
    test: int

    @property
    def images(self) -> int:
        """Images in all splits."""
        return self.train + self.validation + self.test


class Sizes(_Fact):
    """Sizes of images as stored, in pixels."""

    min_width: int
    max_width: int
    min_height: int
    max_height: int
    most_common: tuple[int, int]  # width, height
    most_common_images: int

    @classmethod
    def of(cls, images: Counter[tuple[int, int]]) -> Sizes:
        """Return the sizes of some images, given how many have each width and height; at least one."""
        widths, heights = zip(*images, strict=True)
        ((common, number),) = images.most_common(1)
        return cls(
            min_width=min(widths),
            max_width=max(widths),
            min_height=min(heights),
            max_height=max(heights),
            most_common=common,
            most_common_images=number,
        )


class Links(_Fact):
    """Symbolic links among the images."""

    followed: int = 0
    dangling: int = 0


class SkippedFile(_Fact):
    """A file that is not used, and why."""

    file: str
    reason: str


class ImageFacts(_Fact):
    """What a loader finds out about a data set's images, whatever split they end up in."""

    folder: str = ""  # absolute; empty for the package's own or a downloaded copy
    layout: Layout = "shipped"
    sizes: Sizes | None = None
    modes: dict[str, int] = {}  # images by Pillow's name of the mode
    conversions: dict[str, int] = {}  # images by what was done to them
    links: Links = Links()
    skipped: list[SkippedFile] = []  # at most `MOST_SKIPPED`
    skipped_count: int = Field(0, ge=0)
    notes: list[str] = []
    warnings: list[str] = []


class DataReport(ImageFacts):
    """data.json: a data set's images, with the classes and splits that a run uses."""

    classes: list[ClassCount]

    def images(self, split: SplitName) -> int:
        """Return how many images a split has."""
        return sum(int(getattr(each, split)) for each in self.classes)

    def line(self) -> str:
        """Return the report in one short line."""
        train, validation, test = map(self.images, SPLITS)
        total = counted(train + validation + test, "image")
        skipped = f"; {counted(self.skipped_count, 'file')} skipped (see {DATA_REPORT})" if self.skipped_count else ""
        classes = counted(len(self.classes), "class", "classes")
        return f"{total} of {classes}: {train:,} train, {validation:,} validation, {test:,} test{skipped}"

    def lacking(self, split: SplitName) -> str:
        """Return a sentence that names the classes without images in a split; empty if there are none."""
        names = [each.name for each in self.classes if not getattr(each, split)]
        what = counted(len(names), "class has", "classes have")
        word = "training" if split == "train" else split
        return f"{what} no {word} images: {listed(names, _NAMED)}." if names else ""

    def check_trainable(self) -> None:
        """Make sure that somebody's own images have training images of every class, before a run is created.

        Raises:
            DataError: A class has none, so that no network could learn it.
        """
        lacking = self.lacking("train")
        if lacking and self.layout != "shipped":
            raise DataError(
                f"data.root = {self.folder}: {lacking} No network could learn it.",
                "Add training images, or move the class folder out of data.root.",
            )


def listed(words: Sequence[str], most: int) -> str:
    """Return words separated by commas; of many, the first ones and how many more there are."""
    return ", ".join(words[:most]) + (f" and {len(words) - most:,} more" if len(words) > most else "")


def shown(path: Path | str) -> str:
    """Return a path as text that any file or stream can hold: bytes that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def keep_data_report(run_folder: Path, report: DataReport) -> None:
    """Store the report in a run's folder.

    Args:
        run_folder: The run's folder.
        report: What to store.

    Raises:
        DiskError: The write failed.
    """
    replace_file(run_folder / DATA_REPORT, (report.model_dump_json(indent=1) + "\n").encode())
