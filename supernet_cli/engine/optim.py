"""Torch names to objects: optimiser, schedule and loss as a preset writes them, checked by building them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer, lr_scheduler

from supernet_cli.config.schema import Named, Recipe
from supernet_cli.errors import PresetError, did_you_mean, nearest

_SCHEDULE_STEPS_TRIED = 2000
_LENGTHS = ("total_steps", "T_max", "total_iters")
_NOT_FROM_A_PRESET = {
    "LRScheduler": "it is the base of all schedules",
    "LambdaLR": "it needs a function, which a preset cannot hold",
    "MultiplicativeLR": "it needs a function, which a preset cannot hold",
    "SequentialLR": "it needs other schedules, which a preset cannot hold",
    "ChainedScheduler": "it needs other schedules, which a preset cannot hold",
    "ReduceLROnPlateau": "it follows a measured loss, which would make training depend on when it is judged",
    "SWALR": "it belongs to averaged weights, which are not trained here",
    "Optimizer": "it is the base of all optimisers",
    "LBFGS": "it evaluates the loss several times a step",
    "SparseAdam": "it is for sparse gradients",
    "NLLLoss": "it takes log-probabilities, and networks give logits; CrossEntropyLoss is both in one",
}


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


def build_optimizer(spec: Named, parameters: Iterable[nn.Parameter], where: str = "train.optimizer") -> Optimizer:
    """Build an optimiser by its name in torch.optim.

    Raises:
        PresetError: No such optimiser, or it refuses a parameter.
    """
    kind = _find(spec.name, _subclasses(torch.optim, Optimizer), where)
    _check_names(kind, spec.parameters, where, hidden=("params",))
    return _build(kind, (list(parameters),), _tuples(spec.parameters), where)  # type: ignore[no-any-return]


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
        optimizer_spec: How that was asked for: a schedule that would silently override it is refused.
        steps: Steps of the whole training.
        epochs: Epochs of the whole training.
        where: The key, for messages.

    Raises:
        PresetError: No such schedule, it refuses a parameter, or it overrides one of the optimiser's.
    """
    if spec is None:
        return None
    kind = _find(spec.name, _subclasses(lr_scheduler, lr_scheduler.LRScheduler), where)
    given = spec.parameters
    every = given.pop("every", "step")
    if every not in ("step", "epoch"):
        raise PresetError(f'{where}.every = {every!r}: must be "step" or "epoch".')
    _check_names(kind, given, where, hidden=("optimizer", "last_epoch", "verbose"))
    accepted = inspect.signature(kind).parameters
    filled = {name: steps if every == "step" else epochs for name in _LENGTHS if name in accepted and name not in given}
    if "epochs" in given or "steps_per_epoch" in given:
        raise PresetError(f"{where}: its length comes from train.epochs; leave epochs and steps_per_epoch out.")
    length = steps if every == "step" else epochs
    if isinstance(given.get("total_steps"), int) and given["total_steps"] < length:
        raise PresetError(f"{where}.total_steps = {given['total_steps']}: the training takes {length:,}; leave it out.")
    if kind is lr_scheduler.CyclicLR:
        _check_cyclic(given, optimizer, optimizer_spec, where)
    if kind is lr_scheduler.OneCycleLR:
        _check_one_cycle(given, optimizer, optimizer_spec, where)
        filled["max_lr"] = optimizer.defaults["lr"]
    return Schedule(_build(kind, (optimizer,), filled | given, where), every)


def build_loss(spec: Named, num_classes: int, where: str = "train.loss") -> nn.Module:
    """Build the objective by its name in torch.nn.

    Args:
        spec: Its name and parameters; lists become tensors (`weight`).
        num_classes: K, to try it on logits (K + 1, K).
        where: The key, for messages.

    Raises:
        PresetError: No such loss, it refuses a parameter, or it does not take logits and labels.
    """
    kind = _find(spec.name, _subclasses(nn.modules.loss, nn.modules.loss._Loss), where)
    given = spec.parameters
    _check_names(kind, given, where, hidden=("reduction", "reduce", "size_average"))
    tensors = {name: torch.tensor(value) if isinstance(value, list) else value for name, value in given.items()}
    loss: nn.Module = _build(kind, (), tensors, where)
    # One image more than classes: with as many, a loss that compares the two number by number would broadcast.
    logits_BK = torch.zeros(num_classes + 1, num_classes, requires_grad=True)
    try:
        value: Tensor = loss(logits_BK, torch.arange(num_classes + 1) % num_classes)
        value.backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        raise PresetError(
            f'{where} = "{spec.name}" cannot judge {num_classes} logits against a label: {_first_line(error)}.',
            'For example loss = { name = "CrossEntropyLoss", label_smoothing = 0.1 }.',
        ) from error
    return loss


