"""A training in progress: runs the epochs, reports, evaluates, saves, and resumes from a checkpoint.

An `Assignment` of plain values says what is trained: a supernet, or one path from scratch.
"""

from __future__ import annotations

import itertools
import json
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from supernet_cli import seed
from supernet_cli.config.schema import Recipe
from supernet_cli.data.resident import ResidentImages
from supernet_cli.device import Device
from supernet_cli.errors import DivergedError, RunError
from supernet_cli.networks.profile import path_costs
from supernet_cli.networks.scoring import evaluate_paths, judging_images, judging_macs
from supernet_cli.networks.supernet import Supernet
from supernet_cli.runs.job import JobFolder
from supernet_cli.runs.ranking import RANKED_BY, ranked
from supernet_cli.runs.records import (
    LARGEST_NUMBER,
    JobEnded,
    JobPaused,
    JobResumed,
    JobStarted,
    PathScore,
    PathsEvaluated,
    Recorder,
    StepsTrained,
)
from supernet_cli.runs.state import State, Wish
from supernet_cli.sampling import Adaptive, Reporting, Sampler, StepPlan, Undropped, steps_per_epoch
from supernet_cli.space import Architecture, Bundle
from supernet_cli.training import checkpoint
from supernet_cli.training.loop import Learner, LossWindow, train_epoch
from supernet_cli.training.losses import build_loss
from supernet_cli.training.optimiser import build_optimizer, build_schedule, raise_if_too_large
from supernet_cli.training.prepare import TrainingData
from supernet_cli.training.ranks import Ranks

logger = logging.getLogger(__name__)

Stop = Callable[[], Wish | None]
"""Called after every step, so it must be fast; returns what is asked for, or None to continue."""

_PAUSE_SECONDS = 0.1  # between checks whether to continue


