"""Bandit: usually the candidates with the best recent accuracy, sometimes a random path.

ε-greedy with a sliding window (Sutton and Barto 2018, chapter 2), per block, on images held out for it. Unfair by
construction: good candidates are trained more and so become better. Judge it by the regret of its choice, not by its
ranking.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from typing import Any

from supernet_cli.sampling import Context, Pass, StepPlan, number, restore_rng, rng_state
from supernet_cli.space import Architecture, SearchSpace


class Bandit:
    """One path per step. A candidate's value is the mean accuracy of the paths in the window that contain it."""

    passes_per_step = 1

    def __init__(
        self, space: SearchSpace, rng: random.Random, epsilon: float, window: int, held_out: int, every: int
    ) -> None:
        self._space = space
        self._rng = rng
        self._epsilon = epsilon
        self._heard: deque[tuple[tuple[int, ...], float]] = deque(maxlen=window)
        self.held_out = held_out
        self.feedback_every = every

    def plan(self, step: int, epoch: int) -> StepPlan:
        """Draw a random path, or take each block's best candidate; candidates without feedback come first."""
        if self._rng.random() < self._epsilon:
            return StepPlan((Pass(self._space.sample(self._rng)),))
        return StepPlan((Pass(self._space.architecture([self._best(b) for b in range(len(self._space.blocks))])),))

    def _best(self, block: int) -> int:
        sums = [[0.0, 0] for _ in self._space.blocks[block].candidates]
        for choices, accuracy in self._heard:
            sums[choices[block]][0] += accuracy
            sums[choices[block]][1] += 1
        untried = [choice for choice, (_, count) in enumerate(sums) if count == 0]
        if untried:
            return self._rng.choice(untried)
        return max(range(len(sums)), key=lambda choice: sums[choice][0] / sums[choice][1])

    def feedback(self, path: Architecture, accuracy: float) -> None:
        """Add the accuracy of a path to the window; the oldest one drops out."""
        self._heard.append((path.choices, accuracy))

    def state(self) -> dict[str, Any]:
        """Return the generator's state and the window."""
        return {"rng": rng_state(self._rng), "heard": [[list(choices), value] for choices, value in self._heard]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        restore_rng(self._rng, state["rng"])
        self._heard.clear()
        self._heard.extend((tuple(choices), value) for choices, value in state["heard"])


def build(
    space: SearchSpace,
    rng: random.Random,
    context: Context,
    *,
    epsilon: float = 0.2,
    window: int = 100,
    held_out: int = 250,
    every: int = 10,
) -> Bandit:
    """Build the strategy.

    Args:
        space: The space to draw from.
        rng: Source of randomness.
        context: The training, for its number of images.
        epsilon: Share of random paths, 0 to 1.
        window: Number of feedbacks to remember.
        held_out: Training images that feedback is measured on; never trained on.
        every: Steps between feedbacks.

    Raises:
        ValueError: A parameter is invalid.
    """
    number("epsilon", epsilon, 0, 1)
    number("window", window, 1, 100_000, whole=True)
    number("held_out", held_out, 1, max(1, context.images // 2), whole=True)
    number("every", every, 1, 1_000_000, whole=True)
    return Bandit(space, rng, epsilon, window, held_out, every)