def is_plain_cross_entropy(loss: nn.Module) -> bool:
    """Whether a loss is the cross-entropy that is reported anyway."""
    if type(loss) is not nn.CrossEntropyLoss:
        return False
    return loss.label_smoothing == 0.0 and loss.weight is None and loss.ignore_index < 0


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
    optimizer = build_optimizer(recipe.optimizer, weights, f"{section}.optimizer")
    schedule = build_schedule(recipe.schedule, optimizer, recipe.optimizer, steps, recipe.epochs, f"{section}.schedule")
    build_loss(recipe.loss, num_classes, f"{section}.loss")
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    advances = 0 if schedule is None else steps if schedule.every == "step" else recipe.epochs
    try:  # some values are accepted when built and found wrong in the first steps
        for _ in range(2):
            optimizer.step()
        for _ in range(min(advances, _SCHEDULE_STEPS_TRIED)):
            assert schedule is not None
            schedule.inner.step()
    except Exception as error:
        raise PresetError(f"{section}: the optimiser's first steps fail: {_first_line(error)}.") from error


def _check_one_cycle(given: Mapping[str, Any], optimizer: Optimizer, spec: Named, where: str) -> None:
    if "max_lr" in given:
        raise PresetError(f"{where}.max_lr: the highest rate is the optimiser's lr; set that and leave max_lr out.")
    _check_cycled_momentum(given, spec, where)


def _check_cyclic(given: Mapping[str, Any], optimizer: Optimizer, spec: Named, where: str) -> None:
    if "lr" in spec.parameters and given.get("base_lr") != spec.parameters["lr"]:
        raise PresetError(f"{where}: CyclicLR would override the optimiser's lr; give base_lr the same value.")
    _check_cycled_momentum(given, spec, where)


def _check_cycled_momentum(given: Mapping[str, Any], spec: Named, where: str) -> None:
    cycled = next((name for name in ("betas", "momentum") if name in spec.parameters), None)
    if given.get("cycle_momentum", True) and cycled:
        raise PresetError(
            f"{where}: the schedule would override the optimiser's {cycled}.",
            f"Leave {cycled} out, or add cycle_momentum = false to the schedule.",
        )


def _subclasses(module: Any, base: type) -> dict[str, type]:
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, base) and not name.startswith("_")
    }


def _find(name: str, known: Mapping[str, type], where: str) -> type:
    if name in _NOT_FROM_A_PRESET and name in known:
        raise PresetError(f'{where} = "{name}" cannot be used: {_NOT_FROM_A_PRESET[name]}.')
    if name not in known:
        usable = [word for word in known if word not in _NOT_FROM_A_PRESET]
        raise PresetError(f'{where} = "{name}": torch has none of that name.', did_you_mean(name, usable))
    return known[name]


def _check_names(kind: type, given: Mapping[str, Any], where: str, hidden: tuple[str, ...]) -> None:
    accepted = [name for name in inspect.signature(kind).parameters if name not in hidden]
    for name in given:
        if name not in accepted:
            close = nearest(name, accepted)
            advice = f"Did you mean '{close}'?" if close else f"It takes: {', '.join(accepted)}."
            raise PresetError(f"{where}: {kind.__name__} has no parameter '{name}'.", advice)


def _build(kind: type, positional: tuple[Any, ...], parameters: Mapping[str, Any], where: str) -> Any:
    try:
        return kind(*positional, **parameters)
    except Exception as error:  # a constructor of torch's, given what a person wrote, raises whatever it likes
        raise PresetError(f"{where}: {kind.__name__} refuses its parameters: {_first_line(error)}.") from error


def _tuples(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with lists as tuples: TOML has only lists, and torch compares betas as a tuple."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in parameters.items()}


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
