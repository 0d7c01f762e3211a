"""A training in progress: runs the epochs, reports, saves, stops, and resumes from a checkpoint.

An `Assignment` of plain values says what is trained: a supernet, or one path from scratch.
"""

from __future__ import annotations

import itertools
import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.optim import Optimizer

from supernet_cli import seed
from supernet_cli.errors import DivergedError, RunError
from supernet_cli.networks.profile import path_costs
from supernet_cli.sampling import StepPlan, steps_per_epoch
from supernet_cli.store.job import JobFolder
from supernet_cli.store.records import (
    LARGEST_NUMBER,
    JobEnded,
    JobPaused,
    JobResumed,
    JobStarted,
    Recorder,
    StepsTrained,
)
from supernet_cli.store.state import State, Wish
from supernet_cli.training import checkpoint
from supernet_cli.training.assignment import Assignment
from supernet_cli.training.judging import Judging
from supernet_cli.training.ledger import Ledger
from supernet_cli.training.loop import Learner, LossWindow, train_epoch
from supernet_cli.training.losses import build_loss
from supernet_cli.training.optimiser import build_optimizer, build_schedule, raise_if_too_large
from supernet_cli.training.ranks import Ranks
from supernet_cli.training.state import TrainingState

logger = logging.getLogger(__name__)

Stop = Callable[[], Wish | None]
"""Called after every step, so it must be fast; returns what is asked for, or None to continue."""

