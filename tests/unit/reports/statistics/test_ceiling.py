from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import kendalltau

from supernet_cli.reports.statistics.ceiling import corrected_tau, tau_ceiling


@pytest.mark.parametrize(("seeds", "ceiling"), [(2, 0.906), (3, 0.923), (4, 0.933)])
def test_the_published_ceilings(seeds: int, ceiling: float) -> None:
    assert tau_ceiling(0.814, seeds, 64).value == pytest.approx(ceiling, abs=5e-4)


def test_the_published_ceiling_of_one_seed_follows_though_one_seed_gets_none() -> None:
    assert tau_ceiling(0.814, 1, 64).value is None
    rho = np.sin(np.pi * 0.814 / 2)
    one_seed = 2 / np.pi * np.arcsin(np.sqrt(rho))
    assert one_seed == pytest.approx(0.868, abs=5e-4)
    # Corrected by the reliability of one seed that tau would be 1; by that of two it is a little less.
    assert corrected_tau(one_seed, 0.814, 2, 64, None).stand_alone.value == pytest.approx(
        2 / np.pi * np.arcsin(np.sqrt(rho) / np.sqrt(2 * rho / (1 + rho)))
    )


def test_unequal_seeds_count_by_their_harmonic_mean() -> None:
    rng, reached, agreed = np.random.default_rng(3), [], []
    seeds = np.array([1] * 20 + [4] * 20)
    for _ in range(400):
        exact = rng.normal(size=40)
        truth = exact[:, None] + 0.5 * rng.normal(size=(40, 4))
        means = np.array([row[:count].mean() for row, count in zip(truth, seeds, strict=True)])
        reached.append(_tau(exact, means))
        agreed.append(np.mean([_tau(a, b) for a, b in itertools.combinations(truth[20:].T, 2)]))
    ceiling = tau_ceiling(float(np.mean(agreed)), float(40 / (1 / seeds).sum()), 20).value
    assert ceiling == pytest.approx(np.mean(reached), abs=0.01)


def test_perfectly_agreeing_seeds_leave_no_noise() -> None:
    assert tau_ceiling(1.0, 2, 10).value == pytest.approx(1.0)
    assert corrected_tau(0.5, 1.0, 2, 10, 1.0).both.value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("t1", "seeds", "paths", "reason"),
    [
        (0.8, 1, 64, "at least 2 stand-alone seeds"),
        (0.8, 3, 9, "10 paths"),
        (0.2, 3, 64, "too little"),
        (-0.5, 3, 64, "too little"),
        (None, 3, 64, "unknown"),
    ],
)
def test_a_ceiling_made_of_noise_is_not_given(t1: float | None, seeds: int, paths: int, reason: str) -> None:
    for quantity in (
        tau_ceiling(t1, seeds, paths),
        corrected_tau(0.5, t1, seeds, paths, 0.9).stand_alone,
        corrected_tau(0.5, t1, seeds, paths, 0.9).both,
    ):
        assert quantity.value is None
        assert reason in quantity.note


def test_a_correction_beyond_one_is_capped_and_says_so() -> None:
    high, low = corrected_tau(0.95, 0.5, 2, 64, 0.5), corrected_tau(-0.95, 0.5, 2, 64, 0.5)
    assert (high.both.value, low.both.value) == (1.0, -1.0)
    assert "Capped at ±1" in high.both.note
    assert "Capped at ±1" in low.both.note


def test_the_supernets_noise_needs_two_supernet_seeds_that_agree() -> None:
    assert corrected_tau(0.5, 0.8, 3, 64, None).stand_alone.value is not None
    assert "at least 2 supernet seeds" in corrected_tau(0.5, 0.8, 3, 64, None).both.note
    assert "too little" in corrected_tau(0.5, 0.8, 3, 64, 0.1).both.note
    assert "no τ" in corrected_tau(None, 0.8, 3, 64, 0.9).stand_alone.note


def _tau(a: np.ndarray, b: np.ndarray) -> float:
    return float(kendalltau(a, b).statistic)


@pytest.mark.parametrize(("seeds", "noise"), [(2, 0.6), (3, 0.4), (5, 1.0)])
def test_in_simulations_the_exact_accuracy_scores_the_ceiling_on_average(seeds: int, noise: float) -> None:
    rng, reached, agreed = np.random.default_rng(seeds), [], []
    for _ in range(300):
        exact = rng.normal(size=40)
        truth = exact[:, None] + noise * rng.normal(size=(40, seeds))
        reached.append(_tau(exact, truth.mean(axis=1)))
        agreed.append(np.mean([_tau(a, b) for a, b in itertools.combinations(truth.T, 2)]))
    error = np.std(reached) / np.sqrt(len(reached))
    assert tau_ceiling(float(np.mean(agreed)), seeds, 40).value == pytest.approx(
        np.mean(reached), abs=4 * error + 0.002
    )
    each = [tau_ceiling(float(t1), seeds, 40).value for t1 in agreed]
    assert np.mean([tau for tau in each if tau is not None]) == pytest.approx(np.mean(reached), abs=4 * error + 0.01)


def test_in_simulations_the_corrected_tau_is_that_of_exact_scores_with_exact_accuracies() -> None:
    rng, taus = np.random.default_rng(0), []
    for _ in range(300):
        exact = rng.normal(size=40)
        biased = exact + 0.7 * rng.normal(size=40)  # what infinitely many supernets would score
        truth = exact[:, None] + 0.5 * rng.normal(size=(40, 3))
        scores = biased + 0.6 * rng.normal(size=(2, 40))
        mean = truth.mean(axis=1)
        taus.append(
            [
                np.mean([_tau(row, mean) for row in scores]),
                np.mean([_tau(a, b) for a, b in itertools.combinations(truth.T, 2)]),
                _tau(scores[0], scores[1]),
                np.mean([_tau(row, exact) for row in scores]),
                _tau(biased, exact),
            ]
        )
    tau, t1, t_x, without_stand_alone, without_both = np.mean(taus, axis=0)
    error = 4 * np.std(taus, axis=0).max() / np.sqrt(len(taus))
    result = corrected_tau(tau, t1, 3, 40, t_x)
    assert tau < without_stand_alone - error  # else there would be nothing to correct
    assert result.stand_alone.value == pytest.approx(without_stand_alone, abs=error)
    assert result.both.value == pytest.approx(without_both, abs=error)
