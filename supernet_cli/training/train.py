"""The job that trains a supernet."""

from __future__ import annotations

import logging
from dataclasses import replace

from supernet_cli import device, seed
from supernet_cli.data.images import Images
from supernet_cli.networks import normalisation
from supernet_cli.networks.scoring import JudgingPlan, images_per_path
from supernet_cli.sampling import Adaptive, Undropped
from supernet_cli.space import PASSES_PER_TRAINING_IMAGE, Architecture
from supernet_cli.store.job import JobFolder
from supernet_cli.store.records import Recorder
from supernet_cli.training.assignment import Assignment
from supernet_cli.training.driver import Outcome, Stop, Training
from supernet_cli.training.extension import origins
from supernet_cli.training.plan import TrainingPlan
from supernet_cli.training.prepare import Prepared
from supernet_cli.training.ranks import Ranks

logger = logging.getLogger(__name__)

WATCHED_SHARE = 0.1
"""Approximate share of the training time that evaluating paths may take."""

JUDGED_AT_THE_END = 256
"""Largest space of which every path is evaluated at the end of training."""


def train_supernet(
    prepared: Prepared, job: JobFolder, job_seed: int, recorder: Recorder, stop: Stop, ranks: Ranks | None = None
) -> Outcome:
    """Train one supernet from scratch or from its checkpoint, until the end or a requested stop.

    Args:
        prepared: From `prepare`.
        job: Folder for checkpoints and weights.
        job_seed: Determines initial weights, order of images, shifts and paths.
        recorder: Receives every record.
        stop: Requests a stop before the end.
        ranks: The processes that train it together; by default only this one.

    Raises:
        DiskError: A write failed.
        OutOfMemoryError: No memory is left.
        RunError: The checkpoints are damaged.
        RankError: Another rank failed or is gone.
    """
    images, networks, plan = prepared.images, prepared.networks, prepared.plan
    report = images.splits.report
    for sentence in (report.line(), *report.notes, *report.warnings):
        logger.info("data: %s", sentence)
    with device.memory_errors():
        watched, judged = watched_paths(plan, images), judged_paths(plan, images)
        sampler, supernet = plan.sampler(job_seed), networks.supernet(job_seed)
        if ranks is not None and ranks.size > 1 and networks.device.place.type == "cuda":
            normalisation.synchronise(supernet)
        data = images.training_data(held_out=sampler.held_out if isinstance(sampler, Adaptive) else 0)
        judging = JudgingPlan(
            paths=watched,
            images=data.validation,
            calibration=images.calibration(plan.calibration),
            undropped=sampler.undropped if isinstance(sampler, Undropped) else None,
            both_ways=plan.preset.train.evaluate_unrecalibrated,
        )
        assignment = Assignment(
            supernet=supernet,
            recipe=plan.train_recipe,
            sampler=sampler,
            seed=job_seed,
            watched=judging,
            judged=replace(judging, paths=judged),
            data=data,
            device=networks.device,
            threads=plan.threads,
            origins=origins(plan.preset),
        )
        return Training(assignment, job, recorder, stop, ranks).run()


def watched_paths(plan: TrainingPlan, images: Images) -> list[Architecture]:
    """Return the paths to evaluate during training: all, or as many as `WATCHED_SHARE` allows, always the same."""
    affordable = _affordable(plan, images, plan.preset.train.evaluate_every)
    return plan.space.sample_distinct(max(4, affordable), seed.python_rng(0, "watched paths"))


def judged_paths(plan: TrainingPlan, images: Images) -> list[Architecture]:
    """Return the paths to evaluate when training ends.

    All of them, or the watched ones and a random sample: as many as another `WATCHED_SHARE` of the whole training pays
    for, so that `--top K` has more to choose from than what was watched.
    """
    space = plan.space
    if space.size <= JUDGED_AT_THE_END:
        return list(space.enumerate())
    watched = watched_paths(plan, images)
    count = max(len(watched), _affordable(plan, images, plan.preset.train.epochs))
    return list(dict.fromkeys([*watched, *space.sampled(count)]))[:count]


def _affordable(plan: TrainingPlan, images: Images, epochs: int) -> int:
    """Return how many paths `WATCHED_SHARE` of so many epochs pays for, if none shared a prefix with another."""
    calibration = min(plan.calibration, plan.train_images)
    both_ways = plan.preset.train.evaluate_unrecalibrated
    per_path = images_per_path(len(images.splits.validation), calibration, both_ways)
    return int(WATCHED_SHARE * PASSES_PER_TRAINING_IMAGE * plan.train_images * epochs / per_path)
