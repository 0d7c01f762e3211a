"""Path dropout: all candidates at once, each dropped independently at a rate that rises during training.

Source: Bender et al. 2018, "Understanding and Simplifying One-Shot Architecture Search", ICML. Our variant
averages the outputs that are kept, so that a single path is evaluated at the scale it was trained at; theirs is
`combine = "sum"`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, cast

from supernet_cli.sampling import Context, Part, Pass, StepPlan, number, restore_rng, rng_state
from supernet_cli.space import Architecture, Bundle, SearchSpace
from supernet_cli.space.bundle import Combine

DEPENDS_ON_LENGTH = True
"""The rate rises with the share of the training that is done."""


class PathDropout:
    """Each candidate is dropped with p = rate^(1/k) · t/T, k candidates in its block; an empty draw is redrawn."""

    passes_per_step = 1

    def __init__(
        self, space: SearchSpace, rng: random.Random, steps: int, rate: float, ghost: int, combine: Combine
    ) -> None:
        self._space = space
        self._rng = rng
        self._steps = steps
        self._highest = [rate ** (1 / len(block.candidates)) for block in space.blocks]
        self._parts = [Part(index, ghost) if ghost > 1 else None for index in range(ghost)]
        self._combine = combine
        self.undropped = Bundle(tuple(tuple(range(len(block.candidates))) for block in space.blocks), combine)
        self._progress = 0.0  # of the training, 0 to 1, at the last plan
        self._passes = self._single = 0  # since the last report

    def plan(self, step: int, epoch: int) -> StepPlan:
        """Draw the candidates to keep, separately for each part of the mini-batch."""
        self._progress = min(1.0, (step + 1) / self._steps)
        passes = tuple(Pass(self._draw(), part=part) for part in self._parts)
        self._passes += len(passes)
        self._single += sum(isinstance(each.path, Architecture) for each in passes)
        return StepPlan(passes)

    def _draw(self) -> Architecture | Bundle:
        sizes = (len(block.candidates) for block in self._space.blocks)
        kept = tuple(self._keep(size, rate) for size, rate in zip(sizes, self._rates(), strict=True))
        if all(len(choices) == 1 for choices in kept):
            return self._space.architecture([choices[0] for choices in kept])
        return Bundle(kept, self._combine)

    def _keep(self, size: int, rate: float) -> tuple[int, ...]:
        while True:
            kept = tuple(choice for choice in range(size) if self._rng.random() >= rate)
            if kept:
                return kept

    def _rates(self) -> list[float]:
        return [highest * self._progress for highest in self._highest]

    def report(self) -> dict[str, float]:
        """Return the rates, averaged over candidates, and the share of passes that were a single path.

        Redrawing makes the effective rate (p − p^k) / (1 − p^k).
        """
        pairs = [(p, len(block.candidates)) for p, block in zip(self._rates(), self._space.blocks, strict=True)]
        candidates = sum(k for _, k in pairs)
        seen = self._single / self._passes if self._passes else 0.0
        self._passes = self._single = 0
        alone = 1.0
        for p, k in pairs:
            alone *= k * p ** (k - 1) * (1 - p) / (1 - p**k)
        return {
            "nominal_rate": sum(k * p for p, k in pairs) / candidates,
            "effective_rate": sum(k * (p - p**k) / (1 - p**k) for p, k in pairs) / candidates,
            "single_paths_expected": alone,
            "single_paths": seen,
        }

    def state(self) -> dict[str, Any]:
        """Return the generator's state, the training's progress, and the counts since the last report."""
        counts = [self._passes, self._single]
        return {"rng": rng_state(self._rng), "progress": self._progress, "counts": counts}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        restore_rng(self._rng, state["rng"])
        self._progress = state["progress"]
        self._passes, self._single = state["counts"]


def build(
    space: SearchSpace,
    rng: random.Random,
    context: Context,
    *,
    rate: float = 0.05,
    ghost: int = 4,
    combine: str = "mean",
) -> PathDropout:
    """Build the strategy.

    Args:
        space: The space to draw from.
        rng: Source of randomness.
        context: The training, for its length.
        rate: Probability of dropping a whole block at the end of the training, before redrawing; up to 0.99.
        ghost: Parts of the mini-batch, each with its own draw and its own batch-normalisation statistics.
        combine: How the outputs that are kept are combined: "mean" or "sum".

    Raises:
        ValueError: A parameter is invalid.
    """
    number("rate", rate, 0, 0.99)
    number("ghost", ghost, 1, 64, whole=True)
    if combine not in ("mean", "sum"):
        raise ValueError(f'combine = {combine!r}: must be "mean" or "sum"')
    return PathDropout(space, rng, context.steps(PathDropout.passes_per_step), rate, ghost, cast(Combine, combine))
