"""`supernet export`: which path and weights, what the folder holds, and what is refused."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from exports import PATH, run_of
from helpers import PATIENCE, program, wait_for

import supernet_cli
from supernet_cli.cli.options import RUNS_DIR
from supernet_cli.networks.formats import safetensors
from supernet_cli.store.run import Run
from supernet_cli.workflows import export as workflow

Invoke = Callable[..., tuple[int, str, str]]
OTHER = "conv5x5_conv5x5"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Run:
    """Return a run with two paths trained from scratch, one of them with two seeds, and evaluated."""
    run = run_of(tmp_path_factory.mktemp("made") / "runs", digits, {})
    supernet_cli.retrain(run, [PATH], seeds=[0, 1])
    supernet_cli.retrain(run, [OTHER])
    supernet_cli.evaluate(run)
    supernet_cli.evaluate(run, split="validation")
    return run


@pytest.fixture
def run(made: Run, tmp_path: Path) -> Run:
    """Return a copy of the run in the folder where commands run."""
    shutil.copytree(made.folder, tmp_path / RUNS_DIR / made.id)
    return supernet_cli.run(made.id, tmp_path / RUNS_DIR)


def accuracy(run: Run, kind: str, path: str, seed: int, split: str) -> float:
    document = json.loads((run.folder / "results" / "evaluation.json").read_text())
    (row,) = (row for row in document["splits"][split] if (row["kind"], row["path"], row["seed"]) == (kind, path, seed))
    return float(row["accuracy"])


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != RUNS_DIR.name)


def test_a_named_path_is_exported_whole_checked_and_with_the_accuracies_of_the_run(
    supernet: Invoke, run: Run, tmp_path: Path
) -> None:
    code, out, err = supernet("export", PATH, "--seed", "1", "--format", "all", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == sorted(
        ["README.md", "config.json", "model.onnx", "model.pt2", "model.py", "model.safetensors"]
    )
    assert leftovers(tmp_path) == ["model"]
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config == {name: value for name, value in document.items() if name not in ("folder", "chosen")}
    assert (config["path"], config["weights"], config["seed"]) == (PATH, "scratch", 1)
    assert config["validation_accuracy"] == accuracy(run, "stand-alone", PATH, 1, "validation")
    assert config["test_accuracy"] == accuracy(run, "stand-alone", PATH, 1, "test")
    assert config["classes"][3] == "3 - three"
    assert config["input"]["channels"] == 1
    checks = {check["format"]: check for check in config["checks"]}
    assert {check["accuracy"] for check in checks.values()} == {config["validation_accuracy"]}
    assert {check["images"] for check in checks.values()} == {100}
    assert checks["safetensors"]["difference"] == checks["safetensors"]["tolerance"] == 0
    assert all(check["difference"] <= check["tolerance"] for check in checks.values())
    assert {name: check["loaded"] for name, check in checks.items()} == {
        "onnx": ["onnxruntime"],
        "pt2": ["torch"],
        "safetensors": ["torch"],
    }


def test_files_have_the_hashes_of_the_config(supernet: Invoke, run: Run, tmp_path: Path) -> None:
    import hashlib

    assert supernet("export", PATH, "--format", "safetensors", "--output", "out")[0] == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert set(config["files"]) == {"README.md", "model.py", "model.safetensors"}
    for name, facts in config["files"].items():
        content = (tmp_path / "out" / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (facts["bytes"], facts["sha256"])


def test_by_default_the_best_path_by_validation_is_exported_and_the_pick_after_a_search(
    supernet: Invoke, run: Run
) -> None:
    paths = {PATH: (0, 1), OTHER: (0,)}
    means = {
        path: sum(accuracy(run, "stand-alone", path, seed, "validation") for seed in seeds) / len(seeds)
        for path, seeds in paths.items()
    }
    best = max(means, key=lambda path: means[path])
    few = ("--format", "safetensors", "--json")
    document = json.loads(supernet("export", *few)[1])
    assert (document["path"], document["chosen"]) == (
        best,
        "the best path trained from scratch, by accuracy on validation",
    )
    code, out, _ = supernet("export", "--pick", *few, "--output", "pick")
    assert (code, "has not been searched" in json.loads(out)["error"]["message"]) == (5, True)
    code, _, err = supernet("search", "--trainings", "1")
    assert code == 0
    assert f"Export it: supernet export {run.id}" in err
    document = json.loads(supernet("export", run.id, *few, "--output", "after")[1])
    picked = json.loads((run.folder / "results" / "search.json").read_text())["pick"]["path"]
    assert (document["path"], document["chosen"]) == (picked, "the pick of the search")
    document = json.loads(supernet("export", "--best", *few, "--output", "best")[1])
    assert document["chosen"].startswith("the best path trained from scratch")


def test_a_path_and_a_run_are_named_in_any_order(supernet: Invoke, run: Run) -> None:
    few = ("--format", "safetensors", "--no-check", "--json")
    documents = [
        json.loads(supernet("export", *words, *few, "--output", f"model{number}")[1])
        for number, words in enumerate([(PATH, run.id), (run.id, PATH), (PATH, "--run", run.id), (PATH, "latest")])
    ]
    assert {(document["path"], document["run"]) for document in documents} == {(PATH, run.id)}


def test_the_training_with_the_best_validation_accuracy_is_taken(supernet: Invoke, run: Run) -> None:
    accuracies = [accuracy(run, "stand-alone", PATH, seed, "validation") for seed in (0, 1)]
    document = json.loads(supernet("export", PATH, "--format", "safetensors", "--json")[1])
    assert document["seed"] == accuracies.index(max(accuracies))


def test_without_a_check_no_images_are_needed_and_the_card_says_so(
    supernet: Invoke, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from supernet_cli.training import prepare

    monkeypatch.setattr(prepare, "load_dataset", None)
    code, out, _ = supernet("export", PATH, "--seed", "0", "--no-check", "--format", "safetensors", "--json")
    document = json.loads(out)
    assert (code, document["checks"]) == (0, [])
    assert document["validation_accuracy"] == accuracy(run, "stand-alone", PATH, 0, "validation")
    assert document["test_accuracy"] == accuracy(run, "stand-alone", PATH, 0, "test")
    assert "## Not checked" in (tmp_path / "model" / "README.md").read_text()


def test_missing_images_are_an_error_that_names_the_way_without(supernet: Invoke, run: Run, tmp_path: Path) -> None:
    code, out, _ = supernet("export", PATH, "--data-root", tmp_path / "nowhere", "--json")
    assert (code, "--no-check" in json.loads(out)["error"]["hint"]) == (2, True)
    assert leftovers(tmp_path) == []


REFUSED = [
    (["conv3x3_conv5x4"], 2, "no path 'conv3x3_conv5x4'", "Did you mean 'conv3x3_conv5x5'?"),
    (["conv3x3_conv3x3"], 5, "has not been trained from scratch", "retrain conv3x3_conv3x3"),
    ([PATH, "--seed", "7"], 5, "with seed 7", "--seeds 7"),
    ([PATH, "--pick"], 2, "also gave --pick", "one of them"),
    (["--pick", "--best"], 2, "several ways", "one of them"),
    ([PATH, OTHER], 2, "2 paths", "one by one"),
    ([PATH, "--format", "onxn"], 2, "no format 'onxn'", "'onnx'"),
    ([PATH, "--format", ","], 2, "No format", "safetensors"),
    ([PATH, "--output", "a/b"], 2, "no folder a", "mkdir -p a"),
    (["nothing-there"], 2, "no path 'nothing-there'", "A path names"),
    ([PATH, "--run", "nothing"], 5, "nothing", ""),
]


@pytest.mark.parametrize(("words", "exit_code", "message", "hint"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_be_exported_is_refused_before_anything_is_written(
    words: list[str], exit_code: int, message: str, hint: str, supernet: Invoke, run: Run, tmp_path: Path
) -> None:
    code, out, _ = supernet("export", *words, "--json")
    error = json.loads(out)["error"]
    assert (code, error["exit_code"]) == (exit_code, exit_code)
    assert message in error["message"]
    assert hint in error["hint"]
    assert leftovers(tmp_path) == []


def test_a_folder_in_use_is_left_as_it_is_and_an_empty_one_is_filled(
    supernet: Invoke, run: Run, tmp_path: Path
) -> None:
    few = (PATH, "--format", "safetensors", "--no-check", "--json")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name, why in (("used", "is not empty"), ("file", "is a file")):
        code, out, _ = supernet("export", *few, "--output", name)
        assert (code, why in json.loads(out)["error"]["message"]) == (2, True)
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["mine.txt"]
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert supernet("export", *few, "--output", "empty")[0] == 0
    assert (tmp_path / "empty" / "model.py").is_file()


def test_a_folder_that_is_taken_meanwhile_is_left_as_it_is(
    supernet: Invoke, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = workflow.card

    def card(model: object) -> str:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "mine.txt").write_text("mine")
        return whole(model)  # type: ignore[arg-type]

    monkeypatch.setattr(workflow, "card", card)
    code, out, _ = supernet("export", PATH, "--format", "safetensors", "--no-check", "--json")
    assert (code, "is not empty" in json.loads(out)["error"]["message"]) == (2, True)
    assert leftovers(tmp_path) == ["model"]
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["mine.txt"]


def test_damaged_weights_are_named_and_nothing_is_written(supernet: Invoke, run: Run, tmp_path: Path) -> None:
    weights = run.folder / "standalone" / PATH / "seed-0" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    code, out, _ = supernet("export", PATH, "--seed", "0", "--json")
    error = json.loads(out)["error"]
    assert (code, error["kind"]) == (5, "run")
    assert str(weights.relative_to(tmp_path)) in error["message"]
    assert leftovers(tmp_path) == []


def test_a_missing_extra_is_an_error_where_it_is_asked_for_and_otherwise_a_remark(
    supernet: Invoke, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from supernet_cli.networks.formats import onnx

    monkeypatch.setattr(onnx, "NEEDS", ("onnx", "onnxruntime_of_elsewhere"))
    for wanted in ("all", "onnx", "pt2,onnx"):
        code, out, _ = supernet("export", PATH, "--format", wanted, "--json")
        error = json.loads(out)["error"]
        assert (code, "needs the package onnxruntime_of_elsewhere" in error["message"]) == (2, True)
        assert 'pip install "supernet-cli[onnx]"' in error["hint"]
    assert leftovers(tmp_path) == []
    code, _, err = supernet("export", PATH, "--no-check")
    assert code == 0
    assert "Not written: onnx" in err
    assert not (tmp_path / "model" / "model.onnx").exists()


def test_files_that_compute_something_else_are_an_error_and_nothing_is_left(
    supernet: Invoke, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = safetensors.write

    def write(model: object) -> dict[str, bytes]:
        files = dict(whole(model))  # type: ignore[arg-type]
        half = len(files["model.safetensors"]) // 2
        files["model.safetensors"] = files["model.safetensors"][:half] + bytes(len(files["model.safetensors"]) - half)
        return files

    monkeypatch.setattr(safetensors, "write", write)
    code, out, _ = supernet("export", PATH, "--format", "safetensors", "--json")
    error = json.loads(out)["error"]
    assert (code, error["kind"]) == (1, "export")
    assert "does not reproduce the network: outputs differ by" in error["message"]
    monkeypatch.setattr(
        safetensors, "write", lambda model: {"model.py": b"import supernet_cli", "model.safetensors": b""}
    )
    code, out, _ = supernet("export", PATH, "--format", "safetensors", "--json")
    assert (code, "cannot be run without supernet" in json.loads(out)["error"]["message"]) == (1, True)
    assert "supernet_cli" in json.loads(out)["error"]["message"]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_while_files_are_written_exits_130_and_leaves_nothing(name: str, run: Run, tmp_path: Path) -> None:
    process = program("export", PATH, cwd=tmp_path)
    wait_for(lambda: any(tmp_path.glob(".model.*.tmp/*")))
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, "Traceback" in err) == (130, False), err
    assert leftovers(tmp_path) == []
