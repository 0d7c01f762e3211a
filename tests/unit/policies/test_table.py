"""Tables of known accuracies: what is wrong with a broken one is said, and policies are tried on sound ones."""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet_cli.config.catalog import entries
from supernet_cli.errors import DataError, UsageError
from supernet_cli.policies import build_policy
from supernet_cli.policies.lookup import Draw, Lookup
from supernet_cli.policies.table import Table, as_table, read_table
from supernet_cli.policies.trial import document, search, try_policy


def sound() -> dict[str, Any]:
    """Return a table of 18 paths with two seeds; the last choice only adds cost."""
    paths = {}
    for first, second, third in itertools.product(range(3), range(3), range(2)):
        accuracy = 0.7 + 0.05 * first + 0.03 * second
        paths[f"{first}-{second}-{third}"] = {
            "validation": [accuracy, accuracy + 0.002],
            "test": [accuracy - 0.01, accuracy - 0.012],
            "macs": 100 * (1 + first) + 10 * second + third,
            "parameters": 10 * (1 + first),
            "scores": {"one-shot": accuracy},
        }
    return {"name": "toy", "decisions": [["a", "b", "c"], ["a", "b", "c"], ["x", "y"]], "paths": paths}


def changed(*place: Any, to: Any = None) -> dict[str, Any]:
    """Return the table with another value at a place, or without that key."""
    table = copy.deepcopy(sound())
    inner: Any = table
    for key in place[:-1]:
        inner = inner[key]
    if to is None:
        del inner[place[-1]]
    else:
        inner[place[-1]] = to
    return table


BROKEN = [
    ([1], "a table is an object"),
    (changed("decisions"), "decisions must be a list"),
    (changed("decisions", 1, to=[]), "decision 1: must be a list of labels"),
    (changed("decisions", 1, to=["a", "a", "b"]), "decision 1: two candidates have the same label"),
    (changed("paths"), "paths must be an object"),
    (changed("paths", to={}), "paths must be an object with at least one path"),
    (changed("paths", "0-0-0", to=[0.5]), "path 0-0-0: must be an object"),
    (changed("paths", "0-0", to={}), "path 0-0: has 2 choices for 3 decisions"),
    (changed("paths", "0-0-2", to={}), "path 0-0-2: decision 2 has no candidate '2'"),
    (changed("paths", "0-x-0", to={}), "path 0-x-0: decision 1 has no candidate 'x'"),
    (changed("paths", "00-0-0", to={}), "a path stands in it twice"),
    (changed("paths", "1-0-0", "test"), "path 1-0-0: test must be a list of accuracies"),
    (changed("paths", "1-0-0", "validation", to=[]), "path 1-0-0: validation must be a list"),
    (changed("paths", "1-0-0", "test", to=[85.1]), "path 1-0-0: test has 85.1, which is no fraction"),
    (changed("paths", "1-0-0", "test", to=["good"]), "path 1-0-0: test has 'good'"),
    (changed("paths", "1-0-0", "test", to=[True]), "path 1-0-0: test has True"),
    (changed("paths", "1-0-0", "macs"), "path 1-0-0: has no macs, although others do"),
    (changed("paths", "1-0-0", "macs", to="many"), "path 1-0-0: macs is 'many'"),
    (changed("paths", "1-0-0", "macs", to=-1), "macs must be positive"),
    (changed("paths", "1-0-0", "scores", to={}), "path 1-0-0: has no one-shot, although others do"),
    (changed("paths", "1-0-0", "scores", to=[1]), "path 1-0-0: scores must be an object"),
]


@pytest.mark.parametrize(("table", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_a_broken_table_is_refused_with_its_place(table: Any, message: str, tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    file.write_text(json.dumps(table))
    with pytest.raises(DataError) as raised:
        read_table(file)
    assert message in raised.value.message
    assert str(file) in raised.value.message
    assert raised.value.hint


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b'{"decisions": NaN}'])
def test_a_file_that_is_no_json_document_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"table\.json"):
        read_table(file)
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "none.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path)


def table(**more: Any) -> Table:
    return as_table({**sound(), **more}, "file")


def test_sizes_and_scores_are_optional_and_paths_may_have_different_numbers_of_seeds() -> None:
    paths = {"0": {"validation": [0.5, 0.6], "test": [0.5]}, "1": {"validation": [0.7], "test": [0.7]}}
    bare = as_table({"decisions": [["a", "b"]], "paths": paths}, "bare")
    assert bare.name == "bare"
    assert bare.figures == {}
    assert np.isnan(bare.validation).tolist() == [[False, False], [False, True]]
    for name in ("largest", "posterior"):
        assert try_policy(Lookup(bare, {}), name, 5, 2).regret.shape == (2, 2)


