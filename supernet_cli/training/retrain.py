"""Trains single paths: each is a supernet of one path, trained from scratch or from the weights it inherits.

A short training is the cheapest rival of a supernet: every path from scratch, but so briefly that all of them together
cost as much as the supernet, evaluation included. A final training is for use: as long as is asked for, and the path
may learn from another network, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from supernet_cli import device, seed
from supernet_cli.config.schema import Recipe
from supernet_cli.cores import usable_cores
from supernet_cli.data.images import TrainingData, calibration_size
from supernet_cli.data.resident import ResidentImages
from supernet_cli.errors import UsageError
from supernet_cli.networks.builder import Builder
from supernet_cli.networks.scoring import JudgingPlan, images_per_path
from supernet_cli.networks.supernet import Supernet
from supernet_cli.sampling import build_sampler, steps_per_epoch
from supernet_cli.space import Architecture
from supernet_cli.store import alone
from supernet_cli.store.alone import SHORT_CALIBRATION, AloneJob
from supernet_cli.store.layout import Way
from supernet_cli.store.records import Recorder
from supernet_cli.store.results import Final
from supernet_cli.training import checkpoint
from supernet_cli.training.assignment import Assignment
from supernet_cli.training.distillation import Distillation
from supernet_cli.training.driver import Outcome, Stop, Training
from supernet_cli.training.extension import origins
from supernet_cli.training.optimiser import check_recipe
from supernet_cli.training.prepare import Prepared


@dataclass(frozen=True)
class AloneTraining:
    """What all trainings of single paths share; it is sent to the processes that run them.

    Args:
        networks: Builds networks of the whole search space, where trainings run.
        recipe: How a path is trained.
        data: Images, in the host's memory.
        threads: CPU threads of each: results depend on them, not on how many run side by side.
        origins: What a checkpoint must match to be resumed: the form that is written, then earlier ones.
        calibration: Images on which a short training's batch normalisation is measured before it is evaluated: its
            running statistics have not settled. None where there is none.
        inherited: Weights of a supernet that paths start from, if they do.
        distillation: The network that final trainings learn from, too; None for none.
    """

    networks: Builder
    recipe: Recipe
    data: TrainingData
    threads: int
    origins: tuple[str, ...]
    calibration: ResidentImages | None = None
    inherited: checkpoint.StoredWeights | None = None
    distillation: Distillation | None = None

    @classmethod
    def of(
        cls,
        prepared: Prepared,
        inherits: Path | None = None,
        final: Final | None = None,
        teacher: torch.nn.Module | None = None,
    ) -> AloneTraining:
        """Return what a run's preset says about them.

        Args:
            prepared: From `prepare`, with the run's preset.
            inherits: Weights of a supernet to start from, if paths do.
            final: How paths are trained for use; None where they are not.
            teacher: The network that final trainings learn from, too.

        Raises:
            RunError: Those weights are missing.
            PresetError: The recipe cannot be that long.
        """
        images, plan, host = prepared.images, prepared.plan, torch.device("cpu")
        return cls(
            networks=prepared.networks,
            recipe=plan.standalone_recipe if final is None else final_recipe(prepared, final),
            data=images.training_data(host),
            threads=plan.preset.retrain.threads,
            origins=tuple(each + ("" if final is None else final.model_dump_json()) for each in origins(plan.preset)),
            calibration=images.calibration(min(plan.calibration, SHORT_CALIBRATION), host),
            inherited=None if inherits is None else checkpoint.StoredWeights.read(inherits),
            distillation=_distillation(final, teacher),
        )

    @cached_property
    def _resident(self) -> TrainingData:
        return self.data.to(self.networks.device.place)

    @cached_property
    def _resident_calibration(self) -> ResidentImages | None:
        return None if self.calibration is None else self.calibration.to(self.networks.device.place)

    def set_up(self) -> None:
        """Set up a process: allocator and threads."""
        device.prepare(self.networks.device, self.threads)

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
            stream = "short" if is_short else "final" if job.way is Way.FINAL else "alone"
            own_seed = seed.derive(job.seed, stream, str(job.path))
            network = self._network(job, own_seed)
            calibration = self._resident_calibration if is_short else None
            judging = JudgingPlan(list(network.space.enumerate()), self._resident.validation, calibration)
            assignment = Assignment(
                supernet=network,
                recipe=self.recipe if job.steps is None else self._short_recipe(job.steps),
                sampler=build_sampler("uniform", network.space, seed.python_rng(own_seed, "paths"), {}),
                seed=own_seed,
                watched=judging,
                judged=judging,
                data=self._resident,
                device=self.networks.device,
                threads=self.threads,
                origins=tuple(f"{each} {job.steps} steps" for each in self.origins) if is_short else self.origins,
                most_steps=job.steps,
                distillation=self.distillation,
            )
            return Training(assignment, job.folder, recorder, stop).run()

    def _short_recipe(self, steps: int) -> Recipe:
        """Return the recipe with as many epochs as the steps need, evaluated only at the end."""
        each = steps_per_epoch(len(self.data.training), self.recipe.batch_size, 1)
        epochs = -(-steps // each)
        return self.recipe.model_copy(update={"epochs": epochs, "evaluate_every": epochs})

    def _network(self, job: AloneJob, own_seed: int) -> Supernet:
        network = self.networks.only(job.path).supernet(own_seed)
        if job.way is Way.INHERITED:
            assert self.inherited is not None
            whole = self.networks.supernet(0)
            self.inherited.put_into(whole)
            network.inherit(job.path, whole)
        return network


def final_recipe(prepared: Prepared, final: Final) -> Recipe:
    """Return the recipe of final trainings: that of all others, but for its length.

    Raises:
        PresetError: Something in it does not suit that length.
    """
    networks, recipe = prepared.networks, prepared.plan.standalone_recipe.model_copy(update={"epochs": final.epochs})
    each = steps_per_epoch(len(prepared.images.splits.train), recipe.batch_size, 1)
    check_recipe(recipe, networks.supernet(0).parameters(), each * recipe.epochs, networks.num_classes, "retrain")
    return recipe


def _distillation(final: Final | None, teacher: torch.nn.Module | None) -> Distillation | None:
    if final is None or teacher is None:
        return None
    assert final.temperature is not None
    return Distillation(teacher, final.temperature)


def short_steps(prepared: Prepared, paths: Sequence[Architecture], budget: int) -> int:
    """Return how many steps each of some paths can be trained, so that all of it costs no more than a supernet.

    Args:
        prepared: From `prepare`, with the run's preset.
        paths: The paths that share the budget.
        budget: Multiply-accumulates; a training image costs three forward passes, and each path is evaluated once on
            the validation images, after its batch normalisation is calibrated.

    Raises:
        UsageError: There are too few for a training.
        PresetError: The schedule cannot be that short.
    """
    images, networks, recipe = prepared.images.splits, prepared.networks, prepared.plan.standalone_recipe
    together = sum(networks.costs.of(path) for path in paths)
    calibration = calibration_size(len(images.train), min(prepared.plan.calibration, SHORT_CALIBRATION))
    judging = images_per_path(len(images.validation), calibration)
    steps = alone.short_steps(budget, together, judging, recipe.batch_size)
    if steps < alone.FEWEST_STEPS:
        raise UsageError(
            f"The cost of a supernet, shared by {len(paths):,} paths, pays for {steps} steps of each; "
            f"a training needs at least {alone.FEWEST_STEPS}.",
            "Share it among fewer paths, or compare with a supernet that was trained for longer.",
        )
    check_recipe(recipe, networks.supernet(0).parameters(), steps, networks.num_classes, "retrain")
    return steps


def room_for(on: device.Device, threads: int) -> int:
    """Return how many trainings there is room for: one on a GPU, otherwise as many as there are cores for.

    Args:
        on: Where they run.
        threads: CPU threads of each.
    """
    if on.place.type != "cpu":
        return 1
    return max(1, usable_cores() // threads)
