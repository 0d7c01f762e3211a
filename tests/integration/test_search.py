"""`supernet search --table`: policies on a table of known accuracies."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Return a table of nine paths."""
    paths = {
        f"{one}-{two}": {"validation": [0.8 + 0.02 * one - 0.01 * two], "test": [0.79 + 0.02 * one], "macs": 1000 + two}
        for one, two in itertools.product(range(3), repeat=2)
    }
    file = tmp_path / "table.json"
    file.write_text(json.dumps({"name": "toy [table]", "decisions": [["a", "b", "c"]] * 2, "paths": paths}))
    return file


def test_policies_are_compared_in_a_table_and_in_a_document(supernet: Invoke, table: Path) -> None:
    code, out, _ = supernet("search", "--table", table, "--trainings", 9, "--repeats", 2)
    assert code == 0
    assert "toy [table]: 9 paths" in out
    for name in ("random", "largest", "one-shot", "evolution", "local", "posterior"):
        assert name in out
    assert "90 % intervals" in out
    code, out, _ = supernet(
        "search", "--table", table, "--json", "--policy", "random", "--repeats", 3, "--trainings", 4
    )
    assert code == 0
    document = json.loads(out)
    assert document["table"] == "toy [table]"
    assert document["repeats"] == 3
    assert list(document["policies"]) == ["random"]
    assert document["policies"]["random"]["trainings"] == [1, 2, 3, 4]


def test_limits_keep_paths_out(supernet: Invoke, table: Path) -> None:
    arguments = ("search", "--table", table, "--policy", "random", "--repeats", 1)
    code, out, _ = supernet(*arguments, "--limit", "macs=1.001k")
    assert code == 0
    assert "9 paths, 6 within the limits" in out
    code, _, err = supernet(*arguments, "--limit", "macs=999")
    assert code == 2
    assert "No path has macs of 999 or less" in err
    assert "1,000" in err


def test_policies_see_only_the_scores_that_are_named(supernet: Invoke, table: Path) -> None:
    document = json.loads(table.read_text())
    for number, path in enumerate(document["paths"].values()):
        path["scores"] = {"good": path["test"][0], "bad": -path["test"][0] - number / 1000}
    table.write_text(json.dumps(document))
    regrets = {}
    for names in (("good",), ("bad",), ("good", "bad"), ()):
        words = [word for name in names for word in ("--score", name)]
        _, out, _ = supernet("search", "--table", table, "--policy", "one-shot", "--trainings", 1, "--json", *words)
        regrets[names] = json.loads(out)["policies"]["one-shot"]["regret"][0]
    assert regrets["good",] == regrets["good", "bad"] == regrets[()] == 0
    assert regrets["bad",] > 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--policy", "postrior"], "Did you mean 'posterior'?"),
        (["--limit", "mac=2M"], "Did you mean 'macs'?"),
        (["--score", "synflow"], "The table has no score 'synflow'."),
        (["--limit", "macs=2Q"], "unknown unit 'Q'"),
        (["--limit", "parameters=2k"], "no parameters to limit"),
        (["--trainings", "0"], "--trainings"),
        (["--repeats", "many"], "--repeats"),
        (["--table", "nothing.json"], "nothing.json cannot be read"),
    ],
)
def test_wrong_input_is_reported_with_a_remedy(supernet: Invoke, table: Path, arguments: list[str], words: str) -> None:
    code, _, err = supernet("search", *([] if "--table" in arguments else ["--table", table]), *arguments)
    assert code == 2
    assert words in " ".join(err.split())
