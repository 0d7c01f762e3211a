"""Zero-cost proxies, one per file: they score an untrained network, so that paths can be ranked without any training.

A file defines `score`, a `Scorer`, and `INITIALISATIONS`: over how many initialisations its score is averaged.
"""

from __future__ import annotations

import importlib
import pkgutil
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from torch import Tensor, nn

BATCH = 128
"""Images of the mini-batch, fewer in a smaller data set."""


class Scorer(Protocol):
    """Scores one untrained network."""

    def __call__(self, network: nn.Module, images_BCHW: Tensor, labels_B: Tensor, /) -> float | None:
        """Return the score: the higher, the better; None if there is no finite one.

        Args:
            network: Maps (B, C, H, W) to logits (B, K); it is not changed, and no random number is drawn.
            images_BCHW: Training images, float32, on the network's device.
            labels_B: Their labels, int64.
        """


@dataclass(frozen=True)
class Proxy:
    """A zero-cost proxy.

    Args:
        score: Scores one network.
        initialisations: How many initialisations of a path its score is averaged over.
    """

    score: Scorer
    initialisations: int


@cache
def proxies() -> Mapping[str, Proxy]:
    """Return all proxies, by the name of their file."""
    found = {}
    for file in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{file.name}")
        found[file.name] = Proxy(module.score, module.INITIALISATIONS)
    return found


def most_initialisations(names: Collection[str]) -> int:
    """Return how many initialisations of a path are needed to score it by some proxies: at least one."""
    return max((proxy.initialisations for name, proxy in proxies().items() if name in names), default=1)


def scores(
    names: Collection[str], networks: Sequence[nn.Module], images_BCHW: Tensor, labels_B: Tensor
) -> dict[str, float | None]:
    """Return a path's score by some proxies: the mean over its initialisations, None if one of them has none.

    Args:
        names: The proxies; names of anything else are ignored.
        networks: The path's network in as many initialisations as `most_initialisations` says.
        images_BCHW: As for a `Scorer`.
        labels_B: As for a `Scorer`.
    """
    return {
        name: _mean([proxy.score(network, images_BCHW, labels_B) for network in networks[: proxy.initialisations]])
        for name, proxy in proxies().items()
        if name in names
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else None
