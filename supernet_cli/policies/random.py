"""Random search: paths drawn uniformly, without repetition. The baseline of every other policy.

Source: Li and Talwalkar 2019, "Random Search and Reproducibility for Neural Architecture Search", arXiv 1902.07638.
"""

from __future__ import annotations

import numpy as np

from supernet_cli.policies._simple import Memoryless, filled
from supernet_cli.policies.problem import Evidence, Path


class Random(Memoryless):
    """Draws paths uniformly."""

    def propose(self, evidence: Evidence, rng: np.random.Generator, n: int) -> list[Path]:
        """Draw paths that are not taken."""
        return filled((), evidence, rng, n)


def build() -> Random:
    """Build the policy."""
    return Random()
