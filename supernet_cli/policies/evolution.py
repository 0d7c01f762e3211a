"""Regularised evolution: change the best of a sample of the latest paths, and let the oldest die.

Source: Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search", arXiv 1802.01548.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from supernet_cli.policies._simple import Memoryless, filled
from supernet_cli.policies.problem import Evidence, Path, as_paths, untaken

_TRIES = 100
"""Changes of one parent that are tried for one that is new and within the limits."""


class Evolution(Memoryless):
    """The population is the latest trainings, so the evidence is all there is to remember.

    Args:
        population: Paths that are alive; as many are drawn at random first.
        sample: Of these, how many compete to be the parent.
    """

    def __init__(self, population: int, sample: int) -> None:
        self._population = population
        self._sample = sample

    def propose(self, evidence: Evidence, rng: np.random.Generator, n: int) -> list[Path]:
        """Return children of the fittest, or random paths until there is a population."""
        chosen: list[Path] = []
        for _ in range(n):
            if len(evidence.taken) + len(chosen) < self._population or not evidence.observations:
                chosen += islice(untaken(evidence, rng, chosen), 1)
            else:
                chosen.append(self._child(evidence, rng, chosen))
        return filled(chosen, evidence, rng, n)

    def _child(self, evidence: Evidence, rng: np.random.Generator, chosen: list[Path]) -> Path:
        alive = evidence.observations[-self._population :]
        places = rng.choice(len(alive), size=min(self._sample, len(alive)), replace=False)
        parent = max((alive[place] for place in places.tolist()), key=lambda observation: observation.mean).path
        changed = evidence.problem.mutated(np.tile(np.array(parent), (_TRIES, 1)), rng)
        changed = changed[evidence.problem.within_limits(changed)]
        new = (path for path in as_paths(changed) if path not in evidence.taken and path not in chosen)
        return next(new, parent)


def build(*, population: int = 10, sample: int = 3) -> Evolution:
    """Build the policy.

    Args:
        population: Paths that are alive, at least 2.
        sample: How many of these compete to be the parent, at least 1.

    Raises:
        ValueError: A parameter is too small.
    """
    if population < 2 or sample < 1:
        raise ValueError(f"population = {population} must be at least 2 and sample = {sample} at least 1")
    return Evolution(population, sample)
