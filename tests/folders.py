"""Folders of small images, and what is read of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from supernet_cli.data import Dataset, Splits, load_dataset, split_validation


def images(where: Path, number: int, seed: int) -> None:
    """Write small random images; the seed decides what they hold."""
    where.mkdir(parents=True, exist_ok=True)
    for index in range(number):
        pixels = np.random.default_rng([seed, index]).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(where / f"{index:03d}.png")


def two_classes(root: Path, number: int = 24) -> None:
    images(root / "cats", number, 1)
    images(root / "dogs", number, 2)


def load(root: Path, **parameters: object) -> Dataset:
    return load_dataset("folder", root, {"size": 8, **parameters})


def split(root: Path, validation: int = 8, **parameters: object) -> Splits:
    return split_validation(load(root, **parameters), validation, 0)
