"""The state of a run as a pure fold of its records: what every view draws.

`fold(snapshot, record)` gives the next snapshot and never changes one, so a view may keep it, compare it and draw it
from another thread. Histories are bounded: past their limit neighbouring points are averaged, so a long run costs no
more than a short one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from supernet_cli.runs.records import (
    DevicesSampled,
    JobEnded,
    JobStarted,
    PathScore,
    PathsEvaluated,
    Record,
    State,
    StepsTrained,
)

_LIMIT = 1024


@dataclass(frozen=True)
class Point:
    """One point of a curve."""

    step: int
    value: float


@dataclass(frozen=True)
class Series:
    """A curve of bounded length.

    Args:
        points: In order of steps; each the mean of `stride` values, the last `len(pending)` values excepted.
        stride: How many values one point stands for.
        pending: Values not yet made into a point.
    """

    points: tuple[Point, ...] = ()
    stride: int = 1
    pending: tuple[Point, ...] = ()

    def add(self, step: int, value: float) -> Series:
        """Return the curve with one more value."""
        pending = (*self.pending, Point(step, value))
        if len(pending) < self.stride:
            return replace(self, pending=pending)
        points = (*self.points, _mean(pending))
        if len(points) < _LIMIT:
            return replace(self, points=points, pending=())
        halved = tuple(_mean(points[i : i + 2]) for i in range(0, len(points), 2))
        return Series(halved, self.stride * 2)

    @property
    def values(self) -> tuple[float, ...]:
        """The curve's values, the newest included."""
        return tuple(point.value for point in (*self.points, *self.pending[-1:]))

    @property
    def last_step(self) -> int | None:
        """The step of the newest value."""
        points = (*self.points[-1:], *self.pending[-1:])
        return points[-1].step if points else None

    def before(self, step: int) -> Series:
        """Return the curve without what came after a step, for a segment that does those steps again."""
        kept = tuple(point for point in self.points if point.step <= step)
        return Series(kept, self.stride, tuple(point for point in self.pending if point.step <= step))


@dataclass(frozen=True)
class PathView:
    """What is known of a path.

    Args:
        score: The newest.
        history: Its validation accuracy, oldest first.
    """

    score: PathScore
    history: Series


