"""What a training costs: images, multiply-accumulates and seconds, of training and of feedback to its strategy."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

from supernet_cli.device import Device
from supernet_cli.networks.scoring import ForwardCost
from supernet_cli.sampling import StepPlan
from supernet_cli.space import Architecture, Bundle, PathCosts, SearchSpace
from supernet_cli.training.state import TrainingState


class Ledger:
    """Counts what a training costs; its clock runs from `start_clock`.

    Args:
        costs: Costs of the supernet's candidates.
        device: Its work is waited for before the clock is read.
    """

    def __init__(self, costs: PathCosts, device: Device) -> None:
        self.costs = costs
        self.forward_images = 0
        self.macs = 0
        self.train_seconds = 0.0
        self.trained_images: Counter[Architecture] = Counter()
        self.bundle_macs = 0
        self.feedback = ForwardCost()
        self._device = device
        self._clock = 0.0

    def start_clock(self) -> None:
        """Start the clock: the time before is counted as nothing."""
        self._clock = time.perf_counter()

    def after_step(self, plan: StepPlan, images: int) -> None:
        """Count the forward passes of a step.

        Args:
            plan: What the step trained.
            images: Size of its mini-batch.
        """
        for each in plan.passes:
            seen = each.images(images)
            self.forward_images += seen
            if isinstance(each.path, Bundle):
                macs = seen * self.costs.of_bundle(each.path)
                self.bundle_macs += macs
                self.macs += macs
            elif seen:
                self.trained_images[each.path] += seen
                self.macs += seen * self.costs.of(each.path)

    def record_training_time(self) -> None:
        """Count the time on the clock as training, and restart the clock."""
        self.train_seconds += self._elapsed()

    def record_feedback(self, cost: ForwardCost) -> None:
        """Count an evaluation, and the time on the clock, as feedback; restart the clock."""
        self.feedback += replace(cost, seconds=self._elapsed())

    def take_feedback(self) -> ForwardCost:
        """Return the cost of feedback since the last call, and clear it."""
        cost, self.feedback = self.feedback, ForwardCost()
        return cost

    def restore(self, state: TrainingState, space: SearchSpace) -> None:
        """Resume from a checkpoint.

        Args:
            state: What it holds.
            space: The space of the paths.
        """
        self.forward_images, self.train_seconds = state.forward_images, state.train_seconds
        self.trained_images.update({space.architecture(path): images for path, images in state.trained_images})
        of_paths = sum(images * self.costs.of(path) for path, images in self.trained_images.items())
        self.bundle_macs, self.macs = state.bundle_macs, of_paths + state.bundle_macs
        self.feedback = ForwardCost(state.feedback_images, state.feedback_macs, state.feedback_seconds)

    def _elapsed(self) -> float:
        """Return the seconds on the clock, and restart it; waits for the device."""
        self._device.synchronize()
        before, self._clock = self._clock, time.perf_counter()
        return self._clock - before
