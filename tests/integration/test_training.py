"""Whole trainings on a small data set: what is learned, what is stored, and that nothing is lost by an interruption."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from references import judged
from torch import nn

from supernet_cli import seed
from supernet_cli.config.catalog import entries
from supernet_cli.config.schema import Preset
from supernet_cli.data import load_dataset
from supernet_cli.errors import PresetError, RunError
from supernet_cli.store.job import JobFolder
from supernet_cli.store.layout import JobKey
from supernet_cli.store.records import JobStarted, PathsEvaluated, Record, StepsTrained
from supernet_cli.store.state import Wish
from supernet_cli.training.checkpoint import StoredWeights
from supernet_cli.training.driver import Outcome
from supernet_cli.training.prepare import prepare
from supernet_cli.training.train import train_supernet


class Kept:
    """Keeps records; asks to stop once a step was reported or a number of polls has passed."""

    def __init__(self, polls: float = math.inf) -> None:
        self.records: list[Record] = []
        self.polls = polls

    def record(self, record: Record) -> None:
        self.records.append(record)

    def stop(self) -> Wish | None:
        self.polls -= 1
        return Wish.INTERRUPT if self.polls <= 0 else None


def job_in(folder: Path) -> JobFolder:
    folder.mkdir(exist_ok=True)
    return JobFolder(folder, JobKey.supernet(0))


def train(preset: Preset, folder: Path, kept: Kept | None = None, job_seed: int = 0) -> tuple[Outcome, Kept]:
    kept = kept or Kept()
    return train_supernet(prepare(preset), job_in(folder), job_seed, kept, kept.stop), kept


def series(*runs: Kept) -> list[dict[str, Any]]:
    """Return what was reported, without times, and with what a later segment did again in its place."""
    found: list[dict[str, Any]] = []
    for kept in runs:
        for record in kept.records:
            if isinstance(record, JobStarted):
                found = [row for row in found if row["step"] <= record.step]
            if isinstance(record, StepsTrained | PathsEvaluated):
                found.append(record.model_dump(exclude={"time", "seconds"}))
    return found


def test_a_supernet_learns_and_every_path_is_judged_every_epoch(tiny: Callable[..., Preset], tmp_path: Path) -> None:
    outcome, kept = train(tiny(train={"epochs": 6}), tmp_path / "job")
    assert outcome.state == "finished"
    judged = [record for record in kept.records if isinstance(record, PathsEvaluated)]
    assert [record.epoch for record in judged] == [1, 2, 3, 4, 5, 6]
    assert all(len(record.scores) == 4 for record in judged)
    assert min(score.accuracy for score in judged[-1].scores) > 0.9
    losses = [record.loss for record in kept.records if isinstance(record, StepsTrained) and record.loss is not None]
    assert losses[-1] < losses[0] / 4


def test_forward_images_and_paths_are_counted(tiny: Callable[..., Preset], tmp_path: Path) -> None:
    _, kept = train(tiny(), tmp_path / "job")
    last = [record for record in kept.records if isinstance(record, StepsTrained)][-1]
    scores = [record for record in kept.records if isinstance(record, PathsEvaluated)][-1].scores
    assert last.forward_images == 3 * 500 == sum(score.trained_images for score in scores)
    assert last.step == 30
    assert [r.step for r in kept.records if isinstance(r, StepsTrained)] == [4, 8, 10, 14, 18, 20, 24, 28, 30]


def test_a_seed_decides_every_weight(tiny: Callable[..., Preset], tmp_path: Path) -> None:
    weights = []
    for number, job_seed in enumerate((0, 0, 1)):
        torch.manual_seed(number)  # torch's own generator has no say
        train(tiny(), tmp_path / str(number), job_seed=job_seed)
        weights.append((tmp_path / str(number) / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


RECIPES = {
    "one cycle, AdamW": {},
    "no schedule, SGD": {"optimizer": {"name": "SGD", "lr": 0.05, "momentum": 0.9}, "schedule": None},
    "renewed": {"optimizer": {"name": "SGD", "lr": 0.05, "momentum": 0.9}, "schedule": None, "renew_optimizer": True},
    "a schedule of epochs": {"schedule": {"name": "StepLR", "step_size": 1, "gamma": 0.5, "every": "epoch"}},
    "another objective": {"loss": {"name": "CrossEntropyLoss", "label_smoothing": 0.1}},
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("sampler", sorted(entries("sampler")))
def test_an_interrupted_training_goes_on_bit_for_bit(
    tiny: Callable[..., Preset], tmp_path: Path, recipe: dict[str, Any], sampler: str
) -> None:
    preset = tiny(train={**recipe, "sampler": sampler})
    _, whole = train(preset, tmp_path / "whole")
    segments = []
    for polls in (7, 5, 11, math.inf):  # between steps, at the end of an epoch, and wherever that leads
        outcome, kept = train(preset, tmp_path / "parts", Kept(polls))
        segments.append(kept)
    assert outcome.state == "finished"
    assert sum(isinstance(record, JobStarted) for kept in segments for record in kept.records) == 4
    assert series(*segments) == series(whole)
    parts, uncut = (tmp_path / name / "weights.safetensors" for name in ("parts", "whole"))
    assert parts.read_bytes() == uncut.read_bytes()


NORMALISED: dict[str, Any] = {
    "hidden": 8,
    "norm": "batch",
    "stem": {"channels": 3},
    "blocks": [
        {"channels": 3, "pool": 2, "residual": True, "candidates": ["conv3x3", "identity"]},
        {"channels": 4, "pool": 2, "candidates": ["sep3x3", "maxpool3x3"]},
    ],
}


@pytest.mark.parametrize("name", sorted(entries("sampler")))
def test_every_strategy_goes_on_bit_for_bit_with_statistics_feedback_and_figures_of_its_own(
    tiny: Callable[..., Preset], tmp_path: Path, name: str
) -> None:
    sampler = {"name": name, **({"every": 2, "held_out": 90} if name == "bandit" else {})}
    preset = tiny(space=NORMALISED, train={"sampler": sampler, "batch_size": 25, "epochs": 2, "log_every": 3})
    _, whole = train(preset, tmp_path / "whole")
    segments = [train(preset, tmp_path / "parts", Kept(polls))[1] for polls in (4, 5, 3, math.inf)]
    assert series(*segments) == series(whole)
    parts, uncut = (tmp_path / folder / "weights.safetensors" for folder in ("parts", "whole"))
    assert parts.read_bytes() == uncut.read_bytes()
    last = [record for record in whole.records if isinstance(record, StepsTrained)][-1]
    images = 2 * (500 - (90 if name == "bandit" else 0))
    assert last.forward_images == pytest.approx(images, abs=2 * 4 * 25)  # a step more or less an epoch
    judged = [record for record in whole.records if isinstance(record, PathsEvaluated)]
    assert all(bool(record.strategy) == (name == "path-dropout") for record in judged)


def test_a_strategy_that_hears_how_paths_do_has_images_of_its_own(tiny: Callable[..., Preset]) -> None:
    images = prepare(tiny(data={"shift": 0})).images
    data = images.training_data(held_out=120)
    assert data.feedback is not None
    assert (len(data.training), len(data.feedback)) == (380, 120)
    trained, heard, judged = (
        {image.numpy().tobytes() for batch, _ in part.batches(50) for image in batch}
        for part in (data.training, data.feedback, data.validation)
    )
    assert len(trained | heard) == 500
    assert not trained & heard
    assert not (trained | heard) & judged
    again = images.training_data(held_out=120).feedback
    assert again is not None
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(data.feedback.batches(50), again.batches(50), strict=True))
    assert len(images.training_data().training) == 500  # paths trained alone see them all


@pytest.mark.parametrize("steps_before_the_crash", [1, 3, 10, 14, 29])
def test_a_training_that_crashes_anywhere_goes_on_from_its_checkpoint(
    tiny: Callable[..., Preset], tmp_path: Path, steps_before_the_crash: int
) -> None:
    class Crash(Kept):
        def stop(self) -> Wish | None:
            if super().stop():
                raise RuntimeError("power cut")
            return None

    _, whole = train(tiny(), tmp_path / "whole")
    crashed = Crash(steps_before_the_crash)
    with pytest.raises(RuntimeError, match="power cut"):
        train(tiny(), tmp_path / "parts", crashed)
    _, rest = train(tiny(), tmp_path / "parts")
    assert series(crashed, rest) == series(whole)
    parts, uncut = (tmp_path / name / "weights.safetensors" for name in ("parts", "whole"))
    assert parts.read_bytes() == uncut.read_bytes()


@pytest.mark.parametrize(("sampler", "passes"), [("fair", 2), ("sandwich", 4), ("uniform", 1)])
def test_several_passes_a_step_walk_through_all_images_before_any_comes_again(
    sampler: str, passes: int, tiny: Callable[..., Preset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 images, 50 a step: `passes` epochs have 10 steps, each with images of its own; resumed in the middle too."""
    from supernet_cli.training import loop

    seen: list[bytes] = []
    step = loop.train_step
    monkeypatch.setattr(
        loop,
        "train_step",
        lambda learner, images, *rest: seen.extend(i.numpy().tobytes() for i in images) or step(learner, images, *rest),
    )
    preset = tiny(train={"sampler": sampler, "epochs": 2 * passes, "batch_size": 50}, data={"shift": 0, "flip": False})
    images = prepare(preset).images.training_data().training
    distinct = len({i.numpy().tobytes() for batch, _ in images.batches(50) for i in batch})
    _, whole = train(preset, tmp_path / "whole")
    steps = len(seen) // 50
    assert len(set(seen[:500])) == distinct
    assert steps == 2 * passes * max(1, round(10 / passes))
    in_all, seen[:] = list(seen), []
    first = Kept(7)
    assert train(preset, tmp_path / "parts", first)[0].state == "interrupted"
    _, rest = train(preset, tmp_path / "parts")
    assert seen == in_all
    assert series(first, rest) == series(whole)


