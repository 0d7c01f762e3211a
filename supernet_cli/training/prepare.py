"""Everything that a job needs and that can be wrong, checked and assembled before a run exists."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from supernet_cli import device
from supernet_cli.config.load import LoadedPreset
from supernet_cli.config.schema import Data, Preset
from supernet_cli.config.torchrun import Place
from supernet_cli.data import Progress, Splits, load_dataset, no_progress, split_validation
from supernet_cli.data.images import Images
from supernet_cli.errors import DataError, PresetError
from supernet_cli.networks.builder import Builder
from supernet_cli.networks.normalisation import borrowed
from supernet_cli.networks.supernet import Supernet
from supernet_cli.sampling import Adaptive, steps_per_epoch
from supernet_cli.space import SearchSpace
from supernet_cli.store.run import Run
from supernet_cli.training.losses import class_counts
from supernet_cli.training.optimiser import check_recipe
from supernet_cli.training.plan import TrainingPlan


@dataclass(frozen=True)
class Prepared:
    """Everything that a run's jobs need, checked.

    Args:
        images: Its images.
        networks: Builds its networks.
        plan: How they are trained.
    """

    images: Images
    networks: Builder
    plan: TrainingPlan


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
        images = Images.of(splits, preset.data, chosen.place)
        networks = Builder(space, images.shape, len(splits.classes), chosen)
        supernet = _buildable(networks)
        counts = class_counts(splits.train.labels, splits.classes)
        plan = TrainingPlan(preset, space, networks.costs, counts, num_threads)
        _check_trainable(plan, networks, supernet)
    return Prepared(images, networks, plan)


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
    prepared.images.check(run.manifest.fingerprints.get("images"))
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
    prepared.images.splits.report.check_trainable()
    return prepared


def _load(data: Data, progress: Progress, data_root: Path | None) -> Splits:
    """Load the images of a preset and split them; the unsplit ones are freed on return."""
    root = Path(os.path.expanduser(data_root or data.root)) if data_root or data.root else None
    dataset = load_dataset(data.dataset, root, data.parameters, progress)
    return split_validation(dataset, data.validation, data.split_seed)


def _buildable(networks: Builder) -> Supernet:
    """Build the supernet once: some errors only show when its modules are created."""
    try:
        return networks.supernet(0)
    except (TypeError, ValueError) as error:
        raise PresetError(f"space: {error}.") from error


def _check_trainable(plan: TrainingPlan, networks: Builder, supernet: Supernet) -> None:
    """Make sure that both recipes and the strategy can be used.

    Raises:
        PresetError: One cannot.
    """
    sampler, images = plan.sampler(0), plan.train_images
    seen = images - (sampler.held_out if isinstance(sampler, Adaptive) else 0)
    if seen < 1:
        raise PresetError(f"train.sampler: none of {images:,} training images are left to train on.", "Hold out fewer.")
    for section, recipe, num_images, passes in (
        ("train", plan.train_recipe, seen, sampler.passes_per_step),
        ("retrain", plan.standalone_recipe, images, 1),
    ):
        steps = steps_per_epoch(num_images, recipe.batch_size, passes) * recipe.epochs
        check_recipe(recipe, supernet.parameters(), steps, networks.num_classes, section)
        _check_single_images(networks, supernet, num_images, recipe.batch_size, section)


def _check_single_images(networks: Builder, supernet: Supernet, images: int, batch_size: int, section: str) -> None:
    """Make sure that a mini-batch of a single image, if there is one, can be trained on.

    Raises:
        PresetError: Batch normalisation would see a single number per channel.
    """
    space = networks.space
    if not space.has_batch_norm or (batch_size > 1 and images % batch_size != 1):
        return
    widest = max(len(block.candidates) for block in space.blocks)
    with borrowed(supernet), torch.no_grad():
        supernet.train()
        for number in range(widest):
            choices = [min(number, len(block.candidates) - 1) for block in space.blocks]
            try:
                image_1CHW = torch.zeros(1, *networks.image_shape, device=networks.device.place)
                supernet(image_1CHW, space.architecture(choices))
            except ValueError as error:
                other = next(size for size in itertools.count(batch_size + 1) if images % size != 1)
                raise PresetError(
                    f"{section}.batch_size = {batch_size}: with {images:,} images, one mini-batch has a single image, "
                    "on which batch normalisation cannot train: this space reduces images to one pixel.",
                    f"Use another batch size: --set {section}.batch_size={other}",
                ) from error
