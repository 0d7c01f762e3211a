"""Recipes as presets give them, from the file to the weights: class weights, schedules, rates and where images are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import only_run
from PIL import Image

from supernet_cli.config.load import dump_toml, load_preset
from supernet_cli.config.schema import Preset
from supernet_cli.training.prepare import prepare

Invoke = Callable[..., tuple[int, str, str]]
Tiny = Callable[..., Preset]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a project folder with a preset beside its images: forty of one class, ten of the other."""
    rng = np.random.default_rng(0)
    for name, count in (("many", 40), ("few", 10)):
        folder = tmp_path / "project" / "images" / name
        folder.mkdir(parents=True)
        for number in range(count):
            Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "project" / "mine.toml").write_text(
        '[data]\ndataset = "folder"\nroot = "images"\nsize = 12\nvalidation = 8\n'
        '[space]\nhidden = 8\n[[space.blocks]]\nchannels = 4\ncandidates = ["conv1x1", "conv3x3"]\n'
        "[train]\nepochs = 1\nbatch_size = 8\n[retrain]\nseeds = [0]\n"
        '[runtime]\ndevice = "cpu"\nthreads = 1\n'
    )
    return tmp_path / "project"


def train(supernet: Invoke, preset: Path, *settings: str) -> Path:
    """Train in a folder of its own, and return the run."""
    runs = Path("runs-of-" + "-".join(str(abs(hash(setting))) for setting in settings))
    words = [word for setting in settings for word in ("--set", setting)]
    code, out, err = supernet("train", "--preset", preset, "--runs-dir", runs, "--quiet", *words)
    assert code == 0, out + err
    (run,) = runs.iterdir()
    return run


def weights(run: Path) -> bytes:
    return (run / "supernet" / "seed-0" / "weights.safetensors").read_bytes()


def loss(weight: str) -> str:
    return f'train.loss={{name="CrossEntropyLoss",weight={weight}}}'


def test_whole_and_balanced_class_weights_train_as_the_same_numbers_do(supernet: Invoke, pictures: Path) -> None:
    preset = load_preset(str(pictures / "mine.toml"), [loss('"balanced"')]).preset
    prepared = prepare(preset)
    counts = Counter(prepared.images.splits.train.labels.tolist())
    total = sum(counts.values())
    by_hand = [total / (2 * counts[label]) for label in range(2)]
    assert prepared.plan.train_recipe.loss.parameters == {"weight": by_hand}
    assert prepared.plan.standalone_recipe.loss.parameters == {"weight": by_hand}
    file = pictures / "mine.toml"
    balanced, numbers = (train(supernet, file, loss(weight)) for weight in ('"balanced"', str(by_hand)))
    assert weights(balanced) == weights(numbers)
    whole, pointed = (train(supernet, file, loss(weight)) for weight in ("[1, 4]", "[1.0, 4.0]"))
    assert weights(whole) == weights(pointed) != weights(balanced)


def test_balanced_weights_hold_for_trainings_from_scratch_and_after_an_interruption(
    supernet: Invoke, pictures: Path
) -> None:
    run = train(supernet, pictures / "mine.toml", loss('"balanced"'))
    assert 'weight = "balanced"' in (run / "preset.toml").read_text()
    whole = weights(run)
    for file in ("weights.safetensors", "status.json"):
        (run / "supernet" / "seed-0" / file).unlink()
    code, _, err = supernet("train", "--resume", run, "--runs-dir", run.parent, "--quiet")
    assert code == 0, err
    assert weights(run) == whole
    code, out, err = supernet("retrain", "--all", "--run", run.name, "--runs-dir", run.parent, "--json")
    assert code == 0, err
    assert {job["status"] for job in json.loads(out)["jobs"]} == {"finished"}


def test_the_weights_of_too_few_classes_are_refused_with_both_numbers(supernet: Invoke, pictures: Path) -> None:
    code, _, err = supernet("train", "--preset", pictures / "mine.toml", "--set", loss("[1, 2, 3]"))
    assert code == 2
    assert "train.loss.weight has 3 numbers, but the data set has 2 classes." in err


