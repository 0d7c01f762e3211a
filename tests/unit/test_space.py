from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable

import pytest
from helpers import TWO, space_of

from supernet_cli.config.load import load_preset
from supernet_cli.config.schema import Preset
from supernet_cli.errors import UsageError
from supernet_cli.space import PathCosts, SearchSpace

UNEVEN = space_of(TWO, ["conv1x1", "conv3x3", "conv5x5"], ["identity"], TWO)


def test_a_space_enumerates_every_path_once_in_the_order_of_indices() -> None:
    paths = list(UNEVEN.enumerate())
    assert len(paths) == UNEVEN.size == 2 * 3 * 1 * 2
    assert [path.choices for path in paths] == list(itertools.product(range(2), range(3), range(1), range(2)))
    assert [UNEVEN.index(path) for path in paths] == list(range(12))
    assert [UNEVEN.at(index) for index in range(12)] == paths


def test_a_path_prints_first_block_first_and_parses_back() -> None:
    assert [str(path) for path in space_of(TWO, TWO).enumerate()] == [
        "conv3x3_conv3x3",
        "conv3x3_conv5x5",
        "conv5x5_conv3x3",
        "conv5x5_conv5x5",
    ]
    assert all(UNEVEN.parse(str(path)) == path for path in UNEVEN.enumerate())


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("conv3x3_conv5x6", "'conv3x3_conv5x5'"),
        ("conv3x3", "each of the 2 blocks, such as 'conv3x3_conv3x3'"),
        ("", "conv3x3_conv3x3"),
        ("conv3x3_conv3x3_conv3x3", "conv3x3_conv3x3"),
    ],
)
def test_a_wrong_path_names_the_nearest(typed: str, advice: str) -> None:
    with pytest.raises(UsageError) as caught:
        space_of(TWO, TWO).parse(typed)
    assert advice in caught.value.hint


def test_a_wrong_path_of_a_huge_space_is_told_at_once() -> None:
    huge = space_of(*[["conv1x1", "conv3x3", "conv5x5"]] * 40)
    with pytest.raises(UsageError) as caught:
        huge.parse("conv3x3")
    assert "40 blocks" in caught.value.hint


def test_sampling_is_uniform_over_paths() -> None:
    rng = random.Random(0)
    counts = Counter(UNEVEN.sample(rng) for _ in range(12_000))
    expected = 1000
    chi_squared = sum((counts[path] - expected) ** 2 / expected for path in UNEVEN.enumerate())
    assert chi_squared < 31.3  # 99.9 % quantile of chi-squared with 11 degrees of freedom


def test_distinct_samples_are_distinct_and_at_most_the_space() -> None:
    assert len(set(UNEVEN.sample_distinct(5, random.Random(0)))) == 5
    assert UNEVEN.sample_distinct(99, random.Random(0)) == list(UNEVEN.enumerate())


def test_a_space_beyond_all_counting_can_be_sampled() -> None:
    huge = space_of(*[["conv1x1", "conv3x3", "conv5x5", "conv7x7"]] * 40)
    assert len(set(huge.sample_distinct(50, random.Random(0)))) == 50


@pytest.mark.parametrize("choices", [(0,), (0, 3, 0, 0), (0, -1, 0, 0), (0, 0, 0, 0, 0)])
def test_choices_that_are_not_there_are_refused(choices: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="block"):
        UNEVEN.architecture(choices)


@pytest.mark.parametrize("index", [-1, 12])
def test_an_index_outside_the_space_is_refused(index: int) -> None:
    with pytest.raises(IndexError):
        UNEVEN.at(index)


def test_the_fingerprint_changes_with_anything_that_changes_networks(tiny: Callable[..., Preset]) -> None:
    def fingerprint(**space: object) -> str:
        return SearchSpace.from_config(tiny(space=space).space).fingerprint()

    block = {"channels": 4, "pool": 2, "candidates": ["conv3x3", "conv5x5"]}
    other = {"op": "conv", "kernel": 7, "label": "conv5x5"}
    variants = [
        fingerprint(),
        fingerprint(hidden=17),
        fingerprint(blocks=[block]),
        fingerprint(blocks=[block, {**block, "pool": 1}]),
        fingerprint(blocks=[block, {**block, "channels": 5}]),
        fingerprint(blocks=[block, {**block, "candidates": ["conv5x5", "conv3x3"]}]),
        fingerprint(blocks=[block, {**block, "candidates": ["conv3x3", other]}]),
        fingerprint(blocks=[block, {**block, "stride": 2}]),
        fingerprint(blocks=[block, {**block, "residual": True}]),
        fingerprint(blocks=[block, {**block, "residual": True}], norm="batch"),
        fingerprint(norm="batch"),
        fingerprint(norm="group"),
        fingerprint(pooling="global"),
        fingerprint(stem={"channels": 4}),
        fingerprint(stem={"channels": 4, "kernel": 5}),
        fingerprint(stem={"channels": 4}, norm="batch"),
    ]
    assert len(set(variants)) == len(variants)
    assert fingerprint() == fingerprint(blocks=[block, dict(block)])


@pytest.mark.parametrize(
    ("name", "known"), [("default", "a8b7b6ddae74ef07"), ("quick", "aa6859632dcea2ae"), ("fashion", "2f91f1a0e4b69f6b")]
)
def test_what_a_space_makes_no_use_of_leaves_its_fingerprint_as_it_was(name: str, known: str) -> None:
    assert SearchSpace.from_config(load_preset(name).preset.space).fingerprint() == known


def test_a_normalisation_is_the_same_wherever_it_is_said(tiny: Callable[..., Preset]) -> None:
    def space(**changes: object) -> SearchSpace:
        return SearchSpace.from_config(tiny(space=changes).space)

    def block(norm: str | None) -> dict[str, object]:
        more = {"norm": norm} if norm else {}
        return {"channels": 4, "candidates": [{"op": "conv", "kernel": 3, "label": "a", **more}]}

    assert space(norm="batch", blocks=[block(None)]).fingerprint() == space(blocks=[block("batch")]).fingerprint()
    assert space(norm="batch", blocks=[block("none")]).fingerprint() == space(blocks=[block(None)]).fingerprint()


def test_samples_of_a_space_are_nested_and_end_with_the_space() -> None:
    for blocks in (3, 40):  # 3 of two candidates; more paths than can be listed
        space = space_of(*[["conv1x1", "identity"]] * blocks, pool=1)
        small, large = space.sampled(5), space.sampled(8)
        assert large[:5] == small
        assert len(set(large)) == 8
    assert len(space_of(["conv1x1", "identity"]).sampled(100)) == 2


def test_the_largest_paths_are_those_that_sorting_all_would_give() -> None:
    costs = PathCosts(((3, 9, 9), (5, 1), (2, 8, 4)), head=10)
    paths = list(itertools.product(range(3), range(2), range(3)))
    ranked = sorted(paths, key=lambda path: (-sum(costs.candidates[b][c] for b, c in enumerate(path)), path))
    for count in (1, 4, 18, 30):
        assert costs.largest(count) == ranked[:count]
    wide = PathCosts(tuple((1, 2, 3, 4, 5) for _ in range(12)), head=0)
    assert wide.largest(2) == [(4,) * 12, (3, *(4,) * 11)]
