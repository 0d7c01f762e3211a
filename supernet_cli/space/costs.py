"""What paths cost, as a plain table: a candidate costs the same whatever the other blocks choose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from supernet_cli.space.architecture import Architecture


@dataclass(frozen=True)
class PathCosts:
    """Multiply-accumulates of one image's forward pass.

    Args:
        candidates: Those of each candidate, block by block.
        head: Those of what all paths share.
    """

    candidates: tuple[tuple[int, ...], ...]
    head: int

    def of(self, architecture: Architecture) -> int:
        """Return what one path costs."""
        return self.head + sum(block[c] for block, c in zip(self.candidates, architecture.choices, strict=True))

    def of_shared_prefixes(self, architectures: Iterable[Architecture]) -> int:
        """Return what several paths cost together where a prefix that some have in common is computed once."""
        choices = {architecture.choices for architecture in architectures}
        prefixes = {path[: depth + 1] for path in choices for depth in range(len(path))}
        return self.head * len(choices) + sum(self.candidates[len(prefix) - 1][prefix[-1]] for prefix in prefixes)
