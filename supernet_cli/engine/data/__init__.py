"""Data sets, one a file, and the way their images reach a network."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from supernet_cli.config.catalog import entries
from supernet_cli.errors import PresetError


@dataclass(frozen=True)
class Split:
    """Images with their labels.

    Args:
        images: (N, H, W, C) uint8.
        labels: (N,) int64, from 0 to the number of classes less one.
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
        training: What may be learned from; validation is taken out of it.
        test: What confirms, and is never trained on or chosen by.
        classes: Names of the classes, by label.
    """

    training: Split
    test: Split
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Splits:
    """The three parts that a run works with; disjoint."""

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]


Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much (0 where that is not known)."""


def no_progress(doing: str, done: int, total: int) -> None:
    """Tell nobody."""


def load_dataset(
    name: str, root: Path | None, parameters: Mapping[str, Any] | None = None, progress: Progress = no_progress
) -> Dataset:
    """Load a data set by its name in a preset.

    Args:
        name: A name from the catalog.
        root: The user's folder, or None for the package's own copy, or one downloaded into the cache.
        parameters: What the preset gives for this data set.
        progress: Told of downloads and of images being decoded.

    Raises:
        DataError: Files are missing or damaged.
    """
    module = importlib.import_module(f"supernet_cli.{entries('dataset')[name].module}")
    dataset: Dataset = module.load(root, progress, **(parameters or {}))
    return dataset


def split_validation(dataset: Dataset, validation: int, seed: int) -> Splits:
    """Take a validation part out of the training images, drawn once by a seed of its own.

    Args:
        dataset: As loaded.
        validation: Images to hold out.
        seed: `data.split_seed`; the training seed has no say, so all jobs of a run are judged on the same images.

    Raises:
        PresetError: Nothing would be left to train on.
    """
    count = len(dataset.training)
    if validation >= count:
        raise PresetError(
            f"data.validation = {validation}: the data set has {count:,} training images.",
            f"Hold out fewer, such as {max(1, count // 12):,}.",
        )
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    held_out, kept = order[:validation].sort().values, order[validation:].sort().values
    return Splits(dataset.training.take(kept), dataset.training.take(held_out), dataset.test, dataset.classes)
