"""What torchrun's environment variables say about this process: its number, and the number of processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """The place of a process among those that train together; by default, a single process.

    Args:
        rank: Number of the process, from 0.
        size: Number of processes.
        local_rank: Number of the process on its host.
        local_size: Number of processes on its host.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it is the one that evaluates, writes files and prints."""
        return self.rank == 0


def here(environment: Mapping[str, str] = os.environ) -> Place:
    """Return the place of this process.

    Args:
        environment: `RANK`, `WORLD_SIZE`, `LOCAL_RANK` and `LOCAL_WORLD_SIZE`, as torchrun sets them; without the
            first two it is a single process, without the others all are on one host.
    """
    rank, size = (environment.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    local_rank, local_size = environment.get("LOCAL_RANK", rank), environment.get("LOCAL_WORLD_SIZE", size)
    values = (rank, size, local_rank, local_size)
    if not all(value.isascii() and value.isdecimal() for value in values):
        return Place()
    place = Place(*map(int, values))
    return place if place.rank < place.size and place.local_rank < place.local_size else Place()
