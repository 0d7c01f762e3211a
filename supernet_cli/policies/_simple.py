"""What the policies without a model share: no memory of their own, and the best accuracy seen as their pick."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import numpy as np

from supernet_cli.policies.problem import Evidence, Path, untaken


def best_observed(evidence: Evidence) -> Path:
    """Return the trained path with the best mean validation accuracy; of equals, the first.

    Raises:
        ValueError: No path is trained.
    """
    if not evidence.observations:
        raise ValueError("no path is trained yet")
    return max(evidence.observations, key=lambda observation: observation.mean).path


def filled(paths: Iterable[Path], evidence: Evidence, rng: np.random.Generator, n: int) -> list[Path]:
    """Return the first n distinct paths that are not taken, and random ones where these are too few."""
    chosen = list(islice((path for path in dict.fromkeys(paths) if path not in evidence.taken), n))
    return chosen + list(islice(untaken(evidence, rng, chosen), n - len(chosen)))


class Memoryless:
    """A policy that decides by the evidence only, and takes the path with the best accuracy."""

    def pick(self, evidence: Evidence, rng: np.random.Generator) -> Path:
        """Return the trained path with the best mean accuracy."""
        return best_observed(evidence)

    def state(self) -> dict[str, Any]:
        """Return nothing: the evidence determines what comes next."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
