"""Trains single paths: each is a supernet of one path, trained from scratch or from the weights it inherits.

A short training is the cheapest rival of a supernet: every path from scratch, but so briefly that all of them together
cost as much as the supernet, evaluation included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from supernet_cli import device, seed
from supernet_cli.config.schema import Recipe
from supernet_cli.data.resident import ResidentImages
from supernet_cli.errors import UsageError
from supernet_cli.networks.supernet import Supernet
from supernet_cli.runs import alone
from supernet_cli.runs.alone import SHORT_CALIBRATION, AloneJob
from supernet_cli.runs.layout import Way
from supernet_cli.runs.records import Recorder
from supernet_cli.sampling import build_sampler, steps_per_epoch
from supernet_cli.space import Architecture, SearchSpace
from supernet_cli.training import checkpoint
from supernet_cli.training.driver import Assignment, Outcome, Stop, Training
from supernet_cli.training.extension import origins
from supernet_cli.training.optimiser import check_recipe
from supernet_cli.training.prepare import Prepared, TrainingData, seeded_supernet


@dataclass(frozen=True)
class AloneTraining:
    """What all trainings of single paths share; it is sent to the processes that run them.

    Args:
        space: The whole search space.
        recipe: How a path is trained.
        data: Images, in the host's memory.
        device: Where trainings run.
        threads: CPU threads of each: results depend on them, not on how many run side by side.
        origins: What a checkpoint must match to be resumed: the form that is written, then earlier ones.
        calibration: Images on which a short training's batch normalisation is measured before it is evaluated: its
            running statistics have not settled. None where there is none.
        inherited: Weights of a supernet that paths start from, if they do.
    """

    space: SearchSpace
    recipe: Recipe
    data: TrainingData
    device: device.Device
    threads: int
    origins: tuple[str, ...]
    calibration: ResidentImages | None = None
    inherited: checkpoint.StoredWeights | None = None

    @classmethod
    def of(cls, prepared: Prepared, inherits: Path | None = None) -> AloneTraining:
        """Return what a run's preset says about them.

        Args:
            prepared: From `prepare`, with the run's preset.
            inherits: Weights of a supernet to start from, if paths do.

        Raises:
            RunError: Those weights are missing.
        """
        preset = prepared.preset
        return cls(
            space=prepared.space,
            recipe=prepared.standalone_recipe,
            data=prepared.training_data(torch.device("cpu")),
            device=prepared.device,
            threads=preset.retrain.threads,
            origins=origins(preset),
            calibration=prepared.calibration_images(torch.device("cpu"), most=SHORT_CALIBRATION),
            inherited=None if inherits is None else checkpoint.StoredWeights.read(inherits),
        )

    @cached_property
    def _resident(self) -> TrainingData:
        return self.data.to(self.device.place)

    @cached_property
    def _resident_calibration(self) -> ResidentImages | None:
        return None if self.calibration is None else self.calibration.to(self.device.place)

    def set_up(self) -> None:
        """Set up a process: allocator and threads."""
        device.prepare(self.device, self.threads)

    def run(self, job: AloneJob, recorder: Recorder, stop: Stop) -> Outcome:
        """Train one path, from the start or from its checkpoint, to the end or until asked to stop.

        Each path draws its own random numbers from its seed: noise between two paths is then independent, as statistics
        over seeds assume.

        Raises:
            DiskError: A write failed.
            OutOfMemoryError: No memory is left.
            RunError: A checkpoint, or the weights to inherit, are damaged.
        """
        with device.memory_errors():
            is_short = job.steps is not None
            own_seed = seed.derive(job.seed, "short" if is_short else "alone", str(job.path))
            network = self._network(job, own_seed)
            (path,) = network.space.enumerate()
            assignment = Assignment(
                supernet=network,
                recipe=self.recipe if job.steps is None else self._short_recipe(job.steps),
                sampler=build_sampler("uniform", network.space, seed.python_rng(own_seed, "paths"), {}),
                seed=own_seed,
                watched=[path],
                judged=[path],
                data=self._resident,
                device=self.device,
                threads=self.threads,
                origins=tuple(f"{each} {job.steps} steps" for each in self.origins) if is_short else self.origins,
                calibration=self._resident_calibration if is_short else None,
                most_steps=job.steps,
            )
            return Training(assignment, job.folder, recorder, stop).run()

    def _short_recipe(self, steps: int) -> Recipe:
        """Return the recipe with as many epochs as the steps need, evaluated only at the end."""
        each = steps_per_epoch(len(self.data.training), self.recipe.batch_size, 1)
        epochs = -(-steps // each)
        return self.recipe.model_copy(update={"epochs": epochs, "evaluate_every": epochs})

    def _network(self, job: AloneJob, own_seed: int) -> Supernet:
        shape, num_classes = self.data.training.shape, self.data.num_classes
        network = seeded_supernet(self.space.only(job.path), shape, num_classes, own_seed, self.device)
        if job.way is Way.INHERITED:
            assert self.inherited is not None
            whole = seeded_supernet(self.space, shape, num_classes, 0, self.device)
            self.inherited.put_into(whole)
            network.inherit(job.path, whole)
        return network


def short_steps(prepared: Prepared, paths: Sequence[Architecture], budget: int) -> int:
    """Return how many steps each of some paths can be trained, so that all of it costs no more than a supernet.

    Args:
        prepared: From `prepare`, with the run's preset.
        paths: The paths that share the budget.
        budget: Multiply-accumulates. Each path is evaluated once on the validation images, after its batch
            normalisation is calibrated.

    Raises:
        UsageError: There are too few for a training.
        PresetError: The schedule cannot be that short.
    """
    recipe = prepared.standalone_recipe
    together = sum(prepared.costs.of(path) for path in paths)
    calibration = prepared.calibration_images(torch.device("cpu"), most=SHORT_CALIBRATION)
    judging = len(prepared.splits.validation) + (0 if calibration is None else len(calibration))
    steps = alone.short_steps(budget, together, judging, recipe.batch_size)
    if steps < alone.FEWEST_STEPS:
        raise UsageError(
            f"The cost of a supernet, shared by {len(paths):,} paths, pays for {steps} steps of each; "
            f"a training needs at least {alone.FEWEST_STEPS}.",
            "Share it among fewer paths, or compare with a supernet that was trained for longer.",
        )
    supernet = prepared.supernet(0)
    check_recipe(recipe, supernet.parameters(), steps, prepared.num_classes, "retrain")
    return steps


def room_for(prepared: Prepared) -> int:
    """Return how many trainings there is room for: one on a GPU, otherwise as many as there are cores for."""
    if prepared.device.place.type != "cpu":
        return 1
    return max(1, device.usable_cores() // prepared.preset.retrain.threads)
