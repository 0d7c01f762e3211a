"""Everything that a job needs and that can be wrong, checked and assembled before a run exists."""

from __future__ import annotations

import hashlib
import itertools
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from supernet_cli import device, seed
from supernet_cli.config.load import LoadedPreset
from supernet_cli.config.schema import Data, Preset, Recipe
from supernet_cli.config.torchrun import Place
from supernet_cli.data import Progress, Split, Splits, load_dataset, no_progress, split_validation
from supernet_cli.data.resident import ResidentImages, Statistics
from supernet_cli.errors import DataError, PresetError, RunError
from supernet_cli.networks.normalisation import borrowed, calibration_split
from supernet_cli.networks.profile import path_costs
from supernet_cli.networks.supernet import Supernet
from supernet_cli.runs.network import Normalisation, Signature
from supernet_cli.runs.store import Run
from supernet_cli.sampling import Adaptive, Context, Sampler, build_sampler, steps_per_epoch
from supernet_cli.space import PathCosts, SearchSpace
from supernet_cli.training.losses import class_counts, with_class_weights
from supernet_cli.training.optimiser import check_recipe


@dataclass(frozen=True)
class TrainingData:
    """The data that a training uses.

    Args:
        training: Images to train on, shifted and mirrored as the preset says.
        validation: Images to evaluate paths on during training.
        num_classes: K.
        feedback: Images held out for a strategy that uses feedback on paths; None for the others.
    """

    training: ResidentImages
    validation: ResidentImages
    num_classes: int
    feedback: ResidentImages | None = None

    def to(self, place: torch.device) -> TrainingData:
        """Return the same data on a device, without copying what is already there."""
        feedback = None if self.feedback is None else self.feedback.to(place)
        return TrainingData(self.training.to(place), self.validation.to(place), self.num_classes, feedback)


