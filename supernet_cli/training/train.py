"""The job that trains a supernet."""

from __future__ import annotations

import logging

from supernet_cli import device, seed
from supernet_cli.networks import normalisation
from supernet_cli.runs.job import JobFolder
from supernet_cli.runs.records import Recorder
from supernet_cli.space import PASSES_PER_TRAINING_IMAGE, Architecture
from supernet_cli.training.driver import Assignment, Outcome, Stop, Training
from supernet_cli.training.extension import origins
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
    report = prepared.splits.report
    for sentence in (report.line(), *report.notes, *report.warnings):
        logger.info("data: %s", sentence)
    with device.memory_errors():
        watched, sampler = watched_paths(prepared), prepared.sampler(job_seed)
        supernet = prepared.supernet(job_seed)
        if ranks is not None and ranks.size > 1 and prepared.device.place.type == "cuda":
            normalisation.synchronise(supernet)
        assignment = Assignment(
            supernet=supernet,
            recipe=prepared.train_recipe,
            sampler=sampler,
            seed=job_seed,
            watched=watched,
            judged=judged_paths(prepared),
            data=prepared.supernet_data(sampler),
            device=prepared.device,
            threads=prepared.threads,
            origins=origins(prepared.preset),
            calibration=prepared.calibration_images(),
            both_ways=prepared.preset.train.evaluate_unrecalibrated,
        )
        return Training(assignment, job, recorder, stop, ranks).run()


def watched_paths(prepared: Prepared) -> list[Architecture]:
    """Return the paths to evaluate during training: all, or as many as `WATCHED_SHARE` allows, always the same."""
    affordable = _affordable(prepared, prepared.preset.train.evaluate_every)
    return prepared.space.sample_distinct(max(4, affordable), seed.python_rng(0, "watched paths"))


def judged_paths(prepared: Prepared) -> list[Architecture]:
    """Return the paths to evaluate when training ends.

    All of them, or the watched ones and a random sample: as many as another `WATCHED_SHARE` of the whole training pays
    for, so that `--top K` has more to choose from than what was watched.
    """
    space = prepared.space
    if space.size <= JUDGED_AT_THE_END:
        return list(space.enumerate())
    watched = watched_paths(prepared)
    count = max(len(watched), _affordable(prepared, prepared.preset.train.epochs))
    return list(dict.fromkeys([*watched, *space.sampled(count)]))[:count]


def _affordable(prepared: Prepared, epochs: int) -> int:
    """Return how many paths `WATCHED_SHARE` of so many epochs pays for, if none shared a prefix with another."""
    preset, images = prepared.preset, len(prepared.splits.validation)
    if prepared.space.has_batch_norm and preset.train.calibration:
        images *= 2 if preset.train.evaluate_unrecalibrated else 1
        images += min(preset.train.calibration, len(prepared.splits.train))
    return int(WATCHED_SHARE * PASSES_PER_TRAINING_IMAGE * len(prepared.splits.train) * epochs / images)
