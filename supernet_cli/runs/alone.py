"""One path to be trained alone, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from supernet_cli.runs.job import JobFolder
from supernet_cli.space import Architecture


@dataclass(frozen=True)
class AloneJob:
    """One path to be trained alone.

    Args:
        folder: Where its facts go.
        path: The path.
        seed: Of its initial weights and the order of its images, together with the path.
        inherits: Weights of a supernet to begin with; None for a beginning from scratch.
        images: Training images that it may see in all, for a short training; None for the whole recipe.
    """

    folder: JobFolder
    path: Architecture
    seed: int
    inherits: Path | None = None
    images: int | None = None

    @property
    def is_done(self) -> bool:
        """Whether training it again would give nothing new: it has its weights, or diverged."""
        state = self.folder.status().state
        return state == "diverged" or (state == "finished" and self.folder.weights.is_file())
