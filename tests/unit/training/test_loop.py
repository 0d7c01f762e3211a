from __future__ import annotations

import copy
import random
from collections import Counter

import pytest
import torch
from helpers import TWO, context_of, space_of
from torch import nn

from supernet_cli.config.catalog import entries
from supernet_cli.config.space import Space
from supernet_cli.device import Device
from supernet_cli.networks.supernet import Supernet
from supernet_cli.sampling import Part, Pass, StepPlan, build_sampler
from supernet_cli.space import Bundle, SearchSpace
from supernet_cli.training.loop import Learner, LossWindow, train_step

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
        train_step(shared, images, labels, StepPlan((Pass(path),)))
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
    train_step(shared, images, labels, StepPlan(tuple(map(Pass, paths))))
    total = sum(nn.functional.cross_entropy(before(images, path), labels) for path in paths)
    total.backward()
    for (name, trained), start in zip(shared.supernet.named_parameters(), before.parameters(), strict=True):
        expected = start if start.grad is None else start - 0.1 * start.grad
        torch.testing.assert_close(trained, expected, msg=name)


def test_cross_entropy_is_reported_beside_another_objective() -> None:
    smoothed = learner(nn.CrossEntropyLoss(label_smoothing=0.3))
    images, labels = batch()
    logits = smoothed.supernet(images, SPACE.at(0)).detach()
    train_step(smoothed, images, labels, StepPlan((Pass(SPACE.at(0)),)))
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


THREE = SearchSpace.from_config(
    Space.model_validate(
        {
            "hidden": 8,
            "norm": "batch",
            "blocks": [{"channels": 4, "pool": 2, "candidates": ["conv1x1", "conv3x3", "sep3x3"]}] * 2,
        }
    )
)


def three() -> Learner:
    torch.manual_seed(0)
    net = Supernet(THREE, (1, 8, 8), 10)
    return Learner(net, nn.CrossEntropyLoss(), torch.optim.AdamW(net.parameters(), 0.01), None, CPU, window())


def window() -> LossWindow:
    return LossWindow(40, CPU.place)


def taking_part(plan: StepPlan) -> set[tuple[int, int]]:
    """Return the block and position of every candidate in a plan."""
    found = set()
    for each in plan.passes:
        sets = each.path.choices if isinstance(each.path, Bundle) else [(choice,) for choice in each.path.choices]
        found |= {(block, choice) for block, choices in enumerate(sets) for choice in choices}
    return found


