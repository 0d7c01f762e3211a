"""One path to train from scratch, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

from supernet_cli.space import PASSES_PER_TRAINING_IMAGE, Architecture
from supernet_cli.store.job import JobFolder
from supernet_cli.store.layout import JobKey, Way


@dataclass(frozen=True)
class AloneJob:
    """One path to train from scratch.

    Args:
        folder: Where its files go.
        path: The path.
        seed: Seeds its initial weights and the order of its images, together with the path.
        steps: Its length, if not that of the recipe.
    """

    folder: JobFolder
    path: Architecture
    seed: int
    steps: int | None = field(default=None, kw_only=True)

    @property
    def key(self) -> JobKey:
        """Its folder's place in the run."""
        return self.folder.key

    @property
    def way(self) -> Way:
        """How it is trained."""
        return self.folder.key.way


FEWEST_STEPS = 10
"""Of a short training: below that, what is ranked is how weights were drawn."""

SHORT_CALIBRATION = 512
"""Images that a short training's batch normalisation is measured on: two batches, to leave the budget to training."""


def short_steps(budget: int, macs: int, evaluated: int, batch_size: int) -> int:
    """Return how many steps each of some paths can be trained, so that all of it costs no more than a budget.

    Args:
        budget: Multiply-accumulates, training and evaluation together.
        macs: Of one image through each of the paths.
        evaluated: Images on which each path is evaluated, those that measure its batch normalisation included.
        batch_size: Images per step.
    """
    return max(0, budget // macs - evaluated) // PASSES_PER_TRAINING_IMAGE // batch_size
