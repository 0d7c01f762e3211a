"""The job that judges trained supernets: paths with inherited weights, on validation or test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from supernet_cli.engine import checkpoint, device
from supernet_cli.engine.evaluate import Score, evaluate_paths
from supernet_cli.engine.prepare import Prepared
from supernet_cli.runs.job import JobFolder
from supernet_cli.space import Architecture

SplitName = Literal["test", "validation"]


@dataclass(frozen=True)
class Judged:
    """One path's one-shot score under one supernet seed."""

    path: Architecture
    seed: int
    score: Score


def judge_supernets(
    prepared: Prepared, jobs: Sequence[JobFolder], paths: Sequence[Architecture], split: SplitName
) -> Iterator[Judged]:
    """Judge paths under each of some finished supernets.

    Args:
        prepared: From `train.prepare`, with the run's preset.
        jobs: The supernets; each has weights.
        paths: The paths.
        split: Whose images.

    Raises:
        RunError: A supernet's weights are missing or damaged.
        OutOfMemoryError: No memory is left.
    """
    with device.memory_errors():
        images = prepared.resident(split)
        for job in jobs:
            supernet = prepared.supernet(0)
            checkpoint.load_weights(job.weights, supernet)
            scores = evaluate_paths(supernet, paths, images, prepared.device)
            yield from (Judged(path, job.seed, score) for path, score in scores.items())
