"""One path for a whole epoch, drawn uniformly: the schedule of the reference experiment.

With few epochs some paths are never trained, and the last epoch's path is favoured. Included for comparison.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from supernet_cli.sampling import Pass, StepPlan, restore_rng, rng_state
from supernet_cli.space import Architecture, SearchSpace


class Epoch:
    """One path per epoch."""

    passes_per_step = 1

    def __init__(self, space: SearchSpace, rng: random.Random) -> None:
        self._space = space
        self._rng = rng
        self._epoch = -1
        self._path: Architecture | None = None

    def plan(self, step: int, epoch: int) -> StepPlan:
        """Draw a path when a new epoch begins; keep it until the next."""
        if self._path is None or epoch != self._epoch:
            self._epoch, self._path = epoch, self._space.sample(self._rng)
        return StepPlan((Pass(self._path),))

    def state(self) -> dict[str, Any]:
        """Return the generator's state, the epoch and its path."""
        choices = None if self._path is None else list(self._path.choices)
        return {"rng": rng_state(self._rng), "epoch": self._epoch, "choices": choices}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        restore_rng(self._rng, state["rng"])
        self._epoch = state["epoch"]
        self._path = None if state["choices"] is None else self._space.architecture(state["choices"])


def build(space: SearchSpace, rng: random.Random) -> Epoch:
    """Build the strategy."""
    return Epoch(space, rng)
