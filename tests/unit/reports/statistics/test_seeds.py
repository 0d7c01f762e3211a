from __future__ import annotations

import itertools

import numpy as np
import pytest

from supernet_cli.reports.statistics.seeds import largest_block, mean_seeds, splits


def _accuracies(known: np.ndarray) -> np.ndarray:
    return np.where(known, np.random.default_rng(0).random(known.shape), np.nan)


def test_the_block_of_paths_that_share_seeds_is_the_largest_of_all() -> None:
    rng = np.random.default_rng(1)
    for _ in range(60):
        known = rng.random((9, 5)) < rng.uniform(0.3, 0.95)
        block = largest_block(_accuracies(known))
        every = [
            int(known[:, list(seeds)].all(axis=1).sum()) * (len(seeds) - 1)
            for count in range(1, 6)
            for seeds in itertools.combinations(range(5), count)
        ]
        assert known[np.ix_(block.paths, block.seeds)].all()
        assert len(block.paths) * max(len(block.seeds) - 1, 0) == max(every)


def test_seventeen_paths_with_one_seed_do_not_cost_the_other_sixteen_their_three() -> None:
    known = np.ones((33, 3), dtype=bool)
    known[:17, 1:] = False
    block = largest_block(_accuracies(known))
    assert (block.paths.tolist(), block.seeds.tolist()) == (list(range(17, 33)), [0, 1, 2])
    assert block.of(_accuracies(known)).shape == (16, 3)
    assert mean_seeds(_accuracies(known)) == pytest.approx(33 / (17 + 16 / 3))


def test_one_seed_each_gives_the_seed_that_most_paths_have() -> None:
    known = np.array([[True, False], [False, True], [False, True]])
    block = largest_block(_accuracies(known))
    assert (block.paths.tolist(), block.seeds.tolist()) == ([1, 2], [1])
    none = largest_block(np.full((2, 2), np.nan))
    assert (len(none.paths), len(none.seeds)) == (0, 0)


@pytest.mark.parametrize(("seeds", "count"), [(1, 0), (2, 2), (3, 3), (4, 6), (6, 20), (9, 18)])
def test_splits_choose_with_half_of_the_seeds_and_judge_with_the_others(seeds: int, count: int) -> None:
    found = splits(seeds)
    assert len(found) == count
    for choosing, judging in found:
        assert sorted(choosing + judging) == list(range(seeds))
        assert len(choosing) == (seeds + 1) // 2
    assert len({tuple(choosing) for choosing, _ in found}) == count


def test_splits_leave_as_many_judges_as_are_needed() -> None:
    assert splits(2, judges=2) == []
    assert splits(3, judges=2) == [([0], [1, 2]), ([1], [0, 2]), ([2], [0, 1])]
    assert {len(judging) for _, judging in splits(5, judges=2)} == {2}
