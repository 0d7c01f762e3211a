"""What a checkpoint holds: the same keys in every version."""

from __future__ import annotations

from typing import Any

import torch

from supernet_cli.training.state import TrainingState

EARLY: dict[str, Any] = {
    "preset": "abc",
    "step": 3,
    "forward_images": 150,
    "train_seconds": 0.5,
    "trained_images": [[[0, 1], 100], [[1, 1], 50]],
    "sampler": "{}",
    "supernet": {"weight": torch.ones(2)},
    "optimizer": {},
    "schedule": None,
    "window": torch.zeros(3, 2),
}


def test_a_checkpoint_of_an_early_version_is_read_and_keeps_its_keys() -> None:
    state = TrainingState.from_dict({"format": 1, **EARLY, "of a later version": 5})
    assert (state.arithmetic, state.walks, state.unjudged, state.bundle_macs) == ("", False, 0, 0)
    assert state.to_dict() == EARLY


def test_what_is_there_only_sometimes_is_written_only_then() -> None:
    more = {**EARLY, "arithmetic": "cpu in float32", "walks": True, "unjudged": 2, "feedback_seconds": 0.25}
    assert TrainingState.from_dict(more).to_dict() == more
