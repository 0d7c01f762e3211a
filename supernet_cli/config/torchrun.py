"""What torchrun says of this process, in its environment: one of how many it is, and where."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """The place of a process among those that train together; alone by default.

    Args:
        rank: Its number, from 0.
        size: How many there are.
        local_rank: Its number on its host.
        local_size: How many there are on its host.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it is the one that judges, writes and speaks."""
        return self.rank == 0


def here(environment: Mapping[str, str] = os.environ) -> Place:
    """Return the place of this process.

    Args:
        environment: `RANK`, `WORLD_SIZE`, `LOCAL_RANK` and `LOCAL_WORLD_SIZE`, as torchrun sets them; without the first
            two a process is alone, without the others all are on one host.
    """
    rank, size = (environment.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    local_rank, local_size = environment.get("LOCAL_RANK", rank), environment.get("LOCAL_WORLD_SIZE", size)
    words = (rank, size, local_rank, local_size)
    if not all(word.isascii() and word.isdecimal() for word in words):
        return Place()
    place = Place(*map(int, words))
    return place if place.rank < place.size and place.local_rank < place.local_size else Place()
