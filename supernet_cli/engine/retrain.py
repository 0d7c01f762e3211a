"""The job that trains paths alone: each a supernet of one path, from scratch or from the weights it inherits.

A short training is the cheapest rival of a supernet: every path alone, but only so long that all of them together cost
what the supernet cost, judging included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from supernet_cli.config.schema import Recipe
from supernet_cli.engine import checkpoint, device, seed
from supernet_cli.engine.prepare import Prepared, TrainingData, seeded_supernet
from supernet_cli.engine.supernet import Supernet
from supernet_cli.engine.training import Assignment, Outcome, Stop, Training, preset_digest
from supernet_cli.errors import UsageError
from supernet_cli.runs.alone import AloneJob
from supernet_cli.runs.records import Recorder
from supernet_cli.sampling import build_sampler
from supernet_cli.space import Architecture, SearchSpace


@dataclass(frozen=True)
class AloneTraining:
    """What all trainings of single paths share; it is sent to the processes that do them.

    Args:
        space: The whole search space.
        recipe: How a path is trained alone.
        data: Images, in the host's memory.
        device: Where trainings run.
        threads: Threads of the CPU for each: results depend on them, and not on how many run side by side.
        origin: What a checkpoint must agree with.
    """

    space: SearchSpace
    recipe: Recipe
    data: TrainingData
    device: device.Device
    threads: int
    origin: str

    @classmethod
    def of(cls, prepared: Prepared) -> AloneTraining:
        """Return what the preset of a run says about it."""
        preset = prepared.preset
        return cls(
            space=prepared.space,
            recipe=preset.standalone_recipe(),
            data=prepared.training_data(torch.device("cpu")),
            device=prepared.device,
            threads=preset.retrain.threads,
            origin=preset_digest(preset),
        )

    @cached_property
    def _resident(self) -> TrainingData:
        return self.data.to(self.device.place)

    def set_up(self) -> None:
        """Make a process ready: allocator and threads."""
        device.prepare(self.device, self.threads)

    def run(self, job: AloneJob, recorder: Recorder, stop: Stop) -> Outcome:
        """Train one path, from its beginning or from its checkpoint, to its end or until told to stop.

        Each path draws numbers of its own from its seed: noise between two paths is then independent, as statistics
        over seeds take for granted.

        Raises:
            DiskError: A write failed.
            OutOfMemoryError: No memory is left.
            RunError: A checkpoint, or the weights to inherit, are damaged.
        """
        with device.memory_errors():
            own_seed = seed.derive(job.seed, "alone", str(job.path))
            network = self._network(job, own_seed)
            (path,) = network.space.enumerate()
            recipe, data, origin = self._length(job, own_seed)
            assignment = Assignment(
                supernet=network,
                recipe=recipe,
                sampler=build_sampler("uniform", network.space, seed.python_rng(own_seed, "paths"), {}),
                seed=own_seed,
                watched=[path],
                judged=[path],
                data=data,
                device=self.device,
                threads=self.threads,
                origin=origin,
            )
            return Training(assignment, job.folder, recorder, stop).run()

    def _length(self, job: AloneJob, own_seed: int) -> tuple[Recipe, TrainingData, str]:
        """Return recipe, images and origin: the whole recipe's, or those of a short training."""
        data = self._resident
        if job.images is None:
            return self.recipe, data, self.origin
        epochs, count = short_epochs(job.images, len(data.training), self.recipe.batch_size)
        some = data.training.sample(count, seed.torch_rng(own_seed, "short"))
        recipe = self.recipe.model_copy(update={"epochs": epochs, "evaluate_every": epochs})
        return recipe, replace(data, training=some), f"{self.origin} {job.images} images"

    def _network(self, job: AloneJob, own_seed: int) -> Supernet:
        shape, num_classes = self.data.training.shape, self.data.num_classes
        network = seeded_supernet(self.space.only(job.path), shape, num_classes, own_seed, self.device)
        if job.inherits is not None:
            whole = seeded_supernet(self.space, shape, num_classes, 0, self.device)
            checkpoint.load_weights(job.inherits, whole)
            network.inherit(job.path, whole)
        return network


def short_images(prepared: Prepared, paths: Sequence[Architecture], budget: int) -> int:
    """Return how many images each of some paths may be trained with, so that all of it costs no more than a supernet.

    Args:
        prepared: From `prepare`, with the run's preset.
        paths: The paths that share the budget.
        budget: Multiply-accumulates; a training image costs three forward passes, and each path is judged once on
            the validation images.

    Raises:
        UsageError: That would be less than a mini-batch.
    """
    batch = prepared.preset.standalone_recipe().batch_size
    together = sum(prepared.costs.of(path) for path in paths)
    images = max(0, budget // together - len(prepared.splits.validation)) // 3
    if images < batch:
        raise UsageError(
            f"A supernet's cost, shared by {len(paths):,} paths, does not pay a mini-batch of {batch} for each.",
            "Share it among fewer paths, such as --top 16; or judge on fewer images: data.validation.",
        )
    return images


def short_epochs(images: int, available: int, batch: int) -> tuple[int, int]:
    """Return epochs, and the images of each in whole mini-batches, of a training that sees no more than so many."""
    epochs = max(1, -(-images // available))
    return epochs, images // epochs // batch * batch


def room_for(prepared: Prepared) -> int:
    """Return how many trainings there is room for: one on a GPU, else as many as the cores carry."""
    if prepared.device.place.type != "cpu":
        return 1
    return max(1, device.usable_cores() // prepared.preset.retrain.threads)
