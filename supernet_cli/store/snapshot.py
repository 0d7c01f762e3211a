"""The state of a run as a pure fold of its records: what every view draws.

`fold(snapshot, record)` returns the next snapshot and never changes one, so a view can keep, compare and draw it from
another thread. Histories are bounded: beyond their limit neighbouring points are averaged, so that a long run costs no
more than a short one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple, TypeGuard

from supernet_cli.store.layout import JobKey
from supernet_cli.store.ranking import ranked
from supernet_cli.store.records import (
    DevicesSampled,
    JobEnded,
    JobPaused,
    JobResumed,
    JobStarted,
    PathScore,
    PathsEvaluated,
    Record,
    StepsTrained,
)
from supernet_cli.store.state import State

_LIMIT = 1024
_LARGEST = 1e38  # of a loss, that of float32
_MOST_PATHS = 100_000  # accepted per job


class Point(NamedTuple):
    """One point of a curve."""

    step: int
    value: float


@dataclass(frozen=True)
class Series:
    """A curve of bounded length.

    Args:
        points: In order of steps; each is the mean of `stride` values, except for the last `len(pending)` values.
        stride: How many values one point represents.
        pending: Values not yet merged into a point.
    """

    points: tuple[Point, ...] = ()
    stride: int = 1
    pending: tuple[Point, ...] = ()

    def add(self, step: int, value: float) -> Series:
        """Return the curve with one more value."""
        return self.extend([(step, value)])

    def extend(self, values: Iterable[tuple[int, float]]) -> Series:
        """Return the curve extended by pairs of step and value, in order."""
        points, stride, pending = list(self.points), self.stride, list(self.pending)
        for step, value in values:
            pending.append(Point(step, value))
            if len(pending) < stride:
                continue
            points.append(_mean(pending))
            pending = []
            if len(points) >= _LIMIT:
                points = [_mean(points[i : i + 2]) for i in range(0, len(points), 2)]
                stride *= 2
        return Series(tuple(points), stride, tuple(pending))

    @property
    def values(self) -> tuple[float, ...]:
        """The curve's values, including the newest."""
        return tuple(point.value for point in (*self.points, *self.pending[-1:]))

    @property
    def last_step(self) -> int | None:
        """The step of the newest value."""
        points = (*self.points[-1:], *self.pending[-1:])
        return points[-1].step if points else None

    def before(self, step: int) -> Series:
        """Return the curve up to a step, for a segment that repeats the steps after it."""
        kept = tuple(point for point in self.points if point.step <= step)
        return Series(kept, self.stride, tuple(point for point in self.pending if point.step <= step))


@dataclass(frozen=True)
class PathView:
    """What is known about a path.

    Args:
        score: The newest score.
        history: Its validation accuracy, oldest first.
    """

    score: PathScore
    history: Series


@dataclass(frozen=True)
class JobSnapshot:
    """The state of one job."""

    state: State = State.CREATED
    reason: str = ""
    step: int = 0
    steps: int = 0
    epoch: int = 0
    epochs: int = 0
    num_paths: int = 0
    device: str = ""
    threads: int = 0
    host: str = ""
    loss: Series = Series()
    validation: Series = Series()  # mean validation loss of the paths evaluated
    newest: StepsTrained | None = None  # the newest record of steps, with every figure it holds
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
        """Speed of this segment, evaluation included."""
        is_running = self.state is State.RUNNING and self.step > self.first_step
        if self.started is None or self.updated is None or not is_running:
            return None
        seconds = self.updated - self.started
        return (self.step - self.first_step) / seconds if seconds > 0 else None  # the clock may have been set back

    @property
    def seconds_left(self) -> float | None:
        """Time until the job is done at the speed of this segment."""
        pace = self.steps_per_second
        return None if pace is None else (self.steps - self.step) / pace

    def ranked(self) -> list[PathView]:
        """Return the paths evaluated so far, best first: in the one order of `store.ranking`."""
        return [self.paths[score.path] for score in ranked(view.score for view in self.paths.values())]


@dataclass(frozen=True)
class RunSnapshot:
    """The state of a run: what every view draws.

    Args:
        run: Its id.
        jobs: Key and state of each job, in the order they are trained.
        current: Key of the job that is training, or trained last.
        devices: The newest sample.
    """

    run: str
    jobs: tuple[tuple[JobKey, JobSnapshot], ...]
    current: JobKey
    devices: DevicesSampled | None = None

    @property
    def job(self) -> JobSnapshot:
        """The job that is training."""
        return dict(self.jobs)[self.current]

    @property
    def progress(self) -> tuple[int, int]:
        """Steps done, and steps of all jobs; one that has not started is assumed to be as long as the others."""
        longest = max((job.steps for _, job in self.jobs), default=0)
        return sum(job.step for _, job in self.jobs), sum(job.steps or longest for _, job in self.jobs)

    @property
    def seconds_left(self) -> float | None:
        """Time until all jobs are done, if as many run in parallel as now."""
        paces = [pace for _, job in self.jobs if (pace := job.steps_per_second) is not None]
        open_jobs = [job for _, job in self.jobs if job.state is State.RUNNING or job.state.can_resume]
        longest = max((job.steps for _, job in self.jobs), default=0)
        left = sum((job.steps or longest) - job.step for job in open_jobs)
        return left / sum(paces) if paces else None


