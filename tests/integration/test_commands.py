"""The commands as a person or a script meets them: words, exit codes, files, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Invoke = Callable[..., tuple[int, str, str]]
ESCAPE = "\x1b"


def program(*arguments: object, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Start the program as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "supernet_cli", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def long_training(tiny_file: Path) -> list[object]:
    """Return arguments of a training that takes a few seconds, with many checkpoints."""
    return ["train", "--preset", tiny_file, "--set", "train.epochs=150", "--set", "train.evaluate_every=10"]


def test_train_says_what_it_stored(supernet: Invoke, tiny_file: Path, tmp_path: Path) -> None:
    code, out, _ = supernet("train", "--preset", tiny_file, "--seeds", "0,3", "--json", "--output", "result.json")
    document = json.loads(out)
    assert code == 0
    assert document == json.loads((tmp_path / "result.json").read_text())
    assert document["status"] == "finished"
    assert document["forward_images"] == 2 * 3 * 500
    assert document["images_per_second"] > 0
    assert document["seconds"] > 0
    assert [(job["seed"], job["status"]) for job in document["jobs"]] == [(0, "finished"), (3, "finished")]
    for job in document["jobs"]:
        assert [set(path) for path in job["paths"]] == [
            {"path", "validation_accuracy", "validation_loss", "trained_images"}
        ] * 4
        assert sum(path["trained_images"] for path in job["paths"]) == 1500
    folder = tmp_path / "runs" / document["run"]
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    expected = {"run.json", "preset.toml", "devices-0.jsonl"}
    for job in ("supernet/seed-0", "supernet/seed-3"):
        for name in ("status.json", "metrics-0.jsonl", "log.txt", "checkpoint.pt", "weights.safetensors", "lock"):
            expected.add(f"{job}/{name}")
        expected.add(f"{job}/checkpoint.previous.pt")
    assert files == expected
    log = (folder / "supernet" / "seed-3" / "log.txt").read_text()
    assert "seed 3 epoch 2: best path conv" in log
    assert "finished at step 30" in log
    assert "seed 0" not in log


def test_the_stored_preset_repeats_the_run(supernet: Invoke, tiny_file: Path, tmp_path: Path) -> None:
    _, out, _ = supernet("train", "--preset", tiny_file, "--set", "train.epochs=1", "--json")
    first = tmp_path / "runs" / json.loads(out)["run"]
    _, out, _ = supernet("train", "--preset", first / "preset.toml", "--json")
    second = tmp_path / "runs" / json.loads(out)["run"]
    weights = "supernet/seed-0/weights.safetensors"
    assert (first / weights).read_bytes() == (second / weights).read_bytes()


def test_off_a_terminal_progress_is_one_plain_line_an_epoch(supernet: Invoke, tiny_file: Path) -> None:
    code, out, err = supernet("train", "--preset", tiny_file)
    assert code == 0
    assert ESCAPE not in out + err
    assert [line for line in err.splitlines() if "epoch 2/3" in line]
    assert sum("epoch" in line for line in err.splitlines()) == 3
    assert "conv5x5_conv5x5" in out
    assert "supernet evaluate --run" in err


def test_quiet_leaves_results_alone(supernet: Invoke, tiny_file: Path) -> None:
    code, out, err = supernet("train", "--preset", tiny_file, "--quiet")
    assert (code, err) == (0, "")
    assert "conv5x5_conv5x5" in out


@pytest.fixture
def trained(supernet: Invoke, tiny_file: Path) -> str:
    _, out, _ = supernet("train", "--preset", tiny_file, "--seeds", "0,1", "--json")
    return str(json.loads(out)["run"])


def test_evaluate_judges_every_path_of_every_seed_and_keeps_it(supernet: Invoke, trained: str, tmp_path: Path) -> None:
    code, out, _ = supernet("evaluate", "--json")
    document = json.loads(out)
    assert (code, document["run"], document["split"]) == (0, trained, "test")
    assert len(document["paths"]) == 8
    fields = {"path", "kind", "seed", "accuracy", "loss", "accuracy_unrecalibrated"}
    assert all(set(row) == fields and row["kind"] == "one-shot" for row in document["paths"])
    stored = json.loads((tmp_path / "runs" / trained / "results" / "evaluation.json").read_text())
    by_key = {(row["seed"], row["path"]): row for row in stored["splits"]["test"]}
    assert all(by_key[row["seed"], row["path"]] == row for row in document["paths"])


def test_evaluate_on_validation_says_what_training_said(supernet: Invoke, trained: str) -> None:
    _, out, _ = supernet("evaluate", "--split", "validation", "--json")
    judged = {(row["seed"], row["path"]): (row["accuracy"], row["loss"]) for row in json.loads(out)["paths"]}
    _, out, _ = supernet("runs", "show", trained, "--json")
    shown = {
        (job["seed"], path["path"]): (path["accuracy"], path["loss"])
        for job in json.loads(out)["jobs"]
        for path in job["paths"]
    }
    assert judged == shown


def test_evaluate_of_named_paths_keeps_earlier_results_of_others(
    supernet: Invoke, trained: str, tmp_path: Path
) -> None:
    supernet("evaluate", "conv3x3_conv3x3")
    code, out, _ = supernet("evaluate", "conv5x5_conv3x3", "conv5x5_conv3x3", "--json")
    assert code == 0
    assert {row["path"] for row in json.loads(out)["paths"]} == {"conv5x5_conv3x3"}
    stored = json.loads((tmp_path / "runs" / trained / "results" / "evaluation.json").read_text())
    assert {row["path"] for row in stored["splits"]["test"]} == {"conv3x3_conv3x3", "conv5x5_conv3x3"}


def test_evaluate_prints_a_table_of_seeds(supernet: Invoke, trained: str) -> None:
    code, out, _ = supernet("evaluate")
    assert code == 0
    assert ESCAPE not in out
    header = next(line for line in out.splitlines() if line.startswith("path"))
    assert header.split() == ["path", "test", "±", "sd", "seed", "0", "seed", "1", "loss"]


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


WRONG_WITH_A_RUN = [
    (["evaluate", "conv3x3_conv5x6"], 2, "'conv3x3_conv5x5'"),
    (["evaluate", "conv3x3"], 2, "each of the 2 blocks"),
    (["evaluate", "--run", "1999"], 5, "Did you mean"),
    (["train", "--resume", "latest"], 2, "is finished"),
    (["runs", "stop", "latest"], 5, "not being trained"),
]


def test_wrong_paths_and_runs_name_the_nearest(supernet: Invoke, trained: str) -> None:
    for arguments, code, words in WRONG_WITH_A_RUN:
        found, _, err = supernet(*arguments)
        expected = words if words != "Did you mean" else "no run '1999'"
        assert (found, expected in err) == (code, True), (arguments, err)


def test_text_from_outside_is_neither_markup_nor_control(supernet: Invoke) -> None:
    code, _, err = supernet("train", "--preset", "[red]x\x1b[2Jy[/red]")
    assert code == 2
    assert "[red]x\\x1b[2Jy[/red]" in err
    assert ESCAPE not in err


def test_divergence_is_told_kept_and_not_repeated(supernet: Invoke, tiny_file: Path, tmp_path: Path) -> None:
    settings = ["--set", "train.optimizer={name='SGD', lr=1e9}", "--set", "train.schedule={name='ConstantLR'}"]
    code, out, err = supernet("train", "--preset", tiny_file, *settings)
    assert code == 3
    assert "diverged" in err
    assert "train.optimizer.lr" in err
    code, out, _ = supernet("train", "--preset", tiny_file, *settings, "--json")
    document = json.loads(out)
    assert (code, document["status"], document["error"]["exit_code"]) == (3, "diverged", 3)
    code, _, err = supernet("train", "--resume", document["run"])
    assert code == 3
    assert "bit for bit" in err


def test_a_bug_of_ours_is_no_traceback(supernet: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    from supernet_cli.runs import store

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(store, "list_runs", broken)
    code, out, err = supernet("runs", "ls")
    assert (code, out) == (1, "")
    assert "bug in supernet: ZeroDivisionError: oh" in err
    log = Path(err.split("The traceback is in ")[1].split(";")[0])
    assert "Traceback" in log.read_text()
    log.unlink()
    monkeypatch.setenv("SUPERNET_DEBUG", "1")
    code, _, err = supernet("runs", "ls")
    assert code == 1
    assert "Traceback" in err
    assert "ZeroDivisionError: oh" in err


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
    assert (code, "is finished" in err) == (2, True)


TORCHLESS = [
    ["--help"],
    ["--version"],
    ["train", "--help"],
    ["runs", "rm", "--help"],
    ["train", "--preset", "nothing"],
    ["train", "--set", "train.epoch=3"],
    ["train", "--set", 'space.blocks.0.candidates=["conv3x4"]'],
    ["train", "--set", "train.sampler=nothing"],
    ["train", "--resume", "nothing"],
    ["evaluate", "--run", "nothing"],
    ["runs", "ls"],
]


@pytest.mark.parametrize("arguments", TORCHLESS, ids=" ".join)
def test_help_and_errors_never_import_torch(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from supernet_cli.cli.app import run; code = run(sys.argv[1:]);"
        "heavy = [name for name in ('torch', 'torchvision', 'numpy', 'scipy', 'textual') if name in sys.modules];"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert "imported" not in done.stderr
    assert done.returncode in (0, 2, 5)


LINES = [
    ("supernet tr", "train"),
    ("supernet train --preset qu", "quick"),
    ("supernet evaluate --run 20", "tiny"),
    ("supernet evaluate conv3x3_c", "conv3x3_conv5x5"),
    ("supernet runs show la", "latest"),
    ("supernet preset copy fa", "fashion"),
]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_presets_runs_and_paths_without_torch(
    shell: str, supernet: Invoke, trained: str, tmp_path: Path
) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    for line, completed in LINES:
        environment = {
            "PYTHONPATH": str(tmp_path),
            "_SUPERNET_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - 1),
            "_TYPER_COMPLETE_ARGS": line,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        done = subprocess.run(
            [sys.executable, "-c", "from supernet_cli.cli.app import main; main()"],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )
        assert completed in done.stdout, (line, done.stdout, done.stderr)


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


def progressed(folder: Path, steps: int) -> bool:
    paths = list((folder / "runs").glob("*/supernet/seed-0/metrics-*.jsonl")) if (folder / "runs").is_dir() else []
    return any(f'"step":{step},' in path.read_text() for path in paths for step in range(steps, steps + 40))


def weights_of(folder: Path) -> bytes:
    return (only_run(folder) / "supernet" / "seed-0" / "weights.safetensors").read_bytes()


@pytest.fixture
def uncut(supernet: Invoke, long_training: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return the weights of the long training when nobody interrupts it."""
    (tmp_path / "uncut").mkdir()
    monkeypatch.chdir(tmp_path / "uncut")
    assert supernet(*long_training)[0] == 0
    monkeypatch.chdir(tmp_path)
    return weights_of(tmp_path / "uncut")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_exits_130_and_resume_goes_on_bit_for_bit(
    number: signal.Signals, supernet: Invoke, long_training: list[object], tmp_path: Path, uncut: bytes
) -> None:
    process = program(*long_training, cwd=tmp_path)
    wait_for(lambda: progressed(tmp_path, 100))
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "supernet train --resume" in err
    assert json.loads(supernet("runs", "ls", "--json")[1])["runs"][0]["status"] == "interrupted"
    code, _, err = supernet("evaluate")
    assert code == 5
    assert "--resume" in err
    assert supernet("train", "--resume", "latest")[0] == 0
    assert weights_of(tmp_path) == uncut


