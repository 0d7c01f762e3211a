from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import TWO, space_of
from references import judged, recalibrated
from torch import Tensor, nn

from supernet_cli.config.schema import Preset
from supernet_cli.config.space import Space
from supernet_cli.data import Split, load_dataset
from supernet_cli.data.images import calibration_split
from supernet_cli.data.resident import ResidentImages, Statistics
from supernet_cli.device import Device
from supernet_cli.errors import PresetError
from supernet_cli.networks import scoring
from supernet_cli.networks.normalisation import borrowed, layers_of, measure
from supernet_cli.networks.profile import path_costs
from supernet_cli.networks.scoring import JudgingPlan
from supernet_cli.networks.supernet import Supernet
from supernet_cli.space import Bundle, SearchSpace
from supernet_cli.store.job import JobFolder
from supernet_cli.store.layout import JobKey
from supernet_cli.store.records import PathsEvaluated, Record
from supernet_cli.training.prepare import prepare
from supernet_cli.training.train import train_supernet, watched_paths

CPU = Device(torch.device("cpu"), torch.float32)
TABLE: dict[str, Any] = {
    "hidden": 8,
    "norm": "batch",
    "stem": {"channels": 4},
    "blocks": [
        {"channels": 4, "pool": 2, "residual": True, "candidates": ["conv3x3", "maxpool3x3", "identity"]},
        {"channels": 6, "pool": 2, "residual": True, "candidates": ["mbconv3x3e3", "sep3x3"]},
    ],
}
SPACE = SearchSpace.from_config(Space.model_validate(TABLE))
PATHS = list(SPACE.enumerate())


@pytest.fixture
def data(digits: Path) -> tuple[ResidentImages, ResidentImages]:
    """Return images to judge on and images to calibrate with."""
    dataset = load_dataset("mnist", digits)
    neutral = Statistics.neutral(1)
    calibration = ResidentImages(calibration_split(dataset.training, 4096), neutral, CPU.place)
    return ResidentImages(dataset.test, neutral, CPU.place), calibration


@pytest.fixture
def net(data: tuple[ResidentImages, ResidentImages]) -> Supernet:
    """Return a supernet whose running statistics are a mixture, as after some training."""
    torch.manual_seed(0)
    net = Supernet(SPACE, (1, 12, 12), 10)
    images, _ = next(data[0].batches(40))
    for number, path in enumerate(PATHS):
        net(images * (number + 1), path)
    return net


def test_paths_together_score_exactly_what_each_scores_calibrated_and_judged_alone(
    net: Supernet, data: tuple[ResidentImages, ResidentImages], monkeypatch: pytest.MonkeyPatch
) -> None:
    images, calibration = data
    together = JudgingPlan(PATHS, images, calibration=calibration, both_ways=True).run(net, CPU)
    for path in PATHS:
        alone = net.extract(path)
        accuracy, loss = judged(alone, images)
        assert together[path].accuracy_unrecalibrated == accuracy
        assert together[path].loss != loss
        with recalibrated(alone, calibration):
            assert (together[path].accuracy, together[path].loss) == judged(alone, images)
    once = JudgingPlan(PATHS, images, calibration=calibration).run(net, CPU)
    assert once == {path: replace(score, accuracy_unrecalibrated=None) for path, score in together.items()}
    monkeypatch.setattr(scoring, "TOGETHER", 4)
    assert JudgingPlan(PATHS, images, calibration=calibration, both_ways=True).run(net, CPU) == together


def test_judging_a_path_changes_nothing_for_any_other(
    net: Supernet, data: tuple[ResidentImages, ResidentImages]
) -> None:
    images, calibration = data
    state = {name: value.clone() for name, value in net.state_dict().items()}
    assert any("num_batches_tracked" in name for name in state)
    before = JudgingPlan(PATHS[:2], images, calibration=calibration).run(net, CPU)
    JudgingPlan(PATHS[2:], images, calibration=calibration).run(net, CPU)
    assert JudgingPlan(PATHS[:2], images, calibration=calibration).run(net, CPU) == before
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert net.training
    assert all(layer.training and layer.momentum == 0.1 for layer in layers_of(net))


def test_statistics_are_the_averages_over_batches_of_what_comes_in(
    net: Supernet, data: tuple[ResidentImages, ResidentImages]
) -> None:
    calibration = data[1]
    alone = net.extract(PATHS[0])
    stem: Any = alone.stem
    with borrowed(alone) as layers, torch.no_grad():
        measure(layers, calibration, alone)
        outputs = [stem[0](images) for images, _ in calibration.batches(256)]
        torch.testing.assert_close(stem[1].running_mean, average([o.mean((0, 2, 3)) for o in outputs]))
        torch.testing.assert_close(stem[1].running_var, average([o.var((0, 2, 3)) for o in outputs]))
        assert stem[1].num_batches_tracked == len(outputs)