@dataclass(frozen=True)
class Assignment:
    """The definition of one training.

    Args:
        supernet: Initial weights; its space may contain a single path.
        recipe: How it is trained.
        sampler: Decides which paths each step trains.
        seed: Determines the order of images and their shifts.
        watched: Paths to evaluate during training.
        judged: Paths to evaluate at the end.
        data: Images, on the device.
        device: The device to run on.
        threads: CPU threads.
        origins: What a checkpoint must match to be resumed: the form that is written, then earlier ones.
        calibration: Images for recalibrating each path's batch normalisation before it is evaluated; None to evaluate
            with running statistics, which are a path's own if it is trained from scratch.
        both_ways: Whether recalibrated paths are also evaluated with running statistics: a diagnostic.
        most_steps: Where to end, if before the last of the recipe's epochs; schedules are scaled to this length.
    """

    supernet: Supernet
    recipe: Recipe
    sampler: Sampler
    seed: int
    watched: Sequence[Architecture]
    judged: Sequence[Architecture]
    data: TrainingData
    device: Device
    threads: int
    origins: tuple[str, ...]
    calibration: ResidentImages | None = None
    both_ways: bool = False
    most_steps: int | None = None


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Args:
        state: finished, stopped, interrupted or diverged.
        reason: Why it did not finish, in words.
    """

    state: State
    reason: str = ""


class _JudgingStopped(Exception):
    """A stop was requested while paths were evaluated."""


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
        self.job, self.recorder, self.stop = job, recorder, stop
        self.ranks = ranks or Ranks()
        self.together_stop = stop if self.ranks.size == 1 else lambda: self.ranks.agree(stop())
        self.arithmetic = assignment.device.arithmetic + (f" on {self.ranks.size} ranks" if self.ranks.size > 1 else "")
        self.seed, self.recipe, self.sampler = assignment.seed, assignment.recipe, assignment.sampler
        self.device, self.assignment = assignment.device, assignment
        self.images, self.validation = assignment.data.training, assignment.data.validation
        self.space = assignment.supernet.space
        self.costs = path_costs(assignment.supernet, self.images.shape, self.device)
        self.adaptive = self.sampler if isinstance(self.sampler, Adaptive) else None
        passes = self.sampler.passes_per_step
        self.steps_per_epoch = steps_per_epoch(len(self.images), self.recipe.batch_size, passes)
        self.steps = self.steps_per_epoch * self.recipe.epochs
        if assignment.most_steps is not None:
            self.steps = min(self.steps, assignment.most_steps)
        self.learner = self._learner()
        self.step = 0
        self.forward_images = 0
        self.forward_macs = 0
        self.feedback_images, self.feedback_macs, self.feedback_seconds = 0, 0, 0.0  # since the last evaluation
        self.train_seconds = 0.0
        self.trained_images: Counter[Architecture] = Counter()
        self.unjudged = 0  # the finished epoch whose evaluation is still due, from 1
        self.saved_at = -1  # step of the newest checkpoint
        self.clock = 0.0
        self.outcome: Outcome | None = None

    def run(self) -> Outcome:
        """Train from the start or the checkpoint until the end, a requested stop, or divergence.

        Raises:
            DiskError: A write failed.
            RunError: The checkpoints are damaged.
            RankError: Another rank failed or is gone.
        """
        state = self.ranks.from_first(lambda: checkpoint.load_checkpoint(self.job.checkpoint))
        if state is not None:
            self._restore(state)
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
        self.clock = time.perf_counter()
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
            order = seed.torch_rng(self.seed, "images", number)
            yield from self.images.epoch(order, self.recipe.batch_size, done if number == first else 0)

    def _end_epoch(self, epoch: int) -> None:
        """Evaluate paths if due, save, and stop if requested, even in the middle of the evaluation."""
        self.unjudged = 0
        is_due = epoch % self.recipe.evaluate_every == 0 or epoch == self.recipe.epochs
        if is_due and not self.ranks.from_first(lambda: self._judge(epoch)):
            self.unjudged = epoch
        self._save()
        self._stop_if_asked()

    def _judge(self, epoch: int) -> bool:
        """Evaluate paths, and return whether the evaluation was completed."""
        try:
            self._evaluate(epoch)
        except _JudgingStopped:
            return False
        return True

    def _look_up(self) -> None:
        """Abort the evaluation if a stop is requested."""
        self.ranks.beat()
        if self.stop() not in (None, Wish.PAUSE):
            raise _JudgingStopped

    def _after_step(self, step: int, plan: StepPlan, num_images: int) -> bool:
        """Account for a step; report and save when due. Returns whether to continue."""
        self.step = step
        for each in plan.passes:
            images = each.images(num_images)
            self.forward_images += images
            if isinstance(each.path, Bundle):
                self.forward_macs += images * self.costs.of_bundle(each.path)
            elif images:
                self.trained_images[each.path] += images
                self.forward_macs += images * self.costs.of(each.path)
        if self.adaptive is not None and step % self.adaptive.feedback_every == 0:
            self._feed_back(self.adaptive, plan)
        in_epoch = step % self.steps_per_epoch
        ends = in_epoch == 0 or step == self.steps
        if ends or in_epoch % self.recipe.log_every == 0:
            self._report()
        if ends:
            return True  # the end of an epoch handles evaluating, saving and stopping
        if step % self.recipe.checkpoint_every == 0:
            self._save()
        return not self._stop_if_asked()

    def _feed_back(self, sampler: Adaptive, plan: StepPlan) -> None:
        """Report the accuracy of the paths just trained to the strategy, on the images held out for it.

        Batch normalisation is calibrated on these same images.
        """
        supernet, images = self.learner.supernet, self.assignment.data.feedback
        assert images is not None
        self._count_time()
        paths = [each.path for each in plan.passes if isinstance(each.path, Architecture)]
        scores = self.ranks.from_first(lambda: evaluate_paths(supernet, paths, images, self.device, calibration=images))
        for path, score in scores.items():
            sampler.feedback(path, score.accuracy)
        self.feedback_images += judging_images(supernet, len(scores), len(images), len(images))
        self.feedback_macs += judging_macs(supernet, self.costs, paths, len(images), len(images))
        self.device.synchronize()
        self.feedback_seconds += time.perf_counter() - self.clock
        self.clock = time.perf_counter()

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
        self._count_time()
        record = StepsTrained(
            step=self.step,
            epoch=-(-self.step // self.steps_per_epoch),
            objective=objective,
            loss=cross_entropy,
            learning_rate=rate,
            forward_images=self.forward_images,
            macs=self.forward_macs,
            seconds=self.train_seconds,
        )
        self.recorder.record(record)
        if diverged:
            raise DivergedError(f"the loss is not a finite number at step {self.step}")

    def _evaluate(self, epoch: int) -> None:
        """Evaluate paths on validation."""
        paths = self.assignment.judged if epoch == self.recipe.epochs else self.assignment.watched
        started = time.perf_counter()
        supernet, calibration = self.learner.supernet, self.assignment.calibration
        undropped = self.sampler.undropped if isinstance(self.sampler, Undropped) else None
        scores = evaluate_paths(
            supernet,
            paths,
            self.validation,
            self.device,
            calibration=calibration,
            undropped=undropped,
            both_ways=self.assignment.both_ways,
            between=self._look_up,
        )
        seconds = time.perf_counter() - started
        work = (len(self.validation), None if calibration is None else len(calibration), undropped)
        both_ways = self.assignment.both_ways
        path_scores = tuple(
            PathScore(
                path=str(path),
                accuracy=s.accuracy,
                loss=s.loss,
                trained_images=self.trained_images[path],
                accuracy_unrecalibrated=s.accuracy_unrecalibrated,
                divergence=s.divergence,
            )
            for path, s in scores.items()
        )
        record = PathsEvaluated(
            step=self.step,
            epoch=epoch,
            scores=path_scores,
            seconds=seconds + self.feedback_seconds,
            forward_images=self.feedback_images + judging_images(supernet, len(scores), *work, both_ways=both_ways),
            macs=self.feedback_macs + judging_macs(supernet, self.costs, paths, *work, both_ways=both_ways),
            strategy=self.sampler.report() if isinstance(self.sampler, Reporting) else {},
        )
        self.feedback_images, self.feedback_macs, self.feedback_seconds = 0, 0, 0.0
        self.recorder.record(record)
        best = ranked(path_scores)[0]
        logger.info(
            "%s epoch %d: best path by %s %s, accuracy %.4f", self.job.key, epoch, RANKED_BY, best.path, best.accuracy
        )
        if record.strategy:
            figures = ", ".join(f"{name} {value:.4f}" for name, value in record.strategy.items())
            logger.info("%s epoch %d: %s", self.job.key, epoch, figures)

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
        self.clock = time.perf_counter()
        return wish

    def _count_time(self) -> None:
        """Add the time since the clock was started to the training time, and restart the clock."""
        self.device.synchronize()
        now = time.perf_counter()
        self.train_seconds += now - self.clock
        self.clock = now

    def _save(self) -> None:
        """Write a checkpoint, but never replace a good one by numbers that are not finite.

        Raises:
            DivergedError: A loss or a weight is not finite.
            RankError: The ranks' weights differ.
        """
        if self.step == self.saved_at:
            return  # a second one at the same step would push out the previous one
        if self.step % self.steps_per_epoch:
            self._count_time()
        learner = self.learner
        weights_are_finite = all(bool(parameter.isfinite().all()) for parameter in learner.supernet.parameters())
        if not (weights_are_finite and learner.window.is_finite()):
            raise DivergedError(f"a weight or the loss is not a finite number at step {self.step}")
        self.ranks.check_same(f"after step {self.step}", learner.supernet)
        if self.ranks.is_first:
            checkpoint.save_checkpoint(self.job.checkpoint, self._state())
        self.saved_at = self.step
        self.clock = time.perf_counter()

    def _state(self) -> dict[str, Any]:
        schedule = self.learner.schedule
        of_paths = sum(count * self.costs.of(path) for path, count in self.trained_images.items())
        optional = {
            "bundle_macs": self.forward_macs - of_paths,
            "feedback_images": self.feedback_images,
            "feedback_macs": self.feedback_macs,
            "feedback_seconds": self.feedback_seconds,
            "unjudged": self.unjudged,
        }
        return {name: value for name, value in optional.items() if value} | {
            "preset": self.assignment.origins[0],
            "arithmetic": self.arithmetic,
            "walks": True,
            "step": self.step,
            "forward_images": self.forward_images,
            "train_seconds": self.train_seconds,
            "trained_images": [[list(path.choices), count] for path, count in self.trained_images.items()],
            "sampler": json.dumps(self.sampler.state()),
            "supernet": self.learner.supernet.state_dict(),
            "optimizer": self.learner.optimizer.state_dict(),
            "schedule": None if schedule is None else schedule.inner.state_dict(),
            "window": self.learner.window.state(),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        """Resume from a checkpoint.

        Raises:
            RunError: It was written with another preset.
        """
        if state["preset"] not in self.assignment.origins:
            raise RunError(
                f"The preset has changed since the checkpoint of {self.job.key} was saved.",
                "Restore preset.toml as it was; use the changed preset for a new run.",
            )
        self.unjudged = state.get("unjudged", 0)
        before = state.get("arithmetic", self.arithmetic)
        if before != self.arithmetic:
            logger.warning(
                "%s started on %s, resumed on %s: the weights will differ from an uninterrupted run",
                self.job.key,
                before,
                self.arithmetic,
            )
        if self.sampler.passes_per_step > 1 and "walks" not in state:
            logger.warning(
                "%s was started by an earlier version, which drew the images of each epoch anew: "
                "the weights will differ from an uninterrupted run",
                self.job.key,
            )
        self.step, self.forward_images = state["step"], state["forward_images"]
        self.train_seconds = state["train_seconds"]
        trained = {self.space.architecture(choices): count for choices, count in state["trained_images"]}
        self.trained_images.update(trained)
        of_paths = sum(count * self.costs.of(path) for path, count in trained.items())
        self.forward_macs = of_paths + state.get("bundle_macs", 0)
        self.feedback_images, self.feedback_macs = state.get("feedback_images", 0), state.get("feedback_macs", 0)
        self.feedback_seconds = state.get("feedback_seconds", 0.0)
        self.sampler.restore(json.loads(state["sampler"]))
        self.learner.supernet.load_state_dict(state["supernet"])
        self.learner.optimizer.load_state_dict(state["optimizer"])
        if self.learner.schedule is not None:
            self.learner.schedule.inner.load_state_dict(state["schedule"])
        self.learner.window.restore(state["window"])

    def _started(self) -> JobStarted:
        return JobStarted(
            step=self.step,
            steps=self.steps,
            epochs=self.recipe.epochs,
            paths=self.space.size,
            train_images=len(self.images),
            validation_images=len(self.validation),
            device=self.device.name,
            threads=self.assignment.threads,
            ranks=self.ranks.size,
            host=socket.gethostname(),
        )

    def _optimizer(self) -> Optimizer:
        weights = self.assignment.supernet.parameters()
        return build_optimizer(self.recipe.optimizer, weights, decay_norm=self.recipe.decay_norm)

    def _learner(self) -> Learner:
        supernet, place, recipe = self.assignment.supernet, self.device.place, self.recipe
        optimizer = self._optimizer()
        return Learner(
            supernet=supernet,
            objective=build_loss(recipe.loss, self.assignment.data.num_classes).to(place),
            optimizer=optimizer,
            schedule=build_schedule(recipe.schedule, optimizer, recipe.optimizer, self.steps, recipe.epochs),
            device=self.device,
            window=LossWindow(min(recipe.log_every, self.steps_per_epoch), place),
            ranks=self.ranks if self.ranks.size > 1 else None,
        )
