"""The search space: choice blocks in order, and counting, enumerating and sampling the paths through them."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from supernet_cli.config.space import Candidate, Norm, Space, Stem
from supernet_cli.errors import UsageError, nearest
from supernet_cli.space.architecture import Architecture

_SHUFFLED_WHOLE = 1 << 20  # paths; larger spaces are drawn from, one path at a time
_SAMPLE_SEED = 0


@dataclass(frozen=True)
class ChoiceBlock:
    """A block from which each path takes one candidate.

    Args:
        channels: Output channels.
        pool: Window and stride of the max pooling after the chosen candidate; 1 for none.
        candidates: The operations to choose from.
        stride: Stride of the chosen candidate.
        residual: Whether the block's input is added to the chosen candidate's output.
    """

    channels: int
    pool: int
    candidates: tuple[Candidate, ...]
    stride: int = 1
    residual: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the candidates, in order."""
        return tuple(candidate.label for candidate in self.candidates)


@dataclass(frozen=True)
class SearchSpace:
    """All architectures: one candidate from each block.

    An architecture's index counts with the last block fastest, so indices follow the order of `enumerate`.

    Args:
        hidden: Width of the head's hidden layer.
        blocks: The choice blocks, first to last; every candidate's normalisation is set.
        pooling: What the head sees: every pixel (`flatten`) or each channel's mean (`global`).
        norm: Normalisation of the projections around the candidates.
        stem: The layers before the first block; its normalisation is set.
    """

    hidden: int
    blocks: tuple[ChoiceBlock, ...]
    pooling: Literal["flatten", "global"] = "flatten"
    norm: Norm = "none"
    stem: Stem | None = None

    @classmethod
    def from_config(cls, space: Space) -> SearchSpace:
        """Build the space that a preset describes."""

        def with_norm(candidate: Candidate) -> Candidate:
            return candidate.model_copy(update={"norm": candidate.norm or space.norm})

        blocks = tuple(
            ChoiceBlock(b.channels, b.pool, tuple(map(with_norm, b.candidates)), b.stride, b.residual)
            for b in space.blocks
        )
        stem = space.stem and space.stem.model_copy(update={"norm": space.stem.norm or space.norm})
        return cls(space.hidden, blocks, space.pooling, space.norm, stem)

    @property
    def size(self) -> int:
        """How many architectures there are."""
        return math.prod(len(block.candidates) for block in self.blocks)

    @property
    def has_batch_norm(self) -> bool:
        """Whether it may contain batch normalisation, whose running statistics belong to no single path."""
        candidates = (candidate.norm for block in self.blocks for candidate in block.candidates)
        shortcuts = self.norm if any(block.residual for block in self.blocks) else "none"
        return "batch" in (*candidates, shortcuts, self.stem.norm if self.stem else "none")

    def architecture(self, choices: Sequence[int]) -> Architecture:
        """Return the architecture with these choices, one per block.

        Raises:
            ValueError: There are too few or too many choices, or one does not exist.
        """
        if len(choices) != len(self.blocks):
            raise ValueError(f"{len(choices)} choices for {len(self.blocks)} blocks")
        for number, (block, choice) in enumerate(zip(self.blocks, choices, strict=True)):
            if not 0 <= choice < len(block.candidates):
                raise ValueError(f"block {number} has no candidate {choice}")
        labels = tuple(block.candidates[c].label for block, c in zip(self.blocks, choices, strict=True))
        return Architecture(tuple(choices), labels)

    def enumerate(self) -> Iterator[Architecture]:
        """Yield every architecture, in order of index."""
        for choices in itertools.product(*(range(len(block.candidates)) for block in self.blocks)):
            yield self.architecture(choices)

    def at(self, index: int) -> Architecture:
        """Return the architecture with this index.

        Raises:
            IndexError: The index is not below the size of the space.
        """
        if not 0 <= index < self.size:
            raise IndexError(f"architecture {index} of {self.size}")
        choices: list[int] = []
        for block in reversed(self.blocks):
            index, choice = divmod(index, len(block.candidates))
            choices.append(choice)
        return self.architecture(choices[::-1])

    def only(self, architecture: Architecture) -> SearchSpace:
        """Return the space with this as its only path: what is trained when a path is trained from scratch."""
        pairs = zip(self.blocks, architecture.choices, strict=True)
        return replace(self, blocks=tuple(replace(b, candidates=(b.candidates[c],)) for b, c in pairs))

    def index(self, architecture: Architecture) -> int:
        """Return the index of an architecture: the inverse of `at`."""
        index = 0
        for block, choice in zip(self.blocks, architecture.choices, strict=True):
            index = index * len(block.candidates) + choice
        return index

    def sample(self, rng: random.Random) -> Architecture:
        """Draw one architecture uniformly: each block's candidate independently."""
        return self.architecture([rng.randrange(len(block.candidates)) for block in self.blocks])

    def sample_distinct(self, count: int, rng: random.Random) -> list[Architecture]:
        """Draw `count` distinct architectures uniformly, in order of index; all of them if there are no more."""
        if count >= self.size:
            return list(self.enumerate())
        if self.size <= sys.maxsize:
            return [self.at(index) for index in sorted(rng.sample(range(self.size), count))]
        drawn: set[int] = set()  # `rng.sample` cannot handle a range this large
        while len(drawn) < count:
            drawn.add(rng.randrange(self.size))
        return [self.at(index) for index in sorted(drawn)]

    def shuffled(self, rng: random.Random) -> Iterator[Architecture]:
        """Yield every architecture once, in random order: the first n are a sample, and part of any larger one."""
        if self.size <= _SHUFFLED_WHOLE:
            yield from map(self.at, rng.sample(range(self.size), self.size))
            return
        drawn: set[int] = set()
        while len(drawn) < self.size:
            index = rng.randrange(self.size)
            if index not in drawn:
                drawn.add(index)
                yield self.at(index)

    def sampled(self, count: int) -> list[Architecture]:
        """Return the sample of this size: the same every time, and part of any larger one."""
        return list(itertools.islice(self.shuffled(random.Random(_SAMPLE_SEED)), count))

    def parse(self, path: str) -> Architecture:
        """Return the architecture of a path such as `conv3x3_conv5x5`.

        Raises:
            UsageError: There is no such path; suggests the nearest one.
        """
        labels = path.strip().split("_")
        if len(labels) == len(self.blocks):
            known = [block.labels for block in self.blocks]
            if all(label in choices for label, choices in zip(labels, known, strict=True)):
                return self.architecture([choices.index(label) for label, choices in zip(labels, known, strict=True)])
        raise UsageError(f"The space has no path '{path}'.", self._advice(labels))

    def _advice(self, labels: list[str]) -> str:
        if len(labels) == len(self.blocks):
            near = [
                nearest(label, block.labels) or block.labels[0]
                for label, block in zip(labels, self.blocks, strict=True)
            ]
            return f"Did you mean '{'_'.join(near)}'?"
        return f"A path names one candidate for each of the {len(self.blocks)} blocks, such as '{self.at(0)}'."

    def fingerprint(self) -> str:
        """Return a hash of everything that determines which networks the space contains.

        Features that a space does not use are omitted, so that its fingerprint stays the one of versions without them.
        """
        residual = any(block.residual for block in self.blocks)
        extras = _differing(
            {
                "pooling": (self.pooling, "flatten"),
                "norm": (self.norm if residual else "none", "none"),  # candidates and stem carry their own
                "stem": (self.stem and self.stem.model_dump(mode="json"), None),
            }
        )
        text = json.dumps([self.hidden, [_facts(block) for block in self.blocks], *extras], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _facts(block: ChoiceBlock) -> list[Any]:
    """Return what determines a block's networks, as plain values."""
    candidates = [candidate.model_dump(mode="json") for candidate in block.candidates]
    for candidate in candidates:
        if candidate["norm"] in (None, "none"):
            del candidate["norm"]
    extras = _differing({"stride": (block.stride, 1), "residual": (block.residual, False)})
    return [block.channels, block.pool, candidates, *extras]


def _differing(values: Mapping[str, tuple[Any, Any]]) -> list[dict[str, Any]]:
    """Return the values that differ from their defaults as one table, or an empty list; values come with defaults."""
    table = {name: value for name, (value, default) in values.items() if value != default}
    return [table] if table else []
