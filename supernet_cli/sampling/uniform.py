"""Single path, uniform: each step trains one path, each block's candidate drawn uniformly.

Source: Guo et al. 2020, "Single Path One-Shot Neural Architecture Search with Uniform Sampling", arXiv 1904.00420.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from supernet_cli.sampling import Pass, StepPlan, restore_rng, rng_state
from supernet_cli.space import SearchSpace


class Uniform:
    """One path per step, drawn independently."""

    passes_per_step = 1

    def __init__(self, space: SearchSpace, rng: random.Random) -> None:
        self._space = space
        self._rng = rng

    def plan(self, step: int, epoch: int) -> StepPlan:
        """Draw a path."""
        return StepPlan((Pass(self._space.sample(self._rng)),))

    def state(self) -> dict[str, Any]:
        """Return the generator's state."""
        return {"rng": rng_state(self._rng)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        restore_rng(self._rng, state["rng"])


def build(space: SearchSpace, rng: random.Random) -> Uniform:
    """Build the strategy."""
    return Uniform(space, rng)
