"""What one training step trains: one strategy a file, each with a `build` function. Free of torch."""

from __future__ import annotations

import importlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from supernet_cli.config.catalog import entries
from supernet_cli.space import Architecture, SearchSpace


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What one optimiser step trains.

    Args:
        passes: The architectures run forward and backward on the step's mini-batch, one after another; their gradients
            are summed before the optimiser steps.
    """

    passes: tuple[Architecture, ...]


class Sampler(Protocol):
    """A strategy: decides, step by step, which paths are trained."""

    passes_per_step: int
    """Passes of each plan; an epoch has that many times fewer steps, so that budgets stay equal in forward images."""

    def plan(self, step: int, epoch: int) -> StepPlan:
        """Return what to train. Called once a step, in order; `step` and `epoch` count from 0 over the training."""

    def state(self) -> dict[str, Any]:
        """Return everything that decides later plans, as plain JSON values."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state: later plans are those of the sampler that gave it."""


def build_sampler(name: str, space: SearchSpace, rng: random.Random, parameters: Mapping[str, Any]) -> Sampler:
    """Build a strategy by its name in a preset.

    Args:
        name: A name from the catalog.
        space: What it draws from.
        rng: Its source of randomness; it alone draws from it.
        parameters: What the preset gives beside the name.

    Raises:
        ValueError: A parameter's value cannot be.
    """
    module = importlib.import_module(f"supernet_cli.{entries('sampler')[name].module}")
    sampler: Sampler = module.build(space, rng, **parameters)
    return sampler


def rng_state(rng: random.Random) -> list[Any]:
    """Return a generator's state as plain JSON values."""
    version, words, gauss = rng.getstate()
    return [version, list(words), gauss]


def restore_rng(rng: random.Random, state: list[Any]) -> None:
    """Bring a generator to a state given by `rng_state`."""
    version, words, gauss = state
    rng.setstate((version, tuple(words), gauss))
