"""Samples of scored paths: random, the same every time, and nested."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from supernet_cli.config.schema import Preset
from supernet_cli.reports.scores import MeanScore, sampled
from supernet_cli.reports.statistics.ranking import kendall_tau
from supernet_cli.space import SearchSpace

Make = Callable[..., Preset]


@pytest.fixture
def space(tiny: Make) -> SearchSpace:
    """Return a space of 4,096 paths."""
    block = {"channels": 4, "pool": 1, "candidates": ["conv1x1", "conv3x3", "conv5x5", "conv7x7"]}
    return SearchSpace.from_config(tiny(space={"blocks": [block] * 6}).space)


def scored(paths: list[str]) -> list[MeanScore]:
    return [MeanScore(path, index / 100, 0.5) for index, path in enumerate(paths)]


def test_a_larger_sample_holds_the_smaller_one_even_if_more_paths_are_scored_for_it(space: SearchSpace) -> None:
    names = list(map(str, space.sampled(1000)))
    watched = list(map(str, itertools.islice(space.enumerate(), 20)))
    few, many = [*watched, *names[:100]], [*watched, *names[:600]]
    small = sampled(scored(few), space, 16)
    assert small == sampled(scored(few[::-1]), space, 16)  # whatever their ranking
    assert small == sampled(scored(many), space, 16)
    assert small == sampled(scored(many), space, 32)[:16]
    assert len(set(sampled(scored(many), space, 32))) == 32


def test_all_scored_paths_are_within_reach_wherever_the_space_has_them(space: SearchSpace) -> None:
    late = list(map(str, space.sampled(4096)))[-10:]
    found = sampled(scored(late), space, 20)
    assert sorted(found) == sorted(late)
    assert sampled(scored(late), space, 4) == found[:4]
    assert sampled([], space, 4) == []


def test_tau_of_samples_is_on_average_that_of_all_paths(tiny: Make) -> None:
    """One path of each part of the ranking, as earlier versions took, gives 0.04 more."""
    block = {"channels": 4, "pool": 1, "candidates": ["conv1x1", "conv3x3", "conv5x5", "conv7x7"]}
    space = SearchSpace.from_config(tiny(space={"blocks": [block] * 3}).space)
    names, rng = np.array(list(map(str, space.enumerate()))), np.random.default_rng(0)
    gaps = []
    for _ in range(600):
        truth = rng.normal(size=64)
        score = 0.9 * truth + 0.4 * rng.normal(size=64)
        order = rng.permutation(64)  # which score and truth a path has, as the sample does not look at them
        of = dict(zip(names.tolist(), order.tolist(), strict=True))
        ranked = scored(sorted(of, key=lambda name: -score[of[name]]))
        rows = [of[name] for name in sampled(ranked, space, 16)]
        gaps.append((kendall_tau(score[rows], truth[rows]) or 0.0) - (kendall_tau(score, truth) or 0.0))
    error = np.std(gaps) / np.sqrt(len(gaps))
    assert abs(np.mean(gaps)) < 3 * error
    assert error < 0.005
