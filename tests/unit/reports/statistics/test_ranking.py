from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from supernet_cli.reports.statistics.quantity import needs
from supernet_cli.reports.statistics.ranking import (
    agreement,
    best_quarter,
    kendall_tau,
    mean_accuracy,
    seed_agreement,
    seed_agreement_of_best,
    sparse_tau,
    spearman_rho,
    supernet_agreement,
)

A = np.array([1.0, 2.0, 3.0, 4.0])


def test_coefficients_of_a_case_done_by_hand() -> None:
    b = np.array([1.0, 3.0, 2.0, 4.0])  # one of six pairs is wrong; squared differences of ranks sum to 2
    assert kendall_tau(A, b) == pytest.approx(4 / 6)
    assert spearman_rho(A, b) == pytest.approx(1 - 6 * 2 / (4 * 15))


def test_ties_are_left_out_as_tau_b_does() -> None:
    b = np.array([1.0, 1.0, 2.0, 2.0])  # four pairs in order, two tied on one side
    assert kendall_tau(A, b) == pytest.approx(4 / math.sqrt(6 * 4))


def test_identical_and_reversed_rankings_score_plus_and_minus_one() -> None:
    assert (kendall_tau(A, A), spearman_rho(A, A)) == (pytest.approx(1), pytest.approx(1))
    assert (kendall_tau(A, -A), spearman_rho(A, -A)) == (pytest.approx(-1), pytest.approx(-1))


@pytest.mark.parametrize("coefficient", [kendall_tau, spearman_rho])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([], []),
        ([1.0], [1.0]),
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [5.0, 5.0, 5.0]),
        ([1.0, 2.0, float("nan")], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [float("-inf"), 2.0, 3.0]),
    ],
)
def test_what_has_no_order_has_no_coefficient(coefficient: type, a: list[float], b: list[float]) -> None:
    assert coefficient(np.array(a), np.array(b)) is None


def test_agreement_is_scipys_of_each_supernet_seed_with_the_mean_over_stand_alone_seeds() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.random((21, 3)), rng.random((4, 21))
    result = agreement(scores, truth)
    mean = truth.mean(axis=1)
    for spread, statistic in ((result.tau, kendalltau), (result.rho, spearmanr)):
        expected = [statistic(row, mean).statistic for row in scores]
        assert spread.per_seed == pytest.approx(expected)
        assert spread.mean.value == pytest.approx(np.mean(expected))
        assert (spread.low.value, spread.high.value) == (pytest.approx(min(expected)), pytest.approx(max(expected)))
        assert spread.mean.note == ""


def test_the_best_quarter_is_chosen_by_some_seeds_and_judged_by_the_others() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.random((21, 3)), rng.random((4, 21))
    result = agreement(scores, truth)
    for spread, statistic in ((result.best_tau, kendalltau), (result.best_rho, spearmanr)):
        expected = []
        for row in scores:
            each = []
            for judge in range(3):
                best = np.argsort(-np.delete(truth, judge, axis=1).mean(axis=1))[:6]
                each.append(statistic(row[best], truth[best, judge]).statistic)
            expected.append(np.mean(each))
        assert spread.per_seed == pytest.approx(expected)
        assert spread.mean.value == pytest.approx(np.mean(expected))
    assert result.best_paths == 6
    each = []
    for choose in range(3):
        best = np.argsort(-truth[:, choose])[:6]
        each.append(kendalltau(*np.delete(truth, choose, axis=1)[best].T).statistic)
    assert seed_agreement_of_best(truth).value == pytest.approx(np.mean(each))


@pytest.mark.parametrize("seeds", [2, 3, 4])
def test_in_the_best_quarter_tau_is_on_average_that_with_fresh_trainings(seeds: int) -> None:
    """For a quarter chosen by half of the seeds; where the same seeds choose and judge, it is too low."""
    rng, found, fresh, agreed, agreed_fresh, naive = np.random.default_rng(seeds), [], [], [], [], []
    half = (seeds + 1) // 2
    for _ in range(250):
        exact = np.repeat(rng.normal(size=8), 4) + 0.5 * rng.normal(size=32)  # groups of similar paths
        truth = exact[:, None] + 0.8 * rng.normal(size=(32, seeds))
        scores = exact[None] + 0.4 * rng.normal(size=(1, 32))
        found.append(agreement(scores, truth).best_tau.mean.value)
        best = best_quarter(truth[:, :half])
        again = exact[:, None] + 0.8 * rng.normal(size=(32, seeds - half))
        fresh.append(kendall_tau(scores[0, best], again.mean(axis=1)[best]))
        naive.append(seed_agreement(truth[best_quarter(truth)]).value)
        agreed.append(seed_agreement_of_best(truth).value)
        best = best_quarter(truth[:, : max(1, min(half, seeds - 2))])
        agreed_fresh.append(kendall_tau(*(exact[best, None] + 0.8 * rng.normal(size=(8, 2))).T))
    assert None not in found
    error = np.std(np.array(found) - np.array(fresh)) / math.sqrt(250)
    assert abs(np.mean(found) - np.mean(fresh)) < 3 * error
    assert error < 0.03
    if seeds == 2:
        assert agreed == [None] * 250
    else:
        error = np.std(np.array(agreed) - np.array(agreed_fresh)) / math.sqrt(250)
        assert abs(np.mean(agreed) - np.mean(agreed_fresh)) < 3 * error
        assert np.mean(naive) < np.mean(agreed_fresh) - 3 * error


