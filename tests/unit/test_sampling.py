from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from helpers import TWO, space_of

from supernet_cli.config.catalog import entries
from supernet_cli.sampling import build_sampler

SPACE = space_of(TWO, TWO)
NAMES = sorted(entries("sampler"))


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_sampler_goes_on_as_if_it_had_never_stopped(name: str) -> None:
    whole = build_sampler(name, SPACE, random.Random(3), {})
    plans = [whole.plan(step, step // 10) for step in range(60)]
    first = build_sampler(name, SPACE, random.Random(3), {})
    for step in range(25):
        first.plan(step, step // 10)
    second = build_sampler(name, SPACE, random.Random(99), {})
    second.restore(json.loads(json.dumps(first.state())))
    assert [second.plan(step, step // 10) for step in range(25, 60)] == plans[25:]


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_has_as_many_passes_as_its_sampler_says(name: str) -> None:
    sampler = build_sampler(name, SPACE, random.Random(0), {})
    assert all(len(sampler.plan(step, 0).passes) == sampler.passes_per_step for step in range(20))


def test_uniform_draws_every_path_equally_often() -> None:
    sampler = build_sampler("uniform", SPACE, random.Random(0), {})
    counts = Counter(sampler.plan(step, 0).passes[0] for step in range(8000))
    assert sum((count - 2000) ** 2 / 2000 for count in counts.values()) < 16.3  # 99.9 %, 3 degrees of freedom
    assert len(counts) == 4


def test_epoch_keeps_its_path_for_an_epoch_and_draws_a_new_one_for_the_next() -> None:
    sampler = build_sampler("epoch", SPACE, random.Random(0), {})
    epochs = [{sampler.plan(10 * epoch + step, epoch).passes for step in range(10)} for epoch in range(200)]
    assert all(len(paths) == 1 for paths in epochs)
    counts = Counter(next(iter(paths)) for paths in epochs)
    assert len(counts) == 4