def test_a_renewed_optimizer_forgets_its_momentum(tiny: Callable[..., Preset], tmp_path: Path) -> None:
    """Against a loop written out: an optimiser made in each epoch, one path an epoch."""
    recipe = {"name": "SGD", "lr": 0.05, "momentum": 0.9}
    preset = tiny(
        train={"optimizer": recipe, "schedule": None, "renew_optimizer": True, "sampler": "epoch", "epochs": 2}
    )
    prepared = prepare(preset)
    train(preset, tmp_path / "job")

    images = prepared.images.training_data().training
    net, rng = prepared.networks.supernet(0), seed.python_rng(0, "paths")
    for epoch in range(2):
        path = prepared.networks.space.sample(rng)
        optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
        for batch, labels in images.epoch(seed.torch_rng(0, "images", epoch), 50):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(net(batch, path), labels).backward()
            optimizer.step()

    trained = prepared.networks.supernet(1)
    StoredWeights.read(tmp_path / "job" / "weights.safetensors").put_into(trained)
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), net.parameters(), strict=True))


@pytest.mark.parametrize("look", [1, 3])
@pytest.mark.parametrize("sampler", ["uniform", "path-dropout"])
def test_a_stop_while_paths_are_judged_is_at_once_and_what_was_left_is_judged_later(
    sampler: str, look: int, tiny: Callable[..., Preset], tmp_path: Path
) -> None:
    class StopsInJudging(Kept):
        looks = 0

        def stop(self) -> Wish | None:
            self.looks += sys._getframe(1).f_code.co_name == "_look_up"
            return Wish.INTERRUPT if self.looks >= look else None

    preset = tiny(train={"sampler": sampler})
    _, whole = train(preset, tmp_path / "whole")
    outcome, first = train(preset, tmp_path / "cut", StopsInJudging())
    assert outcome.state == "interrupted"
    assert first.looks == look
    outcome, second = train(preset, tmp_path / "cut")
    assert outcome.state == "finished"
    assert series(first, second) == series(whole)
    left, right = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("cut", "whole"))
    assert left == right