@dataclass(frozen=True)
class Prepared:
    """Everything that a training needs, checked.

    Args:
        preset: The preset.
        space: Its search space.
        splits: The images.
        statistics: Of the training part, or neutral.
        device: Where it runs.
        threads: CPU threads.
    """

    preset: Preset
    space: SearchSpace
    splits: Splits
    statistics: Statistics
    device: device.Device
    threads: int

    @cached_property
    def images_digest(self) -> str:
        """A fingerprint of all images and labels, split by split."""
        digest = hashlib.sha256()
        for split in (self.splits.train, self.splits.validation, self.splits.test):
            digest.update(split.images.numpy().data)
            digest.update(split.labels.numpy().data)
        return digest.hexdigest()[:16]

    def check_images(self, expected: str | None) -> None:
        """Make sure that a run still has the images it was started with: others may mix validation into training.

        Raises:
            RunError: The images differ.
        """
        if expected is not None and expected != self.images_digest:
            raise RunError(
                "These are not the images that the run was started with: validation images could have been trained on.",
                "Restore the data, name the folder that has them with --data-root DIR, or start a new run.",
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images."""
        _, height, width, channels = self.splits.train.images.shape
        return channels, height, width

    @property
    def signature(self) -> Signature:
        """What goes into the networks and what comes out, as a run keeps it."""
        normalisation = Normalisation(mean=self.statistics.mean.tolist(), std=self.statistics.std.tolist())
        return Signature.of(self.image_shape, self.splits.classes, normalisation)

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.splits.classes)

    def supernet(self, initial_seed: int) -> Supernet:
        """Return a supernet on the device, initialised by a seed."""
        return seeded_supernet(self.space, self.image_shape, self.num_classes, initial_seed, self.device)

    def resident(self, split: str) -> ResidentImages:
        """Return a split (`train`, `validation` or `test`) on the device, unshifted, for evaluation."""
        return ResidentImages(getattr(self.splits, split), self.statistics, self.device.place)

    def training_images(self, place: torch.device | None = None, split: Split | None = None) -> ResidentImages:
        """Return training images, all or some, on the device or elsewhere, shifted and mirrored as the preset says."""
        data = self.preset.data
        flip = self.image_shape[0] == 3 if data.flip is None else data.flip
        place = place or self.device.place
        return ResidentImages(split or self.splits.train, self.statistics, place, data.shift, flip)

    def calibration_images(self, place: torch.device | None = None, most: int | None = None) -> ResidentImages | None:
        """Return the unshifted training images for calibrating batch normalisation, or None without calibration.

        Args:
            place: Where to keep them (default: the device).
            most: Upper limit on their number.
        """
        count = self.preset.train.calibration
        if count == 0 or not self.space.has_batch_norm:
            return None
        split = calibration_split(self.splits.train, count if most is None else min(count, most))
        return ResidentImages(split, self.statistics, place or self.device.place)

    def training_data(self, place: torch.device | None = None) -> TrainingData:
        """Return the data of a training, on the device or elsewhere."""
        validation = ResidentImages(self.splits.validation, self.statistics, place or self.device.place)
        return TrainingData(self.training_images(place), validation, self.num_classes)

    def supernet_data(self, sampler: Sampler) -> TrainingData:
        """Return the data of a supernet's training, on the device, with what its strategy holds out set apart."""
        if not isinstance(sampler, Adaptive):
            return self.training_data()
        rest, held = hold_out(self.splits.train, sampler.held_out, self.preset.data.split_seed)
        feedback = ResidentImages(held, self.statistics, self.device.place)
        return TrainingData(self.training_images(split=rest), self.resident("validation"), self.num_classes, feedback)

    @cached_property
    def costs(self) -> PathCosts:
        """The costs of all candidates."""
        return path_costs(self.supernet(0), self.image_shape, self.device)

    @cached_property
    def train_recipe(self) -> Recipe:
        """How supernets are trained, with balanced class weights in numbers.

        Raises:
            PresetError: The weights are to be balanced, and a class has no training images.
        """
        return self._with_class_weights(self.preset.train, "train")

    @cached_property
    def standalone_recipe(self) -> Recipe:
        """How paths are trained from scratch, with balanced class weights in numbers.

        Raises:
            PresetError: The weights are to be balanced, and a class has no training images.
        """
        return self._with_class_weights(self.preset.standalone_recipe(), "retrain")

    def _with_class_weights(self, recipe: Recipe, section: str) -> Recipe:
        counts = class_counts(self.splits.train.labels, self.splits.classes)
        return with_class_weights(recipe, counts, section)

    def sampler(self, job_seed: int) -> Sampler:
        """Return the preset's strategy, seeded by a job's seed.

        Raises:
            PresetError: A parameter is invalid, or the space does not suit the strategy.
        """
        train = self.preset.train
        named, rng = train.sampler, seed.python_rng(job_seed, "paths")
        context = Context(train.epochs, len(self.splits.train), train.batch_size, self.costs)
        try:
            return build_sampler(named.name, self.space, rng, named.parameters, context)
        except (TypeError, ValueError) as error:
            raise PresetError(f'train.sampler = "{named.name}": {error}.') from error


def prepare(
    preset: Preset,
    threads: int | None = None,
    progress: Progress = no_progress,
    place: Place | None = None,
    data_root: Path | None = None,
) -> Prepared:
    """Check everything that needs torch, and load the data.

    Args:
        preset: The preset.
        threads: CPU threads instead of the preset's, for a job that resumes with its own.
        progress: Called during downloads and while images are decoded.
        place: This process among those that train together (default: a single process).
        data_root: Folder of the images, if not where the preset says.

    Raises:
        PresetError: Device, optimiser, schedule, loss, sampler, an operation or the split is invalid.
        DataError: The data set is missing or damaged.
        DiskError: Files cannot be read, or the cache cannot be written.
        OutOfMemoryError: The images or the network do not fit into memory.
    """
    place = place or Place()
    chosen = device.choose_device(device.of_rank(preset.runtime.device, place), preset.runtime.precision)
    num_threads = device.prepare(chosen, threads or preset.runtime.threads, place.local_size)
    space = SearchSpace.from_config(preset.space)
    with device.memory_errors("Use smaller images (data.size), or free some memory."):
        splits = _load(preset.data, progress, data_root)
    with device.memory_errors():
        neutral = Statistics.neutral(splits.train.images.shape[-1])
        statistics = Statistics.of(splits.train) if preset.data.standardize else neutral
        prepared = Prepared(preset, space, splits, statistics, chosen, num_threads)
        supernet = _buildable(prepared)
        sampler, images = prepared.sampler(0), len(splits.train)
        seen = images - (sampler.held_out if isinstance(sampler, Adaptive) else 0)
        if seen < 1:
            raise PresetError(
                f"train.sampler: none of {images:,} training images are left to train on.", "Hold out fewer."
            )
        for section, recipe, num_images, passes in (
            ("train", prepared.train_recipe, seen, sampler.passes_per_step),
            ("retrain", prepared.standalone_recipe, images, 1),
        ):
            steps = steps_per_epoch(num_images, recipe.batch_size, passes) * recipe.epochs
            check_recipe(recipe, supernet.parameters(), steps, prepared.num_classes, section)
            _check_single_images(prepared, supernet, num_images, recipe.batch_size, section)
    return prepared


def prepare_run(
    run: Run,
    threads: int | None = None,
    progress: Progress = no_progress,
    place: Place | None = None,
    data_root: Path | None = None,
) -> Prepared:
    """Prepare what a run works with, and make sure that its images are those it was started with.

    Args:
        run: The run.
        threads: As for `prepare`.
        progress: As for `prepare`.
        place: As for `prepare`.
        data_root: Folder of the images, if not where the run's preset says.

    Raises:
        RunError: The images are others, or the run is damaged.
        DataError: The images are missing or damaged.
        PresetError: As for `prepare`.
    """
    preset = run.preset()
    moved = preset.data.root and data_root is None and not Path(preset.data.root).exists()
    if moved:
        raise DataError(
            f"The images of run {run.id} are no longer in {preset.data.root}.",
            "If they were moved, say where they are with --data-root DIR.",
        )
    prepared = prepare(preset, threads, progress, place, data_root)
    prepared.check_images(run.manifest.fingerprints.get("images"))
    return prepared


def prepare_loaded(loaded: LoadedPreset, progress: Progress = no_progress, place: Place | None = None) -> Prepared:
    """Prepare a new training; if its images are missing, the error also says what their path is relative to.

    Args:
        loaded: The preset.
        progress: As for `prepare`.
        place: As for `prepare`.

    Raises:
        PresetError: As for `prepare`.
        DataError: As for `prepare`.
    """
    try:
        prepared = prepare(loaded.preset, progress=progress, place=place)
    except DataError as error:
        if loaded.root is None or not loaded.root.base or loaded.root.path.exists():
            raise
        raise DataError(f"{error.message} {loaded.root.explanation()}", error.hint) from error
    prepared.splits.report.check_trainable()
    return prepared


def _load(data: Data, progress: Progress, data_root: Path | None) -> Splits:
    """Load the images of a preset and split them; the unsplit ones are freed on return."""
    root = Path(os.path.expanduser(data_root or data.root)) if data_root or data.root else None
    dataset = load_dataset(data.dataset, root, data.parameters, progress)
    return split_validation(dataset, data.validation, data.split_seed)


def seeded_supernet(
    space: SearchSpace,
    image_shape: tuple[int, int, int],
    num_classes: int,
    initial_seed: int,
    on: device.Device,
) -> Supernet:
    """Return a supernet on a device, channels last, initialised by a seed."""
    with seed.seeded_initialisation(initial_seed):
        supernet = Supernet(space, image_shape, num_classes)
    return supernet.to(on.place, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def hold_out(split: Split, count: int, split_seed: int) -> tuple[Split, Split]:
    """Return a split without some randomly drawn images, and those images; a seed always draws the same ones."""
    order = torch.randperm(len(split), generator=seed.torch_rng(split_seed, "feedback"))
    held, rest = order[:count].sort().values, order[count:].sort().values
    return Split(split.images[rest], split.labels[rest]), Split(split.images[held], split.labels[held])


def _check_single_images(prepared: Prepared, supernet: Supernet, images: int, batch_size: int, section: str) -> None:
    """Make sure that a mini-batch of a single image, if there is one, can be trained on.

    Raises:
        PresetError: Batch normalisation would see a single number per channel.
    """
    if not prepared.space.has_batch_norm or (batch_size > 1 and images % batch_size != 1):
        return
    widest = max(len(block.candidates) for block in prepared.space.blocks)
    with borrowed(supernet), torch.no_grad():
        supernet.train()
        for number in range(widest):
            choices = [min(number, len(block.candidates) - 1) for block in prepared.space.blocks]
            try:
                image_1CHW = torch.zeros(1, *prepared.image_shape, device=prepared.device.place)
                supernet(image_1CHW, prepared.space.architecture(choices))
            except ValueError as error:
                other = next(size for size in itertools.count(batch_size + 1) if images % size != 1)
                raise PresetError(
                    f"{section}.batch_size = {batch_size}: with {images:,} images, one mini-batch has a single image, "
                    "on which batch normalisation cannot train: this space reduces images to one pixel.",
                    f"Use another batch size: --set {section}.batch_size={other}",
                ) from error


def _buildable(prepared: Prepared) -> Supernet:
    """Build the supernet once: some errors only show when its modules are created."""
    try:
        return prepared.supernet(0)
    except (TypeError, ValueError) as error:
        raise PresetError(f"space: {error}.") from error
