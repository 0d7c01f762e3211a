from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from recorded import grow, record_comparison, record_run, record_stand_alone, stamp_all

from supernet_cli.store.follow import RunFollower
from supernet_cli.store.job import list_jobs
from supernet_cli.store.layout import JobKey, Way
from supernet_cli.store.lister import RunLister
from supernet_cli.store.lock import FileLock, is_held
from supernet_cli.store.run import EXPERIMENT_LOCK
from supernet_cli.store.state import State
from supernet_cli.store.views import RunView


class Ticking:
    """A clock that goes on by a second whenever it is asked, so that everything is due."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10.0
        return self.now


def look(follower: RunFollower) -> RunView:
    newest = None
    for _ in range(10_000):
        view, more = follower.poll(1000.0)
        newest = view or newest
        if not more:
            break
    assert newest is not None
    return newest


@pytest.mark.parametrize("state", State)
def test_a_run_is_shown_as_what_it_is(state: State, tmp_path: Path) -> None:
    view = look(RunFollower(record_run(tmp_path, state=state)))
    assert (view.state, view.job.state) == (state, state)
    assert view.is_alive == state.is_alive
    assert view.problems == ()
    assert (view.preset, view.num_paths, view.shown) == ("default", 4, JobKey.supernet(0))


def between_jobs(runs_dir: Path, age: float) -> Path:
    """Return a run whose first supernet is done, whose second is queued, and that was last written so long ago."""
    run = record_run(runs_dir, seeds=(0, 1), state="created")
    stamp_all(run, time.time() - age)
    return run


def test_a_run_between_two_jobs_is_in_training_while_its_process_samples_devices(tmp_path: Path) -> None:
    view = look(RunFollower(between_jobs(tmp_path, age=1.0)))
    assert (view.state, view.is_between_jobs, view.is_alive) == ("running", True, True)
    (row,) = RunLister(tmp_path).rows()
    assert row.state == "running"


def test_a_run_between_two_jobs_is_in_training_while_its_experiment_is_locked(tmp_path: Path) -> None:
    run = between_jobs(tmp_path, age=600.0)
    follower = RunFollower(run, Ticking())
    assert not look(follower).is_alive
    lock = FileLock(run / EXPERIMENT_LOCK, "it")
    lock.acquire()
    stamp_all(run, time.time() - 600.0)
    assert look(follower).state == "running"
    lock.release()
    assert look(follower).state == "created"
    assert not is_held(run / EXPERIMENT_LOCK)


def test_a_run_that_has_just_finished_is_not_taken_to_be_worked_on(tmp_path: Path) -> None:
    run = record_run(tmp_path, state="finished", done=10)
    stamp_all(run, time.time())
    view = look(RunFollower(run))
    assert (view.state, view.is_alive, view.worked_on) == ("finished", False, False)


def test_a_run_that_was_stopped_is_not_taken_to_be_between_two_jobs(tmp_path: Path) -> None:
    run = between_jobs(tmp_path, age=0.0)
    status = run / "supernet" / "seed-0" / "status.json"
    status.write_text(json.dumps(json.loads(status.read_text()) | {"state": "stopped"}))
    view = look(RunFollower(run))
    assert (view.state, view.is_alive, view.worked_on) == ("stopped", False, False)


def test_nothing_new_gives_no_view(tmp_path: Path) -> None:
    run = record_run(tmp_path)
    follower = RunFollower(run, Ticking())
    assert look(follower).job.step == 1020
    assert follower.poll() == (None, False)
    grow(run, 1040)
    assert look(follower).job.step == 1040
    assert follower.poll() == (None, False)


def test_stand_alone_results_stand_beside_their_paths(tmp_path: Path) -> None:
    run = record_run(tmp_path, state="finished", done=10)
    record_stand_alone(run, "conv3x3_conv3x3", 0, "finished", 0.99)
    record_stand_alone(run, "conv3x3_conv3x3", 1, "finished", 0.98)
    record_stand_alone(run, "conv3x3_conv5x5", 0, "running", 0.5)
    record_stand_alone(run, "conv5x5_conv5x5", 0, "finished", 0.7, kind="inherited")
    view = look(RunFollower(run))
    assert list(view.stand_alone) == ["conv3x3_conv3x3"]
    assert view.stand_alone["conv3x3_conv3x3"].accuracy == pytest.approx(0.985)
    assert view.stand_alone["conv3x3_conv3x3"].seeds == 2
    assert [job.key for job in view.jobs[-2:]] == [
        JobKey(Way.ALONE, "conv3x3_conv5x5", 0),
        JobKey(Way.INHERITED, "conv5x5_conv5x5", 0),
    ]
    assert (view.state, view.shown) == ("running", JobKey.supernet(0))
    assert [job.key for job in list_jobs(run)] == [job.key for job in view.jobs]


def test_a_chosen_job_is_the_one_that_is_shown(tmp_path: Path) -> None:
    follower = RunFollower(record_run(tmp_path, seeds=(0, 1), done=2), Ticking())
    assert look(follower).shown == JobKey.supernet(1)
    follower.selected = JobKey.supernet(0)
    assert look(follower).job.state == "finished"
    assert "epoch 10" in look_at_log(follower)


def look_at_log(follower: RunFollower) -> str:
    return follower._view.log[-1] if follower._view else ""


def test_damage_is_told_and_passed_over(tmp_path: Path) -> None:
    run = record_run(tmp_path, state="finished", done=10)
    job = run / "supernet" / "seed-0"
    with (job / "metrics-0.jsonl").open("ab") as file:
        file.write(b"\xff\xfe nonsense\n{}\n")
    (job / "status.json").write_text("{")
    (run / "run.json").write_text("[]")
    (run / "preset.toml").write_text("= broken")
    (run / "results").mkdir()
    (run / "results" / "comparison.json").write_text("[")
    (run / "devices-0.jsonl").write_text("nonsense\n")
    view = look(RunFollower(run))
    assert view.state == "finished"
    assert view.job.step == 2340
    assert view.comparison is None
    told = "\n".join(view.problems)
    for words in ("run.json", "2 damaged lines", "status.json is damaged", "comparison.json is damaged"):
        assert words in told


def test_a_folder_that_vanishes_leaves_what_was_seen_and_may_come_back(tmp_path: Path) -> None:
    run = record_run(tmp_path, done=2)
    follower = RunFollower(run, Ticking())
    assert not look(follower).gone
    shutil.move(run, tmp_path / "away")
    gone = look(follower)
    assert gone.gone
    assert gone.job.step == 468
    assert follower.poll() == (None, False)
    shutil.move(tmp_path / "away", run)
    assert not look(follower).gone


def test_an_empty_folder_is_no_run(tmp_path: Path) -> None:
    view = look(RunFollower(tmp_path))
    assert (view.state, view.job.step, view.problems) == ("created", 0, ("run.json is missing or damaged",))


def test_a_comparison_is_read_when_it_comes(tmp_path: Path) -> None:
    run = record_run(tmp_path)
    follower = RunFollower(run, Ticking())
    assert look(follower).comparison is None
    record_comparison(run)
    comparison = look(follower).comparison
    assert comparison is not None
    assert comparison["runs"][0]["n"] == 16


def test_runs_are_listed_with_state_and_best_path(tmp_path: Path) -> None:
    lister = RunLister(tmp_path / "runs")
    assert lister.rows() == ()
    record_run(tmp_path / "runs", "20261124-030000-default", state="finished", done=10)
    record_run(tmp_path / "runs", "20261125-030000-quick", preset="quick", state="interrupted", created=2e9, done=5)
    (tmp_path / "runs" / "notes").mkdir()
    new, old = lister.rows()
    assert (new.id, new.preset, new.state, new.share) == ("20261125-030000-quick", "quick", "interrupted", 0.5)
    assert (old.state, old.share, old.best_path) == ("finished", 1.0, "conv5x5_conv5x5")
    assert lister.rows() == (new, old)
    shutil.rmtree(tmp_path / "runs" / new.id)
    assert lister.rows() == (old,)
    (old.folder / "run.json").write_text("{")
    (damaged,) = lister.rows()
    assert (damaged.id, damaged.is_damaged) == (old.id, True)
