"""The state of a training, frozen: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class TrainingState:
    """The state of a training; its fields are the keys of a checkpoint, and those with defaults may be missing there.

    Args:
        preset: What the preset must match for the training to be resumed.
        step: Steps done.
        forward_images: Images of all forward passes of training.
        train_seconds: Time spent on training.
        trained_images: The choices of each path that was trained, and on how many images.
        sampler: The strategy's state, as JSON.
        supernet: Weights and statistics.
        optimizer: The optimiser's state.
        schedule: The schedule's state; None without one.
        window: Losses that have not been reported yet, (count, 2).
        arithmetic: What the last bits of weights depend on, in words; empty if written by an early version.
        walks: Whether an epoch continues the order of the images where the last one left it; early versions drew a new
            order for each epoch.
        unjudged: The finished epoch whose evaluation is still due, from 1; 0 for none.
        bundle_macs: Multiply-accumulates of forward passes that executed several candidates per block.
        feedback_images: Images run forward for feedback to the strategy since the last evaluation.
        feedback_macs: Their multiply-accumulates.
        feedback_seconds: The time that took.
    """

    preset: str
    step: int
    forward_images: int
    train_seconds: float
    trained_images: list[list[Any]]
    sampler: str
    supernet: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any] | None
    window: Tensor
    arithmetic: str = ""
    walks: bool = False
    unjudged: int = 0
    bundle_macs: int = 0
    feedback_images: int = 0
    feedback_macs: int = 0
    feedback_seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the content of a checkpoint, without optional values that are empty."""
        optional = {each.name for each in fields(self) if each.default is not MISSING}
        return {name: value for name, value in vars(self).items() if name not in optional or value}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TrainingState:
        """Return the state that a checkpoint holds, written by this version or an earlier one."""
        return cls(**{each.name: content[each.name] for each in fields(cls) if each.name in content})
