"""Local search: train the neighbours of the best path until one is better; start elsewhere when none is.

Source: White, Nolen and Savani 2020, "Exploring the Loss Landscape in Neural Architecture Search", arXiv 2005.02960.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from supernet_cli.policies._simple import best_observed, filled
from supernet_cli.policies.problem import Evidence, Path, as_paths, untaken


class Local:
    """Moves to a better neighbour as soon as it is found."""

    def __init__(self) -> None:
        self._starts: list[Path] = []

    def propose(self, evidence: Evidence, rng: np.random.Generator, n: int) -> list[Path]:
        """Return neighbours of the best path of this climb; a random path once all of them are trained."""
        open_neighbours = self._open_neighbours(evidence, rng)
        if len(open_neighbours) < n and not self._waits(evidence):
            self._starts = (self._starts + list(untaken_one(evidence, rng, open_neighbours)))[-1:]
            return filled([*open_neighbours, *self._starts], evidence, rng, n)
        return filled(open_neighbours, evidence, rng, n)

    def _waits(self, evidence: Evidence) -> bool:
        """Whether the climb's first path is still being trained."""
        return bool(self._starts) and self._starts[-1] in evidence.pending

    def _open_neighbours(self, evidence: Evidence, rng: np.random.Generator) -> list[Path]:
        centre = self._centre(evidence)
        if centre is None:
            return []
        return as_paths(rng.permutation(evidence.fresh(evidence.problem.neighbours(centre))))

    def _centre(self, evidence: Evidence) -> Path | None:
        """Return where this climb has got to: from its start, each time the best path one change away."""
        means = {observation.path: observation.mean for observation in evidence.observations}
        here = self._starts[-1] if self._starts else None
        if here not in means:
            return None
        while here is not None:
            near = [path for path in as_paths(evidence.problem.neighbours(here)) if path in means]
            better = max(near, key=means.__getitem__, default=here)
            if means[better] <= means[here]:
                break
            here = better
        return here

    def pick(self, evidence: Evidence, rng: np.random.Generator) -> Path:
        """Return the trained path with the best mean accuracy."""
        return best_observed(evidence)

    def state(self) -> dict[str, Any]:
        """Return where the climb began."""
        return {"starts": [list(path) for path in self._starts]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        self._starts = [tuple(path) for path in state["starts"]]


def untaken_one(evidence: Evidence, rng: np.random.Generator, exclude: list[Path]) -> list[Path]:
    """Return a random path that is not taken, or nothing where all are."""
    return [path for path, _ in zip(untaken(evidence, rng, exclude), range(1), strict=False)]


def build() -> Local:
    """Build the policy."""
    return Local()
