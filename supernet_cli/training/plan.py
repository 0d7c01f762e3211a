"""How a run's networks are trained: its preset, with what depends on the images in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from supernet_cli import seed
from supernet_cli.config.schema import Preset, Recipe
from supernet_cli.errors import PresetError
from supernet_cli.sampling import Context, Sampler, build_sampler
from supernet_cli.space import PathCosts, SearchSpace
from supernet_cli.training.losses import with_class_weights


@dataclass(frozen=True)
class TrainingPlan:
    """How a run's networks are trained.

    Args:
        preset: The preset.
        space: Its search space.
        costs: Costs of the space's candidates.
        class_counts: Training images of each class, by its name, in order of the labels.
        threads: CPU threads.
    """

    preset: Preset
    space: SearchSpace
    costs: PathCosts
    class_counts: Mapping[str, int]
    threads: int

    @property
    def train_images(self) -> int:
        """Number of training images."""
        return sum(self.class_counts.values())

    @property
    def calibration(self) -> int:
        """Most images to calibrate batch normalisation with; 0 for no calibration."""
        return self.preset.train.calibration if self.space.has_batch_norm else 0

    @cached_property
    def train_recipe(self) -> Recipe:
        """How supernets are trained, with balanced class weights in numbers.

        Raises:
            PresetError: The weights are to be balanced, and a class has no training images.
        """
        return with_class_weights(self.preset.train, self.class_counts, "train")

    @cached_property
    def standalone_recipe(self) -> Recipe:
        """How paths are trained from scratch, with balanced class weights in numbers.

        Raises:
            PresetError: The weights are to be balanced, and a class has no training images.
        """
        return with_class_weights(self.preset.standalone_recipe(), self.class_counts, "retrain")

    def sampler(self, job_seed: int) -> Sampler:
        """Return the preset's strategy, seeded by a job's seed.

        Raises:
            PresetError: A parameter is invalid, or the space does not suit the strategy.
        """
        train = self.preset.train
        named, rng = train.sampler, seed.python_rng(job_seed, "paths")
        context = Context(train.epochs, self.train_images, train.batch_size, self.costs)
        try:
            return build_sampler(named.name, self.space, rng, named.parameters, context)
        except (TypeError, ValueError) as error:
            raise PresetError(f'train.sampler = "{named.name}": {error}.') from error
