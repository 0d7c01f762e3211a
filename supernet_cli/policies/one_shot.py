"""One-shot top-k: paths in the order of their one-shot scores, as most one-shot searches end.

Source: Guo et al. 2020, "Single Path One-Shot Neural Architecture Search with Uniform Sampling", arXiv 1904.00420.
"""

from __future__ import annotations

from supernet_cli.policies._ordered import Ordered


def build() -> Ordered:
    """Build the policy."""
    return Ordered("score")