def average(values: list[Tensor]) -> Tensor:
    return torch.stack(values).mean(0)


def test_calibration_images_are_whole_batches_from_all_over_the_training_images(digits: Path) -> None:
    training = load_dataset("mnist", digits).training
    found = calibration_split(training, 4096)
    assert len(found) == 512
    assert len(calibration_split(training, 100)) == 100
    assert torch.equal(found.images, calibration_split(training, 512).images)
    assert not torch.equal(found.images, training.images[:512])


def test_an_error_inside_puts_everything_back(net: Supernet, data: tuple[ResidentImages, ResidentImages]) -> None:
    state = {name: value.clone() for name, value in net.state_dict().items()}

    def judge_and_fail() -> None:
        with borrowed(net) as layers:
            measure(layers, data[1], net.blocks[1].candidates[0])  # a block of the middle takes other channels

    with pytest.raises(RuntimeError):
        judge_and_fail()
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("both_ways", [False, True])
def test_the_cost_is_that_of_what_is_run(
    both_ways: bool, net: Supernet, data: tuple[ResidentImages, ResidentImages], monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = path_costs(net, (1, 12, 12), CPU)
    whole = costs.of_shared_prefixes(PATHS)
    calibrating = 512 * costs.of_shared_prefixes(PATHS, head=False)

    judging = JudgingPlan(PATHS, data[0], data[1], both_ways=both_ways)

    def done() -> int:
        return counted(lambda: judging.run(net, CPU), net)

    assert JudgingPlan(PATHS, data[0], both_ways=both_ways).cost(net, costs).macs == 200 * whole
    assert done() == judging.cost(net, costs).macs == (400 if both_ways else 200) * whole + calibrating
    monkeypatch.setattr(scoring, "TOGETHER", 4)
    assert done() == judging.cost(net, costs).macs


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("whole", [None, Bundle(((0, 1, 2), (0, 1)))])
def test_images_are_counted_for_each_path_and_pass(
    whole: Bundle | None, both_ways: bool, net: Supernet, data: tuple[ResidentImages, ResidentImages]
) -> None:
    """Path by path, so that no prefix is shared: what goes through the stem is what is counted."""
    seen = [0]
    assert net.stem is not None
    hook = net.stem.register_forward_hook(lambda _, inputs, __: seen.__setitem__(0, seen[0] + len(inputs[0])))
    images, calibration = data
    plans = [JudgingPlan([path], images, calibration, whole, both_ways) for path in PATHS[:2]]
    for plan in plans:
        plan.run(net, CPU)
    hook.remove()
    costs = path_costs(net, (1, 12, 12), CPU)
    assert seen[0] == sum(plan.cost(net, costs).images for plan in plans)
    assert JudgingPlan([*PATHS[:3], PATHS[0]], images).cost(net, costs).images == 3 * len(images)


def test_the_head_tells_logits_apart_that_bfloat16_cannot() -> None:
    net = Supernet(space_of(TWO, TWO, channels=4), (1, 12, 12), 3)
    last = net.head[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([1.0, 1.001, 0.0]))
    split = Split(torch.zeros(20, 12, 12, 1, dtype=torch.uint8), torch.ones(20, dtype=torch.int64))
    images = ResidentImages(split, Statistics.neutral(1), torch.device("cpu"))
    in_bfloat16 = Device(torch.device("cpu"), torch.bfloat16)
    with in_bfloat16.autocast():
        assert (net(torch.zeros(1, 1, 12, 12), net.space.at(0)).argmax(1) == 0).all()  # they tie
    for undropped in (None, Bundle(((0, 1), (0, 1)))):
        (score,) = JudgingPlan([net.space.at(0)], images, undropped=undropped).run(net, in_bfloat16).values()
        assert score.accuracy == 1.0
        assert score.loss == pytest.approx(-math.log(math.exp(0.001) / (1 + math.exp(0.001) + math.exp(-1))), abs=1e-6)


def counted(work: Callable[[], object], net: Supernet) -> int:
    """Return the multiply-accumulates that convolutions and linear layers did."""
    total = [0]

    def count(layer: Any, _: object, output: Tensor) -> None:
        total[0] += output.numel() * layer.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    work()
    for hook in hooks:
        hook.remove()
    return total[0]


def test_a_space_without_batch_normalisation_is_not_calibrated(data: tuple[ResidentImages, ResidentImages]) -> None:
    plain = Supernet(space_of(TWO, TWO, channels=4), (1, 12, 12), 10)
    path = plain.space.at(0)
    scores = JudgingPlan([path], data[0], calibration=data[1]).run(plain, CPU)
    assert scores == JudgingPlan([path], data[0]).run(plain, CPU)
    assert scores[path].accuracy_unrecalibrated is None


class Kept:
    def __init__(self) -> None:
        self.records: list[Record] = []

    def record(self, record: Record) -> None:
        self.records.append(record)


def last_judgement(preset: Preset, folder: Path) -> PathsEvaluated:
    folder.mkdir()
    kept = Kept()
    train_supernet(prepare(preset), JobFolder(folder, JobKey.supernet(0)), 0, kept, lambda: None)
    return [record for record in kept.records if isinstance(record, PathsEvaluated)][-1]


def test_training_records_both_accuracies_and_learns_the_same_with_and_without(
    tiny: Callable[..., Preset], tmp_path: Path
) -> None:
    with_it = last_judgement(tiny(space=TABLE, train={"evaluate_unrecalibrated": True}), tmp_path / "with")
    once = last_judgement(tiny(space=TABLE), tmp_path / "once")
    without = last_judgement(tiny(space=TABLE, train={"calibration": 0}), tmp_path / "without")
    running = [score.accuracy for score in without.scores]
    assert [score.accuracy_unrecalibrated for score in with_it.scores] == running
    assert [score.accuracy for score in with_it.scores] != running
    assert all(score.accuracy_unrecalibrated is None for score in without.scores)
    assert all(score.accuracy_unrecalibrated is None for score in once.scores)
    assert [score.accuracy for score in once.scores] == [score.accuracy for score in with_it.scores]
    assert with_it.macs > once.macs > without.macs
    assert with_it.macs - once.macs == without.macs
    assert with_it.forward_images - once.forward_images == without.forward_images == 100 * len(without.scores)
    a, b = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("with", "without"))
    assert a == b


