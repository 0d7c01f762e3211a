"""Options from environment variables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Invoke = Callable[..., tuple[int, str, str]]


def test_options_come_from_the_environment_and_flags_win(
    supernet: Invoke, tiny_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SUPERNET_TRAIN_PRESET", str(tiny_file))
    monkeypatch.setenv("SUPERNET_TRAIN_SEEDS", "5")
    monkeypatch.setenv("SUPERNET_RUNS_DIR", str(tmp_path / "elsewhere"))
    _, out, _ = supernet("train", "--json")
    assert [job["seed"] for job in json.loads(out)["jobs"]] == [5]
    assert (tmp_path / "elsewhere").is_dir()
    _, out, _ = supernet("train", "--json", "--seeds", "6")
    assert [job["seed"] for job in json.loads(out)["jobs"]] == [6]
    code, _, err = supernet("train", "--resume", "latest")
    assert (code, "is already finished" in err) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [["--preset", "none.toml"], ["--prest", "quick"], ["--preset"], ["--seeds", "x"], ["--output", "."], ["surplus"]],
    ids=" ".join,
)
def test_errors_are_documents_where_the_environment_asks_for_json(
    supernet: Invoke, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERNET_TRAIN_JSON", "1")
    code, out, err = supernet("train", *arguments)
    assert (code, json.loads(out)["error"]["exit_code"], err) == (2, 2, "")
    monkeypatch.setenv("SUPERNET_TRAIN_JSON", "0")
    code, out, err = supernet("train", *arguments)
    assert (code, out, "error: " in err) == (2, "", True)


@pytest.mark.parametrize(
    "text",
    [
        "train.epochs=3; data.root=/my images",
        "train.epochs=3;data.root=/my images;",
        "train.epochs=3\ndata.root=/my images\n",
    ],
)
def test_settings_from_the_environment_may_hold_spaces(
    supernet: Invoke, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERNET_SET", text)
    _, out, _ = supernet("preset", "show", "quick", "--json")
    resolved = json.loads(out)["resolved"]
    assert (resolved["train"]["epochs"], resolved["data"]["root"]) == (3, "/my images")
    _, out, _ = supernet("preset", "show", "quick", "--json", "--set", "train.epochs=4")
    assert json.loads(out)["resolved"]["data"]["root"] == ""


def test_a_setting_from_the_environment_may_hold_a_semicolon_on_a_line_of_its_own(
    supernet: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERNET_SET", "data.root=/a;b\n")
    _, out, _ = supernet("preset", "show", "quick", "--json")
    assert json.loads(out)["resolved"]["data"]["root"] == "/a;b"
