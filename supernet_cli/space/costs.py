"""What paths cost, as plain tables: a candidate costs the same whatever the other blocks choose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from supernet_cli.space.architecture import Architecture
from supernet_cli.space.bundle import Bundle

PASSES_PER_TRAINING_IMAGE = 3
"""Forward passes that training on an image costs: its own, and a backward pass that counts as two."""


@dataclass(frozen=True)
class PathCosts:
    """A cost that adds up along a path, such as the multiply-accumulates of the forward pass of one image.

    Args:
        candidates: Cost of each candidate, per block.
        head: Cost of the head, which all paths share.
        stem: Cost of the layers before the first block.
        shared: Cost of what a block executes whatever its choice, per block; empty for none.
    """

    candidates: tuple[tuple[int, ...], ...]
    head: int
    stem: int = 0
    shared: tuple[int, ...] = ()

    def of(self, architecture: Architecture) -> int:
        """Return the cost of one path."""
        chosen = sum(block[c] for block, c in zip(self.candidates, architecture.choices, strict=True))
        return self.rest + chosen

    def largest(self, count: int) -> list[tuple[int, ...]]:
        """Return the choices of the paths that cost most, the largest first; of equals, those with earlier candidates.

        Costs add up, so the largest paths are made of the largest beginnings: no path but these is looked at.

        Args:
            count: How many; all paths if there are fewer.
        """
        beginnings: list[tuple[int, tuple[int, ...]]] = [(0, ())]
        for block in self.candidates:
            longer = [(cost - more, (*path, c)) for cost, path in beginnings for c, more in enumerate(block)]
            beginnings = sorted(longer)[:count]
        return [path for _, path in beginnings]

    def of_bundle(self, bundle: Bundle) -> int:
        """Return the cost of several candidates per block."""
        chosen = (block[c] for block, kept in zip(self.candidates, bundle.choices, strict=True) for c in kept)
        return self.rest + sum(chosen)

    def of_shared_prefixes(self, architectures: Iterable[Architecture], head: bool = True) -> int:
        """Return the total cost of several paths when each common prefix is computed only once.

        Args:
            architectures: The paths.
            head: Whether to include the head.
        """
        choices = {architecture.choices for architecture in architectures}
        prefixes = {path[: depth + 1] for path in choices for depth in range(len(path))}
        blocks = sum(self._of_block(len(prefix) - 1, prefix[-1]) for prefix in prefixes)
        return (self.stem if choices else 0) + blocks + (self.head * len(choices) if head else 0)

    @property
    def rest(self) -> int:
        """What every path costs besides its candidates."""
        return self.stem + sum(self.shared) + self.head

    def _of_block(self, block: int, choice: int) -> int:
        return self.candidates[block][choice] + (self.shared[block] if self.shared else 0)


@dataclass(frozen=True)
class PathSizes:
    """Everything about a path that adds up along it.

    Args:
        macs: Multiply-accumulates of the forward pass of one image.
        parameters: Learned parameters.
        weights: Bytes of all tensors that are stored for it, running statistics included.
    """

    macs: PathCosts
    parameters: PathCosts
    weights: PathCosts
