"""The search space: choice blocks in order, and everything that can be counted, enumerated or drawn from them."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from supernet_cli.config.schema import Candidate, Space
from supernet_cli.errors import UsageError, nearest
from supernet_cli.space.architecture import Architecture


@dataclass(frozen=True)
class ChoiceBlock:
    """A block of which a path takes one candidate.

    Args:
        channels: Channels that leave it.
        pool: Window and stride of the max pooling behind the chosen candidate; 1 for none.
        candidates: What can be chosen.
    """

    channels: int
    pool: int
    candidates: tuple[Candidate, ...]

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
        blocks: The choice blocks, first to last.
    """

    hidden: int
    blocks: tuple[ChoiceBlock, ...]

    @classmethod
    def from_config(cls, space: Space) -> SearchSpace:
        """Build the space that a preset describes."""
        return cls(space.hidden, tuple(ChoiceBlock(b.channels, b.pool, b.candidates) for b in space.blocks))

    @property
    def size(self) -> int:
        """How many architectures there are."""
        return math.prod(len(block.candidates) for block in self.blocks)

    def architecture(self, choices: Sequence[int]) -> Architecture:
        """Return the architecture of one choice a block.

        Raises:
            ValueError: A choice is missing, or no candidate is there.
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
        """Return the architecture of an index.

        Raises:
            IndexError: The space is smaller.
        """
        if not 0 <= index < self.size:
            raise IndexError(f"architecture {index} of {self.size}")
        choices: list[int] = []
        for block in reversed(self.blocks):
            index, choice = divmod(index, len(block.candidates))
            choices.append(choice)
        return self.architecture(choices[::-1])

    def only(self, architecture: Architecture) -> SearchSpace:
        """Return the space whose one path is this one: what is trained when a path is trained alone."""
        pairs = zip(self.blocks, architecture.choices, strict=True)
        return replace(self, blocks=tuple(replace(b, candidates=(b.candidates[c],)) for b, c in pairs))

    def index(self, architecture: Architecture) -> int:
        """Return the index of an architecture: the inverse of `at`."""
        index = 0
        for block, choice in zip(self.blocks, architecture.choices, strict=True):
            index = index * len(block.candidates) + choice
        return index

    def sample(self, rng: random.Random) -> Architecture:
        """Draw one architecture uniformly: each block's candidate on its own."""
        return self.architecture([rng.randrange(len(block.candidates)) for block in self.blocks])

    def sample_distinct(self, count: int, rng: random.Random) -> list[Architecture]:
        """Draw `count` different architectures uniformly, in order of index; all of them where there are no more."""
        if count >= self.size:
            return list(self.enumerate())
        if self.size <= sys.maxsize:
            return [self.at(index) for index in sorted(rng.sample(range(self.size), count))]
        drawn: set[int] = set()  # `rng.sample` cannot count so far
        while len(drawn) < count:
            drawn.add(rng.randrange(self.size))
        return [self.at(index) for index in sorted(drawn)]

    def parse(self, path: str) -> Architecture:
        """Return the architecture that a path such as `conv3x3_conv5x5` names.

        Raises:
            UsageError: No such path; names the nearest one.
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
        """Return a hash of everything that decides which networks the space holds."""
        blocks = [[b.channels, b.pool, [c.model_dump(mode="json") for c in b.candidates]] for b in self.blocks]
        text = json.dumps([self.hidden, blocks], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
