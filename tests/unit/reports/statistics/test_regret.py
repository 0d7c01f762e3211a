from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from supernet_cli.reports.statistics.regret import regret, shrunken


def exactly(*accuracies: float) -> np.ndarray:
    """Return draws of accuracies that are known exactly, (2, n)."""
    return np.tile(np.array(accuracies), (2, 1))


def _pick(group: tuple[int, ...], quality: np.ndarray, score: np.ndarray, expected: np.ndarray) -> float:
    """Return the accuracy of the best of a group: by quality, then score, and the mean of those equal in both."""
    best = max((quality[i], score[i]) for i in group)
    return float(np.mean([expected[i] for i in group if (quality[i], score[i]) == best]))


def _candidates(score: np.ndarray, k: int) -> list[tuple[int, ...]]:
    """Return every set of k paths that the highest scores may mean: one unless scores tie at the last place."""
    best = sum(sorted(score)[-k:])
    return [
        group for group in itertools.combinations(range(len(score)), k) if math.isclose(score[list(group)].sum(), best)
    ]


def _by_hand(score: np.ndarray, draws: np.ndarray, validation: np.ndarray, k: int) -> list[float]:
    quality = shrunken(validation)
    return [
        float(expected.max() - np.mean([_pick(group, quality, score, expected) for group in _candidates(score, k)]))
        for expected in draws
    ]


@pytest.mark.parametrize("decimals", [8, 1])
@pytest.mark.parametrize("k", [1, 2, 3, 7])
@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_regret_is_what_counting_every_draw_and_subset_gives(seeds: int, k: int, decimals: int) -> None:
    rng = np.random.default_rng(seeds * k)
    draws, validation = rng.random((50, 7)), rng.random((7, seeds)).round(decimals)
    scores, parameters = rng.random((3, 7)), np.array([5.0, 3, 5, 1, 5, 3, 2])
    result = regret(scores, draws, validation, k, {"largest": parameters})
    each = np.array([_by_hand(row, draws, validation, k) for row in scores])
    assert result.per_seed == pytest.approx(each.mean(axis=1))
    assert result.supernet.mean.value == pytest.approx(each.mean())
    bounds = np.quantile(each.mean(axis=0), [0.025, 0.975])
    assert (result.supernet.interval.low.value, result.supernet.interval.high.value) == pytest.approx(bounds)
    assert result.others["random"].mean.value == pytest.approx(np.mean(_by_hand(np.zeros(7), draws, validation, k)))
    assert result.others["largest"].mean.value == pytest.approx(np.mean(_by_hand(parameters, draws, validation, k)))


def test_random_paths_are_what_drawing_them_gives_on_average() -> None:
    rng = np.random.default_rng(0)
    draws, validation = rng.random((1, 30)), rng.random((30, 2))
    expected = regret(np.zeros((1, 30)), draws, validation, 5, {}).others["random"].mean.value
    drawn = []
    for _ in range(3000):
        score = np.zeros(30)
        score[rng.permutation(30)[:5]] = 1.0
        drawn.append(regret(score[None], draws, validation, 5, {}).supernet.mean.value)
    assert expected == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / math.sqrt(3000))


def test_without_noise_a_supernet_that_knows_the_best_path_has_no_regret() -> None:
    truth = np.array([0.1, 0.4, 0.9, 0.6])
    draws, validation = exactly(*truth), truth[:, None]

    def lost(scores: np.ndarray, k: int) -> float | None:
        return regret(scores[None], draws, validation, k, {}).supernet.mean.value

    assert lost(truth, 1) == pytest.approx(0.0)
    assert lost(-truth, 1) == pytest.approx(0.8)
    assert lost(-truth, 4) == pytest.approx(0.0)
    assert regret(truth[None], draws, validation, 1, {}).others["random"].mean.value == pytest.approx(0.9 - 0.5)


def test_the_cost_is_that_of_the_paths_trained() -> None:
    costs = np.array([0.5, 0.5, 1.0, 2.0])
    order = np.array([1.0, 2.0, 3.0, 4.0])
    result = regret(order[None], exactly(1, 2, 3, 4), order[:, None], 2, {"even": np.zeros(4), "none": None}, costs)
    assert result.supernet.paths.value == pytest.approx(3.0)
    assert result.others["even"].paths.value == result.others["random"].paths.value == pytest.approx(2.0)
    assert "sizes" in result.others["none"].mean.note
    assert "sizes" in regret(order[None], exactly(1, 2, 3, 4), order[:, None], 2, {}).supernet.paths.note


def test_equal_accuracies_leave_nothing_to_regret() -> None:
    result = regret(np.arange(5.0)[None], exactly(*[0.7] * 5), np.full((5, 2), 0.7), 2, {"largest": np.arange(5.0)})
    for loss in (result.supernet, *result.others.values()):
        assert loss.mean.value == pytest.approx(0.0, abs=1e-12)


def test_what_regret_lacks_is_said() -> None:
    rng = np.random.default_rng(0)
    draws, validation, scores = rng.random((5, 4)), rng.random((4, 2)), rng.random((1, 4))
    for result, reason in [
        (regret(scores, draws, validation, 5, {"size": None}), "Needs at least 5 paths; this comparison has 4."),
        (regret(scores, draws, validation * np.nan, 2, {"size": None}), "finite"),
    ]:
        for loss in (result.supernet, *result.others.values()):
            assert loss.mean.value is None
            assert reason in loss.mean.note
        assert result.per_seed == ()
    nothing = regret(np.full((1, 4), np.nan), draws, validation, 2, {})
    assert "finite" in nothing.supernet.mean.note
    assert nothing.others["random"].mean.value is not None
    half = regret(np.stack([scores[0], scores[0] * np.nan]), draws, validation, 2, {})
    assert "1 of 2" in half.supernet.mean.note


def test_a_single_path_is_its_own_best() -> None:
    result = regret(np.zeros((1, 1)), exactly(0.5), np.array([[0.5, 0.7]]), 1, {"largest": np.array([3.0])})
    for loss in (result.supernet, *result.others.values()):
        assert loss.mean.value == pytest.approx(0.0)


def test_means_over_equal_seeds_keep_their_order_and_a_single_lucky_seed_is_not_picked() -> None:
    rng = np.random.default_rng(0)
    equal = rng.normal(size=(12, 3))
    assert (np.argsort(shrunken(equal)) == np.argsort(equal.mean(axis=1))).all()
    unequal = np.array([[0.80, 0.90, 0.85], [0.86, np.nan, np.nan], [0.70, 0.60, 0.65], [0.60, 0.70, 0.50]])
    assert np.argmax(np.nanmean(unequal, axis=1)) == 1
    assert np.argmax(shrunken(unequal)) == 0
    one_seed = np.array([[0.3], [0.1], [0.2]])
    assert shrunken(one_seed) == pytest.approx(one_seed[:, 0])