def fold_run(run: RunSnapshot, key: JobKey | None, record: Record) -> RunSnapshot:
    """Return the run's state after a record.

    Args:
        run: Its previous state.
        key: The job that reports, or None for a sample of the devices, which belongs to no job.
        record: The record.
    """
    if isinstance(record, DevicesSampled):
        return replace(run, devices=record)
    if key is None:
        return run
    jobs = tuple((name, fold(job, record) if name == key else job) for name, job in run.jobs)
    return replace(run, jobs=jobs, current=key)


def fold_all(job: JobSnapshot, records: Iterable[Record]) -> JobSnapshot:
    """Return the job's state after many records: the same as folding one by one, but several times as fast."""
    for kind, group in itertools.groupby(records, key=type):
        if kind is StepsTrained:
            job = _trained(job, [record for record in group if isinstance(record, StepsTrained)])
        else:
            for record in group:
                job = fold(job, record)
    return job


def fold(job: JobSnapshot, record: Record) -> JobSnapshot:
    """Return the job's state after a record."""
    match record:
        case JobStarted():
            return _started(job, record)
        case StepsTrained():
            return _trained(job, [record])
        case PathsEvaluated():
            return _evaluated(job, record)
        case JobPaused():
            return replace(job, state=State.PAUSED, updated=record.time)
        case JobResumed():
            return _resumed(job, record)
        case JobEnded():
            return replace(job, state=record.state, reason=record.reason, updated=record.time)
        case DevicesSampled():
            return job


def _started(job: JobSnapshot, record: JobStarted) -> JobSnapshot:
    return replace(
        job,
        **record.model_dump(include={"step", "steps", "epochs", "device", "threads", "host"}),
        state=State.RUNNING,
        reason="",
        num_paths=record.paths,
        loss=job.loss.before(record.step),
        validation=job.validation.before(record.step),
        started=record.time,
        first_step=record.step,
        updated=record.time,
    )


def _resumed(job: JobSnapshot, record: JobResumed) -> JobSnapshot:
    """Shift the start by the length of the pause, which must not count towards the speed."""
    paused = 0.0 if job.updated is None else record.time - job.updated
    started = None if job.started is None else job.started + paused
    return replace(job, state=State.RUNNING, started=started, updated=record.time)


def _trained(job: JobSnapshot, records: Sequence[StepsTrained]) -> JobSnapshot:
    images, seconds, pace = job.forward_images, job.train_seconds, job.images_per_second
    for record in records:
        more_images, more_seconds = record.forward_images - images, record.seconds - seconds
        images, seconds = record.forward_images, record.seconds
        if more_images > 0 and more_seconds > 0:
            now = more_images / more_seconds
            pace = now if pace is None else 0.8 * pace + 0.2 * now
    last = records[-1]
    return replace(
        job,
        step=last.step,
        epoch=last.epoch,
        loss=job.loss.extend((r.step, r.loss) for r in records if _is_drawable(r.loss)),
        newest=last,
        forward_images=images,
        forward_macs=last.macs,
        train_seconds=seconds,
        images_per_second=pace,
        updated=last.time,
    )


def _evaluated(job: JobSnapshot, record: PathsEvaluated) -> JobSnapshot:
    paths = dict(job.paths)
    for score in record.scores:
        if len(paths) >= _MOST_PATHS and score.path not in paths:
            continue
        history = paths[score.path].history if score.path in paths else Series()
        paths[score.path] = PathView(score, history.before(record.step - 1).add(record.step, score.accuracy))
    losses = [score.loss for score in record.scores if _is_drawable(score.loss)]
    validation = job.validation.before(record.step - 1)
    return replace(
        job,
        paths=MappingProxyType(paths),
        validation=validation.add(record.step, sum(losses) / len(losses)) if losses else validation,
        evaluation_images=job.evaluation_images + record.forward_images,
        evaluation_macs=job.evaluation_macs + record.macs,
        evaluation_seconds=job.evaluation_seconds + record.seconds,
        updated=record.time,
    )


def _is_drawable(loss: float | None) -> TypeGuard[float]:
    """Whether a loss is a number that a chart can show."""
    return loss is not None and abs(loss) < _LARGEST


def _mean(points: Sequence[Point]) -> Point:
    return Point(points[-1].step, sum(point.value for point in points) / len(points))
