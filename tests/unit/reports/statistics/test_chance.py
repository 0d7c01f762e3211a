from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import kendalltau

from supernet_cli.reports.statistics.chance import random_order_range, relabel_p


def _paths(*sizes: int) -> np.ndarray:
    return np.array(list(itertools.product(*map(range, sizes))))


def _by_hand(choices: np.ndarray, scores: np.ndarray, truth: np.ndarray, rows: np.ndarray, sizes: list[int]) -> float:
    """Return the share of relabellings that do as well, by plain loops and scipy."""

    def statistic(relabelling: tuple[tuple[int, ...], ...]) -> float:
        taus = []
        for seed in scores:
            score_of = {tuple(path): score for path, score in zip(choices.tolist(), seed, strict=True)}
            paths = choices[rows].tolist()
            new = [score_of[tuple(p[c] for p, c in zip(relabelling, path, strict=True))] for path in paths]
            tau = kendalltau(new, truth.mean(axis=1)).statistic
            taus.append(0.0 if math.isnan(tau) else tau)
        return float(np.mean(taus))

    identity = tuple(tuple(range(size)) for size in sizes)
    every = list(itertools.product(*(itertools.permutations(range(size)) for size in sizes)))
    return float(np.mean([statistic(relabelling) >= statistic(identity) - 1e-9 for relabelling in every]))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("sizes", "count"), [([2, 2], 4), ([2, 3], 6), ([3, 1, 2, 2], 7), ([3, 3], 5), ([4], 4)])
def test_p_is_the_share_of_relabellings_counted_one_by_one(sizes: list[int], count: int, ties: bool) -> None:
    rng = np.random.default_rng(count)
    choices = rng.permutation(_paths(*sizes))  # in no particular order
    rows = rng.permutation(len(choices))[:count]
    scores, truth = rng.random((2, len(choices))), rng.random((count, 2))
    if ties:
        scores, truth = np.round(scores, 1), np.round(truth, 1)
    scores[:, rows] += truth.mean(axis=1) / 2
    result = relabel_p(choices, scores, truth, rows, sizes, rng)
    assert result.p.value == pytest.approx(_by_hand(choices, scores, truth, rows, sizes))
    assert result.relabellings == math.prod(math.factorial(size) for size in sizes)
    assert result.smallest.value == pytest.approx(1 / result.relabellings)
    assert result.exhaustive


def test_one_block_alone_can_take_every_order_so_p_is_scipys_exact_one() -> None:
    rng = np.random.default_rng(1)
    truth, scores = rng.random((7, 1)), rng.random((1, 7))
    scores += truth.T
    result = relabel_p(_paths(7), scores, truth, np.arange(7), [7], rng)
    expected = kendalltau(scores[0], truth[:, 0], method="exact", alternative="greater").pvalue
    assert result.p.value == pytest.approx(expected)


def test_drawn_relabellings_estimate_the_exact_p() -> None:
    rng = np.random.default_rng(2)
    truth, scores = rng.random((9, 1)), rng.random((1, 9))
    scores += truth.T
    result = relabel_p(_paths(9), scores, truth, np.arange(9), [9], rng)
    expected = kendalltau(scores[0], truth[:, 0], method="exact", alternative="greater").pvalue
    assert not result.exhaustive
    assert result.relabellings == 10_000
    assert result.smallest.value == pytest.approx(1 / 10_001)
    assert result.p.value == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 10_000))


def test_drawn_relabellings_repeat_with_their_seed_and_never_give_zero() -> None:
    truth = np.arange(10.0)[:, None]
    first, second = (
        relabel_p(_paths(10), truth.T, truth, np.arange(10), [10], np.random.default_rng(3), draws=99) for _ in range(2)
    )
    assert first == second
    assert first.p.value == pytest.approx(1 / 100)


def test_a_ranking_that_knows_nothing_gets_every_p_equally_often() -> None:
    rng = np.random.default_rng(4)
    truth = _paths(3, 3, 2) @ np.array([1.0, 0.3, 0.2]) + 0.1 * rng.normal(size=18)
    effects = [rng.normal(size=(400, size)) for size in (3, 3, 2)]
    p_values = [
        relabel_p(
            _paths(3, 3, 2),
            (a[:, None, None] + b[None, :, None] + c[None, None, :]).reshape(1, -1),
            truth[:, None],
            np.arange(18),
            [3, 3, 2],
            rng,
        ).p.value
        for a, b, c in zip(*effects, strict=True)
    ]
    for level in (0.05, 0.2, 0.5):
        share = np.mean([p is not None and p <= level for p in p_values])
        assert share <= level + 3 * math.sqrt(level * (1 - level) / len(p_values))
    assert np.mean([p is not None and p <= 0.5 for p in p_values]) > 0.35  # not merely cautious


