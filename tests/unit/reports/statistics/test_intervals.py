from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from supernet_cli.reports.statistics.intervals import (
    bootstrap_interval,
    holm,
    prediction_interval,
    tau_interval,
    welch_against,
)

TAUS = [0.71, 0.78, 0.66, 0.74, 0.80]


def test_the_interval_over_seeds_is_a_t_interval_on_artanh() -> None:
    values = np.arctanh(TAUS)
    half = 2.7764451051977987 * values.std(ddof=1) / np.sqrt(5)  # the t quantile of four degrees of freedom
    expected = np.tanh([values.mean() - half, values.mean() + half])
    result = tau_interval(TAUS)
    assert (result.low.value, result.high.value) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
    assert tau_interval([None, *TAUS]) == result


@pytest.mark.parametrize(
    ("taus", "reason"),
    [
        (TAUS[:4], "Needs 5 supernet seeds; this run has 4."),
        ([*TAUS[:4], None], "Needs 5 supernet seeds with a τ; this run has 4."),
        ([], "Needs 5 supernet seeds; this run has 0."),
        ([*TAUS, 1.0], "perfectly"),
        ([*TAUS, -1.0], "perfectly"),
        ([0.5] * 5, "same τ"),
    ],
)
def test_an_interval_that_seeds_cannot_give_has_a_reason(taus: list[float | None], reason: str) -> None:
    assert tau_interval(taus).low.value is None
    assert reason in tau_interval(taus).high.note


def test_means_of_further_supernets_fall_into_the_prediction_interval_as_often_as_it_says() -> None:
    rng, inside = np.random.default_rng(0), 0
    for _ in range(2000):
        taus = np.tanh(rng.normal(0.8, 0.1, 5))
        found = prediction_interval(taus.tolist(), 2)
        assert found.low.value is not None
        assert found.high.value is not None
        inside += found.low.value <= np.tanh(rng.normal(0.8, 0.1, 2).mean()) <= found.high.value
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    ("taus", "reason"), [(TAUS[:2], "Needs 3"), ([*TAUS, 1.0], "perfectly"), ([0.5] * 3, "same τ")]
)
def test_a_prediction_that_seeds_cannot_give_has_a_reason(taus: list[float | None], reason: str) -> None:
    found = prediction_interval(taus, 2)
    assert found.low.value is None
    assert reason in found.high.note


def test_the_bootstrap_draws_paths_and_takes_percentiles_of_scipys_tau() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.random((20, 2)), rng.random((2, 20))
    scores += truth.mean(axis=1)
    result = bootstrap_interval(scores, truth, np.random.default_rng(7), draws=200)
    drawn = np.random.default_rng(7).integers(20, size=(200, 20))
    mean = truth.mean(axis=1)
    taus = [np.mean([stats.kendalltau(s[rows], mean[rows]).statistic for s in scores]) for rows in drawn]
    low, high = np.quantile(taus, [0.025, 0.975])
    assert (result.low.value, result.high.value) == (pytest.approx(low), pytest.approx(high))


def test_the_bootstrap_covers_the_true_tau_about_as_often_as_it_says() -> None:
    rng, rho = np.random.default_rng(0), 0.8
    true, covered = 2 / np.pi * np.arcsin(rho), []
    for _ in range(150):
        truth = rng.normal(size=50)
        scores = rho * truth + np.sqrt(1 - rho**2) * rng.normal(size=50)
        result = bootstrap_interval(scores[None], truth[:, None], rng, draws=300)
        covered.append(result.low.value <= true <= result.high.value)
    assert 0.88 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize(
    ("scores", "truth", "reason"),
    [
        (np.arange(9.0)[None], np.arange(9.0)[:, None], "Needs at least 10 paths; this comparison has 9."),
        (np.zeros((1, 12)), np.arange(12.0)[:, None], "equal"),
        (np.arange(12.0)[None], np.zeros((12, 1)), "equal"),
        (np.zeros((0, 12)), np.arange(12.0)[:, None], "no supernet"),
        (np.zeros((1, 1)), np.zeros((1, 1)), "1 of the 3 needed"),
    ],
)
def test_a_bootstrap_that_cannot_be_trusted_has_a_reason(scores: np.ndarray, truth: np.ndarray, reason: str) -> None:
    result = bootstrap_interval(scores, truth, np.random.default_rng(0))
    assert result.low.value is None
    assert reason in result.high.note


def test_holm_is_the_closed_test_by_bonferroni() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = rng.random(5) ** 3
        expected = [
            max(
                min(1.0, size * min(p[list(group)]))
                for size in range(1, 6)
                for group in itertools.combinations(range(5), size)
                if i in group
            )
            for i in range(5)
        ]
        assert holm(p.tolist()) == pytest.approx(expected)


def test_holm_of_a_case_done_by_hand_and_of_nothing() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([]) == ()


def welch_p(one: list[float], other: list[float]) -> float:
    """Return the p of Welch's test on artanh by its definition."""
    sides = [np.arctanh(one), np.arctanh(other)]
    errors = [side.var(ddof=1) / len(side) for side in sides]
    freedom = sum(errors) ** 2 / sum(error**2 / (len(s) - 1) for error, s in zip(errors, sides, strict=True))
    return float(2 * stats.t.sf(abs(sides[0].mean() - sides[1].mean()) / np.sqrt(sum(errors)), freedom))


def test_strategies_are_compared_by_welchs_test_on_artanh() -> None:
    others = {"fair": [0.81, 0.72, 0.79], "epoch": [0.4, 0.5, 0.35, 0.2], "odd": [0.7, 0.7]}
    result = welch_against(TAUS, others)
    p = {name: welch_p(taus, TAUS) for name, taus in others.items()}
    assert list(result) == list(others)
    assert {name: c.p.value for name, c in result.items()} == pytest.approx(p)
    assert [c.adjusted.value for c in result.values()] == pytest.approx(holm(list(p.values())))
    assert result["fair"].difference.value == pytest.approx(np.mean(others["fair"]) - np.mean(TAUS))


def test_what_cannot_be_compared_has_a_reason_and_does_not_count_for_holm() -> None:
    one = [0.81, 0.72, 0.79]
    others = {"one": [0.5], "none": [], "lost": [None, 0.5], "perfect": [1.0, 0.9], "fair": one}
    result = welch_against(TAUS, others)
    for name in ("one", "none", "lost"):
        assert "Needs 2 supernet seeds" in result[name].p.note
        assert result[name].adjusted.note == result[name].p.note
    assert "perfectly" in result["perfect"].p.note
    assert result["none"].difference.note
    assert result["one"].difference.value == pytest.approx(0.5 - np.mean(TAUS))
    assert result["fair"].adjusted.value == result["fair"].p.value
    assert "Needs 2 supernet seeds" in welch_against([0.5], {"fair": one})["fair"].p.note
    assert "have the same τ" in welch_against([0.5, 0.5], {"same": [0.6, 0.6]})["same"].p.note
