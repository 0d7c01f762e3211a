"""Data sets, one per file, and how their images reach a network."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from supernet_cli.config.catalog import entries
from supernet_cli.data.report import data_report
from supernet_cli.errors import DiskError, PresetError
from supernet_cli.store.data_report import DataReport, ImageFacts


@dataclass(frozen=True)
class Split:
    """Images with their labels.

    Args:
        images: (N, H, W, C) uint8.
        labels: (N,) int64, from 0 to the number of classes minus one.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> Split:
        """Return the images at some positions, as a copy."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class Dataset:
    """A data set as its authors split it.

    Args:
        training: What may be learned from.
        test: What confirms results; never used for training or selection.
        classes: Names of the classes, by label.
        validation: What paths are evaluated on, if the data set provides it; otherwise it is taken from training.
        facts: What the loader found out about the images.
    """

    training: Split
    test: Split
    classes: tuple[str, ...]
    validation: Split | None = None
    facts: ImageFacts = ImageFacts()


@dataclass(frozen=True)
class Splits:
    """The three disjoint splits that a run works with, and what is known of their images."""

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    report: DataReport


Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and the total (0 if that is unknown)."""


def no_progress(doing: str, done: int, total: int) -> None:
    """Ignore progress."""


def load_dataset(
    name: str, root: Path | None, parameters: Mapping[str, Any] | None = None, progress: Progress = no_progress
) -> Dataset:
    """Load a data set by its name in a preset.

    Args:
        name: A name from the catalog.
        root: The user's folder, or None for the package's own copy, or one downloaded into the cache.
        parameters: What the preset sets for this data set.
        progress: Called during downloads and while images are decoded.

    Raises:
        DataError: Files are missing or damaged.
        DiskError: Files cannot be read, or the cache cannot be written.
        OutOfMemoryError: The images do not fit into memory.
    """
    module = importlib.import_module(f"supernet_cli.{entries('dataset')[name].module}")
    folder = None if root is None else root.absolute()  # messages name the folder that was looked at
    try:
        dataset: Dataset = module.load(folder, progress, **(parameters or {}))
    except OSError as error:
        place = error.filename or folder or f'The files of data.dataset = "{name}"'
        raise DiskError(f"{place} cannot be read: {error.strerror or error}.", "Check that you can read it.") from error
    return dataset


def split_validation(dataset: Dataset, validation: int, seed: int) -> Splits:
    """Take a validation split out of the training images, unless the data set has its own.

    Args:
        dataset: As loaded.
        validation: Images to hold out.
        seed: `data.split_seed`; independent of the training seed, so that all jobs of a run use the same images.

    Raises:
        PresetError: No images would be left to train on.
    """
    train, held_out = dataset.training, dataset.validation
    if held_out is None:
        _check_validation(validation, len(train))
        train, held_out = hold_out(train, validation, torch.Generator().manual_seed(seed))
    labels = (train.labels, held_out.labels, dataset.test.labels)
    report = data_report(dataset.facts, dataset.classes, labels, train.images.shape[1:])
    return Splits(train, held_out, dataset.test, dataset.classes, report)


def hold_out(split: Split, count: int, generator: torch.Generator) -> tuple[Split, Split]:
    """Return a split without some randomly drawn images, and those images, both in their order."""
    order = torch.randperm(len(split), generator=generator)
    held_out, kept = order[:count].sort().values, order[count:].sort().values
    return split.take(kept), split.take(held_out)


def _check_validation(count: int, total: int) -> None:
    if count >= total:
        raise PresetError(
            f"data.validation = {count:,}, but the data set has {total:,} training image{'s' if total != 1 else ''}.",
            f"Hold out fewer: --set data.validation={max(1, total // 12)}" if total > 1 else "Add images.",
        )
