from __future__ import annotations

import numpy as np
import pytest

from supernet_cli.reports.statistics.choice import Bounds, choose


def test_the_best_path_is_the_one_with_the_highest_expectation_not_the_luckiest_draw() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal([0.80, 0.81, 0.79], [0.1, 0.01, 0.1], (4000, 3))
    found = choose(draws, None)
    assert found.best == 1
    assert found.accuracy.mean == pytest.approx(0.81, abs=0.001)
    assert found.accuracy.high - found.accuracy.low == pytest.approx(2 * 1.96 * 0.01, rel=0.1)
    assert found.probability == pytest.approx(np.mean(draws.argmax(axis=1) == 1))
    assert found.cheapest is None
    assert found.loss is None


@pytest.mark.parametrize(
    ("losses", "deviation", "cheapest"),
    [
        ((0.0, 0.009, 0.03), 0.01, 1),
        ((0.0, 0.011, 0.03), 0.01, 0),
        ((0.0, 0.009, 0.03), 0.04, 2),
        ((0.0, 0.0, 0.0), 0.0, 2),
    ],
)
def test_the_cheapest_path_within_one_standard_error_of_the_best(
    losses: tuple[float, ...], deviation: float, cheapest: int
) -> None:
    half = np.array([-deviation, deviation])
    draws = 0.9 - np.stack([loss + (half if index else 0 * half) for index, loss in enumerate(losses)], axis=1)
    found = choose(np.repeat(draws, 50, axis=0), np.array([3.0, 2.0, 1.0]))
    assert (found.best, found.cheapest) == (0, cheapest)
    assert found.loss is not None
    assert found.loss.mean == pytest.approx(losses[cheapest])


def test_bounds_hold_their_mean() -> None:
    draws = np.zeros(1000)
    draws[0] = 1.0
    assert Bounds.of(draws) == Bounds(0.001, 0.0, 0.001)
