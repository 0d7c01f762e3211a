"""Sandwich: each step trains the largest path, the smallest and two random ones, which learn from the largest.

Source: J. Yu et al. 2020, "BigNAS: Scaling Up Neural Architecture Search with Big Single-Stage Models", arXiv
2003.11142. The argument assumes nested weights, where the largest path contains all others. In a space of different
operations, the largest and the smallest path share only stem and head, and the extremes are trained more often than
the rest. Included for comparison.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from supernet_cli.sampling import Context, Pass, StepPlan, restore_rng, rng_state
from supernet_cli.space import PathCosts, SearchSpace


class Sandwich:
    """One teacher and three students per step, on the same images."""

    passes_per_step = 4

    def __init__(self, space: SearchSpace, rng: random.Random, costs: PathCosts) -> None:
        self._space = space
        self._rng = rng
        largest = space.architecture([block.index(max(block)) for block in costs.candidates])
        smallest = space.architecture([_last(block, min(block)) for block in costs.candidates])
        self._extremes = (Pass(largest, "teacher"), Pass(smallest, "student"))

    def plan(self, step: int, epoch: int) -> StepPlan:
        """Draw the two random paths."""
        random_paths = (Pass(self._space.sample(self._rng), "student") for _ in range(2))
        return StepPlan((*self._extremes, *random_paths))

    def state(self) -> dict[str, Any]:
        """Return the generator's state."""
        return {"rng": rng_state(self._rng)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        restore_rng(self._rng, state["rng"])


def _last(block: Sequence[int], cost: int) -> int:
    """Return the last candidate with this cost; among equals the largest path takes the first, so the two differ."""
    return len(block) - 1 - block[::-1].index(cost)


def build(space: SearchSpace, rng: random.Random, context: Context) -> Sandwich:
    """Build the strategy; `context` gives the cost of each candidate."""
    return Sandwich(space, rng, context.costs)
