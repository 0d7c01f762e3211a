"""Variances of paths between seeds: limma's formulas, and worlds whose variances are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import digamma, polygamma

from supernet_cli.reports.statistics.variances import SeedVariances, prior_freedom, seed_variances


def _found(truth: np.ndarray) -> SeedVariances:
    found = seed_variances(truth)
    assert not isinstance(found, str)
    return found


def test_variances_that_spread_like_those_of_equal_paths_are_pooled() -> None:
    found = _found(np.tile([0.80, 0.81, 0.83], (6, 1)) + np.arange(6)[:, None] / 100)
    assert found.pooled == pytest.approx(np.var([0.80, 0.81, 0.83], ddof=1))
    assert found.per_path == pytest.approx(np.full(6, found.pooled))
    assert found.freedom.tolist() == [12.0] * 6
    assert found.of_means == pytest.approx(found.per_path / 3)
    assert (found.total, found.seeds.tolist()) == (12, [3] * 6)


@pytest.mark.parametrize(("prior", "freedom"), [(4.0, 1), (4.0, 4), (12.0, 2), (1.5, 3)])
def test_the_degrees_of_freedom_of_the_prior_are_recovered(prior: float, freedom: int) -> None:
    rng = np.random.default_rng(0)
    variances = prior / rng.chisquare(prior, size=200_000) * rng.chisquare(freedom, size=200_000) / freedom
    assert prior_freedom(variances, np.full(200_000, freedom)) == pytest.approx(prior, rel=0.1)


def test_the_prior_solves_the_equation_of_limma_with_unequal_seeds() -> None:
    rng = np.random.default_rng(1)
    freedom = np.resize([1.0, 2.0, 5.0], 60)
    variances = np.exp(2 * rng.normal(size=60)) * rng.chisquare(freedom) / freedom
    logs = np.log(variances) - digamma(freedom / 2) + np.log(freedom / 2)
    excess = np.var(logs, ddof=1) - polygamma(1, freedom / 2).mean()
    assert polygamma(1, prior_freedom(variances, freedom) / 2) == pytest.approx(excess)


def test_stable_paths_are_shrunken_and_unstable_ones_keep_their_own_variance() -> None:
    rng = np.random.default_rng(2)
    truth = np.exp(rng.normal(size=(40, 1))) * rng.normal(size=(40, 4))
    found, own = _found(truth), truth.var(axis=1, ddof=1)
    prior = prior_freedom(own, np.full(40, 3.0))
    unstable = own > own.mean()
    assert 0 < unstable.sum() < 20
    expected = np.where(unstable, own, (prior * own.mean() + 3 * own) / (prior + 3))
    assert found.per_path == pytest.approx(expected)
    assert found.freedom == pytest.approx(np.where(unstable, 3.0, prior + 3))


def test_paths_with_one_seed_get_the_pooled_variance_and_count_for_nothing_else() -> None:
    rng = np.random.default_rng(2)
    some = np.exp(rng.normal(size=(10, 1))) * rng.normal(size=(10, 3))
    single = np.full((4, 3), np.nan)
    single[:, 1] = 0.5
    repeated, both = _found(some), _found(np.vstack([some, single]))
    assert both.pooled == repeated.pooled
    assert both.per_path[:10] == pytest.approx(repeated.per_path)
    assert both.per_path[10:].tolist() == [both.pooled] * 4
    prior = prior_freedom(some.var(axis=1, ddof=1), np.full(10, 2.0))
    assert both.freedom[10:] == pytest.approx(np.full(4, min(prior, 20.0)))
    assert both.seeds.tolist() == [3] * 10 + [1] * 4


def test_unequal_seeds_weigh_by_their_degrees_of_freedom() -> None:
    truth = np.array([[0.1, 0.3, np.nan, np.nan], [0.5, 0.5, 0.6, 0.8], [0.2, np.nan, np.nan, np.nan]])
    squares = 2 * 0.1**2 + np.var(truth[1]) * 4
    assert _found(truth).pooled == pytest.approx(squares / 4)
    assert _found(truth).total == 4


def test_seeds_that_tie_do_not_make_all_others_look_unstable() -> None:
    rng = np.random.default_rng(3)
    truth = np.round(0.9 + 0.002 * rng.normal(size=(200, 2)), 3)  # of a thousand images
    ties = truth[:, 0] == truth[:, 1]
    assert ties.mean() > 0.1
    found = _found(truth)
    assert found.per_path[ties].tolist() == [pytest.approx(found.pooled)] * ties.sum()
    same = _found(np.full((5, 2), 0.5))
    assert (same.pooled, same.per_path.tolist()) == (0.0, [0.0] * 5)


def test_one_unstable_path_among_equal_ones_keeps_its_variance() -> None:
    truth = np.tile([-1.0, 0.0, 1.0], (12, 1))
    truth[3] *= 4
    assert math.isinf(prior_freedom(truth.var(axis=1, ddof=1), np.full(12, 2.0)))
    found = _found(truth)
    assert found.per_path[3] == pytest.approx(16.0)
    assert found.freedom[3] == 2
    others = np.arange(12) != 3
    assert found.per_path[others] == pytest.approx(np.full(11, found.pooled))
    assert found.freedom[others].tolist() == [24.0] * 11


def test_these_variances_are_closer_to_the_truth_than_pooled_or_own_ones() -> None:
    rng = np.random.default_rng(4)
    errors = []
    for _ in range(200):
        variances = np.exp(0.8 * rng.normal(size=24))
        truth = np.sqrt(variances)[:, None] * rng.normal(size=(24, 3))
        found = _found(truth)
        for_each = [found.per_path, np.full(24, found.pooled), truth.var(axis=1, ddof=1)]
        errors.append([np.mean(np.log(estimate / variances) ** 2) for estimate in for_each])
    shrunken, pooled, own = np.mean(errors, axis=0)
    assert shrunken < min(pooled, own)


@pytest.mark.parametrize(
    ("truth", "reason"),
    [
        (np.zeros((4, 1)), "at least 2 stand-alone seeds"),
        (np.array([[0.5, np.nan], [np.nan, 0.5]]), "at least 2 stand-alone seeds"),
        (np.array([[0.5, 0.6], [np.nan, np.nan]]), "missing"),
        (np.zeros((0, 3)), "missing"),
    ],
)
def test_what_variances_lack_is_said(truth: np.ndarray, reason: str) -> None:
    assert reason in str(seed_variances(truth))


def test_one_path_with_two_seeds_is_all_there_is_to_go_by() -> None:
    found = _found(np.array([[0.5, 0.7], [0.4, np.nan]]))
    assert found.per_path == pytest.approx(np.full(2, 0.02))
    assert found.freedom.tolist() == [1.0, 1.0]