def test_a_killed_training_is_no_zombie_and_goes_on_bit_for_bit(
    supernet: Invoke, long_training: list[object], tmp_path: Path, uncut: bytes
) -> None:
    process = program(*long_training, cwd=tmp_path)
    for steps in (100, 400):
        wait_for(lambda steps=steps: progressed(tmp_path, steps))
        process.kill()
        process.communicate()
        assert json.loads(supernet("runs", "ls", "--json")[1])["runs"][0]["status"] == "interrupted"
        process = program("train", "--resume", "latest", cwd=tmp_path)
    process.communicate()
    assert process.returncode == 0
    assert weights_of(tmp_path) == uncut


def test_runs_stop_makes_a_training_save_and_stop(
    supernet: Invoke, long_training: list[object], tmp_path: Path
) -> None:
    process = program(*long_training, "--json", cwd=tmp_path)
    wait_for(lambda: progressed(tmp_path, 20))
    code, _, err = supernet("train", "--resume", "latest")
    assert (code, "another process" in err) == (5, True)
    code, out, _ = supernet("runs", "stop", "latest", "--json")
    assert (code, json.loads(out)["status"]) == (0, "stopped")
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, json.loads(out)["status"]) == (130, "stopped")


def test_resume_keeps_the_threads_it_began_with(
    supernet: Invoke, tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from supernet_cli.cli.signals import Interruption
    from supernet_cli.engine import device

    with monkeypatch.context() as at_first:
        at_first.setattr(device, "_usable_cores", lambda: 2)
        at_first.setattr(Interruption, "__enter__", lambda self: setattr(self, "requested", True) or self)
        assert supernet("train", "--preset", tiny_file, "--set", "runtime.threads=0")[0] == 130
    monkeypatch.setattr(device, "_usable_cores", lambda: 1)
    assert supernet("train", "--resume", "latest")[0] == 0
    status = json.loads((only_run(tmp_path) / "supernet" / "seed-0" / "status.json").read_text())
    assert (status["state"], status["threads"]) == ("finished", 2)


def test_a_pipe_that_closes_early_is_no_error(supernet: Invoke, trained: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m supernet_cli runs show {trained} | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_presets_are_listed_shown_copied_and_checked(supernet: Invoke, tmp_path: Path) -> None:
    _, out, _ = supernet("preset", "ls", "--json")
    assert {row["preset"] for row in json.loads(out)["presets"]} == {"default", "fashion", "quick", "reference"}
    code, out, _ = supernet("preset", "show", "default")
    assert code == 0
    assert "# The reference experiment" in out
    code, out, err = supernet("preset", "copy", "default", "mine.toml")
    assert (code, "train --preset mine.toml" in err) == (0, True)
    assert supernet("preset", "copy", "quick", "mine.toml", "--force")[0] == 0
    code, out, _ = supernet("preset", "validate", "mine.toml", "--json")
    assert (code, json.loads(out)) == (0, {"preset": "mine", "valid": True, "deep": False})
    assert supernet("preset", "validate", "mine.toml", "--deep")[0] == 0
    _, out, _ = supernet("preset", "show", "default", "--set", "train.epochs=3", "--json")
    assert json.loads(out)["resolved"]["train"]["epochs"] == 3
    _, out, _ = supernet("preset", "schema")
    assert json.loads(out)["title"] == "supernet preset"


def test_what_show_resolves_is_a_preset_again(supernet: Invoke, tmp_path: Path) -> None:
    _, out, _ = supernet("preset", "show", "default", "--resolved")
    (tmp_path / "again.toml").write_text(out)
    assert supernet("preset", "validate", "again.toml")[0] == 0


def test_a_dry_run_says_what_would_be_and_makes_nothing(supernet: Invoke, tiny_file: Path, tmp_path: Path) -> None:
    code, out, _ = supernet("train", "--preset", tiny_file, "--dry-run", "--json", "--seeds", "0,1")
    document = json.loads(out)
    assert code == 0
    assert document["space"]["paths"] == 4
    assert document["space"]["macs"]["least"] < document["space"]["macs"]["most"]
    assert document["preset"]["train"]["seeds"] == [0, 1]
    assert document["estimate"]["seconds"] > 0
    code, out, _ = supernet("train", "--preset", tiny_file, "--dry-run")
    assert code == 0
    assert "multiply-accumulates" in out
    assert not (tmp_path / "runs").exists()


def test_the_doctor_looks_at_everything(supernet: Invoke, tmp_path: Path) -> None:
    code, out, _ = supernet("doctor", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["devices"][0] == "cpu"
    assert document["versions"]["torch"]
    assert {place["what"] for place in document["disk"]} == {"runs", "data cache"}
    assert document["problems"] == []
    code, out, _ = supernet("doctor")
    assert code == 0
    assert "Everything that is needed is there." in out


def test_the_doctor_says_what_is_wrong_and_what_to_do(supernet: Invoke, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, out, _ = supernet("doctor", "--runs-dir", tmp_path / "file" / "runs", "--json")
    (problem,) = json.loads(out)["problems"]
    assert code == 0
    assert "cannot be written" in problem["what"]
    assert "SUPERNET_RUNS_DIR" in problem["remedy"]


def test_tensorboards_own_reader_finds_the_values_of_the_metrics_file(
    supernet: Invoke, tiny_file: Path, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from supernet_cli.runs.records import PathsEvaluated, StepsTrained
    from supernet_cli.runs.store import find_run

    assert supernet("train", "--preset", tiny_file, "--tensorboard")[0] == 0
    run = find_run(tmp_path / "runs", "latest")
    (job,) = run.supernet_jobs()
    records = list(job.records())
    events = EventAccumulator(str(run.folder / "tensorboard" / job.key))
    events.Reload()
    losses = [(event.step, event.value) for event in events.Scalars("loss/train")]
    expected = [(r.step, r.loss) for r in records if isinstance(r, StepsTrained)]
    assert [step for step, _ in losses] == [step for step, _ in expected]
    assert [value for _, value in losses] == pytest.approx([loss for _, loss in expected])
    accuracies = [event.value for event in events.Scalars("accuracy/conv5x5_conv3x3")]
    told = [
        s.accuracy for r in records if isinstance(r, PathsEvaluated) for s in r.scores if s.path == "conv5x5_conv3x3"
    ]
    assert accuracies == pytest.approx(told)


def test_a_resumed_training_goes_on_in_tensorboard_without_doubling(
    supernet: Invoke, tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from supernet_cli.runs.job import JobWriter

    class Impatient(JobWriter):
        """Is asked to stop once ten steps are recorded."""

        def record(self, record: Any) -> None:
            super().record(record)
            self.stop_requested = self.stop_requested or getattr(record, "step", 0) >= 10

    with monkeypatch.context() as at_first:
        at_first.setattr("supernet_cli.runs.job.JobWriter", Impatient)
        assert supernet("train", "--preset", tiny_file, "--tensorboard")[0] == 130
    assert supernet("train", "--resume", "latest", "--tensorboard")[0] == 0
    events = EventAccumulator(str(only_run(tmp_path) / "tensorboard" / "supernet" / "seed-0"))
    events.Reload()
    steps = [event.step for event in events.Scalars("loss/train")]
    assert steps == [4, 8, 10, 14, 18, 20, 24, 28, 30]


def test_without_tensorboard_one_sentence_says_what_to_install(
    supernet: Invoke, tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "tensorboard" else find(name, *rest)
    )
    code, out, err = supernet("train", "--preset", tiny_file, "--tensorboard")
    assert (code, out) == (2, "")
    assert "pip install tensorboard" in err
    assert not (tmp_path / "runs").exists()


def test_own_images_train_and_are_judged(supernet: Invoke, tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for label, name in enumerate(("left", "right", "both")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(60):
            pixels = rng.integers(0, 80, (20 + number % 9, 24, 3), dtype=np.uint8)
            pixels[:, :12] += 150 * (label != 1)
            pixels[:, 12:] += 150 * (label != 0)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    settings = ["data.dataset=folder", "data.root=images", "data.size=16", "data.validation=20", "data.flip=false"]
    settings += ["train.epochs=12", "train.batch_size=16"]
    arguments = [word for setting in settings for word in ("--set", setting)]
    assert supernet("train", "--preset", "quick", *arguments)[0] == 0
    _, out, _ = supernet("evaluate", "--json")
    assert min(row["accuracy"] for row in json.loads(out)["paths"]) > 0.9


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the platform has no terminals that hang up")
def test_a_training_under_nohup_survives_its_terminal(tmp_path: Path, long_training: list[object]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # children inherit this, as from `nohup`
    try:
        process = program(*long_training, cwd=tmp_path)
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_for(lambda: progressed(tmp_path, 20))
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 130
