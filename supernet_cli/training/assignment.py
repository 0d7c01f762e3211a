"""What is trained, as plain values: a supernet, or one path from scratch."""

from __future__ import annotations

from dataclasses import dataclass

from supernet_cli.config.schema import Recipe
from supernet_cli.data.images import TrainingData
from supernet_cli.device import Device
from supernet_cli.networks.scoring import JudgingPlan
from supernet_cli.networks.supernet import Supernet
from supernet_cli.sampling import Sampler
from supernet_cli.training.distillation import Distillation


@dataclass(frozen=True)
class Assignment:
    """The definition of one training.

    Args:
        supernet: Initial weights; its space may contain a single path.
        recipe: How it is trained.
        sampler: Decides which paths each step trains.
        seed: Determines the order of images and their shifts.
        watched: Evaluation of paths during training.
        judged: Evaluation of paths at the end.
        data: Images, on the device.
        device: The device to run on.
        threads: CPU threads.
        origins: What a checkpoint must match to be resumed: the form that is written, then earlier ones.
        most_steps: Where to end, if before the last of the recipe's epochs; schedules are scaled to this length.
        distillation: The network that a single path learns from, too; None for none.
    """

    supernet: Supernet
    recipe: Recipe
    sampler: Sampler
    seed: int
    watched: JudgingPlan
    judged: JudgingPlan
    data: TrainingData
    device: Device
    threads: int
    origins: tuple[str, ...]
    most_steps: int | None = None
    distillation: Distillation | None = None
