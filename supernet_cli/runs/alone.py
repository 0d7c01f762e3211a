"""One path to be trained alone, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from supernet_cli.runs.job import JobFolder
from supernet_cli.runs.store import Init
from supernet_cli.space import Architecture


@dataclass(frozen=True)
class AloneJob:
    """One path to be trained alone.

    Args:
        folder: Where its facts go.
        path: The path.
        seed: Of its initial weights and the order of its images, together with the path.
        init: How it is trained.
        steps: Its length, where that is not the recipe's.
    """

    folder: JobFolder
    path: Architecture
    seed: int
    init: Init = "scratch"
    steps: int | None = None
