"""The job that trains a supernet: unpacks the preset, assembles the parts, drives the epochs, reports.

`prepare` finds everything that can be wrong before a run exists; `train_supernet` then trains one seed, from its
beginning or from its checkpoint.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from supernet_cli.config.schema import Preset
from supernet_cli.engine import checkpoint, device, seed
from supernet_cli.engine.data import Progress, Splits, load_dataset, no_progress, split_validation
from supernet_cli.engine.data.resident import ResidentImages, Statistics
from supernet_cli.engine.evaluate import evaluate_paths
from supernet_cli.engine.loop import Learner, LossWindow, train_epoch
from supernet_cli.engine.optim import build_loss, build_optimizer, build_schedule, check_recipe
from supernet_cli.engine.supernet import Supernet
from supernet_cli.errors import DivergedError, PresetError, RunError
from supernet_cli.runs.job import JobFolder
from supernet_cli.runs.records import JobEnded, JobStarted, PathScore, PathsEvaluated, Recorder, State, StepsTrained
from supernet_cli.sampling import Sampler, StepPlan, build_sampler
from supernet_cli.space import Architecture, SearchSpace

WATCHED_SHARE = 0.1
"""Share of the training's time that judging paths may take, about; a forward pass is a third of a training step."""

JUDGED_AT_THE_END = 256
"""Largest space of which every path is judged when the training ends."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """Everything a training needs and that could have been wrong.

    Args:
        preset: The preset.
        space: Its search space.
        splits: The images.
        statistics: Of the training part, or neutral.
        device: Where it runs.
        threads: Threads of the CPU.
    """

    preset: Preset
    space: SearchSpace
    splits: Splits
    statistics: Statistics
    device: device.Device
    threads: int

    @cached_property
    def images_digest(self) -> str:
        """A fingerprint of all images and labels, part by part."""
        digest = hashlib.sha256()
        for split in (self.splits.train, self.splits.validation, self.splits.test):
            digest.update(split.images.numpy().data)
            digest.update(split.labels.numpy().data)
        return digest.hexdigest()[:16]

    def check_images(self, expected: str | None) -> None:
        """Make sure that these are the images a run was begun with: else its validation may have been trained on.

        Raises:
            RunError: They are others.
        """
        if expected is not None and expected != self.images_digest:
            raise RunError(
                "The images are not those the run was begun with: its split between training and validation is lost.",
                "Put the data back as it was, or start a new run.",
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images."""
        _, height, width, channels = self.splits.train.images.shape
        return channels, height, width

    def supernet(self, initial_seed: int) -> Supernet:
        """Return a supernet with a seed's initial weights, on the device, channels last."""
        with seed.seeded_initialisation(initial_seed):
            supernet = Supernet(self.space, self.image_shape, len(self.splits.classes))
        return supernet.to(self.device.place, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def resident(self, split: str) -> ResidentImages:
        """Return a split (`train`, `validation` or `test`) on the device, as it is, for judging."""
        return ResidentImages(getattr(self.splits, split), self.statistics, self.device.place)

    def training_images(self) -> ResidentImages:
        """Return the training images on the device, shifted and mirrored as the preset says."""
        data, colour = self.preset.data, self.image_shape[0] == 3
        flip = colour if data.flip is None else data.flip
        return ResidentImages(self.splits.train, self.statistics, self.device.place, data.shift, flip)


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Args:
        state: finished, stopped, interrupted or diverged.
        reason: In words, where it did not finish.
    """

    state: State
    reason: str = ""


def prepare(preset: Preset, threads: int | None = None, progress: Progress = no_progress) -> Prepared:
    """Check what only torch can check, and load the data.

    Args:
        preset: The preset.
        threads: Threads to use whatever the preset says, for a job that goes on with its own.
        progress: Told of downloads and of images being decoded.

    Raises:
        PresetError: Device, optimiser, schedule, loss, sampler, an operation or the split cannot be.
        DataError: The data set is missing or damaged.
    """
    chosen = device.choose_device(preset.runtime.device, preset.runtime.precision)
    num_threads = device.prepare(chosen, threads or preset.runtime.threads)
    space = SearchSpace.from_config(preset.space)
    with device.memory_errors():
        root = Path(os.path.expanduser(preset.data.root)) if preset.data.root else None
        dataset = load_dataset(preset.data.dataset, root, preset.data.parameters, progress)
        splits = split_validation(dataset, preset.data.validation, preset.data.split_seed)
        neutral = Statistics.neutral(splits.train.images.shape[-1])
        statistics = Statistics.of(splits.train) if preset.data.standardize else neutral
        prepared = Prepared(preset, space, splits, statistics, chosen, num_threads)
        supernet = _buildable(prepared)
        passes = _sampler(preset, space, 0).passes_per_step
        for section, recipe, per_step in (("train", preset.train, passes), ("retrain", preset.standalone_recipe(), 1)):
            steps = _steps_per_epoch(len(splits.train), recipe.batch_size, per_step) * recipe.epochs
            check_recipe(recipe, supernet.parameters(), steps, len(splits.classes), section)
    return prepared


def watched_paths(prepared: Prepared) -> list[Architecture]:
    """Return the paths to judge while training: all, or as many as `WATCHED_SHARE` allows, the same every time."""
    images = len(prepared.splits.train) * prepared.preset.train.evaluate_every
    affordable = int(WATCHED_SHARE * 3 * images / len(prepared.splits.validation))
    return prepared.space.sample_distinct(max(4, affordable), seed.python_rng(0, "watched paths"))


def train_supernet(
    prepared: Prepared, job: JobFolder, job_seed: int, recorder: Recorder, stop: Callable[[], State | None]
) -> Outcome:
    """Train one supernet, from its beginning or from its checkpoint, to its end or until told to stop.

    Args:
        prepared: From `prepare`.
        job: Where checkpoints and weights go.
        job_seed: Decides initial weights, order of images, shifts and paths.
        recorder: Told everything.
        stop: Asked after every step, so it has to be quick; answers why to stop, as the state to end in, or None.

    Raises:
        DiskError: A write failed.
        OutOfMemoryError: No memory is left.
        RunError: The checkpoints are damaged.
    """
    with device.memory_errors():
        training = _Training(prepared, job, job_seed, recorder, stop)
        return training.run()


class _Training:
    """One supernet's training while it runs."""

    def __init__(
        self, prepared: Prepared, job: JobFolder, job_seed: int, recorder: Recorder, stop: Callable[[], State | None]
    ) -> None:
        self.prepared, self.job, self.seed, self.recorder, self.stop = prepared, job, job_seed, recorder, stop
        self.recipe = prepared.preset.train
        self.images = prepared.training_images()
        self.validation = prepared.resident("validation")
        self.sampler = _sampler(prepared.preset, prepared.space, job_seed)
        self.steps_per_epoch = _steps_per_epoch(len(self.images), self.recipe.batch_size, self.sampler.passes_per_step)
        self.steps = self.steps_per_epoch * self.recipe.epochs
        self.learner = self._learner()
        self.watched = watched_paths(prepared)
        self.step = 0
        self.forward_images = 0
        self.train_seconds = 0.0
        self.trained_images: Counter[Architecture] = Counter()
        self.saved_at = -1  # step of the newest checkpoint
        self.clock = 0.0
        self.outcome: Outcome | None = None

    def run(self) -> Outcome:
        """Train to the end, or until stopped or diverged."""
        state = checkpoint.load_checkpoint(self.job.checkpoint)
        if state is not None:
            self._restore(state)
        self.recorder.record(self._started())
        logger.info("seed %d: from step %d of %d", self.seed, self.step, self.steps)
        try:
            while self.outcome is None and self.step < self.steps:
                self._train_epoch(self.step // self.steps_per_epoch)
        except DivergedError as error:
            self.outcome = Outcome("diverged", error.message)
        if self.outcome is None:
            checkpoint.save_weights(self.job.weights, self.learner.supernet)
            self.outcome = Outcome("finished")
        self.recorder.record(JobEnded(step=self.step, state=self.outcome.state, reason=self.outcome.reason))
        logger.info("seed %d: %s at step %d %s", self.seed, self.outcome.state, self.step, self.outcome.reason)
        return self.outcome

    def _train_epoch(self, epoch: int) -> None:
        """Train from wherever the epoch stands to its end, then judge and save; or leave it where a stop is asked."""
        done = self.step - epoch * self.steps_per_epoch
        if done == 0 and epoch > 0 and self.recipe.renew_optimizer:
            self.learner.optimizer = build_optimizer(self.recipe.optimizer, self.learner.supernet.parameters())
        batches = self.images.epoch(seed.torch_rng(self.seed, "images", epoch), self.recipe.batch_size, done)
        self.clock = time.perf_counter()
        left = itertools.islice(batches, self.steps_per_epoch - done)
        train_epoch(self.learner, left, self.sampler, epoch, self.step, self._after_step)
        if self.outcome is not None:
            return
        if self.learner.schedule is not None:
            self.learner.schedule.after_epoch()
        if (epoch + 1) % self.recipe.evaluate_every == 0 or epoch + 1 == self.recipe.epochs:
            self._evaluate(epoch + 1)
        self._save()
        self._stop_if_asked()

    def _after_step(self, step: int, plan: StepPlan, num_images: int) -> bool:
        """Account for a step; report and save when it is time. Returns whether to go on."""
        self.step = step
        self.forward_images += num_images * len(plan.passes)
        for architecture in plan.passes:
            self.trained_images[architecture] += num_images
        in_epoch = step % self.steps_per_epoch
        if in_epoch == 0 or in_epoch % self.recipe.log_every == 0:
            self._report()
        if in_epoch == 0:
            return True  # what ends an epoch comes first: judging, saving, then stopping
        if step % self.recipe.checkpoint_every == 0:
            self._save()
        return not self._stop_if_asked()

    def _report(self) -> None:
        """Record the losses since the last report; this is where the device is waited for.

        Raises:
            DivergedError: A loss is not finite.
        """
        diverged = not self.learner.window.is_finite()
        objective, cross_entropy = self.learner.window.take()
        self._count_time()
        record = StepsTrained(
            step=self.step,
            epoch=-(-self.step // self.steps_per_epoch),
            objective=objective,
            loss=cross_entropy,
            learning_rate=float(self.learner.optimizer.param_groups[0]["lr"]),
            forward_images=self.forward_images,
            seconds=self.train_seconds,
        )
        self.recorder.record(record)
        if diverged:
            raise DivergedError(f"the loss was no longer a finite number at step {self.step}")

    def _evaluate(self, epoch: int) -> None:
        """Judge the watched paths on validation, or every path where the training ends."""
        space, last = self.prepared.space, epoch == self.recipe.epochs
        paths = list(space.enumerate()) if last and space.size <= JUDGED_AT_THE_END else self.watched
        begun = time.perf_counter()
        scores = evaluate_paths(self.learner.supernet, paths, self.validation, self.prepared.device)
        seconds = time.perf_counter() - begun
        judged = tuple(
            PathScore(path=str(path), accuracy=s.accuracy, loss=s.loss, trained_images=self.trained_images[path])
            for path, s in scores.items()
        )
        self.recorder.record(PathsEvaluated(step=self.step, epoch=epoch, scores=judged, seconds=seconds))
        best = max(judged, key=lambda score: score.accuracy)
        logger.info("seed %d epoch %d: best path %s, accuracy %.4f", self.seed, epoch, best.path, best.accuracy)

    def _stop_if_asked(self) -> bool:
        """Save and remember why, if somebody asked to stop before the end."""
        state = self.stop()
        if state is None or self.step == self.steps:
            return False
        self._save()
        self.outcome = Outcome(state, "asked to stop" if state == "stopped" else "a signal")
        return True

    def _count_time(self) -> None:
        """Add the time since the clock was started to the time spent training, and start it anew."""
        self.prepared.device.synchronize()
        now = time.perf_counter()
        self.train_seconds += now - self.clock
        self.clock = now

    def _save(self) -> None:
        """Write a checkpoint, unless it would put numbers that are not finite in the place of a good one.

        Raises:
            DivergedError: A loss or a weight is not finite.
        """
        if self.step == self.saved_at:
            return  # a second one of the same step would push the one before it out
        if self.step % self.steps_per_epoch:
            self._count_time()
        learner = self.learner
        weights_are_finite = all(bool(parameter.isfinite().all()) for parameter in learner.supernet.parameters())
        if not (weights_are_finite and learner.window.is_finite()):
            raise DivergedError(f"a weight or the loss was no longer a finite number at step {self.step}")
        checkpoint.save_checkpoint(self.job.checkpoint, self._state())
        self.saved_at = self.step
        self.clock = time.perf_counter()

    def _state(self) -> dict[str, Any]:
        schedule = self.learner.schedule
        return {
            "preset": _digest(self.prepared.preset),
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
        """Go on from a checkpoint.

        Raises:
            RunError: It was made with another preset.
        """
        if state["preset"] != _digest(self.prepared.preset):
            raise RunError(
                f"The preset of the job {self.job.key} was changed after its checkpoint.",
                "Put preset.toml back as it was, or start a new run with the changed one.",
            )
        self.step, self.forward_images = state["step"], state["forward_images"]
        self.train_seconds = state["train_seconds"]
        space = self.prepared.space
        self.trained_images.update({space.architecture(choices): count for choices, count in state["trained_images"]})
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
            paths=self.prepared.space.size,
            train_images=len(self.images),
            validation_images=len(self.validation),
            device=self.prepared.device.name,
            threads=self.prepared.threads,
        )

    def _learner(self) -> Learner:
        supernet, chosen, recipe = self.prepared.supernet(self.seed), self.prepared.device, self.recipe
        optimizer = build_optimizer(recipe.optimizer, supernet.parameters())
        return Learner(
            supernet=supernet,
            objective=build_loss(recipe.loss, len(self.prepared.splits.classes)).to(chosen.place),
            optimizer=optimizer,
            schedule=build_schedule(recipe.schedule, optimizer, recipe.optimizer, self.steps, recipe.epochs),
            device=chosen,
            window=LossWindow(min(recipe.log_every, self.steps_per_epoch), chosen.place),
        )


def _sampler(preset: Preset, space: SearchSpace, job_seed: int) -> Sampler:
    named = preset.train.sampler
    try:
        return build_sampler(named.name, space, seed.python_rng(job_seed, "paths"), named.parameters)
    except (TypeError, ValueError) as error:
        raise PresetError(f'train.sampler = "{named.name}": {error}.') from error


def _steps_per_epoch(images: int, batch_size: int, passes_per_step: int) -> int:
    """Return the steps in which as many images are run forward as there are, whatever a step runs."""
    return max(1, round(-(-images // batch_size) / passes_per_step))


def _buildable(prepared: Prepared) -> Supernet:
    """Build the supernet once, for what only its modules can find wrong."""
    try:
        return prepared.supernet(0)
    except (TypeError, ValueError) as error:
        raise PresetError(f"space: {error}.") from error


def _digest(preset: Preset) -> str:
    """Return a hash of what a preset says; keys that a later version adds, at their defaults, leave it as it is."""
    return hashlib.sha256(preset.model_dump_json(exclude_defaults=True).encode()).hexdigest()