def test_in_the_best_quarter_one_seed_cannot_both_choose_and_judge() -> None:
    rng = np.random.default_rng(0)
    result = agreement(rng.random((2, 40)), rng.random((40, 1)))
    for spread in (result.best_tau, result.best_rho):
        assert spread.mean.note == "Needs at least 2 stand-alone seeds: some choose the paths, others judge them; " + (
            "this comparison has 1."
        )
        assert spread.per_seed == (None, None)
    assert result.tau.mean.value is not None
    assert "at least 3 stand-alone seeds" in seed_agreement_of_best(rng.random((40, 2))).note


def test_the_best_quarter_of_unequal_seeds_is_that_of_the_paths_that_share_some() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.random((40, 3)), rng.random((2, 40))
    truth[:17, 1:] = np.nan
    result, block = agreement(scores, truth), agreement(scores[:, 17:], truth[17:])
    assert result.best_tau.per_seed == block.best_tau.per_seed
    assert result.best_tau.mean.note == "From the 23 paths that share 3 seeds."
    assert seed_agreement(truth).value == seed_agreement(truth[17:]).value
    assert seed_agreement_of_best(truth).value == seed_agreement_of_best(truth[17:]).value
    assert (result.best_paths, result.tau.per_seed != block.tau.per_seed) == (6, True)
    assert mean_accuracy(truth) == pytest.approx(np.nanmean(truth, axis=1), abs=1e-9)


def test_the_best_quarter_of_eight_paths_is_too_small_to_rank() -> None:
    rng = np.random.default_rng(0)
    result = agreement(rng.random((2, 8)), rng.random((8, 2)))
    assert result.tau.mean.value is not None
    assert result.best_paths == 2
    assert result.best_tau.mean.value is None
    assert "2 of the 3 needed" in result.best_tau.mean.note
    assert result.best_tau.per_seed == (None, None)


def test_the_best_quarter_is_rounded_up_best_first_and_takes_the_earlier_of_equals() -> None:
    truth = np.array([[0.1], [0.9], [0.8], [0.9], [0.8]])
    assert best_quarter(truth).tolist() == [1, 3]


def test_a_supernet_seed_without_order_is_left_out_and_said_to_be() -> None:
    truth, scores = np.arange(5.0)[:, None], np.stack([np.arange(5.0), np.zeros(5)])
    tau = agreement(scores, truth).tau
    assert tau.per_seed == (pytest.approx(1.0), None)
    assert tau.mean.value == pytest.approx(1.0)
    assert "Only 1 of 2 supernet seeds" in tau.mean.note


@pytest.mark.parametrize("truth", [np.full((6, 2), 0.9), np.zeros((1, 2)), np.zeros((6, 0)), np.zeros((0, 2))])
def test_equal_accuracies_a_single_path_and_no_paths_give_reasons_instead_of_numbers(truth: np.ndarray) -> None:
    scores = np.random.default_rng(0).random((2, len(truth)))
    result = agreement(scores, truth)
    for spread in (result.tau, result.rho, result.best_tau, result.best_rho, sparse_tau(scores, truth)):
        assert spread.mean.value is None
        assert spread.mean.note
    assert seed_agreement(truth).value is None
    assert seed_agreement(truth).note


def test_no_supernet_seeds_give_a_reason() -> None:
    assert agreement(np.zeros((0, 5)), np.random.default_rng(0).random((5, 2))).tau.mean.note


def test_equal_means_tie_whatever_the_order_of_seeds() -> None:
    seeds = [0.9865, 0.9873, 0.9861]
    truth = np.array([list(order) for order in itertools.permutations(seeds)])
    assert len(set(truth.sum(axis=1).tolist())) > 1  # last bits differ
    assert len(set(mean_accuracy(truth).tolist())) == 1


def test_seeds_agree_by_the_mean_tau_of_their_pairs() -> None:
    truth = np.random.default_rng(0).random((9, 4))
    pairs = [kendalltau(a, b).statistic for a, b in itertools.combinations(truth.T, 2)]
    assert seed_agreement(truth).value == pytest.approx(np.mean(pairs))
    assert supernet_agreement(truth.T).value == pytest.approx(np.mean(pairs))


def test_the_agreement_of_seeds_needs_two() -> None:
    assert seed_agreement(np.random.default_rng(0).random((9, 1))).note == needs(2, "stand-alone seeds", 1)
    assert supernet_agreement(np.random.default_rng(0).random((1, 9))).note == needs(2, "supernet seeds", 1)


def test_sparse_tau_takes_differences_within_a_thousandth_for_ties() -> None:
    truth = np.array([[0.9901], [0.9903], [0.9912], [0.9921]])
    scores = np.array([[2.0, 1.0, 3.0, 4.0]])
    expected = kendalltau(scores[0], [0.990, 0.990, 0.991, 0.992]).statistic
    assert sparse_tau(scores, truth).mean.value == pytest.approx(expected)
    assert expected > agreement(scores, truth).tau.mean.value
