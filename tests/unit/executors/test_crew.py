"""The crew's rules, with workers that are no processes: who gets which job, what a death costs, how all of it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from supernet_cli.errors import DiskError, RunError
from supernet_cli.executors import Job
from supernet_cli.executors._crew import DeadWorkerError, run_jobs
from supernet_cli.executors._worker import Line, Ready
from supernet_cli.store.job import JobFolder, JobWriter
from supernet_cli.store.records import JobEnded, Record, StepsTrained
from supernet_cli.store.state import State, Wish
from supernet_cli.training.driver import Outcome


@dataclass(frozen=True)
class Task:
    """A job.

    Args:
        key: Its name.
        folder: Its folder, if it has one.
        deaths: How many workers it kills.
        steps: How many steps each of those does first.
        waits: Whether it runs until it is asked to end.
    """

    key: str
    folder: JobFolder | None = None
    deaths: int = 0
    steps: int = 0
    waits: bool = False


@dataclass
class Stage:
    """A transport to workers that only play.

    Args:
        most: Room for so many.
        unfit: How many of the workers die before they are ready, from the second on.
    """

    most: int = 1
    unfit: int = 0
    carries_files = False
    haste = 0.0
    remedy = "Try something else."
    hired: list[Player] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    patience: float | None = None

    def room(self) -> int:
        return self.most

    def hire(self) -> Player:
        self.hired.append(Player(self, is_unfit=0 < len(self.hired) <= self.unfit))
        return self.hired[-1]

    def heard(self, hands: Sequence[Player], seconds: float) -> list[Player]:
        return [hand for hand in hands if hand.has_news]

    def reap(self, hands: Sequence[Player], patience: float) -> None:
        self.patience = patience
        for hand in hands:
            hand.lives = False


@dataclass(eq=False)
class Player:
    """A worker."""

    stage: Stage
    is_unfit: bool = False
    is_ready: bool = False
    lives: bool = True
    is_dismissed: bool = False
    job: Task | None = None
    asked: Wish | None = None

    @property
    def has_news(self) -> bool:
        return not self.is_ready or (self.job is not None and not (self.job.waits and self.asked in (None, Wish.PAUSE)))

    def give(self, job: Job, files: Mapping[str, bytes]) -> None:
        assert isinstance(job, Task)
        assert self.is_ready
        assert self.job is None
        self.job, self.asked = job, None
        self.stage.given.append(job.key)

    def ask(self, wish: Wish | None) -> None:
        self.asked = wish

    def hear(self) -> list[object]:
        if self.is_unfit or not self.lives:
            raise DeadWorkerError("it was unfit")
        if not self.is_ready:
            self.is_ready = True
            return [Ready()]
        job = self.job
        assert job is not None
        if self.stage.killed[job.key] < job.deaths:
            if job.steps and self.lives:
                self.lives = False
                self.stage.killed[job.key] += 1
                return [step(number) for number in range(job.steps)]
            self.stage.killed[job.key] += 1
            raise DeadWorkerError("it was hit")
        self.job = None
        return [
            Line(20, f"{job.key} ends"),
            step(9),
            Outcome(State.FINISHED if self.asked is None else self.asked.state),
        ]

    def dismiss(self) -> None:
        self.is_dismissed = True

    def kill(self) -> None:
        self.lives = False


def step(number: int) -> StepsTrained:
    figures: dict[str, Any] = {"objective": 1.0, "loss": 1.0, "learning_rate": 0.1, "forward_images": 1, "seconds": 1.0}
    return StepsTrained(step=number, epoch=1, **figures)


def tasks(count: int, **each: Task) -> list[Task]:
    return [each.get(f"job{number}", Task(f"job{number}")) for number in range(count)]


def states(outcomes: Mapping[str, Outcome]) -> dict[str, State]:
    return {key: outcome.state for key, outcome in outcomes.items()}


def nothing(key: str, record: Record) -> None:
    pass


def kept(folder: Path, key: str, **what: Any) -> Task:
    return Task(key, JobFolder(folder / key, key), **what)


def test_workers_are_hired_as_needed_do_one_job_after_another_and_are_dismissed() -> None:
    stage = Stage(most=3)
    outcomes = run_jobs(stage, tasks(9), nothing, lambda: None)
    assert states(outcomes) == {f"job{number}": "finished" for number in range(9)}
    assert len(stage.hired) == 3
    assert all(hand.is_dismissed for hand in stage.hired)
    one = Stage(most=3)
    run_jobs(one, tasks(1), nothing, lambda: None)
    assert len(one.hired) == 1


def test_jobs_are_taken_from_their_source_when_a_worker_is_there_for_them() -> None:
    stage, taken = Stage(most=2), []

    def source() -> Iterator[Task]:
        for task in tasks(50):
            taken.append(len(stage.given))
            yield task

    run_jobs(stage, source(), nothing, lambda: None)
    assert all(number - before <= 3 for number, before in enumerate(taken))


def test_the_folder_says_what_the_screen_says(tmp_path: Path) -> None:
    job, heard = kept(tmp_path, "cut", deaths=2, steps=5), []
    outcomes = run_jobs(Stage(), [job], lambda key, record: heard.append(record), lambda: None)
    assert states(outcomes) == {"cut": "finished"}
    ends = [(record.state, record.step, record.reason) for record in heard if isinstance(record, JobEnded)]
    assert ends == [*[("interrupted", 4, "it was unfit")] * 2, ("finished", 9, "")]
    assert job.folder is not None
    assert job.folder.status().state == "finished"
    assert len(list(job.folder.path.glob("metrics-*.jsonl"))) == 3  # a segment for each worker
    assert "cut ends" in (job.folder.path / "log.txt").read_text()


@pytest.mark.parametrize("steps", [0, 5])
def test_a_deadly_job_has_failed_after_some_retries_and_costs_no_other(steps: int, tmp_path: Path) -> None:
    deadly = kept(tmp_path, "job1", deaths=99, steps=steps)
    heard: list[Any] = []
    outcomes = run_jobs(Stage(), tasks(4, job1=deadly), lambda key, record: heard.append(record), lambda: None)
    assert states(outcomes) == {"job0": "finished", "job1": "failed", "job2": "finished", "job3": "finished"}
    assert outcomes["job1"].reason.endswith(", even after 3 retries")
    ends = [record for record in heard if isinstance(record, JobEnded) and record.reason]
    assert [record.state for record in ends] == ["interrupted"] * 3 + ["failed"]
    assert deadly.folder is not None
    assert (deadly.folder.status().state, deadly.folder.status().reason) == ("failed", outcomes["job1"].reason)


def test_a_job_that_had_begun_is_resumed_next_and_one_that_had_not_waits_for_the_others() -> None:
    begun, silent = Stage(), Stage()
    run_jobs(begun, tasks(3, job0=Task("job0", deaths=1, steps=1)), nothing, lambda: None)
    assert begun.given == ["job0", "job0", "job1", "job2"]
    run_jobs(silent, tasks(3, job0=Task("job0", deaths=1)), nothing, lambda: None)
    assert silent.given[-1] == "job0"


def test_where_one_worker_after_another_dies_without_a_word_that_is_an_error() -> None:
    stage = Stage()
    jobs = [Task(f"job{number}", deaths=99) for number in range(9)]
    with pytest.raises(RunError, match="exit before starting a job: it was hit") as caught:
        run_jobs(stage, jobs, nothing, lambda: None)
    assert caught.value.hint == stage.remedy
    assert len(stage.hired) == 3


def test_where_some_workers_are_unfit_the_others_do_it_all(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(most=4, unfit=99)
    assert len(run_jobs(stage, tasks(50), nothing, lambda: None)) == 50
    assert len(stage.hired) <= 8
    assert "a worker exited before starting a job: it was unfit" in caplog.text


@pytest.mark.parametrize("wish", [Wish.INTERRUPT, Wish.STOP])
def test_a_request_to_all_lets_what_runs_save_and_starts_nothing_more(wish: Wish) -> None:
    stage = Stage()
    outcomes = run_jobs(
        stage,
        tasks(5, job1=Task("job1", waits=True)),
        nothing,
        lambda: wish if stage.given == ["job0", "job1"] else None,
    )
    assert states(outcomes) == {"job0": "finished", "job1": wish.state}


def test_a_request_to_one_job_is_meant_for_all_and_a_pause_is_not(tmp_path: Path) -> None:
    stage, job = Stage(most=2), kept(tmp_path, "job0", waits=True)
    assert job.folder is not None
    job.folder.path.mkdir()
    asked: list[Wish] = []

    def stop() -> None:
        if stage.hired and stage.hired[0].job is not None:
            wish = Wish.STOP if any(hand.asked is Wish.PAUSE for hand in stage.hired) else Wish.PAUSE
            if wish not in asked:
                asked.append(wish)
                job.folder.request(wish)  # type: ignore[union-attr]

    outcomes = run_jobs(stage, [job, Task("job1", waits=True), Task("job2")], nothing, stop)
    assert (asked, states(outcomes)) == (["pause", "stop"], {"job0": "stopped", "job1": "stopped"})


def test_a_job_whose_worker_dies_while_it_is_asked_to_stop_is_not_repeated(tmp_path: Path) -> None:
    job = kept(tmp_path, "job0", deaths=1)
    stage = Stage()
    outcomes = run_jobs(stage, [job, Task("job1")], nothing, lambda: Wish.INTERRUPT if stage.given else None)
    assert states(outcomes) == {"job0": "interrupted"}
    assert job.folder is not None
    assert job.folder.status().state == "interrupted"


def test_a_second_signal_ends_all_at_once_and_leaves_no_job_running(tmp_path: Path) -> None:
    stage, job = Stage(), kept(tmp_path, "job0", waits=True)

    def stop() -> None:
        if stage.given:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs(stage, [job], nothing, stop)
    assert stage.patience == 0
    assert not stage.hired[0].lives
    assert job.folder is not None
    assert (job.folder.status().state, job.folder.status().reason) == ("interrupted", "ended immediately")


def test_an_error_of_the_parent_lets_what_runs_save(tmp_path: Path) -> None:
    stage, job = Stage(most=2), kept(tmp_path, "job0", waits=True)

    def fail(key: str, record: Record) -> None:
        raise DiskError("no space", "Make some.")

    with pytest.raises(DiskError, match="no space"):
        run_jobs(stage, [job, Task("job1")], fail, lambda: None)
    assert job.folder is not None
    assert job.folder.status().state == "interrupted"
    with JobWriter(job.folder):  # it was released
        pass


def test_a_job_that_another_process_holds_costs_no_other(tmp_path: Path) -> None:
    job = kept(tmp_path, "job0")
    assert job.folder is not None
    with JobWriter(job.folder):
        outcomes = run_jobs(Stage(), [job, Task("job1")], nothing, lambda: None)
    assert states(outcomes) == {"job0": "failed", "job1": "finished"}
    assert "another process" in outcomes["job0"].reason
