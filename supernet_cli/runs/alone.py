"""One path to train from scratch, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from supernet_cli.runs.job import JobFolder
from supernet_cli.runs.store import Init
from supernet_cli.space import Architecture


@dataclass(frozen=True)
class AloneJob:
    """One path to train from scratch.

    Args:
        folder: Where its files go.
        path: The path.
        seed: Seeds its initial weights and the order of its images, together with the path.
        init: How its weights are initialised.
        steps: Its length, if not that of the recipe.
    """

    folder: JobFolder
    path: Architecture
    seed: int
    init: Init = "scratch"
    steps: int | None = None
