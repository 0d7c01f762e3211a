"""Strict fairness: every candidate of every block is trained exactly once per step.

Source: Chu et al. 2021, "FairNAS: Rethinking Evaluation Fairness of Weight Sharing Neural Architecture Search", arXiv
1907.01845. There, all paths of a step see the same images. With `parts`, our variant, each path sees its own part of
the mini-batch: the same fairness, with as many steps per epoch as a strategy of one path per step.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from supernet_cli.sampling import Context, Part, Pass, StepPlan, restore_rng, rng_state
from supernet_cli.space import SearchSpace


class Fair:
    """As many paths per step as a block has candidates; path i takes element i of each block's permutation."""

    def __init__(self, space: SearchSpace, rng: random.Random, parts: bool) -> None:
        self._space = space
        self._rng = rng
        count = len(space.blocks[0].candidates)
        self._parts = [Part(index, count) if parts else None for index in range(count)]
        self.passes_per_step = 1 if parts else count

    def plan(self, step: int, epoch: int) -> StepPlan:
        """Draw a permutation for each block."""
        positions = range(len(self._parts))
        permutations = [self._rng.sample(positions, len(positions)) for _ in self._space.blocks]
        paths = map(self._space.architecture, zip(*permutations, strict=True))
        return StepPlan(tuple(Pass(path, part=part) for path, part in zip(paths, self._parts, strict=True)))

    def state(self) -> dict[str, Any]:
        """Return the generator's state."""
        return {"rng": rng_state(self._rng)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        restore_rng(self._rng, state["rng"])


def build(space: SearchSpace, rng: random.Random, context: Context, *, parts: bool = False) -> Fair:
    """Build the strategy.

    Args:
        space: The space to draw from.
        rng: Source of randomness.
        context: The training, for the size of its mini-batches.
        parts: Whether each path of a step sees its own part of the mini-batch instead of all of it. A last mini-batch
            of an epoch with fewer than two images per path trains fewer paths.

    Raises:
        ValueError: Blocks have different numbers of candidates, so some would be trained more often than others, or
            mini-batches are too small for parts.
    """
    if not isinstance(parts, bool):
        raise ValueError(f"parts = {parts!r}: must be true or false")
    counts = [len(block.candidates) for block in space.blocks]
    for block, count in enumerate(counts):
        if count != counts[0]:
            difference = f"block 1 has {counts[0]}, block {block + 1} has {count}"
            raise ValueError(
                f"strict fairness needs the same number of candidates in every block, but {difference}; "
                'use "uniform", or give every block as many'
            )
    if parts and context.batch_size < 2 * counts[0]:
        raise ValueError(
            f"parts = true needs two images for each of {counts[0]} paths, but mini-batches have {context.batch_size}; "
            f"use a batch size of {2 * counts[0]} or more, or omit `parts`"
        )
    return Fair(space, rng, parts)
