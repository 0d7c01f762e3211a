"""Sandwich: the largest path, the smallest and two random ones a step; all but the largest learn from the largest.

Source: J. Yu et al. 2020, «BigNAS: Scaling Up Neural Architecture Search with Big Single-Stage Models», arXiv
2003.11142. Its argument needs nested weights, where the largest path holds all others. Among operations to choose from,
the largest and the smallest share the head alone, and extremes are trained more often than the rest: offered to compare
with.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from supernet_cli.sampling import Context, Pass, StepPlan, restore_rng, rng_state
from supernet_cli.space import PathCosts, SearchSpace


class Sandwich:
    """One teacher and three students a step, on the same images."""

    passes_per_step = 4

    def __init__(self, space: SearchSpace, rng: random.Random, costs: PathCosts) -> None:
        self._space = space
        self._rng = rng
        largest = space.architecture([block.index(max(block)) for block in costs.candidates])
        smallest = space.architecture([_last(block, min(block)) for block in costs.candidates])
        self._extremes = (Pass(largest, "teacher"), Pass(smallest, "student"))

    def plan(self, step: int, epoch: int) -> StepPlan:
        """Draw the two random paths."""
        random_ones = (Pass(self._space.sample(self._rng), "student") for _ in range(2))
        return StepPlan((*self._extremes, *random_ones))

    def state(self) -> dict[str, Any]:
        """Return the generator's state."""
        return {"rng": rng_state(self._rng)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        restore_rng(self._rng, state["rng"])


def _last(block: Sequence[int], cost: int) -> int:
    """Return the last candidate of a cost: of equals the largest path has the first, so that the two are not one."""
    return len(block) - 1 - block[::-1].index(cost)


def build(space: SearchSpace, rng: random.Random, context: Context) -> Sandwich:
    """Build the strategy; `context` tells what candidates cost."""
    return Sandwich(space, rng, context.costs)
