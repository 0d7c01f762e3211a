"""The objective: a loss of torch.nn as a preset names it, its class weights, and a trial on logits."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from supernet_cli.config.parts import Named
from supernet_cli.config.schema import Recipe
from supernet_cli.config.torch_names import LOSSES
from supernet_cli.errors import PresetError, did_you_mean
from supernet_cli.glyphs import counted
from supernet_cli.training.torch_parts import build, find_class, first_line

BALANCED = "balanced"
"""What stands for the weights that give every class the same influence."""

_TENSORS = ("weight", "pos_weight")
"""Parameters of losses that torch takes as tensors."""


def build_loss(spec: Named, num_classes: int, where: str = "train.loss") -> nn.Module:
    """Build the objective by its name in torch.nn.

    Args:
        spec: Its name and parameters; a list of numbers becomes a float32 tensor.
        num_classes: K, to try it on logits (K + 1, K).
        where: The key, for messages.

    Raises:
        PresetError: No such loss, it rejects a parameter, or it does not take logits and labels.
    """
    kind = find_class(LOSSES, nn.modules.loss, spec.name, where)
    given = {name: _as_tensor(name, value, where) for name, value in spec.parameters.items()}
    weight = given.get("weight")
    if isinstance(weight, Tensor):
        _check_weight(weight, num_classes, where)
    loss: nn.Module = build(LOSSES, kind, (), given, where)
    _try_out(loss, spec.name, num_classes, where)
    return loss


def with_class_weights(recipe: Recipe, counts: Mapping[str, int], section: str = "train") -> Recipe:
    """Return a recipe whose loss has its class weights in numbers where the preset says `weight = "balanced"`.

    Each class gets n / (K · n_c): the inverse of its share of the training images, one on average over the images.

    Args:
        recipe: The recipe.
        counts: Training images of each class, by its name, in order of the labels.
        section: Where the recipe stands in the preset, for messages.

    Raises:
        PresetError: A class has no training images.
    """
    if recipe.loss.parameters.get("weight") != BALANCED:
        return recipe
    missing = [name for name, count in counts.items() if count == 0]
    if missing:
        raise PresetError(
            f"{section}.loss.weight = \"{BALANCED}\": class '{missing[0]}' has no training images.",
            "Add images of that class, or give the weights as a list of numbers.",
        )
    total, classes = sum(counts.values()), len(counts)
    weights = [total / (classes * count) for count in counts.values()]
    loss = Named.model_validate({"name": recipe.loss.name, **recipe.loss.parameters, "weight": weights})
    return recipe.model_copy(update={"loss": loss})


def class_counts(labels: Tensor, classes: Sequence[str]) -> dict[str, int]:
    """Return how many images each class has.

    Args:
        labels: (N,) int64.
        classes: Names of the classes, by label.
    """
    counts = torch.bincount(labels, minlength=len(classes)).tolist()
    return dict(zip(classes, counts, strict=True))


def is_plain_cross_entropy(loss: nn.Module) -> bool:
    """Whether a loss is the cross-entropy that is reported anyway."""
    if type(loss) is not nn.CrossEntropyLoss:
        return False
    return loss.label_smoothing == 0.0 and loss.weight is None and loss.ignore_index < 0


def _as_tensor(name: str, value: Any, where: str) -> Any:
    """Return a list of numbers as a tensor, and other values as they are."""
    if isinstance(value, list) and all(isinstance(each, int | float) for each in value):
        try:
            return torch.tensor([float(each) for each in value])
        except OverflowError as error:
            raise PresetError(f"{where}.{name} has a number that is too large.") from error
    if name not in _TENSORS and not isinstance(value, list):
        return value
    advice = f'Give one number per class, such as {name} = [1, 4], or {name} = "{BALANCED}".'
    if name == "weight" and isinstance(value, str):
        advice = did_you_mean(value, [BALANCED], otherwise=advice)
    raise PresetError(f"{where}.{name} = {value!r} is not a list of numbers.", advice)


def _check_weight(weight: Tensor, num_classes: int, where: str) -> None:
    if len(weight) != num_classes:
        raise PresetError(
            f"{where}.weight has {counted(len(weight), 'number')}, but the data set has "
            f"{counted(num_classes, 'class', 'classes')}.",
            f'Give one number per class, in the order of the class names, or weight = "{BALANCED}".',
        )
    if bool((weight < 0).any()) or not bool((weight > 0).any()):
        raise PresetError(
            f"{where}.weight = {weight.tolist()}: weights must be 0 or more, and at least one must be positive.",
            f'For example weight = "{BALANCED}".',
        )


def _try_out(loss: nn.Module, name: str, num_classes: int, where: str) -> None:
    """Make sure that a loss compares logits with labels, and has a gradient."""
    # One image more than classes: with as many, a loss that compares the two number by number would broadcast.
    logits_BK = torch.zeros(num_classes + 1, num_classes, requires_grad=True)
    labels_B = torch.arange(num_classes + 1) % num_classes
    try:
        with warnings.catch_warnings(action="ignore"):
            value: Tensor = loss(logits_BK, labels_B)
            value.backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        raise PresetError(
            f'{where} = "{name}" cannot compare {num_classes} logits with a label: {first_line(error)}.',
            'For example loss = { name = "CrossEntropyLoss", label_smoothing = 0.1 }.',
        ) from error