def test_in_two_blocks_of_two_even_a_perfect_order_has_a_p_of_one_quarter() -> None:
    paths, rng = _paths(2, 2), np.random.default_rng(0)
    for effects in [(1.0, 2.0), (2.0, 1.0), (-1.0, 2.0), (-2.0, -1.0)]:
        truth = paths @ np.array(effects)
        result = relabel_p(paths, truth[None, :], truth[:, None], np.arange(4), [2, 2], rng)
        assert (result.p.value, result.smallest.value, result.relabellings) == (0.25, 0.25, 4)


def test_eight_of_the_24_orders_of_two_blocks_of_two_can_come_from_effects_that_add() -> None:
    rng, paths = np.random.default_rng(0), _paths(2, 2)
    effects = rng.normal(size=(20_000, 2))  # of random sign, and either may be the larger
    orders = [tuple(order) for order in np.argsort(effects @ paths.T, axis=1).tolist()]
    assert len(set(orders)) == 8
    truth = tuple(np.argsort(paths @ np.array([0.3, 0.5])).tolist())
    assert np.mean([order == truth for order in orders]) == pytest.approx(1 / 8, abs=0.01)


def test_a_relabelled_path_without_a_score_leaves_no_p() -> None:
    rng = np.random.default_rng(0)
    result = relabel_p(_paths(3, 3)[:-1], rng.random((1, 8)), rng.random((8, 1)), np.arange(8), [3, 3], rng)
    assert result.p.value is None
    assert "only 8 of 9 have one" in result.p.note
    assert result.smallest.value == pytest.approx(1 / 36)


def test_a_space_beyond_all_counting_leaves_no_p() -> None:
    rng = np.random.default_rng(0)
    choices = rng.integers(0, 4, (8, 40))
    result = relabel_p(choices, rng.random((1, 8)), rng.random((8, 1)), np.arange(8), [4] * 40, rng)
    assert result.p.value is None
    assert f"only 8 of {4**40:,} have one" in result.p.note


@pytest.mark.parametrize(
    ("scores", "truth"),
    [
        (np.zeros((2, 4)), np.arange(4.0)),
        (np.tile(np.arange(4.0), (2, 1)), np.zeros(4)),
        (np.zeros((0, 4)), np.arange(4.0)),
        (np.full((1, 4), np.nan), np.arange(4.0)),
    ],
)
def test_without_an_order_there_is_no_p(scores: np.ndarray, truth: np.ndarray) -> None:
    result = relabel_p(_paths(2, 2), scores, truth[:, None], np.arange(4), [2, 2], np.random.default_rng(0))
    assert result.p.value is None
    assert result.p.note


def test_a_supernet_seed_that_diverged_is_left_out_and_said_to_be() -> None:
    truth = np.arange(4.0)[:, None]
    scores = np.stack([np.arange(4.0), [0.0, 1.0, 2.0, -np.inf]])
    result = relabel_p(_paths(2, 2), scores, truth, np.arange(4), [2, 2], np.random.default_rng(0))
    assert result.p.value == 0.25
    assert "1 of 2 supernet seeds" in result.p.note


def test_three_blocks_of_four_are_relabelled_in_every_way() -> None:
    rng = np.random.default_rng(0)
    result = relabel_p(_paths(4, 4, 4), rng.random((2, 64)), rng.random((64, 3)), np.arange(64), [4, 4, 4], rng)
    assert (result.relabellings, result.exhaustive) == (24**3, True)


@pytest.mark.parametrize("truth", [[0.9, 0.5, 0.7, 0.1, 0.3], [0.9, 0.9, 0.5, 0.5, 0.1, 0.2], [0.1, 0.2, 0.2]])
def test_few_paths_have_the_exact_range_of_all_their_orders(truth: list[float]) -> None:
    taus = sorted(
        round(float(kendalltau(order, truth).statistic), 9) for order in itertools.permutations(range(len(truth)))
    )
    result = random_order_range(np.array(truth), np.random.default_rng(0))
    assert result.low.value == next(t for t in taus if np.mean(np.array(taus) <= t) >= 0.025)
    assert result.high.value == next(t for t in taus if np.mean(np.array(taus) <= t) >= 0.975)


def test_a_random_order_of_four_paths_may_be_perfect() -> None:
    result = random_order_range(np.array([0.1, 0.2, 0.3, 0.4]), np.random.default_rng(0))
    assert (result.low.value, result.high.value) == (-1.0, 1.0)


def test_many_paths_have_the_range_of_kendalls_normal_approximation() -> None:
    n = 60
    result = random_order_range(np.random.default_rng(0).random(n), np.random.default_rng(1))
    half = 1.96 * math.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))
    assert (result.low.value, result.high.value) == (pytest.approx(-half, abs=0.01), pytest.approx(half, abs=0.01))


@pytest.mark.parametrize("truth", [[], [0.5], [0.5, 0.6], [0.5, 0.5, 0.5]])
def test_what_has_no_order_has_no_range_of_chance(truth: list[float]) -> None:
    result = random_order_range(np.array(truth), np.random.default_rng(0))
    assert result.low.value is None
    assert result.high.note
