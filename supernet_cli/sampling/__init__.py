"""Sampling strategies, which decide what a step trains: one per file, each with a `build` function. No torch."""

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
"""A pass learns from the labels (plain), also teaches others (teacher), or learns from the step's teacher (student)."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of several equal parts of a mini-batch.

    Args:
        index: Number of the part, from 0.
        of: Number of parts; reduced if a part would have fewer than two images.
    """

    index: int
    of: int

    def bounds(self, size: int) -> tuple[int, int]:
        """Return the index of its first image and the index after its last; equal if the part is empty."""
        of = max(1, min(self.of, size // 2))
        index = min(self.index, of)
        return index * size // of, min(index + 1, of) * size // of


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward and backward pass.

    Args:
        path: What is executed: a path, or several candidates per block.
        role: What it learns from. A teacher runs before its students and sees the same images.
        part: The images it sees; None for the whole mini-batch.
    """

    path: Architecture | Bundle
    role: Role = "plain"
    part: Part | None = None

    def images(self, size: int) -> int:
        """Return how many images of a mini-batch it sees."""
        if self.part is None:
            return size
        first, end = self.part.bounds(size)
        return end - first


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What one optimiser step trains.

    Args:
        passes: Executed on the step's mini-batch, one after another, before the optimiser steps. Gradients of passes
            over the whole mini-batch are summed; those over parts are averaged over the images.
    """

    passes: tuple[Pass, ...]


@dataclass(frozen=True)
class Context:
    """What a strategy may need to know about the training.

    Args:
        epochs: Length of the training.
        images: Images per epoch.
        batch_size: Images per mini-batch.
        costs: Cost of each candidate.
    """

    epochs: int
    images: int
    batch_size: int
    costs: PathCosts

    def steps(self, passes_per_step: int) -> int:
        """Return the number of steps in the whole training, given the strategy's passes per step."""
        return self.epochs * steps_per_epoch(self.images, self.batch_size, passes_per_step)


class Sampler(Protocol):
    """A strategy: decides what each step trains."""

    passes_per_step: int
    """Forward passes over the mini-batch in each step. An epoch has that many times fewer steps, so that all strategies
    have the same budget of forward images. Passes over parts of the mini-batch count as one together."""

    def plan(self, step: int, epoch: int) -> StepPlan:
        """Return what to train. Called once a step, in order; `step` and `epoch` count from 0 over the training."""

    def state(self) -> dict[str, Any]:
        """Return everything that determines later plans, as plain JSON values."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state: later plans equal those of the sampler that returned it."""


@runtime_checkable
class Adaptive(Protocol):
    """A strategy that is told the accuracy of the paths it trains."""

    held_out: int
    """Number of training images held out for feedback: never trained on, nor used to select or evaluate paths."""

    feedback_every: int
    """Steps between feedbacks."""

    def feedback(self, path: Architecture, accuracy: float) -> None:
        """Receive the accuracy of a path that was just trained, on the held-out images."""


@runtime_checkable
class Reporting(Protocol):
    """A strategy that reports figures of its own."""

    def report(self) -> dict[str, float]:
        """Return its figures; counts cover the time since the last report."""


@runtime_checkable
class Undropped(Protocol):
    """A strategy that trains all candidates at once, so that each path can be compared with the undropped network."""

    undropped: Bundle
    """All candidates of every block."""


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
        space: The space to draw from.
        rng: The strategy's source of randomness; nothing else draws from it.
        parameters: The strategy's parameters in the preset.
        context: The training, for strategies whose `build` has a parameter of that name.

    Raises:
        ValueError: A parameter's value is invalid, or the strategy cannot be used with this space.
    """
    build = importlib.import_module(f"supernet_cli.{entries('sampler')[name].module}").build
    context_argument = {"context": context} if "context" in inspect.signature(build).parameters else {}
    sampler: Sampler = build(space, rng, **context_argument, **parameters)
    return sampler


def depends_on_length(name: str) -> bool:
    """Return whether a strategy's first steps depend on how many there are: its file says so with DEPENDS_ON_LENGTH."""
    module = importlib.import_module(f"supernet_cli.{entries('sampler')[name].module}")
    return bool(getattr(module, "DEPENDS_ON_LENGTH", False))


def steps_per_epoch(images: int, batch_size: int, passes_per_step: int) -> int:
    """Return the number of steps whose forward passes cover as many images as there are training images."""
    return max(1, round(-(-images // batch_size) / passes_per_step))


def number(name: str, value: object, low: float, high: float, *, whole: bool = False) -> Any:
    """Return a parameter after checking that it is a number within bounds.

    Raises:
        ValueError: It is not a number, or out of bounds.
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
    """Set a generator to a state returned by `rng_state`."""
    version, words, gauss = state
    rng.setstate((version, tuple(words), gauss))