def test_a_strategy_that_holds_images_out_weighs_classes_as_paths_from_scratch_do(tiny: Tiny) -> None:
    preset = tiny(train={"sampler": {"name": "bandit"}, "loss": {"name": "CrossEntropyLoss", "weight": "balanced"}})
    prepared = prepare(preset)
    assert prepared.plan.train_recipe.loss == prepared.plan.standalone_recipe.loss


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 10])
def test_the_usual_schedule_trains_for_any_number_of_steps(
    steps: int, supernet: Invoke, tiny: Tiny, tmp_path: Path
) -> None:
    preset = tiny(
        train={"epochs": 1, "batch_size": -(-500 // steps), "schedule": {"name": "OneCycleLR", "pct_start": 0.2}}
    )
    (tmp_path / "tiny.toml").write_text(dump_toml(preset))
    code, out, err = supernet("train", "--preset", "tiny.toml", "--json")
    assert code == 0, out + err
    status = json.loads((only_run(tmp_path) / "supernet" / "seed-0" / "status.json").read_text())
    assert (status["step"], status["state"]) == (steps, "finished")


ABSURD = [
    ('train.optimizer={name="SGD",lr=1e15}', None),
    ('train.optimizer={name="SGD",lr=1e300}', None),
    ('train.optimizer={name="AdamW",lr=1e30}', None),
    ('train.optimizer={name="SGD",lr=0.1,momentum=1e300}', None),
    ('train.optimizer={name="SGD",lr=0.1,weight_decay=1e20}', None),
    ('train.optimizer={name="RMSprop",lr=1e100}', None),
    ("train.optimizer.lr=1e-6", 'train.schedule={name="ExponentialLR",gamma=1000000.0}'),
    ("train.optimizer.lr=1e-6", 'train.schedule={name="ExponentialLR",gamma=1e300}'),
    ("train.optimizer.lr=1e-6", 'train.schedule={name="ExponentialLR",gamma=1e40,every="epoch"}'),
    ("train.optimizer.lr=1e-6", 'train.schedule={name="StepLR",step_size=3,gamma=1e25}'),
    ("train.optimizer.lr=1e-6", 'train.schedule={name="PolynomialLR",power=-200.0}'),
]


@pytest.mark.parametrize(("optimizer", "schedule"), ABSURD)
def test_an_absurd_rate_diverges_or_is_refused_and_is_never_a_bug(
    optimizer: str, schedule: str | None, supernet: Invoke, tiny_file: Path
) -> None:
    settings = [optimizer, schedule or "train.schedule=ConstantLR"]
    words = [word for setting in settings for word in ("--set", setting)]
    code, _, err = supernet("train", "--preset", tiny_file, *words)
    assert code in (2, 3), err
    assert "diverged" in err or "too large" in err or "train.schedule" in err


def test_a_rate_that_grows_beyond_measure_keeps_the_last_good_checkpoint(
    supernet: Invoke, tiny_file: Path, tmp_path: Path
) -> None:
    grows = 'train.schedule={name="ExponentialLR",gamma=1e50,every="epoch"}'
    code, _, err = supernet("train", "--preset", tiny_file, "--set", grows)
    assert code == 3
    assert "learning rate" in err
    job = only_run(tmp_path) / "supernet" / "seed-0"
    state = torch.load(job / "checkpoint.pt", weights_only=True)
    assert all(bool(tensor.isfinite().all()) for tensor in state["supernet"].values())


def test_images_are_found_beside_the_preset_from_any_folder_and_the_run_keeps_their_place(
    supernet: Invoke, pictures: Path, tmp_path: Path
) -> None:
    run = train(supernet, pictures / "mine.toml", "train.epochs=1")
    assert f'root = "{pictures / "images"}"' in (run / "preset.toml").read_text()
    again = train(supernet, run / "preset.toml", "train.epochs=1", "train.log_every=20")
    assert weights(again) == weights(run)


def test_missing_images_are_reported_with_what_their_path_is_relative_to(supernet: Invoke, pictures: Path) -> None:
    (pictures / "images").rename(pictures / "moved")
    for command in (["train", "--preset"], ["train", "--dry-run", "--preset"], ["preset", "validate", "--deep"]):
        code, _, err = supernet(*command, pictures / "mine.toml")
        assert code == 2
        assert str(pictures / "images") in err
        assert f'data.root = "images" is relative to the preset\'s folder, {pictures}.' in err
        code, _, err = supernet(*command, pictures / "mine.toml", "--set", "data.root=elsewhere")
        assert f'data.root = "elsewhere" is relative to the working directory, {Path.cwd()}.' in err


def test_a_valid_preset_is_reported_with_what_was_checked(supernet: Invoke, pictures: Path) -> None:
    file = pictures / "mine.toml"
    assert supernet("preset", "validate", file)[:2] == (
        0,
        f"{file} is valid (network and data not checked; use --deep)\n",
    )
    assert supernet("preset", "validate", file, "--deep")[:2] == (0, f"{file} is valid (network and data checked)\n")
    assert not Path("runs").exists()
