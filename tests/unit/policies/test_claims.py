"""What the model claims is true, on the simulated worlds of the benchmark and on a recorded table."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from supernet_cli.policies import build_policy
from supernet_cli.policies.lookup import Lookup
from supernet_cli.policies.table import read_table
from supernet_cli.policies.trial import Trial, joined, search

ROOT = Path(__file__).parents[3]
COUNTS = (3, 5, 10, 20)


def _world(seed: int) -> Lookup:
    described = importlib.util.spec_from_file_location("worlds", ROOT / "docs" / "search" / "worlds.py")
    assert described is not None
    assert described.loader is not None
    worlds = importlib.util.module_from_spec(described)
    described.loader.exec_module(worlds)
    found: Lookup = worlds.world(seed)
    return found


@cache
def searched_worlds() -> Trial:
    return joined([search(_world(seed), build_policy("posterior"), 20, seed, COUNTS) for seed in range(2000, 2016)])


def _means(trial: Trial, name: str) -> list[float]:
    found = trial.mean_claim(name)
    assert found is not None
    return [float(found[count - 1]) for count in COUNTS]


def test_intervals_hold_nine_paths_in_ten_of_simulated_worlds_while_the_trainings_concentrate_on_good_paths() -> None:
    error = 0.02  # standard error over so few worlds
    for share in _means(searched_worlds(), "coverage"):
        assert 0.85 <= share <= 0.95 + error


@pytest.mark.parametrize("scores", [[], ["fair-4"]], ids=["sizes", "scores"])
def test_intervals_hold_nine_paths_in_ten_of_a_table_while_the_trainings_concentrate_on_good_paths(
    scores: list[str],
) -> None:
    """After three trainings of this easy table they hold all: most tables are harder."""
    lookup = Lookup(read_table(ROOT / "supernet_cli" / "benchmarks" / "lab.json"), {}, scores)
    trial = joined([search(lookup, build_policy("posterior"), 20, seed, COUNTS) for seed in range(2000, 2008)])
    for share in _means(trial, "coverage"):
        assert share >= 0.85


def test_the_expected_regret_is_that_of_simulated_worlds() -> None:
    trial = searched_worlds()
    stated = np.array(_means(trial, "expected_regret"))
    true = np.array([trial.mean_regret[count - 1] for count in COUNTS])
    assert 1 / 1.5 < stated.sum() / true.sum() < 1.5


def test_a_pick_is_the_best_path_as_often_as_is_stated() -> None:
    claims = searched_worlds().claims
    assert claims is not None
    known = np.isfinite(claims.probability_best)
    stated, true = claims.probability_best[known], claims.is_best[known]
    for unsure in (stated < 0.2, stated >= 0.2):
        spread = np.sqrt((stated[unsure] * (1 - stated[unsure])).sum()) / unsure.sum()
        assert true[unsure].mean() == pytest.approx(stated[unsure].mean(), abs=4 * spread)