@pytest.mark.parametrize("name", sorted(entries("sampler")))
def test_what_takes_no_part_keeps_weights_and_optimiser_state_to_the_bit(name: str) -> None:
    learned = three()
    sampler = build_sampler(name, THREE, random.Random(0), {}, context_of(THREE, images=500, batch_size=20))
    branches = {
        (number, choice): branch
        for number, layer in enumerate(learned.supernet.choice_layers())
        for choice, branch in enumerate(layer.candidates)
    }
    idle_steps = 0
    for step in range(25):
        plan = sampler.plan(step, step // 8)
        idle = set(branches) - taking_part(plan)
        idle_steps += bool(idle)
        before = {place: snapshot(learned, branches[place]) for place in branches}
        train_step(learned, *batch(step), plan)
        for place, branch in branches.items():
            same = all(map(torch.equal, before[place], snapshot(learned, branch)))
            assert same == (place in idle)
    assert idle_steps > 0 or name in ("fair", "sandwich", "path-dropout")


def snapshot(learned: Learner, branch: nn.Module) -> list[torch.Tensor]:
    """Return copies of a branch's weights, statistics and optimiser state."""
    kept = [value.clone() for value in branch.state_dict().values()]
    for parameter in branch.parameters():
        kept += [torch.as_tensor(value).clone() for value in learned.optimizer.state[parameter].values()]
    return kept


@pytest.mark.parametrize("combine", ["mean", "sum"])
def test_ghost_parts_are_networks_of_their_own_whose_gradients_are_averaged_over_images(combine: str) -> None:
    """Against a loop written out: each part forward alone, so that its normalisation sees nothing else."""
    learned = three()
    learned.optimizer = torch.optim.SGD(learned.supernet.parameters(), 0.1)
    expected = copy.deepcopy(learned.supernet)
    images, labels = batch()
    images, labels = images[:11], labels[:11]
    kept = (((0, 2), (1,)), ((1,), (0, 1, 2)), ((2,), (2,)))
    plan = StepPlan(tuple(Pass(Bundle(sets, combine), part=Part(i, 3)) for i, sets in enumerate(kept)))  # type: ignore[arg-type]
    train_step(learned, images, labels, plan)

    total = torch.zeros(())
    for (first, end), sets in zip(((0, 3), (3, 7), (7, 11)), kept, strict=True):
        features = images[first:end]
        for block, choices in zip(expected.blocks, sets, strict=True):
            outputs = torch.stack([block.candidates[choice](features) for choice in choices])
            features = block.end(outputs.mean(0) if combine == "mean" else outputs.sum(0))
        total = total + nn.functional.cross_entropy(expected.head(features), labels[first:end], reduction="sum") / 11
    total.backward()
    for (name, trained), start in zip(learned.supernet.named_parameters(), expected.parameters(), strict=True):
        wanted = start if start.grad is None else start - 0.1 * start.grad
        torch.testing.assert_close(trained, wanted, msg=name)
        assert start.grad is not None or torch.equal(trained, start)
    for (name, mine), theirs in zip(learned.supernet.named_buffers(), expected.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, msg=name)
    assert learned.window.take()[1] == pytest.approx(total.item(), rel=1e-5)


def test_a_bundle_of_single_candidates_is_their_path() -> None:
    net = three().supernet.eval()
    images, _ = batch()
    assert torch.equal(net(images, Bundle(((1,), (2,)))), net(images, THREE.architecture([1, 2])))


def test_students_learn_from_their_teacher_which_learns_nothing_from_them() -> None:
    learned = three()
    learned.optimizer = torch.optim.SGD(learned.supernet.parameters(), 0.1)
    alone, expected = copy.deepcopy(learned.supernet), copy.deepcopy(learned.supernet)
    teacher, student = THREE.architecture([0, 0]), THREE.architecture([1, 1])
    images, labels = batch()
    train_step(learned, images, labels, StepPlan((Pass(teacher, "teacher"), Pass(student, "student"))))

    nn.functional.cross_entropy(alone(images, teacher), labels).backward()
    teacher_branches = [layer.candidates[0] for layer in learned.supernet.choice_layers()]
    for branch, start in zip(teacher_branches, (layer.candidates[0] for layer in alone.choice_layers()), strict=True):
        for trained, before in zip(branch.parameters(), start.parameters(), strict=True):
            torch.testing.assert_close(trained, before - 0.1 * before.grad)  # type: ignore[operator]

    truth = expected(images, teacher)
    soft = truth.detach().softmax(1)
    logits = expected(images, student)
    distilled = -(soft * logits.log_softmax(1)).sum(1).mean()
    hard = nn.functional.cross_entropy(truth, labels)
    (hard + distilled).backward()
    for (name, trained), start in zip(learned.supernet.named_parameters(), expected.named_parameters(), strict=True):
        before = start[1]
        wanted = before if before.grad is None else before - 0.1 * before.grad
        torch.testing.assert_close(trained, wanted, msg=name)
    objective, cross_entropy = learned.window.take()
    assert objective == pytest.approx((hard.item() + distilled.item()) / 2, rel=1e-5)
    with_labels = nn.functional.cross_entropy(logits, labels).item()
    assert cross_entropy == pytest.approx((hard.item() + with_labels) / 2, rel=1e-5)


def test_strict_fairness_gives_every_candidate_one_gradient_of_the_same_images() -> None:
    learned = three()
    seen: list[torch.Tensor] = []
    runs: Counter[tuple[int, int]] = Counter()
    for number, layer in enumerate(learned.supernet.choice_layers()):
        for choice, branch in enumerate(layer.candidates):
            branch.register_forward_hook(lambda *_, place=(number, choice): runs.update([place]))
    learned.supernet.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    sampler = build_sampler("fair", THREE, random.Random(0), {}, context_of(THREE))
    for step in range(10):
        seen.clear()
        train_step(learned, *batch(step), sampler.plan(step, 0))
        assert len(seen) == 3
        assert all(images is seen[0] for images in seen)
    assert runs == dict.fromkeys(runs, 10)
    assert len(runs) == 6
