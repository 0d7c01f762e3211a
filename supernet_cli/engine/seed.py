"""Every random number of a job comes from here: one seed, and a name for each use."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator

import torch


def derive(seed: int, *use: str | int) -> int:
    """Return a seed of 63 bits for one use of a job's seed; different uses are independent."""
    text = "/".join(map(str, (seed, *use)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def python_rng(seed: int, *use: str | int) -> random.Random:
    """Return a generator of Python's own for one use."""
    return random.Random(derive(seed, *use))


def torch_rng(seed: int, *use: str | int) -> torch.Generator:
    """Return a generator of torch's, on the CPU so that every device sees the same numbers, for one use."""
    return torch.Generator().manual_seed(derive(seed, *use))


@contextlib.contextmanager
def seeded_initialisation(seed: int) -> Iterator[None]:
    """Make modules built inside start from the seed's weights; torch's global generator is as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "initialisation"))
        yield
