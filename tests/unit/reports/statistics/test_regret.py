from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from supernet_cli.reports.statistics.regret import regret


def _pick(group: tuple[int, ...], quality: np.ndarray, score: np.ndarray, judged: np.ndarray) -> float:
    """Return the accuracy of the best of a group: by quality, then score, and the mean of those equal in both."""
    best = max((quality[i], score[i]) for i in group)
    return float(np.mean([judged[i] for i in group if (quality[i], score[i]) == best]))


def _candidates(score: np.ndarray, k: int) -> list[tuple[int, ...]]:
    """Return every set of k paths that the highest scores may mean: one unless scores tie at the last place."""
    best = sum(sorted(score)[-k:])
    return [
        group for group in itertools.combinations(range(len(score)), k) if math.isclose(score[list(group)].sum(), best)
    ]


def _by_hand(score: np.ndarray, truth: np.ndarray, validation: np.ndarray, k: int) -> float:
    seeds, losses = truth.shape[1], []
    for size in {seeds // 2, seeds - seeds // 2}:
        for first in itertools.combinations(range(seeds), size):
            second = [seed for seed in range(seeds) if seed not in first]
            judged = truth[:, second].mean(axis=1).round(10)
            test, quality = (np.round(y[:, first].mean(axis=1), 10) for y in (truth, validation))
            everyone, level = tuple(range(len(score))), np.zeros(len(score))
            reference = _pick(everyone, test, level, judged)
            picks = [_pick(group, quality, score, judged) for group in _candidates(score, k)]
            losses.append(reference - np.mean(picks))
    return float(np.mean(losses))


@pytest.mark.parametrize("decimals", [8, 1])
@pytest.mark.parametrize("k", [1, 2, 3, 7])
@pytest.mark.parametrize("seeds", [2, 3, 4])
def test_regret_is_what_counting_every_split_and_subset_gives(seeds: int, k: int, decimals: int) -> None:
    rng = np.random.default_rng(seeds * k)
    truth, validation = rng.random((2, 7, seeds)).round(decimals)
    scores, parameters = rng.random((3, 7)), np.array([5, 3, 5, 1, 5, 3, 2])
    result = regret(scores, truth, validation, k, parameters, rng)
    each = [_by_hand(row, truth, validation, k) for row in scores]
    assert result.per_seed == pytest.approx(each)
    assert result.supernet.value == pytest.approx(np.mean(each))
    assert result.random.value == pytest.approx(_by_hand(np.zeros(7), truth, validation, k))
    assert result.largest.value == pytest.approx(_by_hand(parameters.astype(float), truth, validation, k))
    assert result.splits == {2: 2, 3: 6, 4: 6}[seeds]
    assert result.k == k


def test_random_paths_are_what_drawing_them_gives_on_average() -> None:
    rng = np.random.default_rng(0)
    truth, validation = rng.random((2, 30, 2))
    expected = regret(np.zeros((1, 30)), truth, validation, 5, None, rng).random.value
    drawn = []
    for _ in range(3000):
        score = np.zeros(30)
        score[rng.permutation(30)[:5]] = 1.0
        drawn.append(regret(score[None], truth, validation, 5, None, rng).supernet.value)
    assert expected == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / math.sqrt(3000))


def test_without_noise_a_supernet_that_knows_the_best_path_has_no_regret() -> None:
    truth = np.tile(np.array([0.1, 0.4, 0.9, 0.6])[:, None], (1, 2))
    rng = np.random.default_rng(0)
    assert regret(truth[:, 0][None], truth, truth, 1, None, rng).supernet.value == pytest.approx(0.0)
    assert regret(-truth[:, 0][None], truth, truth, 1, None, rng).supernet.value == pytest.approx(0.8)
    assert regret(-truth[:, 0][None], truth, truth, 4, None, rng).supernet.value == pytest.approx(0.0)
    assert regret(truth[:, 0][None], truth, truth, 1, None, rng).random.value == pytest.approx(0.9 - 0.5)


def test_regret_may_be_negative() -> None:
    truth = np.array([[0.9, 0.1], [0.5, 0.5]])  # the best on either seed is the worst on the other
    result = regret(np.array([[0.0, 1.0]]), truth, truth, 1, None, np.random.default_rng(0))
    assert result.supernet.value == pytest.approx(((0.1 - 0.5) + (0.5 - 0.5)) / 2)


def test_equal_accuracies_leave_nothing_to_regret() -> None:
    flat = np.full((5, 2), 0.7)
    result = regret(np.arange(5.0)[None], flat, flat, 2, np.arange(5), np.random.default_rng(0))
    assert (result.supernet.value, result.random.value, result.largest.value) == pytest.approx(
        (0.0, 0.0, 0.0), abs=1e-12
    )


@pytest.mark.parametrize("seeds", [11, 60])
def test_many_seeds_are_split_two_hundred_times_and_repeat_with_the_generators_seed(seeds: int) -> None:
    truth, validation = np.random.default_rng(0).random((2, 4, seeds))
    first, second = (
        regret(np.arange(4.0)[None], truth, validation, 2, None, np.random.default_rng(1)) for _ in range(2)
    )
    assert first == second
    assert first.splits == 200


def test_what_regret_lacks_is_said() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.random((4, 2)), rng.random((1, 4))
    for result, reason in [
        (regret(scores, truth[:, :1], truth[:, :1], 2, None, rng), "at least 2 stand-alone seeds"),
        (regret(scores, truth, truth, 5, None, rng), "Needs at least 5 paths; this comparison has 4."),
        (regret(scores, truth * np.nan, truth, 2, None, rng), "finite"),
    ]:
        for quantity in (result.supernet, result.random, result.largest):
            assert quantity.value is None
            assert reason in quantity.note
        assert result.per_seed == ()
    assert "sizes" in regret(scores, truth, truth, 2, None, rng).largest.note
    nothing = regret(np.full((1, 4), np.nan), truth, truth, 2, np.arange(4), rng)
    assert "finite" in nothing.supernet.note
    assert nothing.random.value is not None
    half = regret(np.stack([scores[0], scores[0] * np.nan]), truth, truth, 2, None, rng)
    assert "1 of 2" in half.supernet.note


def test_a_single_path_is_its_own_best() -> None:
    truth = np.array([[0.5, 0.7]])
    result = regret(np.zeros((1, 1)), truth, truth, 1, np.array([3]), np.random.default_rng(0))
    assert (result.supernet.value, result.random.value, result.largest.value) == pytest.approx((0.0, 0.0, 0.0))
