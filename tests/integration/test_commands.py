"""The commands as a person or a script meets them: words, documents, files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Invoke = Callable[..., tuple[int, str, str]]


ESCAPE = "\x1b"


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
    expected = {"run.json", "preset.toml", "data.json", "devices-0.jsonl"}
    for job in ("supernet/seed-0", "supernet/seed-3"):
        for name in ("status.json", "metrics-0.jsonl", "log.txt", "checkpoint.pt", "weights.safetensors", "lock"):
            expected.add(f"{job}/{name}")
        expected.add(f"{job}/checkpoint.previous.pt")
    assert files == expected
    log = (folder / "supernet" / "seed-3" / "log.txt").read_text()
    assert "supernet/seed-3 epoch 2: best path by validation loss conv" in log
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


def test_evaluate_judges_every_path_of_every_seed_and_keeps_it(supernet: Invoke, trained: str, tmp_path: Path) -> None:
    code, out, _ = supernet("evaluate", "--json")
    document = json.loads(out)
    assert (code, document["run"], document["split"]) == (0, trained, "test")
    assert len(document["paths"]) == 8
    fields = {"path", "kind", "seed", "accuracy", "loss", "accuracy_unrecalibrated", "divergence"}
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


def test_evaluate_says_that_what_it_would_add_to_is_damaged(supernet: Invoke, trained: str, tmp_path: Path) -> None:
    supernet("evaluate", "conv3x3_conv3x3")
    stored = tmp_path / "runs" / trained / "results" / "evaluation.json"
    stored.write_text('{"splits": []}')
    code, _, err = supernet("evaluate", "conv3x3_conv3x3")
    assert (code, "evaluation.json is damaged: splits" in err) == (5, True)
    assert stored.read_text() == '{"splits": []}'


def test_evaluate_prints_a_table_of_seeds(supernet: Invoke, trained: str) -> None:
    code, out, _ = supernet("evaluate")
    assert code == 0
    assert ESCAPE not in out
    header = next(line for line in out.splitlines() if line.startswith("path"))
    assert header.split() == ["path", "test", "±", "sd", "seed", "0", "seed", "1", "loss"]


def test_text_from_outside_is_neither_markup_nor_control(supernet: Invoke) -> None:
    code, _, err = supernet("train", "--preset", "[red]x\x1b[2Jy[/red]")
    assert code == 2
    assert "[red]x\\x1b[2Jy[/red]" in err
    assert ESCAPE not in err


def test_names_in_results_are_neither_markup_nor_control(supernet: Invoke) -> None:
    code, out, _ = supernet("preset", "copy", "quick", "[red]:smile:\x1b[2J.toml")
    assert (code, out) == (0, "[red]:smile:\\x1b[2J.toml copied from quick\n")


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


def test_divergence_before_the_first_checkpoint_claims_none(supernet: Invoke, tiny_file: Path, tmp_path: Path) -> None:
    settings = ["--set", "train.optimizer={name='SGD', lr=1e9}", "--set", "train.schedule={name='ConstantLR'}"]
    code, _, err = supernet("train", "--preset", tiny_file, *settings, "--set", "train.checkpoint_every=1000")
    assert not list(tmp_path.rglob("checkpoint*"))
    assert (code, "before the first checkpoint" in err, "is kept" in err) == (3, True, False)


def test_divergence_names_where_the_last_good_checkpoint_is(supernet: Invoke, trained: str, tmp_path: Path) -> None:
    from supernet_cli.store.runs import find_run
    from supernet_cli.workflows.train import divergence

    run = find_run(tmp_path / "runs", trained)
    for job, gone in zip(run.supernet_jobs(), (True, False), strict=True):
        (job.path / "status.json").write_text('{"state": "diverged", "reason": "nan"}')
        job.checkpoint.unlink()
        if gone:
            job.checkpoint.with_suffix(".previous.pt").unlink()
    assert f"is kept in {run.supernet_job(1).path}." in divergence(run).message


def test_a_resumed_job_whose_checkpoints_are_gone_says_that_it_begins_anew(
    supernet: Invoke, trained: str, tmp_path: Path
) -> None:
    job = tmp_path / "runs" / trained / "supernet" / "seed-1"
    for path in job.parent.glob("seed-*/checkpoint*"):  # seed 0 is finished and needs none
        path.unlink()
    (job / "status.json").write_text('{"state": "interrupted", "step": 30, "steps": 30}')
    code, _, err = supernet("train", "--resume", trained, "--quiet")
    assert (code, err) == (0, "warning: supernet/seed-1: none of its 30 steps are in a checkpoint; it starts over\n")


def test_suggested_commands_can_be_pasted_whatever_a_run_or_file_is_called(
    supernet: Invoke, trained: str, tmp_path: Path
) -> None:
    for name in ("my run", "my run 2"):
        (tmp_path / "runs" / trained).rename(tmp_path / "runs" / name)
        _, _, err = supernet("train", "--resume", name)
        assert f"`supernet evaluate --run '{name}'`" in err
        trained = name
    (tmp_path / "runs" / "my run").mkdir()
    (tmp_path / "runs" / "my run" / "run.json").write_text((tmp_path / "runs" / trained / "run.json").read_text())
    assert json.loads(supernet("runs", "show", "my run", "--json")[1])["run"] == "my run"
    _, _, err = supernet("preset", "copy", "quick", "my own.toml")
    assert "supernet train 'my own.toml'" in err


@pytest.mark.parametrize("group", [[], ["runs"], ["preset"]], ids=["supernet", "runs", "preset"])
@pytest.mark.parametrize("rich", ["1", "0"])
def test_a_group_alone_prints_its_help_and_no_error(
    supernet: Invoke, group: list[str], rich: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TYPER_USE_RICH", rich)
    code, out, err = supernet(*group)
    assert (code, err, "Usage: " in out, "--help" in out) == (2, "", True, True)


def test_no_help_shows_a_type_for_a_flag(supernet: Invoke) -> None:
    import typer

    from supernet_cli.cli.app import app

    def names(group: Any) -> list[list[str]]:
        found = [[]]
        for name, command in group.commands.items():
            found += [[name, *rest] for rest in (names(command) if hasattr(command, "commands") else [[]])]
        return found

    every = names(typer.main.get_command(app))
    assert ["runs", "rm"] in every
    for words in every:
        code, out, _ = supernet(*words, "--help")
        assert (code, "bool" in out) == (0, False), out


def test_a_bug_of_ours_is_no_traceback(supernet: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    from supernet_cli.store import runs

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(runs, "list_runs", broken)
    code, out, err = supernet("runs", "ls")
    assert (code, out) == (1, "")
    assert "bug in supernet: ZeroDivisionError: oh" in err
    log = Path(err.split("with the traceback in ")[1].strip().removesuffix("."))
    assert "Traceback" in log.read_text()
    log.unlink()
    monkeypatch.setenv("SUPERNET_DEBUG", "1")
    code, _, err = supernet("runs", "ls")
    assert code == 1
    assert "Traceback" in err
    assert "ZeroDivisionError: oh" in err


def test_presets_are_listed_shown_copied_and_checked(supernet: Invoke, tmp_path: Path) -> None:
    _, out, _ = supernet("preset", "ls", "--json")
    shipped = {"cifar", "deep", "default", "depth", "fashion", "iso", "lab", "quick", "reference"}
    assert {row["preset"] for row in json.loads(out)["presets"]} == shipped
    code, out, _ = supernet("preset", "show", "default")
    assert code == 0
    assert "# MNIST, 2 blocks, 4 paths: the default experiment" in out
    code, out, err = supernet("preset", "copy", "default", "mine.toml")
    assert (code, "supernet train mine.toml" in err) == (0, True)
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


def test_a_run_does_not_go_on_with_other_images(supernet: Invoke, tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)

    def add(numbers: range) -> None:
        for name in ("a", "b"):
            (tmp_path / "images" / name).mkdir(parents=True, exist_ok=True)
            for number in numbers:
                pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")

    add(range(40))
    settings = ["data.dataset=folder", "data.root=images", "data.size=8", "data.validation=10", "train.epochs=1"]
    arguments = [word for setting in settings for word in ("--set", setting)]
    assert supernet("train", "--preset", "quick", *arguments)[0] == 0
    assert supernet("evaluate")[0] == 0
    add(range(40, 50))
    code, _, err = supernet("evaluate", "--split", "validation")
    assert (code, "not the images that the run was started with" in err) == (5, True)


def test_output_is_written_to_a_pipe_and_through_a_link_without_replacing_them(
    supernet: Invoke, trained: str, tmp_path: Path
) -> None:
    import threading

    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    assert supernet("runs", "ls", "--output", "pipe", "--quiet")[0] == 0
    reader.join(timeout=10)
    assert json.loads(read[0])["runs"][0]["run"] == trained
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "private").write_text("")
    (tmp_path / "private").chmod(0o600)
    (tmp_path / "link").symlink_to(tmp_path / "private")
    assert supernet("runs", "ls", "--output", "link", "--quiet")[0] == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "private").read_text())["runs"]