def test_fewer_paths_are_watched_where_each_is_calibrated(tiny: Callable[..., Preset]) -> None:
    block = {"channels": 2, "pool": 1, "candidates": ["conv1x1", "conv3x3", "conv5x5"]}
    sections: dict[str, Any] = {"data": {"validation": 2}, "train": {"calibration": 20}}
    plain = prepare(tiny(space={"blocks": [block] * 4}, **sections))
    normalised = prepare(tiny(space={"blocks": [block] * 4, "norm": "batch"}, **sections))
    in_plain, in_normalised = (watched_paths(each.plan, each.images) for each in (plain, normalised))
    assert len(in_plain) == 81  # 0.3 × 598 images of training pay for 89 judgements of 2 images
    assert len(in_normalised) == 8  # calibrated with 20, then judged
    assert plain.images.calibration(plain.plan.calibration) is None


def test_the_undropped_network_is_measured_on_its_own_and_changes_no_score(
    net: Supernet, data: tuple[ResidentImages, ResidentImages]
) -> None:
    images, calibration = data
    whole = Bundle(((0, 1, 2), (0, 1)))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    plain = JudgingPlan(PATHS, images, calibration=calibration).run(net, CPU)
    scores = JudgingPlan(PATHS, images, calibration=calibration, undropped=whole).run(net, CPU)
    assert scores == {path: replace(score, divergence=scores[path].divergence) for path, score in plain.items()}
    assert all(score.divergence is not None and score.divergence > 0 for score in scores.values())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    shared = JudgingPlan(PATHS, images, undropped=whole).run(net, CPU)  # with the statistics that all share
    assert any(shared[path].divergence != scores[path].divergence for path in PATHS)
    costs = path_costs(net, images.shape, CPU)
    once = JudgingPlan(PATHS, images, calibration)
    twice, with_it = replace(once, both_ways=True), replace(once, undropped=whole)
    macs = once.cost(net, costs).macs
    assert twice.cost(net, costs).macs - macs == len(images) * costs.of_shared_prefixes(PATHS)
    extra = (len(images) + len(calibration)) * costs.of_bundle(whole)
    assert with_it.cost(net, costs).macs - macs == extra


def test_a_mini_batch_of_one_image_is_refused_only_where_it_cannot_be_normalised(tiny: Callable[..., Preset]) -> None:
    """500 images of 12×12; pooling leaves 3×3 pixels in the first space, and one in the second."""
    wide = {"hidden": 8, "norm": "batch", "blocks": [{"channels": 3, "pool": 4, "candidates": ["conv3x3"]}]}
    narrow = {**wide, "blocks": [*wide["blocks"], {"channels": 3, "pool": 3, "candidates": ["conv3x3"]}]}
    deep = {**narrow, "blocks": [*narrow["blocks"], {"channels": 3, "pool": 1, "candidates": ["conv1x1", "conv3x3"]}]}
    prepare(tiny(space=wide, train={"batch_size": 499}))
    prepare(tiny(space=deep, train={"batch_size": 498}))
    with pytest.raises(PresetError, match=r"train\.batch_size = 499: with 500 images"):
        prepare(tiny(space=deep, train={"batch_size": 499}))
