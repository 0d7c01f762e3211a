"""The images of a run, and how they reach a device for training, evaluation and calibration."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch

from supernet_cli import seed
from supernet_cli.config.schema import Data
from supernet_cli.data import Split, Splits, hold_out
from supernet_cli.data.resident import ResidentImages, Statistics
from supernet_cli.errors import RunError
from supernet_cli.store.network import Normalisation, Signature

CALIBRATION_BATCH = 256
"""Images per batch: batch normalisation computes mean and variance per batch and keeps their average over batches."""


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
class Images:
    """The images of a run.

    Args:
        splits: The images.
        statistics: Of the training part, or neutral.
        place: The device that they are used on.
        shift: Pixels by which training shifts images, at most.
        flip: Whether training mirrors images left to right.
        split_seed: Decides which training images are held out.
    """

    splits: Splits
    statistics: Statistics
    place: torch.device
    shift: int
    flip: bool
    split_seed: int

    @classmethod
    def of(cls, splits: Splits, data: Data, place: torch.device) -> Images:
        """Return images with what a preset says about them; unless it does, only colour images are mirrored."""
        channels = splits.train.images.shape[-1]
        statistics = Statistics.of(splits.train) if data.standardize else Statistics.neutral(channels)
        flip = channels == 3 if data.flip is None else data.flip
        return cls(splits, statistics, place, data.shift, flip, data.split_seed)

    @cached_property
    def digest(self) -> str:
        """A fingerprint of all images and labels, split by split."""
        digest = hashlib.sha256()
        for split in (self.splits.train, self.splits.validation, self.splits.test):
            digest.update(split.images.numpy().data)
            digest.update(split.labels.numpy().data)
        return digest.hexdigest()[:16]

    def check(self, expected: str | None) -> None:
        """Make sure that a run still has the images it was started with: others may mix validation into training.

        Raises:
            RunError: The images differ.
        """
        if expected is not None and expected != self.digest:
            raise RunError(
                "These are not the images that the run was started with: validation images could have been trained on.",
                "Restore the data, name the folder that has them with --data-root DIR, or start a new run.",
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of each image."""
        _, height, width, channels = self.splits.train.images.shape
        return channels, height, width

    @property
    def signature(self) -> Signature:
        """What goes into networks for these images and what comes out, as a run keeps it."""
        normalisation = Normalisation(mean=self.statistics.mean.tolist(), std=self.statistics.std.tolist())
        return Signature.of(self.shape, self.splits.classes, normalisation)

    def resident(self, split: str, place: torch.device | None = None) -> ResidentImages:
        """Return a split (`train`, `validation` or `test`) unshifted, for evaluation.

        Args:
            split: Its name.
            place: Where to keep it (default: the device).
        """
        return ResidentImages(getattr(self.splits, split), self.statistics, place or self.place)

    def calibration(self, count: int, place: torch.device | None = None) -> ResidentImages | None:
        """Return unshifted training images for calibrating batch normalisation, or None for a count of 0.

        Args:
            count: Upper limit on their number.
            place: Where to keep them (default: the device).
        """
        if count == 0:
            return None
        return ResidentImages(calibration_split(self.splits.train, count), self.statistics, place or self.place)

    def training_data(self, place: torch.device | None = None, held_out: int = 0) -> TrainingData:
        """Return the data of a training, with training images shifted and mirrored.

        Args:
            place: Where to keep it (default: the device).
            held_out: Number of training images set apart for feedback on paths.
        """
        place, train, feedback = place or self.place, self.splits.train, None
        if held_out:
            train, held = hold_out(train, held_out, seed.torch_rng(self.split_seed, "feedback"))
            feedback = ResidentImages(held, self.statistics, place)
        shifted = ResidentImages(train, self.statistics, place, self.shift, self.flip)
        return TrainingData(shifted, self.resident("validation", place), len(self.splits.classes), feedback)


def calibration_split(training: Split, count: int) -> Split:
    """Return the training images to calibrate with: always the same random choice.

    Args:
        training: Images to choose from.
        count: Upper limit on their number.
    """
    order = torch.randperm(len(training), generator=seed.torch_rng(0, "calibration"))
    return training.take(order[: calibration_size(len(training), count)].sort().values)


def calibration_size(available: int, count: int) -> int:
    """Return how many of the available training images are used to calibrate: whole batches if possible.

    Args:
        available: Number of training images.
        count: Upper limit.
    """
    count = min(count, available)
    return count - (count % CALIBRATION_BATCH if count > CALIBRATION_BATCH else 0)
