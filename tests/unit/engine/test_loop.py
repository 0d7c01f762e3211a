from __future__ import annotations

import copy

import pytest
import torch
from helpers import TWO, space_of
from torch import nn

from supernet_cli.engine.device import Device
from supernet_cli.engine.loop import Learner, LossWindow, train_step
from supernet_cli.engine.supernet import Supernet
from supernet_cli.sampling import StepPlan

CPU = Device(torch.device("cpu"), torch.float32)
SPACE = space_of(TWO, TWO, channels=4)


def learner(objective: nn.Module | None = None) -> Learner:
    torch.manual_seed(0)
    net = Supernet(SPACE, (1, 8, 8), 10)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    return Learner(net, objective or nn.CrossEntropyLoss(), optimizer, None, CPU, LossWindow(10, CPU.place))


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(16, 1, 8, 8, generator=generator), torch.randint(0, 10, (16,), generator=generator)


def test_steps_on_one_path_are_those_of_its_subnet_trained_alone() -> None:
    shared = learner()
    path = SPACE.parse("conv5x5_conv3x3")
    alone = shared.supernet.extract(path)
    optimizer = torch.optim.SGD(alone.parameters(), 0.1, momentum=0.9)
    losses = []
    for step in range(5):
        images, labels = batch(step)
        train_step(shared, images, labels, StepPlan((path,)))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(alone(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    after = shared.supernet.extract(path).state_dict()
    assert all(torch.equal(value, after[name]) for name, value in alone.state_dict().items())
    assert shared.window.take() == pytest.approx((sum(losses) / 5,) * 2)


def test_gradients_of_several_passes_are_summed_before_one_step() -> None:
    shared = learner()
    before = copy.deepcopy(shared.supernet)
    paths = (SPACE.parse("conv3x3_conv3x3"), SPACE.parse("conv3x3_conv5x5"))
    images, labels = batch()
    train_step(shared, images, labels, StepPlan(paths))
    total = sum(nn.functional.cross_entropy(before(images, path), labels) for path in paths)
    total.backward()
    for (name, trained), start in zip(shared.supernet.named_parameters(), before.parameters(), strict=True):
        expected = start if start.grad is None else start - 0.1 * start.grad
        torch.testing.assert_close(trained, expected, msg=name)


def test_cross_entropy_is_reported_beside_another_objective() -> None:
    smoothed = learner(nn.CrossEntropyLoss(label_smoothing=0.3))
    images, labels = batch()
    logits = smoothed.supernet(images, SPACE.at(0)).detach()
    train_step(smoothed, images, labels, StepPlan((SPACE.at(0),)))
    objective, cross_entropy = smoothed.window.take()
    assert cross_entropy == pytest.approx(nn.functional.cross_entropy(logits, labels).item())
    assert objective == pytest.approx(nn.functional.cross_entropy(logits, labels, label_smoothing=0.3).item())


def test_a_window_begins_anew_when_taken_and_survives_being_stored() -> None:
    window = LossWindow(4, CPU.place)
    window.add(torch.tensor([1.0, 2.0]))
    window.add(torch.tensor([3.0, 6.0]))
    copied = LossWindow(4, CPU.place)
    copied.restore(window.state())
    for each in (window, copied):
        assert each.take() == (2.0, 4.0)
        each.add(torch.tensor([5.0, float("nan")]))
        assert not each.is_finite()
