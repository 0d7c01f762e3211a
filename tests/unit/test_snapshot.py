from __future__ import annotations

import pytest

from supernet_cli.store.records import (
    JobEnded,
    JobPaused,
    JobResumed,
    JobStarted,
    PathScore,
    PathsEvaluated,
    StepsTrained,
)
from supernet_cli.store.snapshot import JobSnapshot, Series, fold


def started(step: int, time: float = 0.0) -> JobStarted:
    return JobStarted(
        time=time,
        step=step,
        steps=100,
        epochs=10,
        paths=2,
        train_images=50,
        validation_images=5,
        device="cpu",
        threads=1,
    )


def trained(step: int, time: float = 0.0, loss: float | None = 1.0) -> StepsTrained:
    return StepsTrained(
        time=time,
        step=step,
        epoch=1 + step // 10,
        objective=loss,
        loss=loss,
        learning_rate=0.1,
        forward_images=10 * step,
        seconds=step / 10,
    )


def judged(step: int, accuracy: float) -> PathsEvaluated:
    scores = (PathScore(path="a", accuracy=accuracy, loss=0.1), PathScore(path="b", accuracy=0.5, loss=0.2))
    return PathsEvaluated(step=step, epoch=step // 10, seconds=0.5, scores=scores)


def folded(*records: object) -> JobSnapshot:
    job = JobSnapshot()
    for record in records:
        job = fold(job, record)  # type: ignore[arg-type]
    return job


def test_a_job_is_what_its_records_add_up_to() -> None:
    job = folded(started(0), trained(10, loss=2.0), judged(10, 0.75), trained(20, loss=1.0), judged(20, 0.8))
    assert (job.state, job.step, job.epoch, job.steps) == ("running", 20, 3, 100)
    assert job.loss.values == (2.0, 1.0)
    assert job.images_per_second == pytest.approx(100)
    assert [view.score.path for view in job.ranked()] == ["a", "b"]
    assert job.paths["a"].history.values == (0.75, 0.8)
    assert (job.train_seconds, job.evaluation_seconds) == (2.0, 1.0)
    assert fold(job, JobEnded(step=20, state="finished")).state == "finished"


def test_folding_never_changes_a_snapshot() -> None:
    before = folded(started(0), trained(10), judged(10, 0.75))
    fold(fold(before, judged(20, 0.9)), trained(20))
    assert before.paths["a"].history.values == (0.75,)
    assert before.step == 10


def test_steps_that_a_later_segment_does_again_are_dropped() -> None:
    job = folded(
        started(0),
        trained(10, loss=3.0),
        trained(20, loss=2.0),
        trained(30, loss=9.0),
        started(20),
        trained(30, loss=1.0),
    )
    assert job.loss.values == (3.0, 2.0, 1.0)
    assert job.step == 30


def test_time_left_follows_the_pace_of_the_segment() -> None:
    job = folded(started(20, time=100.0), trained(40, time=110.0))
    assert job.seconds_left == pytest.approx(30.0)
    assert folded(started(20, time=100.0)).seconds_left is None


def test_a_pause_says_nothing_of_the_pace() -> None:
    before = [started(0, time=100.0), trained(20, time=110.0)]
    paused = folded(*before, JobPaused(time=111.0, step=20))
    assert (paused.state, paused.seconds_left) == ("paused", None)
    after = folded(*before, JobPaused(time=111.0, step=20), JobResumed(time=511.0, step=20), trained(40, time=522.0))
    assert after.state == "running"
    assert after.seconds_left == pytest.approx(folded(*before, trained(40, time=122.0)).seconds_left)


def test_a_loss_that_is_not_finite_leaves_no_point() -> None:
    assert folded(started(0), trained(10), trained(20, loss=None)).loss.values == (1.0,)


def test_a_long_curve_stays_bounded_and_keeps_its_mean_and_its_end() -> None:
    series = Series()
    for step in range(100_000):
        series = series.add(step, float(step))
    assert len(series.values) < 1100
    assert series.values[-1] == 99_999.0
    whole = [point.value for point in series.points]
    assert whole == sorted(whole)
    assert sum(whole) / len(whole) == pytest.approx(49_999.5, rel=0.02)
