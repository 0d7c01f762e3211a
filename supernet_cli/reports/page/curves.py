"""How a run's trainings went, if their metrics still exist: the data of two figures of the report."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from supernet_cli.store.job import JobFolder
from supernet_cli.store.snapshot import JobSnapshot, Series

_POINTS = 150
"""Points of a curve at most: more would not be visible."""

_MOST = 300
"""Trainings read at most: a sample of this size represents thousands."""


@dataclass(frozen=True)
class Curve:
    """Values over images run forward in training.

    Args:
        images: In ascending order.
        values: One per entry of `images`.
    """

    images: tuple[float, ...] = ()
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class Training:
    """How one training went.

    Args:
        seed: Its seed.
        loss: Mean cross-entropy, nats per image.
        accuracies: By path, validation accuracy.
    """

    seed: int
    loss: Curve
    accuracies: Mapping[str, Curve] = field(default_factory=dict)


def trainings(jobs: Sequence[JobFolder], seeds: Sequence[int]) -> tuple[list[Training], int]:
    """Return how trainings of some seeds went, and how many there are; an even selection if there are very many.

    Args:
        jobs: The trainings.
        seeds: The seeds.
    """
    jobs = [job for job in jobs if job.seed in set(seeds)]
    chosen = [jobs[index * len(jobs) // min(_MOST, len(jobs))] for index in range(min(_MOST, len(jobs)))]
    found = [_training(job) for job in chosen]
    return [training for training in found if training.loss.images], len(jobs)


def whole(found: Sequence[Training]) -> list[Training]:
    """Return the trainings that got as far as most did: the others do not enter a median."""
    if not found:
        return []
    end = statistics.median_low(training.loss.images[-1] for training in found)
    return [training for training in found if training.loss.images[-1] >= 0.98 * end]


def mean_accuracies(found: Sequence[Training]) -> dict[str, Curve]:
    """Return the mean curve of each path over supernet seeds that evaluated it at the same times."""
    means = {}
    for path in found[0].accuracies if found else ():
        curves = [training.accuracies[path] for training in found if path in training.accuracies]
        same = [curve for curve in curves if len(curve.images) == len(curves[0].images)]
        means[path] = Curve(same[0].images, tuple(map(statistics.fmean, zip(*(c.values for c in same), strict=True))))
    return means


def _training(job: JobFolder) -> Training:
    snapshot, _ = job.snapshot()
    accuracies = {path: _curve(view.history, snapshot) for path, view in snapshot.paths.items()}
    return Training(job.seed, _curve(snapshot.loss, snapshot), accuracies)


def _curve(series: Series, snapshot: JobSnapshot) -> Curve:
    """Return a series over images instead of steps: a step may run several paths."""
    if not snapshot.step or not snapshot.forward_images:
        return Curve()
    scale = snapshot.forward_images / snapshot.step
    points = [point for point in (*series.points, *series.pending[-1:]) if math.isfinite(point.value)]
    size = max(1, math.ceil(len(points) / _POINTS))
    parts = [points[start : start + size] for start in range(0, len(points), size)]
    return Curve(
        tuple(scale * statistics.fmean(point.step for point in part) for part in parts),
        tuple(statistics.fmean(point.value for point in part) for part in parts),
    )
