from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import kendalltau, rankdata

from supernet_cli.reports.statistics.kendall import dense_ranks, tau_b_rows


@pytest.mark.parametrize("count", [2, 3, 4, 7, 8, 9, 33, 100])
@pytest.mark.parametrize("values", [2, 5, 1000])
def test_rows_score_as_scipy_scores_them_one_by_one_with_few_ties_and_many(count: int, values: int) -> None:
    rng = np.random.default_rng(count * values)
    a, b = rng.integers(0, values, (2, 40, count))
    expected = [kendalltau(x, y).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(tau_b_rows(a, b), np.nan_to_num(expected), atol=1e-12)


def test_one_ranking_is_compared_with_every_row() -> None:
    rows, one = np.array(list(itertools.permutations(range(5)))), np.array([0, 2, 2, 1, 3])
    np.testing.assert_allclose(tau_b_rows(rows, one), [kendalltau(row, one).statistic for row in rows], atol=1e-12)


def test_large_numbers_do_not_overflow() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2**20, (2, 5, 50))
    expected = [kendalltau(x, y).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(tau_b_rows(a, b), expected, atol=1e-12)


def test_a_single_path_orders_nothing() -> None:
    assert tau_b_rows(np.zeros((2, 1), dtype=int), np.zeros(1, dtype=int)).tolist() == [0.0, 0.0]


def test_ranks_are_dense_and_equal_values_share_one() -> None:
    values = np.array([0.5, 0.1, 0.5, 0.9])
    assert dense_ranks(values).tolist() == (rankdata(values, "dense") - 1).tolist()
