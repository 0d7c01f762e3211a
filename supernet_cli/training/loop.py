"""The hot path: one step, one epoch, and nothing else.

Nothing here waits for the device, touches a disk or allocates what it could reuse. Losses are collected on the device
in a `LossWindow` and leave it every `log_every` steps, through a callback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from supernet_cli.device import Device
from supernet_cli.networks.supernet import Supernet
from supernet_cli.sampling import Part, Role, Sampler, StepPlan
from supernet_cli.training.distillation import Distillation
from supernet_cli.training.losses import is_plain_cross_entropy
from supernet_cli.training.optimiser import Schedule, raise_if_too_large
from supernet_cli.training.ranks import Ranks


class LossWindow:
    """Losses of the last few steps, kept on the device until they are read.

    Args:
        length: Number of steps it can hold.
        device: The device that the losses are computed on.
    """

    def __init__(self, length: int, device: torch.device) -> None:
        self._losses = torch.zeros(length, 2, device=device)  # objective, cross-entropy
        self.count = 0

    def add(self, losses: Tensor) -> None:
        """Add one step's objective and cross-entropy, (2,)."""
        self._losses[self.count].copy_(losses)
        self.count += 1

    def take(self) -> tuple[float, float]:
        """Return the mean objective and cross-entropy, and clear the window. Waits for the device."""
        objective, cross_entropy = self._losses[: self.count].cpu().double().mean(0).tolist()
        self.count = 0
        return objective, cross_entropy

    def is_finite(self) -> bool:
        """Whether all losses are finite numbers. Waits for the device."""
        return bool(self._losses[: self.count].isfinite().all())

    def state(self) -> Tensor:
        """Return a copy of the losses on the CPU, (count, 2)."""
        return self._losses[: self.count].cpu().clone()

    def restore(self, state: Tensor) -> None:
        """Restore the losses from a state."""
        self.count = len(state)
        self._losses[: self.count].copy_(state)


@dataclass
class Learner:
    """Everything that a step changes or needs.

    Args:
        supernet: The network whose weights are trained.
        objective: The loss that is minimised.
        optimizer: Updates the weights.
        schedule: Sets the learning rate; None for a constant one.
        device: Determines the arithmetic.
        window: Receives the losses.
        ranks: The processes that take the same steps, each on a share of the images; None for a single process.
        distillation: The network that a path trained alone learns from, too; None for none.
    """

    supernet: Supernet
    objective: nn.Module
    optimizer: Optimizer
    schedule: Schedule | None
    device: Device
    window: LossWindow
    ranks: Ranks | None = None
    distillation: Distillation | None = None

    def __post_init__(self) -> None:
        self._objective_is_cross_entropy = self.distillation is None and is_plain_cross_entropy(self.objective)

    def reported(self, objective: Tensor, logits_BK: Tensor, labels_B: Tensor, role: Role) -> Tensor:
        """Return objective and cross-entropy of a pass, (2,)."""
        if self._objective_is_cross_entropy and role != "student":
            return objective.expand(2)
        return torch.stack([objective, functional.cross_entropy(logits_BK.float(), labels_B)])


def train_step(learner: Learner, images_BCHW: Tensor, labels_B: Tensor, plan: StepPlan) -> None:
    """Take one optimiser step: run the plan's passes over one mini-batch and sum their gradients.

    A part of the mini-batch is weighted by its share of the images. Students learn from the softmax of the step's
    teacher, which does not learn from them (inplace distillation, J. Yu and Huang 2019, arXiv 1903.05134).

    Args:
        learner: The weights and everything that changes them.
        images_BCHW: (B, C, H, W) float32.
        labels_B: (B,) int64.
        plan: What to train; candidates that take no part keep a gradient of None, and with it their weights.
    """
    ranks = learner.ranks
    learner.optimizer.zero_grad(set_to_none=True)
    losses, teacher_BK, weight = [], None, 0.0
    for each in plan.passes:
        inputs_BCHW, targets_B, share = images_BCHW, labels_B, 1.0
        if each.part is not None:
            inputs_BCHW, targets_B, share = _part(each.part, images_BCHW, labels_B)
            if share == 0.0:
                continue
        weight += share
        if ranks is not None:
            inputs_BCHW, targets_B, share = ranks.own(inputs_BCHW, targets_B, share)
        with learner.device.autocast():
            logits_BK = learner.supernet(inputs_BCHW, each.path)
        if each.role == "student":
            assert teacher_BK is not None
            objective = functional.cross_entropy(logits_BK.float(), teacher_BK)
        else:
            objective = learner.objective(logits_BK.float(), targets_B)
            if learner.distillation is not None:
                objective = _distilled(learner, learner.distillation, objective, logits_BK, inputs_BCHW)
        weighted = objective if share == 1.0 else objective * share
        weighted.backward()  # type: ignore[no-untyped-call]
        if each.role == "teacher":
            teacher_BK = logits_BK.detach().float().softmax(1)
        reported = learner.reported(objective.detach(), logits_BK.detach(), targets_B, each.role)
        losses.append(reported if share == 1.0 else reported * share)
    total = losses[0] if len(losses) == 1 else torch.stack(losses).sum(0) / weight
    if ranks is not None:
        total = ranks.sum_up(learner.optimizer, total)
    learner.optimizer.step()
    if learner.schedule is not None:
        learner.schedule.after_step()
    learner.window.add(total)


def _distilled(
    learner: Learner, distillation: Distillation, by_labels: Tensor, logits_BK: Tensor, images_BCHW: Tensor
) -> Tensor:
    with learner.device.autocast():
        teacher_BK = distillation.logits(images_BCHW)
    return distillation.objective(by_labels, logits_BK, teacher_BK)


def _part(part: Part, images_BCHW: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return the images and labels of a part, and its share of the mini-batch."""
    first, end = part.bounds(len(labels_B))
    return images_BCHW[first:end], labels_B[first:end], (end - first) / len(labels_B)


def train_epoch(
    learner: Learner,
    batches: Iterable[tuple[Tensor, Tensor]],
    sampler: Sampler,
    epoch: int,
    step: int,
    after_step: Callable[[int, StepPlan, int], bool],
) -> int:
    """Train through the batches of an epoch.

    Args:
        learner: The weights and everything that changes them.
        batches: Images and labels of each step.
        sampler: Decides what each step trains.
        epoch: Number of the epoch, from 0.
        step: Steps done so far.
        after_step: Called with the steps done, the plan and the batch's size; returns False to leave the epoch.

    Returns:
        Steps done in all.

    Raises:
        DivergedError: The optimiser or the schedule cannot compute with a number as large as it got.
    """
    for images_BCHW, labels_B in batches:
        plan = sampler.plan(step, epoch)
        try:
            train_step(learner, images_BCHW, labels_B, plan)
        except (OverflowError, RuntimeError) as error:
            raise_if_too_large(error, learner.optimizer, step + 1)
            raise
        step += 1
        if not after_step(step, plan, len(labels_B)):
            break
    return step
