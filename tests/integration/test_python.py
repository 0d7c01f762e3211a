"""The Python interface: the page about it as it stands, and what it promises beside the commands."""

from __future__ import annotations

import copy
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import supernet_cli as supernet
from supernet_cli.config.schema import Preset

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.fixture
def tiny_table(tiny: Callable[..., Preset]) -> dict[str, Any]:
    """Return a preset of small images as a mapping: a training takes about a second."""
    return tiny().model_dump(mode="json", exclude_none=True)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SUPERNET_RUNS_DIR", raising=False)


def python(code: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a file, as people do, and return what it printed."""
    script = folder / "script.py"
    script.write_text(code, encoding="utf-8")
    return subprocess.run(
        [sys.executable, *options, str(script)], cwd=folder, capture_output=True, text=True, timeout=600
    )


def test_the_page_on_python_runs_as_it_stands(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    done = python("\n".join(blocks), tmp_path, "-W", "error")
    assert (done.returncode, done.stderr) == (0, "")
    assert "8 trainings" in done.stdout
    assert "Take conv" in done.stdout
    assert "the last" in done.stdout
    assert len(list((tmp_path / "runs").glob("*/run.json"))) == 2  # no worker ran the script again


def test_every_public_name_is_there_documented_and_listed() -> None:
    assert set(supernet.__all__) <= set(dir(supernet))
    for name in supernet.__all__:
        found = getattr(supernet, name)
        assert inspect.getdoc(found), name
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        supernet.trian  # noqa: B018


def test_the_import_loads_neither_torch_nor_anything_else_that_is_slow() -> None:
    slow = ("torch", "scipy", "rich", "textual")
    code = f"import sys, supernet_cli as s; s.runs, s.compare; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_functions_that_list_runs_survive_the_modules_beneath_them() -> None:
    import supernet_cli.cli.app  # noqa: F401  imports every module that a command may need

    assert supernet.runs() == []
    assert all(callable(getattr(supernet, name)) for name in supernet.__all__)


def test_a_training_is_silent_and_an_observer_sees_each_record_that_is_stored(
    tiny_table: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[object, object]] = []
    run = supernet.train(tiny_table, observer=lambda job, record: seen.append((job, record)))
    assert capfd.readouterr() == ("", "")
    (job,) = run.supernet_jobs()
    stored = [json.loads(line) for line in (job.path / "metrics-0.jsonl").read_text().splitlines()]
    assert [record.kind for key, record in seen if key == job.key] == [line["kind"] for line in stored]


def test_progress_is_what_the_command_shows(tiny_table: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    run = supernet.train(tiny_table, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert run.id in err
    assert "supernet/seed-0  epoch 3/3" in err


def test_a_mapping_is_a_preset_and_settings_have_the_values_of_python(
    tiny_table: dict[str, Any], tmp_path: Path
) -> None:
    before, root = copy.deepcopy(tiny_table), Path(tiny_table["data"].pop("root"))
    blocks = [{"channels": 4, "candidates": ["conv3x3", "conv5x5"]}]
    optimizer = {"name": "SGD", "lr": 0.125, "nesterov": False}
    settings = {"space.blocks": blocks, "train.optimizer": optimizer, "train.seeds": (3,), "data.root": root}
    run = supernet.train(tiny_table, settings, runs_dir=tmp_path / "elsewhere")
    assert tiny_table | {"data": tiny_table["data"] | {"root": str(root)}} == before  # what was given is not changed
    preset = run.preset()
    assert [block.channels for block in preset.space.blocks] == [4]
    assert preset.train.optimizer.parameters == {"lr": 0.125, "nesterov": False}
    assert [job.seed for job in run.supernet_jobs()] == [3]
    assert [each.id for each in supernet.runs(tmp_path / "elsewhere")] == [run.id]


def test_errors_are_those_of_the_commands() -> None:
    with pytest.raises(supernet.SupernetError, match="train.epochs") as raised:
        supernet.train("quick", {"train.epochs": 0})
    assert raised.value.exit_code == 2
    with pytest.raises(supernet.SupernetError, match="a preset cannot hold"):
        supernet.train("quick", {"train.epochs": object()})
    with pytest.raises(supernet.SupernetError, match="There are no runs"):
        supernet.compare("latest")
    with pytest.raises(supernet.SupernetError, match="from 1"):
        supernet.top(0)


def test_ctrl_c_saves_then_raises_and_the_same_run_is_resumed(tiny_table: dict[str, Any], tmp_path: Path) -> None:
    code = f"""
import os, signal
import supernet_cli as supernet

def interrupt(job, record):
    if record.kind == "steps":
        os.kill(os.getpid(), signal.SIGINT)

try:
    supernet.train({tiny_table!r}, observer=interrupt)
except KeyboardInterrupt as interruption:
    print(str(interruption))
run = supernet.run()
print(run.state(), run.supernet_jobs()[0].has_checkpoint)
print(supernet.train(run).state())
"""
    done = python(code, tmp_path)
    assert done.stderr == ""
    saved, state, end = done.stdout.splitlines()
    assert saved.startswith("Saved; resume with supernet.train(supernet.run(")
    assert (state, end) == ("interrupted True", "finished")


@pytest.mark.skipif(os.name == "nt", reason="threads are signalled in another way")
def test_a_training_in_another_thread_leaves_signals_alone(tiny_table: dict[str, Any]) -> None:
    from threading import Thread

    ended: list[str] = []
    thread = Thread(target=lambda: ended.append(supernet.train(tiny_table).state()))
    thread.start()
    thread.join()
    assert ended == ["finished"]


def test_arguments_that_cannot_be_meant_are_refused_before_anything_is_done(
    tiny_table: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = supernet.train(tiny_table)
    before = sorted(run.folder.rglob("*"))
    calls: dict[str, Callable[[], object]] = {
        "seeds": lambda: supernet.retrain(run, "all", seeds=[-1]),
        "different": lambda: supernet.retrain(run, "all", seeds=[7, 7]),
        "whole numbers": lambda: supernet.retrain(run, "all", seeds=[]),
        "No paths": lambda: supernet.retrain(run, []),
        "'short'": lambda: supernet.retrain(run, "all", init="x"),  # type: ignore[arg-type]
        "workers = -1": lambda: supernet.retrain(run, "all", workers=-1),
        "'size'": lambda: supernet.top(2, by="sise"),  # type: ignore[arg-type]
        "'validation'": lambda: supernet.evaluate(run, split="val"),  # type: ignore[arg-type]
        "one-shot score only": lambda: supernet.evaluate(run, supernet.top(2, by="size")),
        "'posterior'": lambda: supernet.top(2, by="posteriour"),  # type: ignore[arg-type]
        "trainings = 0": lambda: supernet.search(run, trainings=0),
        "different whole numbers": lambda: supernet.search(run, seeds=[1, 1]),
        "seeds = []": lambda: supernet.search(run, seeds=[]),
        "Did you mean 'macs'": lambda: supernet.search(run, limits={"mac": 3}),
        "macs=True": lambda: supernet.search(run, limits={"macs": True}),
        "macs=None": lambda: supernet.search(run, limits={"macs": None}),  # type: ignore[dict-item]
        "No path has macs": lambda: supernet.search(run, limits={"macs": 1}),
        "until = 1": lambda: supernet.search(run, until=1),
        "minutes = nan": lambda: supernet.search(run, minutes=float("nan")),
        "has no name": lambda: supernet.search(run, policy={"population": 3}),
        "'population'": lambda: supernet.search(run, policy={"name": "evolution", "populaton": 3}),
        "'weights'": lambda: supernet.search(run, against="weight"),  # type: ignore[arg-type]
        "cannot be read": lambda: supernet.search(run, latencies="none.json", against="latency"),
        "no run to compare": lambda: supernet.compare([]),
        "'inherited'": lambda: supernet.load(run, "conv3x3_conv3x3", weights="alone"),  # type: ignore[arg-type]
        "has not been trained from scratch": lambda: supernet.load(run, "conv3x3_conv3x3"),
    }
    for words, call in calls.items():
        with pytest.raises(supernet.SupernetError) as refused:
            call()
        assert words in f"{refused.value.message} {refused.value.hint}", words
    assert sorted(path for path in run.folder.rglob("*") if path.name != "search.lock") == before
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(supernet.SupernetError, match="single process"):
        supernet.train(tiny_table)


def test_ctrl_c_after_the_last_step_is_not_lost(tiny_table: dict[str, Any], tmp_path: Path) -> None:
    code = f"""
import os, signal
import supernet_cli as supernet

def interrupt(job, record):
    if record.kind == "ended":
        os.kill(os.getpid(), signal.SIGINT)

try:
    supernet.train({tiny_table!r}, seeds=[0, 1], observer=interrupt)
except KeyboardInterrupt:
    print([str(job.status().state) for job in supernet.run().supernet_jobs()])
"""
    done = python(code, tmp_path)
    assert (done.stderr, done.stdout) == ("", "['finished', 'created']\n")


def test_numbers_of_numpy_are_numbers(tiny_table: dict[str, Any]) -> None:
    import numpy as np

    settings = {"train.optimizer.lr": np.float64(0.05), "train.epochs": np.int64(1), "train.seeds": np.arange(2)}
    run = supernet.train(tiny_table, settings)
    assert run.preset().train.optimizer.parameters["lr"] == 0.05
    assert run.preset().train.seeds == (0, 1)


def test_a_path_is_loaded_as_it_was_evaluated(tiny_table: dict[str, Any]) -> None:
    import torch

    run = supernet.train(tiny_table)
    supernet.retrain(run, ["conv3x3_conv5x5"], seeds=[0, 1])
    for weights in ("scratch", "inherited"):
        network = supernet.load(run, "conv3x3_conv5x5", weights=weights)  # type: ignore[arg-type]
        assert not network.training
        assert len(network.classes) == 10
        pixels = torch.randint(0, 256, (3, 1, 12, 12), dtype=torch.uint8)
        with torch.inference_mode():
            together = network(network.preprocess(pixels))
            one = network(network.preprocess(pixels[0]))
        assert together.shape == (3, 10)
        torch.testing.assert_close(one[0], together[0])
        with pytest.raises(ValueError, match="uint8"):
            network.preprocess(pixels.float())
