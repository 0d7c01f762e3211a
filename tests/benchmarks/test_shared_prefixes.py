"""Judging many paths with shared prefixes against one path at a time, with and without recalibration.

Interleaved rounds in one run, on images made here: time does not depend on what they show. Both ways give the same
scores exactly, which is checked on the way.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence

import pytest
import torch
from measuring import say, spread

from supernet_cli import device
from supernet_cli.config.load import load_preset
from supernet_cli.data import Split
from supernet_cli.data.resident import ResidentImages, Statistics
from supernet_cli.networks.builder import Builder
from supernet_cli.networks.scoring import JudgingPlan, Score
from supernet_cli.networks.supernet import Supernet
from supernet_cli.space import Architecture, SearchSpace

ROUNDS = 5
IMAGES = 500
CALIBRATION = 512

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize(("preset", "sampled", "target"), [("default", 0, 1.2), ("lab", 0, 2.4), ("deep", 1000, 2.0)])
@pytest.mark.parametrize("recalibrated", [False, True])
def test_shared_prefixes_save_time(preset: str, sampled: int, target: float, recalibrated: bool) -> None:
    space = SearchSpace.from_config(load_preset(preset).preset.space)
    if recalibrated and not space.has_batch_norm:
        pytest.skip(f"{preset} has no batch normalisation to recalibrate")
    on = device.choose_device("cpu", "float32")
    device.prepare(on, 0)
    supernet = Builder(space, (1, 28, 28), 10, on).supernet(0)
    paths = _paths(space, sampled)
    images, calibration = _images(IMAGES, on), _images(CALIBRATION, on) if recalibrated else None
    ratios, seconds = [], []
    for _ in range(ROUNDS if len(paths) < 100 else 3):
        alone, together = _timed(supernet, paths, images, calibration, on)
        ratios.append(alone / together)
        seconds.append((alone, together))
    how = "with" if recalibrated else "without"
    say(
        f"{preset}, {len(paths)} paths, {how} recalibration: {spread(ratios)}   target {target} or more",
        "rounds, seconds one by one and together: " + "  ".join(f"{a:.2f}/{b:.2f}" for a, b in seconds),
    )
    assert statistics.median(ratios) >= target


def _timed(
    supernet: Supernet,
    paths: Sequence[Architecture],
    images: ResidentImages,
    calibration: ResidentImages | None,
    on: device.Device,
) -> tuple[float, float]:
    begun = time.perf_counter()
    alone: dict[Architecture, Score] = {}
    for path in paths:
        alone |= JudgingPlan([path], images, calibration).run(supernet, on)
    between = time.perf_counter()
    together = JudgingPlan(paths, images, calibration).run(supernet, on)
    end = time.perf_counter()
    assert together == alone
    return between - begun, end - between


def _paths(space: SearchSpace, sampled: int) -> list[Architecture]:
    if not sampled:
        return list(space.enumerate())
    rng = random.Random(0)
    return [space.at(index) for index in rng.sample(range(space.size), sampled)]


def _images(count: int, on: device.Device) -> ResidentImages:
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 28, 28, 1), dtype=torch.uint8, generator=rng)
    return ResidentImages(Split(pixels, torch.randint(0, 10, (count,), generator=rng)), Statistics.neutral(1), on.place)
