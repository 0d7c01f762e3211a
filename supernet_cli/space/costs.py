"""What paths cost, as a plain table: a candidate costs the same whatever the other blocks choose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from supernet_cli.space.architecture import Architecture
from supernet_cli.space.bundle import Bundle


@dataclass(frozen=True)
class PathCosts:
    """Multiply-accumulates of one image's forward pass.

    Args:
        candidates: Those of each candidate, block by block.
        head: Those of the head, which all paths share.
        stem: Those of what stands before the first block.
        shared: Those of what a block does whatever it chooses, block by block; nothing where left out.
    """

    candidates: tuple[tuple[int, ...], ...]
    head: int
    stem: int = 0
    shared: tuple[int, ...] = ()

    def of(self, architecture: Architecture) -> int:
        """Return what one path costs."""
        chosen = sum(block[c] for block, c in zip(self.candidates, architecture.choices, strict=True))
        return self.stem + sum(self.shared) + chosen + self.head

    def of_bundle(self, bundle: Bundle) -> int:
        """Return what several candidates a block cost together."""
        chosen = (block[c] for block, kept in zip(self.candidates, bundle.choices, strict=True) for c in kept)
        return self.stem + sum(self.shared) + sum(chosen) + self.head

    def of_shared_prefixes(self, architectures: Iterable[Architecture], head: bool = True) -> int:
        """Return what several paths cost together where a prefix that some have in common is computed once.

        Args:
            architectures: The paths.
            head: Whether the head is computed.
        """
        choices = {architecture.choices for architecture in architectures}
        prefixes = {path[: depth + 1] for path in choices for depth in range(len(path))}
        blocks = sum(self._of_block(len(prefix) - 1, prefix[-1]) for prefix in prefixes)
        return (self.stem if choices else 0) + blocks + (self.head * len(choices) if head else 0)

    def _of_block(self, block: int, choice: int) -> int:
        return self.candidates[block][choice] + (self.shared[block] if self.shared else 0)