@dataclass(frozen=True)
class JobSnapshot:
    """The state of one job."""

    state: State = "created"
    reason: str = ""
    step: int = 0
    steps: int = 0
    epoch: int = 0
    epochs: int = 0
    num_paths: int = 0
    device: str = ""
    threads: int = 0
    loss: Series = Series()
    learning_rate: float | None = None
    forward_images: int = 0
    forward_macs: int = 0
    train_seconds: float = 0.0
    evaluation_images: int = 0
    evaluation_macs: int = 0
    evaluation_seconds: float = 0.0
    images_per_second: float | None = None
    paths: Mapping[str, PathView] = field(default_factory=lambda: MappingProxyType({}))
    started: float | None = None  # time of the newest segment's first record
    first_step: int = 0  # of that segment
    updated: float | None = None

    @property
    def steps_per_second(self) -> float | None:
        """Pace of this segment, evaluation included."""
        if self.started is None or self.updated is None or self.step <= self.first_step or self.state != "running":
            return None
        return (self.step - self.first_step) / max(self.updated - self.started, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """Time until the job is done at the pace of this segment."""
        pace = self.steps_per_second
        return None if pace is None else (self.steps - self.step) / pace

    def ranked(self) -> list[PathView]:
        """Return the paths judged so far, best accuracy first."""
        return sorted(self.paths.values(), key=lambda view: (-view.score.accuracy, view.score.path))


@dataclass(frozen=True)
class RunSnapshot:
    """The state of a run: what every view draws.

    Args:
        run: Its id.
        jobs: Key and state of each job, in the order they are trained.
        current: Key of the job that trains now, or did last.
        devices: The newest sample.
    """

    run: str
    jobs: tuple[tuple[str, JobSnapshot], ...]
    current: str
    devices: DevicesSampled | None = None

    @property
    def job(self) -> JobSnapshot:
        """The job that trains now."""
        return dict(self.jobs)[self.current]

    @property
    def progress(self) -> tuple[int, int]:
        """Steps done, and steps of all jobs; one that has not begun is taken to be as long as the others."""
        longest = max((job.steps for _, job in self.jobs), default=0)
        return sum(job.step for _, job in self.jobs), sum(job.steps or longest for _, job in self.jobs)

    @property
    def seconds_left(self) -> float | None:
        """Time until all jobs are done, if as many go on side by side as do now."""
        paces = [pace for _, job in self.jobs if (pace := job.steps_per_second) is not None]
        open_jobs = [job for _, job in self.jobs if job.state in ("created", "running", "interrupted", "stopped")]
        longest = max((job.steps for _, job in self.jobs), default=0)
        left = sum((job.steps or longest) - job.step for job in open_jobs)
        return left / sum(paces) if paces else None


def fold_run(run: RunSnapshot, key: str | None, record: Record) -> RunSnapshot:
    """Return the run's state after a record.

    Args:
        run: Its state before.
        key: The job that reports, or None for a sample of the devices, which belongs to none.
        record: The record.
    """
    if isinstance(record, DevicesSampled):
        return replace(run, devices=record)
    if key is None:
        return run
    jobs = tuple((name, fold(job, record) if name == key else job) for name, job in run.jobs)
    return replace(run, jobs=jobs, current=key)


def fold(job: JobSnapshot, record: Record) -> JobSnapshot:
    """Return the job's state after a record."""
    match record:
        case JobStarted():
            return _started(job, record)
        case StepsTrained():
            return _trained(job, record)
        case PathsEvaluated():
            return _evaluated(job, record)
        case JobEnded():
            return replace(job, state=record.state, reason=record.reason, updated=record.time)
        case DevicesSampled():
            return job


def _started(job: JobSnapshot, record: JobStarted) -> JobSnapshot:
    return replace(
        job,
        state="running",
        reason="",
        step=record.step,
        steps=record.steps,
        epochs=record.epochs,
        num_paths=record.paths,
        device=record.device,
        threads=record.threads,
        loss=job.loss.before(record.step),
        started=record.time,
        first_step=record.step,
        updated=record.time,
    )


def _trained(job: JobSnapshot, record: StepsTrained) -> JobSnapshot:
    images, seconds = record.forward_images - job.forward_images, record.seconds - job.train_seconds
    pace = images / seconds if images > 0 and seconds > 0 else job.images_per_second
    if pace is not None and job.images_per_second is not None:
        pace = 0.8 * job.images_per_second + 0.2 * pace
    return replace(
        job,
        step=record.step,
        epoch=record.epoch,
        loss=job.loss if not _is_number(record.loss) else job.loss.add(record.step, record.loss or 0.0),
        learning_rate=record.learning_rate,
        forward_images=record.forward_images,
        forward_macs=record.macs,
        train_seconds=record.seconds,
        images_per_second=pace,
        updated=record.time,
    )


def _evaluated(job: JobSnapshot, record: PathsEvaluated) -> JobSnapshot:
    paths = dict(job.paths)
    for score in record.scores:
        history = paths[score.path].history if score.path in paths else Series()
        paths[score.path] = PathView(score, history.before(record.step - 1).add(record.step, score.accuracy))
    return replace(
        job,
        paths=MappingProxyType(paths),
        evaluation_images=job.evaluation_images + record.forward_images,
        evaluation_macs=job.evaluation_macs + record.macs,
        evaluation_seconds=job.evaluation_seconds + record.seconds,
        updated=record.time,
    )


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _mean(points: tuple[Point, ...]) -> Point:
    return Point(points[-1].step, sum(point.value for point in points) / len(points))