_PAUSE_SECONDS = 0.1  # between checks whether to continue


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Args:
        state: finished, stopped, interrupted or diverged.
        reason: Why it did not finish, in words.
    """

    state: State
    reason: str = ""


class Training:
    """A training in progress.

    Args:
        assignment: What is trained.
        job: Folder for checkpoints and weights.
        recorder: Receives every record.
        stop: Requests a stop before the end.
        ranks: The processes that train together; by default only this one. Only the first uses the job's folder.
    """

    def __init__(
        self, assignment: Assignment, job: JobFolder, recorder: Recorder, stop: Stop, ranks: Ranks | None = None
    ) -> None:
        self.assignment, self.job, self.recorder = assignment, job, recorder
        self.recipe, self.sampler, self.images = assignment.recipe, assignment.sampler, assignment.data.training
        self.ranks = ranks = ranks or Ranks()
        self.together_stop = stop if ranks.size == 1 else lambda: ranks.agree(stop())
        self.arithmetic = assignment.device.arithmetic + (f" on {ranks.size} ranks" if ranks.size > 1 else "")
        self.ledger = Ledger(path_costs(assignment.supernet, self.images.shape, assignment.device), assignment.device)
        self.judging = Judging(assignment, self.ledger, recorder, stop, ranks, job.key)
        self.steps_per_epoch = steps_per_epoch(len(self.images), self.recipe.batch_size, self.sampler.passes_per_step)
        self.steps = self.steps_per_epoch * self.recipe.epochs
        if assignment.most_steps is not None:
            self.steps = min(self.steps, assignment.most_steps)
        self.learner = self._learner()
        self.step = 0
        self.unjudged = 0  # the finished epoch whose evaluation is still due, from 1
        self.saved_at = -1  # step of the newest checkpoint
        self.outcome: Outcome | None = None

    def run(self) -> Outcome:
        """Train from the start or the checkpoint until the end, a requested stop, or divergence.

        Raises:
            DiskError: A write failed.
            RunError: The checkpoints are damaged.
            RankError: Another rank failed or is gone.
        """
        content = self.ranks.from_first(lambda: checkpoint.load_checkpoint(self.job.checkpoint))
        if content is not None:
            self._restore(TrainingState.from_dict(content))
        self.ranks.check_same("at the start", self.learner.supernet, json.dumps(self.sampler.state()))
        self.recorder.record(self._started())
        logger.info("%s: from step %d of %d", self.job.key, self.step, self.steps)
        try:
            if self.unjudged:
                self._end_epoch(self.unjudged)
            while self.outcome is None and self.step < self.steps:
                self._train_epoch(self.step // self.steps_per_epoch)
        except DivergedError as error:
            self.outcome = Outcome(State.DIVERGED, error.message)
        if self.outcome is None:
            if self.ranks.is_first:
                checkpoint.save_weights(self.job.weights, self.learner.supernet)
            self.outcome = Outcome(State.FINISHED)
        self.recorder.record(JobEnded(step=self.step, state=self.outcome.state, reason=self.outcome.reason))
        logger.info("%s: %s at step %d %s", self.job.key, self.outcome.state, self.step, self.outcome.reason)
        return self.outcome

    def _train_epoch(self, epoch: int) -> None:
        """Train the rest of an epoch, then evaluate and save; leave early if a stop is requested."""
        done = self.step - epoch * self.steps_per_epoch
        if done == 0 and epoch > 0 and self.recipe.renew_optimizer:
            self.learner.optimizer = self._optimizer()
        batches = self._batches()
        self.ledger.start_clock()
        remaining = itertools.islice(batches, min(self.steps_per_epoch - done, self.steps - self.step))
        train_epoch(self.learner, remaining, self.sampler, epoch, self.step, self._after_step)
        if self.outcome is not None:
            return
        if self.learner.schedule is not None:
            try:
                self.learner.schedule.after_epoch()
            except OverflowError as error:
                raise_if_too_large(error, self.learner.optimizer, self.step)
                raise
        self._end_epoch(epoch + 1)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of all further steps: one random order of the images after another, each used up.

        With several passes per step an epoch uses only part of an order, and the next epoch continues it.
        """
        in_order = -(-len(self.images) // self.recipe.batch_size)
        first, done = divmod(self.step, in_order)
        for number in itertools.count(first):
            order = seed.torch_rng(self.assignment.seed, "images", number)
            yield from self.images.epoch(order, self.recipe.batch_size, done if number == first else 0)

    def _end_epoch(self, epoch: int) -> None:
        """Evaluate paths if due, save, and stop if requested, even in the middle of the evaluation."""
        is_judged = not self.judging.is_due(epoch) or self.judging.after_epoch(epoch, self.step)
        self.unjudged = 0 if is_judged else epoch
        self._save()
        self._stop_if_asked()

    def _after_step(self, step: int, plan: StepPlan, num_images: int) -> bool:
        """Account for a step; report and save when due. Returns whether to continue."""
        self.step = step
        self.ledger.after_step(plan, num_images)
        self.judging.feed_back(step, plan)
        in_epoch = step % self.steps_per_epoch
        ends = in_epoch == 0 or step == self.steps
        if ends or in_epoch % self.recipe.log_every == 0:
            self._report()
        if ends:
            return True  # the end of an epoch handles evaluating, saving and stopping
        if step % self.recipe.checkpoint_every == 0:
            self._save()
        return not self._stop_if_asked()

    def _report(self) -> None:
        """Record the losses since the last report; waits for the device.

        Raises:
            DivergedError: A loss is not finite, or the learning rate is beyond all measure.
        """
        rate = float(self.learner.optimizer.param_groups[0]["lr"])
        if not abs(rate) <= LARGEST_NUMBER:
            raise DivergedError(f"the learning rate reached {rate:.3g} at step {self.step}")
        diverged = not self.learner.window.is_finite()
        objective, cross_entropy = self.learner.window.take()
        self.ledger.record_training_time()
        record = StepsTrained(
            step=self.step,
            epoch=-(-self.step // self.steps_per_epoch),
            objective=objective,
            loss=cross_entropy,
            learning_rate=rate,
            forward_images=self.ledger.forward_images,
            macs=self.ledger.macs,
            seconds=self.ledger.train_seconds,
        )
        self.recorder.record(record)
        if diverged:
            raise DivergedError(f"the loss is not a finite number at step {self.step}")

    def _stop_if_asked(self) -> bool:
        """If a stop was requested before the end, save and remember the reason."""
        wish = self.together_stop()
        if wish is Wish.PAUSE and self.step < self.steps:
            wish = self._pause()
        if wish is None or (self.step == self.steps and not self.unjudged):
            return False
        self._save()
        self.outcome = Outcome(wish.state, "stop requested" if wish is Wish.STOP else "signal received")
        return True

    def _pause(self) -> Wish | None:
        """Save, record the pause and wait; returns what else is asked for, or None to continue."""
        self._save()
        self.recorder.record(JobPaused(step=self.step))
        logger.info("%s: paused at step %d", self.job.key, self.step)
        while (wish := self.together_stop()) is Wish.PAUSE:
            time.sleep(_PAUSE_SECONDS)
        if wish is None:
            self.recorder.record(JobResumed(step=self.step))
            logger.info("%s: resumed", self.job.key)
        self.ledger.start_clock()
        return wish

    def _save(self) -> None:
        """Write a checkpoint, but never replace a good one by numbers that are not finite.

        Raises:
            DivergedError: A loss or a weight is not finite.
            RankError: The ranks' weights differ.
        """
        if self.step == self.saved_at:
            return  # a second one at the same step would push out the previous one
        if self.step % self.steps_per_epoch:
            self.ledger.record_training_time()
        learner = self.learner
        weights_are_finite = all(bool(parameter.isfinite().all()) for parameter in learner.supernet.parameters())
        if not (weights_are_finite and learner.window.is_finite()):
            raise DivergedError(f"a weight or the loss is not a finite number at step {self.step}")
        self.ranks.check_same(f"after step {self.step}", learner.supernet)
        if self.ranks.is_first:
            checkpoint.save_checkpoint(self.job.checkpoint, self._state().to_dict())
        self.saved_at = self.step
        self.ledger.start_clock()

    def _state(self) -> TrainingState:
        learner, ledger = self.learner, self.ledger
        return TrainingState(
            preset=self.assignment.origins[0],
            step=self.step,
            forward_images=ledger.forward_images,
            train_seconds=ledger.train_seconds,
            trained_images=[[list(path.choices), images] for path, images in ledger.trained_images.items()],
            sampler=json.dumps(self.sampler.state()),
            supernet=learner.supernet.state_dict(),
            optimizer=learner.optimizer.state_dict(),
            schedule=None if learner.schedule is None else learner.schedule.inner.state_dict(),
            window=learner.window.state(),
            arithmetic=self.arithmetic,
            walks=True,
            unjudged=self.unjudged,
            bundle_macs=ledger.bundle_macs,
            feedback_images=ledger.feedback.images,
            feedback_macs=ledger.feedback.macs,
            feedback_seconds=ledger.feedback.seconds,
        )

    def _restore(self, state: TrainingState) -> None:
        """Resume from a checkpoint.

        Raises:
            RunError: It was written with another preset.
        """
        if state.preset not in self.assignment.origins:
            raise RunError(
                f"The preset has changed since the checkpoint of {self.job.key} was saved.",
                "Restore preset.toml as it was; use the changed preset for a new run.",
            )
        if state.arithmetic not in ("", self.arithmetic):
            logger.warning(
                "%s started on %s, resumed on %s: the weights will differ from an uninterrupted run",
                self.job.key,
                state.arithmetic,
                self.arithmetic,
            )
        if self.sampler.passes_per_step > 1 and not state.walks:
            logger.warning(
                "%s was started by an earlier version, which drew the images of each epoch anew: "
                "the weights will differ from an uninterrupted run",
                self.job.key,
            )
        self.step, self.unjudged = state.step, state.unjudged
        self.ledger.restore(state, self.assignment.supernet.space)
        self.sampler.restore(json.loads(state.sampler))
        self.learner.supernet.load_state_dict(state.supernet)
        self.learner.optimizer.load_state_dict(state.optimizer)
        if self.learner.schedule is not None and state.schedule is not None:
            self.learner.schedule.inner.load_state_dict(state.schedule)
        self.learner.window.restore(state.window)

    def _started(self) -> JobStarted:
        return JobStarted(
            step=self.step,
            steps=self.steps,
            epochs=self.recipe.epochs,
            paths=self.assignment.supernet.space.size,
            train_images=len(self.images),
            validation_images=len(self.assignment.data.validation),
            device=self.assignment.device.name,
            threads=self.assignment.threads,
            ranks=self.ranks.size,
            host=socket.gethostname(),
        )

    def _optimizer(self) -> Optimizer:
        weights = self.assignment.supernet.parameters()
        return build_optimizer(self.recipe.optimizer, weights, decay_norm=self.recipe.decay_norm)

    def _learner(self) -> Learner:
        assignment, recipe, place = self.assignment, self.recipe, self.assignment.device.place
        optimizer = self._optimizer()
        return Learner(
            supernet=assignment.supernet,
            objective=build_loss(recipe.loss, assignment.data.num_classes).to(place),
            optimizer=optimizer,
            schedule=build_schedule(recipe.schedule, optimizer, recipe.optimizer, self.steps, recipe.epochs),
            device=assignment.device,
            window=LossWindow(min(recipe.log_every, self.steps_per_epoch), place),
            ranks=self.ranks if self.ranks.size > 1 else None,
            distillation=None if assignment.distillation is None else assignment.distillation.to(place),
        )
