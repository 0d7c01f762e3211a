"""Strict fairness: every candidate of every block is trained exactly once per step, on the same images.

Source: Chu et al. 2021, "FairNAS: Rethinking Evaluation Fairness of Weight Sharing Neural Architecture Search", arXiv
1907.01845.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from supernet_cli.sampling import Pass, StepPlan, restore_rng, rng_state
from supernet_cli.space import SearchSpace


class Fair:
    """As many paths per step as a block has candidates; path i takes element i of each block's permutation."""

    def __init__(self, space: SearchSpace, rng: random.Random) -> None:
        self._space = space
        self._rng = rng
        self.passes_per_step = len(space.blocks[0].candidates)

    def plan(self, step: int, epoch: int) -> StepPlan:
        """Draw a permutation for each block."""
        positions = range(self.passes_per_step)
        permutations = [self._rng.sample(positions, len(positions)) for _ in self._space.blocks]
        return StepPlan(tuple(Pass(self._space.architecture(c)) for c in zip(*permutations, strict=True)))

    def state(self) -> dict[str, Any]:
        """Return the generator's state."""
        return {"rng": rng_state(self._rng)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        restore_rng(self._rng, state["rng"])


def build(space: SearchSpace, rng: random.Random) -> Fair:
    """Build the strategy.

    Raises:
        ValueError: Blocks have different numbers of candidates, so some would be trained more often than others.
    """
    counts = [len(block.candidates) for block in space.blocks]
    for block, count in enumerate(counts):
        if count != counts[0]:
            difference = f"block 1 has {counts[0]}, block {block + 1} has {count}"
            raise ValueError(
                f"strict fairness needs the same number of candidates in every block, but {difference}; "
                'use "uniform", or give every block as many'
            )
    return Fair(space, rng)
