from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from supernet_cli.reports.statistics.intervals import holm
from supernet_cli.reports.statistics.pairs import mcnemar, mcnemar_pairs, resolved_pairs
from supernet_cli.reports.statistics.variances import seed_variances


def _networks(rng: np.random.Generator, skill: np.ndarray, seeds: int, images: int) -> np.ndarray:
    """Return whether each network has each image right, (n, S, N): images are hard for all, for some paths harder."""
    difficulty = rng.normal(size=images)
    taste = 0.7 * rng.normal(size=(len(skill), 1, images))
    luck = 0.1 * rng.normal(size=(len(skill), seeds, 1))
    chance = 1 / (1 + np.exp(-(skill[:, None, None] + luck + taste - difficulty)))
    return rng.random(chance.shape) < chance


def test_pairs_are_resolved_as_the_formula_says_pair_by_pair() -> None:
    rng = np.random.default_rng(0)
    bits = _networks(rng, np.linspace(1.0, 2.5, 7), 3, 500)
    truth, correct, scores = bits.mean(axis=2), bits.mean(axis=1).astype(np.float32), rng.random((2, 7))
    truth[3, 1:] = np.nan  # one seed
    truth[5] += [-0.1, 0.0, 0.1]  # an unstable path
    result = resolved_pairs(truth, correct, scores)
    found = seed_variances(truth)
    assert not isinstance(found, str)
    error, freedom, means = found.of_means, found.freedom, np.nanmean(truth, axis=1)
    agreeing = disagreeing = 0
    for a, b in itertools.combinations(range(7), 2):
        one, other = error[a], error[b]
        squared = one + other + np.var(bits[a].mean(0) - bits[b].mean(0), ddof=1) / 500
        welch = squared**2 / (one**2 / freedom[a] + other**2 / freedom[b])
        difference = means[a] - means[b]
        resolved = abs(difference) > stats.t.ppf(0.975, min(welch, 12)) * math.sqrt(squared)
        assert result.mask[a, b] == result.mask[b, a] == resolved
        if resolved:
            right = (difference > 0) == (scores.mean(0)[a] > scores.mean(0)[b])
            agreeing, disagreeing = agreeing + right, disagreeing + (not right)
    assert 0 < agreeing + disagreeing < 21
    assert (result.resolved.value, result.pairs) == (agreeing + disagreeing, 21)
    assert result.share.value == pytest.approx((agreeing + disagreeing) / 21)
    assert result.gamma.value == pytest.approx((agreeing - disagreeing) / (agreeing + disagreeing))
    squares = sum(np.nansum((y - np.nanmean(y)) ** 2) for y in truth)
    assert result.seed_sd.value == pytest.approx(math.sqrt(squares / 12))
    assert not result.mask.diagonal().any()


def test_with_equal_variances_the_formula_is_that_of_the_pooled_one() -> None:
    rng = np.random.default_rng(0)
    truth = 0.5 + 0.1 * rng.normal(size=(9, 1)) + 0.02 * np.tile([-1.0, 0.0, 1.0], (9, 1))
    same = np.ones((9, 40))  # no image noise
    difference = np.abs(truth.mean(1)[:, None] - truth.mean(1)[None])
    expected = difference > stats.t.ppf(0.975, 18) * math.sqrt(2 * 0.02**2 / 3)
    assert (resolved_pairs(truth, same, rng.random((1, 9))).mask == expected).all()
    assert 0 < expected.sum() < 72


def _share_resolved(deviations: np.ndarray, seeds: np.ndarray, worlds: int) -> np.ndarray:
    """Return how often pairs of equal paths are resolved, (n, n); no image noise."""
    rng, count = np.random.default_rng(7), np.zeros((len(seeds), len(seeds)))
    lacking = np.arange(seeds.max()) >= seeds[:, None]
    for _ in range(worlds):
        truth = 0.9 + deviations[:, None] * rng.normal(size=lacking.shape)
        mask = resolved_pairs(np.where(lacking, np.nan, truth), np.ones((len(seeds), 2)), np.ones((1, len(seeds)))).mask
        assert mask is not None
        count += mask
    return count / worlds


@pytest.mark.parametrize("seeds", [2, 3, "one to three"])
def test_equal_paths_are_seldom_resolved_whether_or_not_some_are_unstable(seeds: int | str) -> None:
    of_paths = np.resize([1, 2, 3, 3, 2], 20) if isinstance(seeds, str) else np.full(20, seeds)
    one, other = np.triu_indices(20, 1)
    equal = _share_resolved(np.full(20, 0.001), of_paths, 300)[one, other]
    assert 0.02 < equal.mean() < 0.055
    shares = _share_resolved(np.where(np.arange(20) % 5 == 4, 0.01, 0.001), of_paths, 300)[one, other]
    theirs = (one % 5 == 4) | (other % 5 == 4)
    assert shares.mean() < 0.05
    assert shares[theirs].mean() < (0.075 if seeds == 3 else 0.11)  # pooled: 0.24; even their own variances give 0.06