def test_reloaded_weights_reproduce_the_recorded_scores_exactly(tiny: Callable[..., Preset], tmp_path: Path) -> None:
    preset = tiny()
    _, kept = train(preset, tmp_path / "job")
    prepared = prepare(preset)
    net = prepared.networks.supernet(5)
    StoredWeights.read(tmp_path / "job" / "weights.safetensors").put_into(net)
    recorded = {s.path: s for r in kept.records if isinstance(r, PathsEvaluated) and r.epoch == 3 for s in r.scores}
    validation = prepared.images.resident("validation")
    for path in prepared.networks.space.enumerate():
        found = judged(net.extract(path), validation)
        assert found == (recorded[str(path)].accuracy, recorded[str(path)].loss)


def test_training_never_sees_validation_or_test(
    tiny: Callable[..., Preset], tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With validation and test images made useless after the split, training gives the same weights."""
    train(tiny(), tmp_path / "a")
    from supernet_cli.training import prepare as module

    def spoiled(*arguments: Any) -> Any:
        splits = split(*arguments)
        splits.validation.images.zero_()
        splits.test.images.zero_()
        return splits

    split = module.split_validation
    monkeypatch.setattr(module, "split_validation", spoiled)
    train(tiny(), tmp_path / "b")
    assert (tmp_path / "a" / "weights.safetensors").read_bytes() == (
        tmp_path / "b" / "weights.safetensors"
    ).read_bytes()
    assert not torch.equal(load_dataset("mnist", digits).test.images, torch.zeros(200, 12, 12, 1, dtype=torch.uint8))


def test_a_diverging_loss_ends_the_job_and_keeps_the_last_good_checkpoint(
    tiny: Callable[..., Preset], tmp_path: Path
) -> None:
    preset = tiny(train={"optimizer": {"name": "SGD", "lr": 1e6}, "schedule": None, "checkpoint_every": 1})
    outcome, kept = train(preset, tmp_path / "job")
    assert outcome.state == "diverged"
    assert "step" in outcome.reason
    assert not (tmp_path / "job" / "weights.safetensors").exists()
    for file in (tmp_path / "job").glob("checkpoint*.pt"):
        state = torch.load(file, weights_only=True)
        assert all(bool(value.isfinite().all()) for value in state["supernet"].values())


def test_a_checkpoint_of_another_preset_is_refused(tiny: Callable[..., Preset], tmp_path: Path) -> None:
    train(tiny(), tmp_path / "job", Kept(4))
    with pytest.raises(RunError, match="preset has changed since the checkpoint of supernet/seed-0"):
        train(tiny(train={"epochs": 4}), tmp_path / "job")


def test_a_large_space_is_watched_by_a_few_paths_the_same_every_epoch(
    tiny: Callable[..., Preset], tmp_path: Path
) -> None:
    three = {"channels": 4, "pool": 1, "candidates": ["conv1x1", "conv3x3", "conv5x5"]}
    _, kept = train(tiny(space={"blocks": [three] * 6}, train={"epochs": 2}), tmp_path / "job")
    watched = [[s.path for s in r.scores] for r in kept.records if isinstance(r, PathsEvaluated)]
    assert watched[0] == watched[1]
    assert 4 <= len(watched[0]) <= 16


def test_a_space_of_middling_size_is_judged_whole_at_the_end(tiny: Callable[..., Preset], tmp_path: Path) -> None:
    block = {"channels": 4, "pool": 1, "candidates": ["conv1x1", "conv3x3"]}
    _, kept = train(tiny(space={"blocks": [block] * 5}, train={"epochs": 2}), tmp_path / "job")
    judged = [len(r.scores) for r in kept.records if isinstance(r, PathsEvaluated)]
    assert judged == [4, 32]


UNEVEN = [{"channels": 4, "candidates": ["conv3x3"]}, {"channels": 4, "candidates": ["conv3x3", "identity"]}]


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"train": {"optimizer": "Adm"}}, "train.optimizer"),
        ({"train": {"loss": "MSELoss"}}, "train.loss"),
        ({"train": {"schedule": "LambdaLR"}}, "train.schedule"),
        ({"retrain": {"optimizer": "Adm"}}, "retrain.optimizer"),
        ({"runtime": {"device": "cuda:97"}}, "not on this machine"),
        ({"data": {"validation": 600}}, "data.validation"),
        ({"train": {"sampler": {"name": "path-dropout", "rate": 2}}}, 'train.sampler = "path-dropout": rate = 2'),
        ({"train": {"sampler": {"name": "bandit", "held_out": 251}}}, "held_out = 251"),
        ({"train": {"sampler": "fair"}, "space": {"blocks": UNEVEN}}, "the same number of candidates in every block"),
        ({"space": {"blocks": [{"pool": 13, "candidates": ["conv3x3"]}]}}, r"space.blocks\[0\].pool"),
    ],
)
def test_what_only_torch_can_find_wrong_is_found_before_training(
    tiny: Callable[..., Preset], sections: dict[str, Any], words: str
) -> None:
    with pytest.raises(PresetError, match=words):
        prepare(tiny(**sections))


def test_bfloat16_trains_too(tiny: Callable[..., Preset], tmp_path: Path) -> None:
    outcome, kept = train(tiny(train={"epochs": 6}, runtime={"precision": "bfloat16"}), tmp_path / "job")
    assert outcome.state == "finished"
    assert min(s.accuracy for s in kept.records[-2].scores) > 0.5  # type: ignore[union-attr]
