"""Which paths a supernet's training evaluates."""

from __future__ import annotations

from collections.abc import Callable

from supernet_cli.config.schema import Preset
from supernet_cli.space import Architecture
from supernet_cli.training.prepare import prepare
from supernet_cli.training.train import judged_paths, watched_paths


def judged_in(preset: Preset) -> list[Architecture]:
    prepared = prepare(preset)
    return judged_paths(prepared.plan, prepared.images)


def test_the_last_evaluation_of_a_large_space_adds_a_sample_that_a_tenth_of_the_training_pays_for(
    tiny: Callable[..., Preset],
) -> None:
    block = {"channels": 4, "pool": 1, "candidates": ["conv1x1", "conv3x3", "identity"]}
    small, large = tiny(space={"blocks": [block] * 5}), tiny(space={"blocks": [block] * 6}, train={"epochs": 40})
    assert len(judged_in(small)) == 3**5
    prepared = prepare(large)
    watched, judged = watched_paths(prepared.plan, prepared.images), judged_in(large)
    assert len(judged) == 60  # × 100 images: a tenth of 40 epochs × 500 images × 3 forward passes
    assert judged[: len(watched)] == watched
    assert len(set(judged)) == len(judged)
    assert judged == judged_in(large)
    assert set(judged) - set(watched) <= set(prepared.networks.space.sampled(len(judged)))