def test_resolved_pairs_are_wrong_no_more_often_than_promised() -> None:
    rng, skill = np.random.default_rng(1), np.repeat([1.5, 1.6, 1.8], 3)
    equal = skill[:, None] == skill[None, :]
    falsely, wrongly, rightly = [], [], []
    for _ in range(150):
        bits = _networks(rng, skill, 3, 800)
        truth = bits.mean(axis=2)
        mask = resolved_pairs(truth, bits.mean(axis=1).astype(np.float32), skill[None]).mask
        order = np.sign(truth.mean(1)[:, None] - truth.mean(1)[None, :]) * np.sign(skill[:, None] - skill[None, :])
        falsely.append(mask[equal & ~np.eye(9, dtype=bool)].mean())
        wrongly.append((mask & (order < 0))[~equal].mean())
        rightly.append((mask & (order > 0))[~equal].mean())
    assert np.mean(falsely) <= 0.05 + 3 * np.std(falsely) / math.sqrt(150)
    assert np.mean(wrongly) <= 0.025
    assert np.mean(falsely) > 0.01  # nor does it refuse to resolve
    assert np.mean(rightly) > 0.2


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_perfect_score_has_gamma_one_and_its_opposite_minus_one(sign: float) -> None:
    bits = _networks(np.random.default_rng(2), np.linspace(0, 3, 5), 2, 400)
    truth = bits.mean(axis=2)
    result = resolved_pairs(truth, bits.mean(axis=1), sign * truth.mean(axis=1)[None])
    assert result.gamma.value == pytest.approx(sign)


def test_identical_paths_are_not_resolved() -> None:
    bits = np.repeat(_networks(np.random.default_rng(3), np.array([1.0]), 2, 100), 4, axis=0)
    result = resolved_pairs(bits.mean(axis=2), bits.mean(axis=1), np.arange(4.0)[None])
    assert (result.resolved.value, result.share.value) == (0, 0.0)
    assert "No pair differs" in result.gamma.note


def test_what_resolved_pairs_lack_is_said() -> None:
    rng = np.random.default_rng(4)
    truth, correct, scores = rng.random((4, 3)), rng.random((4, 50)), rng.random((2, 4))
    lacking = resolved_pairs(truth, None, scores)
    assert lacking.mask is None
    assert "was not stored" in lacking.share.note
    assert lacking.seed_sd.value == pytest.approx(math.sqrt(np.mean(np.var(truth, axis=1, ddof=1))))
    one_seed = resolved_pairs(truth[:, :1], correct, scores)
    assert one_seed.mask is None
    for quantity in (one_seed.resolved, one_seed.share, one_seed.gamma, one_seed.seed_sd):
        assert "at least 2 stand-alone seeds" in quantity.note
    assert "at least 2 paths" in resolved_pairs(truth[:1], correct[:1], scores[:, :1]).share.note
    assert resolved_pairs(np.full((4, 3), np.nan), correct, scores).share.value is None
    apart = np.array([[0.1, 0.1], [0.9, 0.9]])
    sharp = np.tile([[0.0], [1.0]], (1, 10))
    assert resolved_pairs(apart, sharp, np.full((1, 2), 0.5)).share.value == 1.0
    assert "equal" in resolved_pairs(apart, sharp, np.full((1, 2), 0.5)).gamma.note
    assert (
        "Skipped 1 of 1 supernet seeds: a score is not finite."
        in resolved_pairs(apart, sharp, np.full((1, 2), np.nan)).gamma.note
    )
    assert "1 of 2" in resolved_pairs(apart, sharp, np.array([[1.0, 2.0], [np.nan, 0.0]])).gamma.note


@pytest.mark.parametrize("rates", [(0.9, 0.9), (0.9, 0.6), (0.5, 0.7)])
def test_mcnemar_is_scipys_binomial_test_of_the_images_that_one_network_alone_has(rates: tuple[float, float]) -> None:
    rng = np.random.default_rng(5)
    a, b = rng.random(60) < rates[0], rng.random(60) < rates[1]
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    assert mcnemar(a, b) == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue)


def test_networks_that_err_on_the_same_images_do_not_differ() -> None:
    a = np.array([True, False, True])
    assert mcnemar(a, a) == 1.0
    assert mcnemar(np.array([True]), np.array([False])) == 1.0


def test_all_pairs_are_tested_as_one_by_one_and_adjusted_by_holm() -> None:
    bits = _networks(np.random.default_rng(6), np.linspace(0.5, 2.5, 8), 1, 300)[:, 0]
    p_values = [mcnemar(a, b) for a, b in itertools.combinations(bits, 2)]
    result = mcnemar_pairs(bits)
    differing = sum(p <= 0.05 for p in holm(p_values))
    assert 0 < differing < 28
    assert (result.pairs, result.differing.value) == (28, differing)


def test_pairs_of_too_many_networks_or_of_one_are_not_tested() -> None:
    assert "more than 200" in mcnemar_pairs(np.ones((201, 3), dtype=bool)).differing.note
    assert mcnemar_pairs(np.ones((200, 3), dtype=bool)).differing.value == 0
    assert "at least 2 networks" in mcnemar_pairs(np.ones((1, 3), dtype=bool)).differing.note