def test_limits_keep_paths_out_and_impossible_ones_say_how_near_the_nearest_comes() -> None:
    lookup = Lookup(table(), {"macs": 212, "parameters": 20})
    assert lookup.problem.paths is not None
    assert len(lookup.problem.paths) == len(lookup.rows) == 6 + 4
    assert lookup.table.figures["macs"][lookup.rows].max() <= 212
    assert lookup.table.paths[lookup.best].tolist()[:2] == [1, 1]
    with pytest.raises(UsageError, match="No path has macs of 99 or less") as raised:
        Lookup(table(), {"macs": 99})
    assert "The smallest has 100" in raised.value.hint
    with pytest.raises(UsageError, match="no latency"):
        Lookup(table(), {"latency": 1.0})


def test_a_training_shows_one_seed_and_the_others_judge_it() -> None:
    draw = Draw.of(table(), np.random.default_rng(0))
    first = np.isclose(draw.shown, table().validation[:, 0])
    assert 0 < first.sum() < 18
    assert draw.judged == pytest.approx(np.where(first, table().test[:, 1], table().test[:, 0]))
    assert draw.further == pytest.approx(np.where(first, table().validation[:, 1], table().validation[:, 0]))


def test_the_reference_is_chosen_by_other_accuracies_than_those_that_judge_it() -> None:
    paths = {
        "0": {"validation": [0.5, 0.7, 0.5], "test": [0.5, 0.9, 0.5]},  # one lucky seed
        "1": {"validation": [0.6, 0.6, 0.6], "test": [0.6, 0.6, 0.6]},
    }
    seeds = Lookup(as_table({"decisions": [["a", "b"]], "paths": paths}, "seeds"), {})
    assert seeds.table.test[seeds.best, 1] == 0.9
    assert seeds.reference == pytest.approx((0.5 + 0.6 + 0.5) / 3)
    single = {key: {name: row[name][:1] for name in row} for key, row in paths.items()}
    assert Lookup(as_table({"decisions": [["a", "b"]], "paths": single}, "one"), {}).reference == 0.6


def test_claims_are_checked_only_where_asked_for() -> None:
    trial = search(Lookup(table(), {}), build_policy("posterior"), 4, 0, (2, 4))
    assert trial.claims is not None
    assert np.isfinite(trial.claims.expected_regret).tolist() == [[False, True, False, True]]
    assert try_policy(Lookup(table(), {}), "posterior", 4, 1).regret.tolist() == trial.regret.tolist()


def test_an_unknown_score_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="no score 'fair'") as raised:
        Lookup(table(), {}, ["fair"])
    assert "Its scores: one-shot." in raised.value.hint
    with pytest.raises(UsageError) as raised:
        Lookup(table(), {}, ["one-shut"])
    assert raised.value.hint == "Did you mean 'one-shot'? Its scores: one-shot."


@pytest.mark.parametrize("name", sorted(entries("policy")))
def test_every_policy_finds_the_best_path_once_all_are_trained(name: str) -> None:
    trial = try_policy(Lookup(table(), {}), name, 30, 2)
    assert trial.regret.shape == (2, 18)
    assert trial.mean_regret[0] > -0.3
    assert abs(trial.mean_regret[-1]) <= 0.2001  # one seed may be 0.2 points luckier than the other
    assert (trial.claims is not None) == (name == "posterior")
    again = try_policy(Lookup(table(), {}), name, 30, 2)
    assert (again.regret == trial.regret).all()


def test_the_document_has_a_number_per_training() -> None:
    trials = [(name, try_policy(Lookup(table(), {}), name, 3, 2)) for name in ("random", "posterior")]
    found = json.loads(json.dumps(document("toy", 2, trials), allow_nan=False))
    assert found["table"] == "toy"
    assert found["repeats"] == 2
    assert found["policies"]["random"]["trainings"] == [1, 2, 3]
    assert found["policies"]["random"]["coverage"] is None
    assert found["policies"]["random"]["expected_regret"] is None
    for claim in ("coverage", "expected_regret", "realised_regret", "probability_best", "is_best"):
        assert len(found["policies"]["posterior"][claim]) == 3
    assert all(0 <= probability <= 1 for probability in found["policies"]["posterior"]["probability_best"])
    single = document("toy", 1, [("random", try_policy(Lookup(table(), {}), "random", 3, 1))])
    assert json.loads(json.dumps(single, allow_nan=False))["policies"]["random"]["standard_error"] == [None] * 3
