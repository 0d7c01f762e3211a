"""What a ranking knows beyond size, in worlds where that is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from supernet_cli.reports.statistics.partial import beyond_size

SPACE = np.array(list(itertools.product(range(4), range(4), range(4))))


def additive(rng: np.random.Generator, choices: np.ndarray = SPACE) -> np.ndarray:
    values = sum(rng.normal(size=5)[column] for column in choices.T)
    return np.asarray((values - values.mean()) / values.std())


def world(rng: np.random.Generator, shared: float, own: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scores of three supernets, accuracies of three seeds, and sizes; both follow size, bent, not linearly."""
    size = additive(rng)
    common = additive(rng) + own * rng.normal(size=64)
    truth = np.tanh(size) + shared * common + (1 - shared) * additive(rng)
    score = size + 0.3 * size**2 + shared * common + (1 - shared) * additive(rng) + own * rng.normal(size=64)
    accuracies = truth[:, None] + 0.2 * rng.normal(size=(64, 3))
    return score + 0.2 * rng.normal(size=(3, 64)), accuracies, np.exp(1 + size)


def test_where_nothing_beyond_size_is_shared_it_is_zero_and_p_is_uniform() -> None:
    rng = np.random.default_rng(0)
    found = [beyond_size(*world(rng, 0.0), SPACE, rng, draws=199) for _ in range(120)]
    means = np.array([each.correlation.mean.value for each in found])
    assert abs(means.mean()) < 3 * means.std() / np.sqrt(len(means))
    p = np.array([each.p.value for each in found])
    assert np.mean(p <= 0.05) <= 0.11
    assert 0.3 <= np.mean(p <= 0.5) <= 0.66
    within = [each.null.low.value <= each.correlation.mean.value <= each.null.high.value for each in found]  # type: ignore[operator]
    assert np.mean(within) >= 0.87


@pytest.mark.parametrize("paths", [16, 24])
def test_p_is_uniform_for_a_sample_whose_paths_share_candidates(paths: int) -> None:
    """Shuffled path by path, p would be at most 0.05 in 13 % of these worlds."""
    rng, p = np.random.default_rng(4), []
    for _ in range(250):
        scores, truth, size = world(rng, 0.0, own=0.1)
        some = rng.permutation(64)[:paths]
        found = beyond_size(scores[:1, some], truth[some], size[some], SPACE[some], rng, draws=99)
        assert found.p.value is not None
        p.append(found.p.value)
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 250)
    assert 0.4 <= np.mean(np.array(p) <= 0.5) <= 0.6


def test_kendalls_partial_tau_is_above_zero_there() -> None:
    from supernet_cli.reports.statistics.ranking import kendall_tau, mean_accuracy

    rng = np.random.default_rng(0)
    partial = []
    for _ in range(60):
        scores, truth, size = world(rng, 0.0)
        accuracy = mean_accuracy(truth)
        a, b, c = (kendall_tau(scores[0], accuracy), kendall_tau(scores[0], size), kendall_tau(accuracy, size))
        assert a is not None
        assert b is not None
        assert c is not None
        partial.append((a - b * c) / np.sqrt((1 - b**2) * (1 - c**2)))
    assert np.mean(partial) > 0.05


def test_what_is_shared_is_found() -> None:
    rng = np.random.default_rng(1)
    found = [beyond_size(*world(rng, 0.8), SPACE, rng, draws=199) for _ in range(30)]
    assert np.mean([each.correlation.mean.value for each in found]) > 0.5
    assert np.mean([(each.p.value or 0.0) <= 0.05 for each in found]) > 0.9


def test_it_is_the_correlation_of_residuals() -> None:
    from scipy.stats import norm, rankdata

    rng = np.random.default_rng(2)
    scores, truth, size = world(rng, 0.5)
    found = beyond_size(scores[:1], truth, size, SPACE, rng, draws=9)
    columns = np.vander(np.log(size), 4)

    def residual(values: np.ndarray) -> np.ndarray:
        normal = norm.ppf((rankdata(values) - 0.375) / 64.25)
        return np.asarray(normal - columns @ np.linalg.lstsq(columns, normal, rcond=None)[0])

    expected = np.corrcoef(residual(scores[0]), residual(truth.mean(axis=1)))[0, 1]
    assert found.correlation.mean.value == pytest.approx(expected, abs=1e-6)


def test_a_part_of_a_space_and_blocks_of_unequal_size_work_too() -> None:
    rng = np.random.default_rng(3)
    scores, truth, size = world(rng, 0.8)
    some = rng.permutation(64)[:20]
    part = beyond_size(scores[:, some], truth[some], size[some], SPACE[some], rng, draws=99)
    assert part.p.value is not None
    unequal = np.array(list(itertools.product(range(2), range(5))))
    values = additive(rng, unequal)
    found = beyond_size(values[None], values[:, None], np.exp(rng.normal(size=10)), unequal, rng, draws=99)
    assert found.correlation.mean.value == pytest.approx(1.0)


def test_what_it_lacks_is_said() -> None:
    rng = np.random.default_rng(0)
    scores, truth, size = world(rng, 0.5)
    for found, words in (
        (beyond_size(scores, truth, None, SPACE, rng), "sizes have not been measured"),
        (beyond_size(scores[:, :9], truth[:9], size[:9], SPACE[:9], rng), "at least 10 paths"),
        (beyond_size(scores, truth, np.ones(64), SPACE, rng), "too few different sizes"),
        (beyond_size(scores * np.nan, truth, size, SPACE, rng), "not finite"),
        (beyond_size(scores * 0, truth, size, SPACE, rng), "equal"),
        (beyond_size(scores, truth * np.nan, size, SPACE, rng), "not finite"),
    ):
        assert found.p.value is None
        assert words in found.p.note
        assert words in found.correlation.mean.note
