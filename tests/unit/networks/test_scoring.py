from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers import TWO, space_of
from references import judged
from torch import nn

from supernet_cli.data import load_dataset
from supernet_cli.data.resident import ResidentImages, Statistics
from supernet_cli.device import Device
from supernet_cli.networks.scoring import JudgingPlan
from supernet_cli.networks.supernet import Supernet
from supernet_cli.space import Bundle

CPU = Device(torch.device("cpu"), torch.float32)
SPACE = space_of(TWO, ["conv1x1", "conv3x3", "conv5x5"], ["conv3x3", "identity"], channels=4, pool=1)


@pytest.fixture
def images(digits: Path) -> ResidentImages:
    return ResidentImages(load_dataset("mnist", digits).training, Statistics.neutral(1), CPU.place)


@pytest.fixture
def net() -> Supernet:
    torch.manual_seed(0)
    return Supernet(SPACE, (1, 12, 12), 10)


def test_shared_prefixes_give_exactly_the_scores_of_each_path_alone(net: Supernet, images: ResidentImages) -> None:
    paths = list(SPACE.enumerate())[::-1]
    together = JudgingPlan(paths, images).run(net, CPU)
    assert set(together) == set(paths)
    for path in paths:
        assert (together[path].accuracy, together[path].loss) == judged(net.extract(path), images)
        assert together[path] == JudgingPlan([path], images).run(net, CPU)[path]


def test_a_prefix_is_computed_once(net: Supernet, images: ResidentImages) -> None:
    calls = [0, 0, 0]

    def count(number: int) -> None:
        calls[number] += 1

    for number, block in enumerate(net.blocks):
        block.register_forward_hook(lambda *_, number=number: count(number))
    JudgingPlan(list(SPACE.enumerate()), images).run(net, CPU)
    batches = 3  # 600 images of 250 a batch
    assert calls == [2 * batches, 2 * 3 * batches, 2 * 3 * 2 * batches]


def test_loss_is_the_mean_an_image_and_accuracy_the_share_of_hits(net: Supernet, images: ResidentImages) -> None:
    pixels, labels = next(images.batches(600))
    with torch.no_grad():
        logits = net(pixels, SPACE.at(3))
    score = JudgingPlan([SPACE.at(3)], images).run(net, CPU)[SPACE.at(3)]
    assert score.loss == pytest.approx(nn.functional.cross_entropy(logits.double(), labels).item(), rel=1e-5)
    assert score.accuracy == (logits.argmax(1) == labels).double().mean().item()


def test_judging_leaves_the_network_as_it_was(net: Supernet, images: ResidentImages) -> None:
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    JudgingPlan([SPACE.at(0)], images).run(net, CPU)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_the_divergence_is_the_symmetrised_kullback_leibler_from_the_undropped_network(
    net: Supernet, images: ResidentImages
) -> None:
    whole = Bundle(((0, 1), (0, 1, 2), (0, 1)))
    plain = JudgingPlan([SPACE.at(1), SPACE.at(5)], images).run(net, CPU)
    scores = JudgingPlan([SPACE.at(1), SPACE.at(5)], images, undropped=whole).run(net, CPU)
    pixels, _ = next(images.batches(600))
    with torch.no_grad():
        p = net(pixels, whole).double().softmax(1)
        for path, score in scores.items():
            q = net(pixels, path).double().softmax(1)
            both = nn.functional.kl_div(q.log(), p, reduction="batchmean") + nn.functional.kl_div(
                p.log(), q, reduction="batchmean"
            )
            assert score.divergence == pytest.approx(both.item(), rel=1e-4)
            assert (score.accuracy, score.loss) == (plain[path].accuracy, plain[path].loss)
            assert plain[path].divergence is None
