"""The data report: images per class and split, and what deserves a warning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from supernet_cli.store.data_report import SPLITS, ClassCount, DataReport, ImageFacts, Sizes, shown


def data_report(
    facts: ImageFacts, classes: Sequence[str], labels: tuple[Tensor, Tensor, Tensor], image_shape: Sequence[int]
) -> DataReport:
    """Return the report on a data set as a run uses it.

    Args:
        facts: What the loader found out.
        classes: Names of the classes, by label.
        labels: Of the training, validation and test images, (N,) int64 each.
        image_shape: (H, W, C) of the images.
    """
    counts = zip(*(torch.bincount(part, minlength=len(classes)).tolist() for part in labels), strict=True)
    rows = [
        ClassCount(name=shown(name), train=train, validation=validation, test=test)
        for name, (train, validation, test) in zip(classes, counts, strict=True)
    ]
    known = facts if facts.sizes else _as_stored(facts, image_shape, sum(map(len, labels)))
    report = DataReport(**dict(known), classes=rows)
    lacking = [report.lacking(split) for split in SPLITS]
    return report.model_copy(update={"warnings": [*report.warnings, *filter(None, lacking)]})


def _as_stored(facts: ImageFacts, image_shape: Sequence[int], number: int) -> ImageFacts:
    """Add sizes and modes of images that are used as they are stored."""
    height, width, channels = image_shape
    sizes = Sizes.of(Counter({(width, height): number}))
    return facts.model_copy(update={"sizes": sizes, "modes": {"L" if channels == 1 else "RGB": number}})
