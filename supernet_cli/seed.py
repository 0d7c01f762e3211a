"""Source of every random number in a job: one seed, and a name for each use."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator

import torch


def derive(seed: int, *use: str | int) -> int:
    """Return a 63-bit seed for one use of a job's seed; different uses are independent."""
    text = "/".join(map(str, (seed, *use)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def python_rng(seed: int, *use: str | int) -> random.Random:
    """Return a Python generator for one use."""
    return random.Random(derive(seed, *use))


def torch_rng(seed: int, *use: str | int) -> torch.Generator:
    """Return a torch generator for one use; on the CPU, so that every device sees the same numbers."""
    return torch.Generator().manual_seed(derive(seed, *use))


@contextlib.contextmanager
def seeded_initialisation(seed: int) -> Iterator[None]:
    """Initialise modules built inside from a seed; torch's global generator is restored afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "initialisation"))
        yield
