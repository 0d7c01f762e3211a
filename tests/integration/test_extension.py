"""A finished run trained for longer: the same weights as a training that was planned that long, or a reason why not."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from following import suggestions
from helpers import only_run

from supernet_cli.config.load import dump_toml, load_preset
from supernet_cli.config.schema import Preset
from supernet_cli.training.extension import origins

Invoke = Callable[..., tuple[int, str, str]]
WEIGHTS = "supernet/seed-0/weights.safetensors"


@pytest.fixture
def constant(tiny: Callable[..., Preset], tmp_path: Path) -> Path:
    """Return a preset whose learning rate does not depend on its length."""
    train = {"schedule": {"name": "StepLR", "step_size": 7, "gamma": 0.9}, "epochs": 2}
    path = tmp_path / "constant.toml"
    path.write_text(dump_toml(tiny(train=train)))
    return path


def test_an_extended_run_has_the_weights_of_a_longer_training(supernet: Invoke, constant: Path, tmp_path: Path) -> None:
    assert supernet("train", constant, "--quiet")[0] == 0
    run = only_run(tmp_path)
    code, out, err = supernet("train", "--resume", run.name, "--set", "train.epochs=4", "--json")
    assert code == 0, err
    assert json.loads(out)["status"] == "finished"
    extended = (run / WEIGHTS).read_bytes()
    supernet("train", constant, "--set", "train.epochs=4", "--runs-dir", "other", "--quiet")
    (longer,) = (tmp_path / "other").iterdir()
    assert extended == (longer / WEIGHTS).read_bytes()


def test_an_interrupted_extension_is_resumed(supernet: Invoke, constant: Path, tmp_path: Path) -> None:
    assert supernet("train", constant, "--quiet")[0] == 0
    run = only_run(tmp_path)
    code, _, _ = supernet("train", "--resume", run.name, "--set", "train.epochs=3", "--quiet")
    assert code == 0
    code, _, err = supernet("train", "--resume", run.name, "--set", "train.epochs=4", "--quiet")
    assert code == 0, err
    assert load_preset(str(run / "preset.toml")).preset.train.epochs == 4


def test_extending_forgets_one_shot_scores_and_keeps_stand_alone_trainings(
    supernet: Invoke, constant: Path, tmp_path: Path
) -> None:
    supernet("train", constant, "--quiet")
    supernet("retrain", "conv3x3_conv3x3", "--quiet")
    supernet("evaluate", "--quiet")
    run = only_run(tmp_path)
    alone = run / "standalone" / "conv3x3_conv3x3" / "seed-0" / "weights.safetensors"
    before = alone.read_bytes()
    assert supernet("train", "--resume", "latest", "--set", "train.epochs=4", "--quiet")[0] == 0
    stored = json.loads((run / "results" / "evaluation.json").read_text())
    assert {row["kind"] for rows in stored["splits"].values() for row in rows} == {"stand-alone"}
    assert not list((run / "results" / "correct").glob("*/one-shot-*"))
    code, _, err = supernet("retrain", "conv3x3_conv3x3")
    assert code == 0, err
    assert alone.read_bytes() == before
    assert load_preset(str(run / "preset.toml")).preset.standalone_recipe().epochs == 2


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"schedule": {"name": "OneCycleLR", "pct_start": 0.3}}, "OneCycleLR is stretched over 3 epochs"),
        ({"schedule": {"name": "CosineAnnealingLR"}}, "CosineAnnealingLR is stretched over 3 epochs"),
        ({"schedule": None, "sampler": "path-dropout"}, "path-dropout is planned for 3 epochs"),
    ],
    ids=["one-cycle", "cosine", "path-dropout"],
)
def test_a_training_that_depends_on_its_length_is_not_extended(
    supernet: Invoke, tiny: Callable[..., Preset], tmp_path: Path, changed: dict[str, object], reason: str
) -> None:
    preset = tiny(train=changed)
    (tmp_path / "fixed.toml").write_text(dump_toml(preset))
    assert supernet("train", "fixed.toml", "--quiet")[0] == 0
    before = (only_run(tmp_path) / WEIGHTS).read_bytes()
    code, _, err = supernet("train", "--resume", "latest", "--set", "train.epochs=6")
    assert (code, reason in err) == (2, True), err
    assert (only_run(tmp_path) / WEIGHTS).read_bytes() == before
    (words,) = suggestions(err)
    assert words[-1] == "train.epochs=6"
    assert supernet(*words, "--quiet")[0] == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["train.epochs=2"], "2 epochs already"),
        (["train.epochs=1"], "2 epochs already"),
        (["train.epochs=x"], "expected a number of epochs"),
        (["train.epochs=0"], "expected a number of epochs"),
        (["train.batch_size=10"], "only train.epochs can be changed"),
        (["train.batch_size=10", "train.epochs=4"], "only train.epochs can be changed"),
    ],
    ids=" ".join,
)
def test_nothing_but_a_larger_length_can_be_changed(
    supernet: Invoke, constant: Path, settings: list[str], words: str
) -> None:
    assert supernet("train", constant, "--quiet")[0] == 0
    flags = [word for setting in settings for word in ("--set", setting)]
    code, _, err = supernet("train", "--resume", "latest", *flags)
    assert (code, words in err) == (2, True), err


def test_checkpoints_of_earlier_versions_are_resumed(tiny: Callable[..., Preset]) -> None:
    for schedule in (None, {"name": "OneCycleLR", "pct_start": 0.3}):
        preset = tiny(train={"schedule": schedule})
        earlier = hashlib.sha256(preset.model_dump_json(exclude_defaults=True).encode()).hexdigest()
        assert earlier in origins(preset)
        assert (origins(preset)[0] == earlier) == (schedule is not None)


def test_a_dry_run_of_retrain_scores_and_trains_nothing(supernet: Invoke, trained: str, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    code, out, err = supernet("retrain", "--all", "--seeds", "0,1", "--workers", "2", "--dry-run", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert (document["trainings"], document["trainings_done"], len(document["paths"])) == (8, 0, 4)
    assert document["estimate"]["seconds"] > 0
    assert document["estimate"]["workers"] == 2
    code, out, _ = supernet("retrain", "--top", "1", "--dry-run")
    assert (code, "estimated time" in out) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*") if path.is_file()} == before


def test_a_dry_run_of_retrain_says_how_much_is_done(supernet: Invoke, trained: str) -> None:
    assert supernet("retrain", "conv3x3_conv3x3", "--quiet")[0] == 0
    code, out, _ = supernet("retrain", "conv3x3_conv3x3", "--dry-run", "--json")
    assert (code, json.loads(out)["trainings_done"], json.loads(out)["estimate"]["seconds"]) == (0, 1, 0)
    assert "nothing is left to train" in supernet("retrain", "conv3x3_conv3x3", "--dry-run")[1]


def test_a_dry_run_of_an_experiment_adds_its_parts_up_and_makes_no_run(
    supernet: Invoke, tiny_file: Path, tmp_path: Path
) -> None:
    code, out, err = supernet("experiment", tiny_file, "--seeds", "0,1", "--dry-run", "--json")
    assert code == 0, err
    estimate = json.loads(out)["estimate"]
    parts = estimate["supernet_seconds"] + estimate["stand_alone_seconds"]
    assert estimate["seconds"] == pytest.approx(parts)
    assert not (tmp_path / "runs").exists()
    lines = supernet("experiment", tiny_file, "--dry-run")[1].splitlines()
    assert any(line.startswith("stand-alone trainings") for line in lines[:8])


def test_a_space_too_large_to_train_whole_names_what_to_do_instead(supernet: Invoke, tmp_path: Path) -> None:
    code, _, err = supernet("experiment", "deep", "--set", "data.root=/my images", "--runs-dir", "my runs")
    assert code == 2
    (words,) = suggestions(err)
    assert shlex.join(["supernet", *words]) == ("supernet train deep --set 'data.root=/my images' --runs-dir 'my runs'")
