"""What one training step trains: one strategy a file, each with a `build` function. Free of torch."""

from __future__ import annotations

import importlib
import inspect
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from supernet_cli.config.catalog import entries
from supernet_cli.space import Architecture, Bundle, PathCosts, SearchSpace

Role = Literal["plain", "teacher", "student"]
"""A pass learns from the labels (plain); it also teaches, or it learns from the step's teacher instead."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of several equal parts of a mini-batch.

    Args:
        index: Which, from 0.
        of: How many there are; fewer where there would not be two images for each.
    """

    index: int
    of: int

    def bounds(self, size: int) -> tuple[int, int]:
        """Return its first image and the one behind its last, of so many; the same twice where it has none."""
        of = max(1, min(self.of, size // 2))
        index = min(self.index, of)
        return index * size // of, min(index + 1, of) * size // of


@dataclass(frozen=True, slots=True)
class Pass:
    """One run forward and backward.

    Args:
        path: What is run: a path, or several candidates a block.
        role: What it learns from. A teacher comes before its students and sees the same images.
        part: The images it sees; None for the whole mini-batch.
    """

    path: Architecture | Bundle
    role: Role = "plain"
    part: Part | None = None

    def images(self, size: int) -> int:
        """Return how many images it sees of a mini-batch."""
        if self.part is None:
            return size
        first, end = self.part.bounds(size)
        return end - first


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What one optimiser step trains.

    Args:
        passes: What is run on the step's mini-batch, one after another, before the optimiser steps. Gradients of passes
            over the whole of it are summed, those of its parts averaged over the images.
    """

    passes: tuple[Pass, ...]


@dataclass(frozen=True)
class Context:
    """What a strategy may want to know of the training it serves.

    Args:
        epochs: Length of the training.
        images: Images of an epoch.
        batch_size: Images of a mini-batch.
        costs: What candidates cost.
    """

    epochs: int
    images: int
    batch_size: int
    costs: PathCosts

    def steps(self, passes_per_step: int) -> int:
        """Return the steps of the whole training for a strategy with so many passes a step."""
        return self.epochs * steps_per_epoch(self.images, self.batch_size, passes_per_step)


class Sampler(Protocol):
    """A strategy: decides, step by step, what is trained."""

    passes_per_step: int
    """How often a step runs its mini-batch forward; an epoch has that many times fewer steps, so that budgets stay
    equal in forward images. Passes over parts of the mini-batch are together one."""

    def plan(self, step: int, epoch: int) -> StepPlan:
        """Return what to train. Called once a step, in order; `step` and `epoch` count from 0 over the training."""

    def state(self) -> dict[str, Any]:
        """Return everything that decides later plans, as plain JSON values."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state: later plans are those of the sampler that gave it."""


@runtime_checkable
class Adaptive(Protocol):
    """A strategy that hears how the paths do that it has trained."""

    held_out: int
    """Training images held out for it: nothing is trained on them, and no path is chosen or judged by them."""

    feedback_every: int
    """Steps between two feedbacks."""

    def feedback(self, path: Architecture, accuracy: float) -> None:
        """Take the accuracy on those images of a path that was just trained."""


@runtime_checkable
class Reporting(Protocol):
    """A strategy that has figures of its own to tell."""

    def report(self) -> dict[str, float]:
        """Return its figures; those that count something count since the last report."""


@runtime_checkable
class Undropped(Protocol):
    """A strategy that has trained all candidates at once, so that paths can be compared with what they do together."""

    undropped: Bundle
    """All of them."""


def build_sampler(
    name: str,
    space: SearchSpace,
    rng: random.Random,
    parameters: Mapping[str, Any],
    context: Context | None = None,
) -> Sampler:
    """Build a strategy by its name in a preset.

    Args:
        name: A name from the catalog.
        space: What it draws from.
        rng: Its source of randomness; it alone draws from it.
        parameters: What the preset gives beside the name.
        context: The training, for strategies whose `build` has a parameter of that name.

    Raises:
        ValueError: A parameter's value cannot be, or the space does not suit the strategy.
    """
    build = importlib.import_module(f"supernet_cli.{entries('sampler')[name].module}").build
    more = {"context": context} if "context" in inspect.signature(build).parameters else {}
    sampler: Sampler = build(space, rng, **more, **parameters)
    return sampler


def steps_per_epoch(images: int, batch_size: int, passes_per_step: int) -> int:
    """Return the steps in which as many images are run forward as there are, whatever a step runs."""
    return max(1, round(-(-images // batch_size) / passes_per_step))


def number(name: str, value: object, low: float, high: float, *, whole: bool = False) -> Any:
    """Return a parameter that has to be a number within bounds.

    Raises:
        ValueError: It is not.
    """
    kinds = int if whole else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool) or not low <= value <= high:
        kind = "whole number" if whole else "number"
        raise ValueError(f"{name} = {value!r}: must be a {kind} from {low} to {high}")
    return value


def rng_state(rng: random.Random) -> list[Any]:
    """Return a generator's state as plain JSON values."""
    version, words, gauss = rng.getstate()
    return [version, list(words), gauss]


def restore_rng(rng: random.Random, state: list[Any]) -> None:
    """Bring a generator to a state given by `rng_state`."""
    version, words, gauss = state
    rng.setstate((version, tuple(words), gauss))
