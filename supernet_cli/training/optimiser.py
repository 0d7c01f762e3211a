"""Optimiser and learning-rate schedule as a preset names them, checked by building them and taking first steps."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from supernet_cli.config.parts import Named
from supernet_cli.config.schema import Recipe
from supernet_cli.config.torch_names import OPTIMIZERS, SCHEDULES
from supernet_cli.errors import DivergedError, PresetError
from supernet_cli.training.losses import build_loss
from supernet_cli.training.torch_parts import build, find_class, first_line

_SCHEDULE_STEPS_TRIED = 2000
_LENGTHS = ("total_steps", "T_max", "total_iters")
_A_LITTLE_LESS = 1 - 1e-9


@dataclass
class Schedule:
    """A learning-rate schedule and when it advances.

    Args:
        inner: The torch schedule.
        every: `step` or `epoch`.
    """

    inner: lr_scheduler.LRScheduler
    every: str

    def after_step(self) -> None:
        """Advance, if it counts steps."""
        if self.every == "step":
            self.inner.step()

    def after_epoch(self) -> None:
        """Advance, if it counts epochs."""
        if self.every == "epoch":
            self.inner.step()


def build_optimizer(
    spec: Named, parameters: Iterable[nn.Parameter], where: str = "train.optimizer", *, decay_norm: bool = True
) -> Optimizer:
    """Build an optimiser by its name in torch.optim.

    Args:
        spec: Its name and parameters.
        parameters: What it changes.
        where: The key, for messages.
        decay_norm: Whether weight decay also shrinks normalisation and biases: parameters of one dimension.

    Raises:
        PresetError: No such optimiser, or it rejects a parameter.
    """
    kind = find_class(OPTIMIZERS, torch.optim, spec.name, where)
    weights: list[Any] = list(parameters)
    if not decay_norm:
        if "weight_decay" not in inspect.signature(kind).parameters:
            raise PresetError(
                f"{where.rpartition('.')[0]}.decay_norm = false: torch.optim.{spec.name} has no weight decay.",
                "Remove decay_norm.",
            )
        few = [weight for weight in weights if weight.ndim < 2]
        weights = [{"params": [weight for weight in weights if weight.ndim >= 2]}]
        weights += [{"params": few, "weight_decay": 0.0}] if few else []
    optimizer: Optimizer = build(OPTIMIZERS, kind, (weights,), _tuples(spec.parameters), where)
    return optimizer


def is_stretched(spec: Named) -> bool:
    """Return whether a schedule is given no length of its own and so takes that of the training."""
    kind = getattr(lr_scheduler, spec.name, None)
    accepted = () if kind is None else inspect.signature(kind).parameters
    return any(name in accepted and name not in spec.parameters for name in _LENGTHS)


def build_schedule(
    spec: Named | None,
    optimizer: Optimizer,
    optimizer_spec: Named,
    steps: int,
    epochs: int,
    where: str = "train.schedule",
) -> Schedule | None:
    """Build a learning-rate schedule by its name in torch.optim.lr_scheduler.

    Args:
        spec: Its name and parameters; None for a constant rate.
        optimizer: Whose rate it sets.
        optimizer_spec: The optimiser as the preset gives it: a schedule that would silently override it is refused.
        steps: Steps of the whole training.
        epochs: Epochs of the whole training.
        where: The key, for messages.

    Raises:
        PresetError: No such schedule, it rejects a parameter, or it overrides one of the optimiser's.
    """
    if spec is None:
        return None
    kind = find_class(SCHEDULES, lr_scheduler, spec.name, where)
    given = spec.parameters
    every = given.pop("every", "step")
    if every not in ("step", "epoch"):
        raise PresetError(f'{where}.every = {every!r}: must be "step" or "epoch".')
    length = steps if every == "step" else epochs
    accepted = inspect.signature(kind).parameters
    filled: dict[str, Any] = {name: length for name in _LENGTHS if name in accepted and name not in given}
    if "epochs" in given or "steps_per_epoch" in given:
        raise PresetError(f"{where}: its length comes from train.epochs.", "Remove epochs and steps_per_epoch.")
    if isinstance(given.get("total_steps"), int) and given["total_steps"] < length:
        raise PresetError(
            f"{where}.total_steps = {given['total_steps']}: the training takes {length:,}.", "Remove total_steps."
        )
    if kind is lr_scheduler.CyclicLR:
        _check_cyclic(given, optimizer_spec, where)
    if kind is lr_scheduler.OneCycleLR:
        _check_one_cycle(given, optimizer_spec, where)
        filled["max_lr"] = optimizer.defaults["lr"]
        given["pct_start"] = _rising_share(given, length, every, where)
    return Schedule(build(SCHEDULES, kind, (optimizer,), given, where, **filled), every)


def check_recipe(
    recipe: Recipe, parameters: Iterable[nn.Parameter], steps: int, num_classes: int, section: str = "train"
) -> None:
    """Build optimiser, schedule and loss, and take their first steps, so that a wrong one is found before any training.

    Args:
        recipe: What to check.
        parameters: Of a network to throw away: they are changed.
        steps: Steps of the whole training.
        num_classes: K.
        section: Where the recipe stands, for messages.

    Raises:
        PresetError: One cannot be built, or fails in its first steps.
    """
    weights = list(parameters)
    optimizer = build_optimizer(recipe.optimizer, weights, f"{section}.optimizer", decay_norm=recipe.decay_norm)
    schedule = build_schedule(recipe.schedule, optimizer, recipe.optimizer, steps, recipe.epochs, f"{section}.schedule")
    build_loss(recipe.loss, num_classes, f"{section}.loss")
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    with warnings.catch_warnings(action="ignore"):
        _take_first_steps(optimizer, f"{section}.optimizer")
        if schedule is not None:
            advances = steps if schedule.every == "step" else recipe.epochs
            _advance(schedule, min(advances, _SCHEDULE_STEPS_TRIED), f"{section}.schedule", recipe, steps)


def raise_if_too_large(error: Exception, optimizer: Optimizer, step: int) -> None:
    """Turn an optimiser's or a schedule's error into a divergence, if a number grew too large for it.

    Both compute with Python's numbers, which raise an error where a tensor would become infinite.

    Args:
        error: As raised by a step.
        optimizer: Whose step it was.
        step: Number of the step, from 1.

    Raises:
        DivergedError: That is what happened.
    """
    if _is_overflow(error):
        rate = float(optimizer.param_groups[0]["lr"])
        message = f"a number became too large for the optimiser at step {step} (learning rate {rate:.3g})"
        raise DivergedError(message) from error


def _is_overflow(error: Exception) -> bool:
    return isinstance(error, OverflowError) or (isinstance(error, RuntimeError) and "without overflow" in str(error))


def _take_first_steps(optimizer: Optimizer, where: str) -> None:
    """Take two steps: some values are accepted by constructors and found wrong only here."""
    try:
        for _ in range(2):
            optimizer.step()
    except Exception as error:
        if _is_overflow(error):
            given = ", ".join(f"{name} = {value}" for name, value in optimizer.defaults.items() if _is_huge(value))
            raise PresetError(
                f"{where}: {given or 'a parameter'} is too large for 32-bit arithmetic.",
                "Learning rates are usually between 0.0001 and 1.",
            ) from error
        raise PresetError(f"{where}: its first steps fail: {first_line(error)}.") from error


def _is_huge(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) > 1e15


def _advance(schedule: Schedule, advances: int, where: str, recipe: Recipe, steps: int) -> None:
    """Advance a schedule as training will, as far as that is quick."""
    try:
        for _ in range(advances):
            schedule.inner.step()
    except Exception as error:
        raise PresetError(
            f"{where}: it fails within {_length(steps, recipe)}: {first_line(error)}.",
            "Change its parameters, train.epochs or train.batch_size.",
        ) from error


def _length(steps: int, recipe: Recipe) -> str:
    return f"{steps:,} steps ({recipe.epochs:,} epochs, batch size {recipe.batch_size:,})"


def _rising_share(given: Mapping[str, Any], length: int, every: str, where: str) -> Any:
    """Return the share of a one-cycle schedule in which the rate rises, so that torch can compute every rate of it.

    The rate peaks at step `pct_start * total_steps - 1`. If that is step 0, torch divides by zero, the number of steps
    before it; a very slightly smaller share starts at the peak, as it should.

    Raises:
        PresetError: A phase of the schedule has no steps.
    """
    share, total = given.get("pct_start", 0.3), given.get("total_steps", length)
    if not isinstance(share, int | float) or isinstance(share, bool) or not isinstance(total, int):
        return share  # torch says what is wrong
    rising, three = share * total, bool(given.get("three_phase"))
    falls_from = 2 * rising - 2 if three else rising - 1
    if falls_from == total - 1 or (three and rising == 1):
        raise PresetError(
            f"{where}: pct_start = {share} leaves no {every} for one of its phases; there are {total:,} {every}s.",
            f"Choose another pct_start, such as {share / 2:.3g}, or a length with more steps: raise train.epochs or "
            "lower train.batch_size.",
        )
    return share * _A_LITTLE_LESS if math.isclose(rising, 1, rel_tol=1e-12) else float(share)


def _check_one_cycle(given: Mapping[str, Any], spec: Named, where: str) -> None:
    if "max_lr" in given:
        raise PresetError(f"{where}.max_lr: the highest rate is the optimiser's lr.", "Set that, and remove max_lr.")
    _check_cycled_momentum(given, spec, where)


def _check_cyclic(given: Mapping[str, Any], spec: Named, where: str) -> None:
    if "lr" in spec.parameters and given.get("base_lr") != spec.parameters["lr"]:
        raise PresetError(f"{where}: CyclicLR would override the optimiser's lr.", "Give base_lr the same value.")
    _check_cycled_momentum(given, spec, where)


def _check_cycled_momentum(given: Mapping[str, Any], spec: Named, where: str) -> None:
    cycled = next((name for name in ("betas", "momentum") if name in spec.parameters), None)
    if given.get("cycle_momentum", True) and cycled:
        raise PresetError(
            f"{where}: the schedule would override the optimiser's {cycled}.",
            f"Remove {cycled}, or add cycle_momentum = false to the schedule.",
        )


def _tuples(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with lists as tuples: TOML has only lists, and torch compares betas as a tuple."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in parameters.items()}
