"""`supernet runs`: runs are listed, shown and removed, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Invoke = Callable[..., tuple[int, str, str]]


def test_runs_are_listed_shown_and_removed(supernet: Invoke, trained: str, tmp_path: Path) -> None:
    _, out, _ = supernet("runs", "ls", "--json")
    (row,) = json.loads(out)["runs"]
    assert (row["run"], row["preset"], row["status"], row["jobs"]) == (trained, "tiny", "finished", 2)
    assert row["seconds"] > 0
    code, out, _ = supernet("runs", "ls")
    assert code == 0
    assert trained in out
    code, out, _ = supernet("runs", "show")
    assert code == 0
    assert "supernet/seed-1" in out
    code, _, err = supernet("runs", "rm", trained)
    assert code == 2
    assert "--yes" in err
    code, out, _ = supernet("runs", "rm", trained, trained[:12], "--yes")
    assert (code, out.split()) == (0, [trained, "removed"])
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_damaged_run_is_listed_explained_and_left_alone(supernet: Invoke, trained: str, tmp_path: Path) -> None:
    (tmp_path / "runs" / trained / "run.json").write_text("")
    code, out, err = supernet("runs", "ls")
    assert (code, out.splitlines()[1].split()) == (0, [trained, "damaged"])
    assert f"supernet runs show {trained}" in err
    (row,) = json.loads(supernet("runs", "ls", "--json")[1])["runs"]
    assert (row["run"], row["status"], row["preset"], row["notes"]) == (
        trained,
        "damaged",
        None,
        ["run.json is not what supernet wrote"],
    )
    for command in (["show"], ["rm", "--yes"]):
        code, _, err = supernet("runs", *command, trained)
        assert (code, "is damaged: its run.json" in err, f"rm -r runs/{trained}" in err) == (5, True, True)
    assert (tmp_path / "runs" / trained / "supernet").is_dir()


def test_an_empty_list_of_runs_says_how_to_start_one(supernet: Invoke) -> None:
    code, out, err = supernet("runs", "ls")
    assert code == 0
    assert "no runs" in out
    assert "supernet train" in err
    assert json.loads(supernet("runs", "ls", "--json")[1]) == {"runs": []}


@pytest.mark.parametrize(
    "reference", ["/", "/tmp", "..", ".", "~", "mine", "mine/", "runs", "", "*", "latest/../../mine"]
)
def test_runs_rm_removes_nothing_that_is_no_run(
    supernet: Invoke, tmp_path: Path, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in ("mine", "runs/mine"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "thesis.txt").write_text("years of work")
    before = sorted(tmp_path.rglob("*"))
    code, _, err = supernet("runs", "rm", reference, "--yes")
    assert code == 5, err
    assert sorted(tmp_path.rglob("*")) == before


def test_runs_rm_removes_no_run_outside_the_runs_directory(supernet: Invoke, trained: str, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / trained
    code, _, err = supernet("runs", "rm", folder, "--yes", "--runs-dir", tmp_path / "other")
    assert code == 5
    assert "nothing was removed" in err
    assert (folder / "run.json").is_file()
