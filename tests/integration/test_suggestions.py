"""Whatever the program suggests to type next can be typed, in the state that it is suggested in, and leads on."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from following import suggestions
from helpers import only_run, program, wait_for

from supernet_cli.config.presets import shipped_folder
from supernet_cli.store.runs import find_run

Invoke = Callable[..., tuple[int, str, str]]

SMALL = ["--set", "train.epochs=1", "--set", "retrain.epochs=1", "--set", "retrain.seeds=[0]"]
ONE_THREAD = ["--set", "runtime.threads=1", "--set", "runtime.device=cpu"]


def follow(supernet: Invoke, words: tuple[str, ...], most: int = 12) -> list[tuple[str, ...]]:
    """Type a command, then whatever it suggests last, until nothing new is suggested; return what was typed."""
    typed = [words]
    while len(typed) < most:
        code, out, err = supernet(*typed[-1])
        assert code == 0, f"{typed}\n{out}{err}"
        found = [command for command in suggestions(out + err) if command != typed[-1]]
        if not found:
            return typed
        typed.append(found[-1])
    raise AssertionError(f"suggestions never end: {typed}")


def names(typed: list[tuple[str, ...]]) -> list[str]:
    return [words[0] for words in typed]


def test_following_suggestions_leads_from_quick_to_a_comparison(supernet: Invoke, digits: Path) -> None:
    settings = [*SMALL, *ONE_THREAD, "--set", "data.validation=100"]
    typed = follow(supernet, ("train", "quick", *settings, "--data-root", str(digits)))
    assert names(typed) == ["train", "evaluate", "retrain", "evaluate", "compare"]
    assert "--all" in typed[2]


def test_following_suggestions_leads_from_a_space_too_large_to_enumerate_to_a_comparison(
    supernet: Invoke, digits: Path, tmp_path: Path
) -> None:
    text = (shipped_folder() / "deep.toml").read_text().replace('"fashion-mnist"', '"mnist"')
    (tmp_path / "deep.toml").write_text(
        text.replace("channels = 64", "channels = 4").replace("channels = 32", "channels = 4")
    )
    settings = [*SMALL, *ONE_THREAD, "--set", "data.validation=50", "--set", "train.calibration=50"]
    typed = follow(supernet, ("train", "deep.toml", *settings, "--data-root", str(digits)))
    assert names(typed) == ["train", "evaluate", "retrain", "evaluate", "compare"]
    assert "--sample" in typed[2]


def test_following_suggestions_leads_from_a_folder_of_images_elsewhere_to_a_comparison(
    supernet: Invoke, tmp_path: Path
) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, light in (("dark ones", 60), ("light [ones]", 200)):
        folder = tmp_path / "my images" / name
        folder.mkdir(parents=True)
        for number in range(40):
            pixels = rng.normal(light, 20, (9, 11, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    settings = [
        *SMALL,
        *ONE_THREAD,
        "--set",
        "data.dataset=folder",
        "--set",
        "data.size=12",
        "--set",
        "data.validation=10",
    ]
    words = ("train", "quick", *settings, "--data-root", "my images", "--runs-dir", "my runs")
    typed = follow(supernet, words)
    assert names(typed) == ["train", "evaluate", "retrain", "evaluate", "compare"]
    assert all(command[-2:] == ("--runs-dir", "my runs") for command in typed)


@pytest.fixture
def large(tiny_file: Path, tmp_path: Path) -> Path:
    """Return a preset of 15,625 paths that trains in a second."""
    table = tiny_file.read_text()
    start = table.index("[[space.blocks]]")
    end = table.index("[train]")
    candidates = '["conv1x1", "conv3x3", "sep3x3", "maxpool3x3", "identity"]'
    block = f"[[space.blocks]]\nchannels = 2\npool = 1\ncandidates = {candidates}\n"
    path = tmp_path / "large.toml"
    path.write_text(table[:start] + 6 * block + "\n" + table[end:].replace("epochs = 3", "epochs = 1"))
    return path


def test_a_large_space_is_evaluated_retrained_and_compared_without_naming_a_path(supernet: Invoke, large: Path) -> None:
    code, out, err = supernet("train", large, "--json")
    assert code == 0, err
    watched = {path["path"] for path in json.loads(out)["jobs"][0]["paths"]}
    assert len(watched) >= 4
    code, out, _ = supernet("evaluate", "--json")
    assert {row["path"] for row in json.loads(out)["paths"]} == watched
    code, out, _ = supernet("evaluate", "--sample", "30", "--split", "validation", "--json")
    sample = [row["path"] for row in json.loads(out)["paths"]]
    assert len(sample) == 30
    code, out, _ = supernet("evaluate", "--sample", "40", "--split", "validation", "--json")
    assert set(sample) < {row["path"] for row in json.loads(out)["paths"]}
    code, out, err = supernet("retrain", "--top", "2")
    assert code == 0, err
    assert "scoring" in err
    assert "more paths on the validation images" in err
    code, out, _ = supernet("evaluate", "--top", "2", "--json")
    top = [row["path"] for row in json.loads(out)["paths"] if row["kind"] == "one-shot"]
    code, out, _ = supernet("compare", "--json")
    assert code == 0
    rows = json.loads(out)["runs"][0]["rows"]
    assert {row["path"] for row in rows if row["stand_alone_test_accuracy"] is not None} == set(top)


def test_top_takes_the_best_by_the_loss_that_compare_ranks_by(supernet: Invoke, trained: str) -> None:
    _, out, _ = supernet("evaluate", "--split", "validation", "--json")
    losses: dict[str, list[float]] = {}
    for row in json.loads(out)["paths"]:
        losses.setdefault(row["path"], []).append(row["loss"])
    best = min(losses, key=lambda path: sum(losses[path]))
    code, out, _ = supernet("retrain", "--top", "1", "--json")
    assert (code, [job["path"] for job in json.loads(out)["jobs"]]) == (0, [best])


def test_an_interrupted_choice_is_resumed_even_if_the_ranking_has_changed(supernet: Invoke, trained: str) -> None:
    _, out, _ = supernet("retrain", "--top", "1", "--json")
    (job,) = json.loads(out)["jobs"]
    os.unlink(Path(job["folder"]) / "weights.safetensors")
    status = Path(job["folder"]) / "status.json"
    status.write_text(status.read_text().replace('"finished"', '"interrupted"'))
    run = find_run(Path("runs"), trained)
    table = json.loads((run.folder / "results" / "selections.json").read_text())
    other = next(path for path in ("conv3x3_conv3x3", "conv5x5_conv5x5") if path != job["path"])
    rows = [
        {"path": other, "kind": "one-shot", "seed": seed, "accuracy": 1.0, "loss": 1e-9, "accuracy_unrecalibrated": 1.0}
        for seed in (0, 1)
    ]
    document = {"run": trained, "splits": {"validation": rows}, "costs": []}
    (run.folder / "results" / "evaluation.json").write_text(json.dumps(document))
    _, out, _ = supernet("retrain", "--top", "1", "--json")
    assert [job["path"] for job in json.loads(out)["jobs"]] == [job["path"]]
    assert json.loads((run.folder / "results" / "selections.json").read_text()) == table


STATES = (
    "nothing",
    "running",
    "interrupted",
    "finished",
    "evaluated",
    "retraining",
    "half retrained",
    "searching",
    "half searched",
    "searched",
    "retrained",
    "done",
)


COMMANDS = (
    ("compare",),
    ("retrain", "--all", "--short"),
    ("retrain", "conv3x3_conv3x3", "--init", "inherit", "--dry-run"),
    ("runs", "ls"),
    ("runs", "show"),
    ("train", "--resume", "latest"),
    ("runs", "show"),
    ("evaluate",),
)
"""Commands that suggest something in some state, those last that change it."""


@pytest.mark.parametrize("state", STATES)
def test_every_suggestion_works_in_the_state_it_is_made_in(
    supernet: Invoke, tiny_file: Path, tmp_path: Path, state: str
) -> None:
    process = prepare_state(state, supernet, tiny_file, tmp_path)
    try:
        runs, saved, tried = tmp_path / "runs", tmp_path / "saved", set()
        if runs.exists() and process is None:
            shutil.copytree(runs, saved)
        for command in COMMANDS:
            code, out, err = supernet(*command)
            for suggestion in suggestions(out + err):
                assert suggestion != command, f"{state}: {command} suggests itself"
                if suggestion in tried or (process is not None and suggestion[:2] == ("runs", "stop")):
                    continue  # stopping ends the state, and is typed below
                tried.add(suggestion)
                check(supernet, suggestion, f"{state}: {command} exits with {code} and suggests {suggestion}")
                if saved.exists():
                    shutil.rmtree(runs)
                    shutil.copytree(saved, runs)
        if process is not None:
            check(supernet, ("runs", "stop", "latest"), f"{state}: the training can be stopped")
    finally:
        if process is not None:
            process.kill()
            process.communicate()


def check(supernet: Invoke, words: tuple[str, ...], why: str) -> None:
    """Type a suggestion: it works, or, if it needs a terminal, finds its run and asks for one."""
    takes_minutes = words[:2] == ("train", "default")
    code, out, err = supernet(*words, *(["--dry-run"] if takes_minutes else []))
    if words[0] == "tui":
        assert (code, "interactive terminal" in err) == (2, True), f"{why}\n{err}"
    else:
        assert code == 0, f"{why}\n{out}{err}"


def prepare_state(state: str, supernet: Invoke, tiny_file: Path, folder: Path):  # type: ignore[no-untyped-def]
    """Bring a run into a state; return the process that works on it, where one does."""
    if state == "nothing":
        return None
    if state in ("running", "interrupted"):
        epochs = "train.epochs=100000" if state == "running" else "train.epochs=30"
        process = program("train", tiny_file, "--set", epochs, "--set", "train.checkpoint_every=5", cwd=folder)
        return begun(process, lambda: list(folder.glob("runs/*/supernet/seed-0/checkpoint.pt")), state == "running")
    settings = ("--set", "retrain.epochs=100000") if state in ("retraining", "searching") else ()
    if state in ("half retrained", "half searched"):
        settings = ("--set", "retrain.epochs=40", "--set", "retrain.checkpoint_every=5")
    assert supernet("train", tiny_file, "--quiet", *settings)[0] == 0
    if settings:
        if "retrain" in state:
            assert supernet("evaluate", "--quiet")[0] == 0
        command = ("search", "--trainings", "2", "--limit", "macs=1G") if "search" in state else ("retrain", "--all")
        process = program(*command, "--workers", "1", cwd=folder)
        trainings = "standalone/*/seed-0/metrics-0.jsonl"
        return begun(process, lambda: list(only_run(folder).glob(trainings)), state in ("retraining", "searching"))
    steps = {"finished": 0, "evaluated": 1, "retrained": 2, "done": 3}
    whole = (("evaluate",), ("retrain", "--all"), ("evaluate",))
    for command in (("search", "--trainings", "2"),) if state == "searched" else whole[: steps[state]]:
        assert supernet(*command, "--quiet")[0] == 0
    return None


def begun(process, has_begun, left_running: bool):  # type: ignore[no-untyped-def]
    """Return a process once it has begun; None after interrupting it, unless it is to be left running."""
    wait_for(lambda: bool(has_begun()))
    if left_running:
        return process
    process.send_signal(signal.SIGINT)
    process.communicate()
    return None


def test_a_run_stands_where_paths_stand(supernet: Invoke, trained: str) -> None:
    by_option = json.loads(supernet("evaluate", "conv3x3_conv5x5", "--run", trained, "--json")[1])
    for words in (("latest",), (trained,), (trained[:12],), (f"runs/{trained}",)):
        code, out, err = supernet("evaluate", *words, "conv3x3_conv5x5", "--json")
        assert code == 0, err
        assert json.loads(out) == by_option
    code, _, err = supernet("evaluate", "20991231", "conv3x3_conv5x5")
    assert (code, "no run '20991231'" in err) == (5, True)
    code, _, err = supernet("evaluate", trained, "--run", "runs/other")
    assert (code, "two runs" in err) == (2, True)


def test_every_command_that_reads_a_run_takes_it_by_position_and_as_an_option(supernet: Invoke, trained: str) -> None:
    for command in ("runs show",):
        by_position = supernet(*command.split(), trained, "--json")
        assert by_position[0] == 0
        assert supernet(*command.split(), "--run", "latest", "--json") == by_position
        assert supernet(*command.split(), "--json") == by_position
    for words in (("compare", "latest"), ("compare", "--run", "latest"), ("compare",)):
        code, _, err = supernet(*words)
        assert (code, "no stand-alone results" in err) == (5, True)
    for words in (("tui", "latest"), ("tui", "--run", "latest")):
        code, _, err = supernet(*words)
        assert (code, "interactive terminal" in err) == (2, True)


def test_a_preset_stands_by_position_or_as_an_option(supernet: Invoke, tiny_file: Path) -> None:
    documents = [
        json.loads(supernet("train", *words, "--dry-run", "--json")[1])
        for words in ((tiny_file,), ("--preset", tiny_file))
    ]
    assert documents[0]["preset"] == documents[1]["preset"]
    code, _, err = supernet("train", "quick", "--preset", "default")
    assert (code, "two presets" in err) == (2, True)


def test_ways_to_choose_paths_exclude_each_other_by_name(supernet: Invoke, trained: str) -> None:
    code, _, err = supernet("retrain", "--all", "--top", "2")
    assert (code, "--all and --top" in err) == (2, True)
    code, _, err = supernet("evaluate", "conv3x3_conv3x3", "--sample", "2")
    assert (code, "PATH and --sample" in err) == (2, True)


def test_a_run_whose_images_moved_is_evaluated_where_they_are(
    supernet: Invoke, tiny_file: Path, tmp_path: Path, digits: Path
) -> None:
    shutil.copytree(digits, tmp_path / "here")
    supernet("train", tiny_file, "--data-root", "here", "--quiet")
    (tmp_path / "here").rename(tmp_path / "there")
    code, _, err = supernet("evaluate", "--quiet")
    assert code == 2
    assert "--data-root" in err
    code, out, err = supernet("evaluate", "--data-root", "there", "--json")
    assert code == 0, err
    assert supernet("retrain", "--top", "1", "--data-root", "there", "--quiet")[0] == 0


def test_other_images_are_refused(supernet: Invoke, tiny_file: Path, tmp_path: Path, digits: Path) -> None:
    supernet("train", tiny_file, "--quiet")
    shutil.copytree(digits, tmp_path / "other")
    images = tmp_path / "other" / "MNIST" / "raw" / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-1] + b"\x07")
    code, _, err = supernet("evaluate", "--data-root", "other")
    assert (code, "not the images" in err) == (5, True)


def test_a_read_only_run_is_evaluated_and_not_stored(
    supernet: Invoke, trained: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in ("store.results", "training.judge", "workflows.judge"):
        monkeypatch.setattr(f"supernet_cli.{module}.is_writable", lambda run: False)
    code, out, err = supernet("evaluate")
    assert code == 0
    assert "conv3x3_conv5x5" in out
    assert "is read-only: these results were not stored" in err
    assert suggestions(out + err) == []
    code, _, err = supernet("evaluate", "--json")
    assert (code, "not stored" in err) == (0, True)
    assert not (tmp_path / "runs" / trained / "results" / "evaluation.json").exists()


def test_more_paths_than_there_are_is_said(supernet: Invoke, trained: str) -> None:
    for words in (("evaluate", "--sample", "9"), ("evaluate", "--top", "9"), ("retrain", "--top", "9", "--dry-run")):
        code, _, err = supernet(*words)
        assert (code, "You asked for 9 paths; the space has 4" in err) == (0, True), words
