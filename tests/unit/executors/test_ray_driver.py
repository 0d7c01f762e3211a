"""What the driver of a Ray cluster decides: told apart from Ray itself, whose place a few threads take."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from works import Mortal, Trivial, Unfit

from supernet_cli.errors import RunError
from supernet_cli.executors._trainer import Packed, Trainer, unpacked
from supernet_cli.executors._worker import Speaker
from supernet_cli.executors.ray import Needs, RayCluster
from supernet_cli.space import SearchSpace
from supernet_cli.store.alone import AloneJob
from supernet_cli.store.job import JobWriter
from supernet_cli.store.records import JobEnded
from supernet_cli.store.runs import create_run
from supernet_cli.store.state import State, Wish
from supernet_cli.training.driver import Outcome


class DeadError(Exception):
    """What Ray raises of an actor that died."""


class TaskError(DeadError):
    """What Ray raises of a function that raised something."""

    cause: Exception | None = None


class Actor:
    """An actor in a thread; dead once its work says so, or once it was killed."""

    def __init__(self, kind: Any, arguments: tuple[Any, ...]) -> None:
        self.thread = ThreadPoolExecutor(1)
        self.is_killed = False
        self.made = self.thread.submit(kind, *arguments)

    @property
    def is_dead(self) -> bool:
        if self.is_killed or not self.made.done() or self.made.exception() is not None:
            return self.is_killed
        return getattr(self.made.result()._work, "is_dead", False)

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Future[Any]:
            future = self.thread.submit(lambda: getattr(self.made.result(), name)(*arguments))
            future.actor = self  # type: ignore[attr-defined]
            return future

        return SimpleNamespace(remote=call)


class Threads:
    """As much of Ray as the driver and its trainers use."""

    def __init__(self, cpus: int) -> None:
        self.cpus = cpus
        self.actors: list[Actor] = []
        self.asked: list[float] = []  # cores of each kind of work
        self.calls = ThreadPoolExecutor(cpus)
        self.exceptions = SimpleNamespace(RayError=DeadError, RayTaskError=TaskError)
        self.actor = SimpleNamespace(exit_actor=lambda: None)

    def is_initialized(self) -> bool:
        return True

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "0123456789abcdef")

    def nodes(self) -> list[dict[str, Any]]:
        gone = {"Alive": False, "Resources": {"CPU": 64.0}}
        return [gone, *({"Alive": True, "Resources": {"CPU": 1.0}} for _ in range(self.cpus))]

    def put(self, value: Packed) -> Packed:
        return value

    def remote(self, **options: Any) -> Callable[[Any], Any]:
        self.asked.append(options["num_cpus"])

        def make(kind: Any) -> Any:
            def start(*arguments: Any) -> Any:
                if not isinstance(kind, type):
                    return self.calls.submit(kind, *arguments)
                self.actors.append(Actor(kind, arguments))
                return self.actors[-1]

            return SimpleNamespace(remote=start)

        return make

    def wait(self, calls: list[Any], num_returns: int = 1, timeout: float = 0) -> tuple[list[Any], list[Any]]:
        alive = [call for call in calls if not is_dead(call)]
        if len(alive) == len(calls):
            wait(calls, timeout, FIRST_COMPLETED if num_returns == 1 else ALL_COMPLETED)
        ready = [call for call in calls if call.done() or is_dead(call)][:num_returns]
        return ready, [call for call in calls if call not in ready]

    def get(self, call: Any) -> Any:
        if is_dead(call):
            raise DeadError("The actor is dead because its worker process has died. It was not its fault.")
        try:
            return call.result()
        except ValueError as error:
            raise DeadError(f"It could not be made:\n  {error}") from error
        except (ImportError, TypeError) as error:
            task = TaskError(f"Traceback\n  {error}")
            task.cause = error
            raise task from error

    def cancel(self, call: Any, force: bool) -> None:
        assert force
        call.cancel()

    def kill(self, actor: Actor) -> None:
        actor.is_killed = True
        actor.thread.shutdown(wait=False, cancel_futures=True)


def is_dead(call: Any) -> bool:
    return hasattr(call, "actor") and bool(call.actor.is_dead)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Threads]:
    ray = Threads(3)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr("supernet_cli.executors._trainer._BEAT_SECONDS", 0.05)
    driver = ("supernet_cli.executors.ray", "supernet_cli.executors._crew")  # trainers elsewhere do not hear those
    monkeypatch.setattr(Speaker, "filter", lambda speaker, record: record.name not in driver)
    yield ray
    for actor in ray.actors:  # a process that is killed warns nobody of the folder that it leaves; a thread would
        if actor.made.done() and actor.made.exception() is None:
            actor.made.result()._clear()


@pytest.fixture
def make(tiny: Any, tmp_path: Path) -> Callable[..., list[AloneJob]]:
    """Return a maker of jobs by their seeds."""
    run = create_run(tmp_path / "runs", "tiny", tiny())
    path = SearchSpace.from_config(run.preset().space).at(0)
    return lambda *seeds: [AloneJob(run.alone_job(path, seed), path, seed) for seed in seeds]


def nothing(key: str, record: Any) -> None:
    pass


def test_many_jobs_share_as_many_trainers_as_there_is_room_for(threads: Threads, make: Any) -> None:
    jobs = make(*range(50))
    heard: list[str] = []
    outcomes = RayCluster(Needs(1)).run(Trivial(), jobs, lambda key, record: heard.append(key), lambda: None)
    assert [outcomes[job.folder.key].state for job in jobs] == ["finished"] * 50
    assert sorted(map(str, heard)) == sorted(str(job.key) for job in jobs)
    assert len(threads.actors) == 3
    assert all(job.folder.status().state == "finished" for job in jobs)


def test_workers_bound_how_many_run_at_once(threads: Threads, make: Any) -> None:
    RayCluster(Needs(1), most=2).run(Trivial(), make(*range(9)), nothing, lambda: None)
    assert len(threads.actors) == 2


def test_a_job_whose_trainer_dies_goes_on_from_its_checkpoint(threads: Threads, make: Any) -> None:
    (job,) = make(1)
    heard: list[JobEnded] = []
    work = Mortal(1, 2, job.folder.checkpoint)
    outcomes = RayCluster(Needs(1)).run(work, [job], lambda key, record: heard.append(record), lambda: None)
    assert outcomes[job.folder.key] == Outcome(State.FINISHED, "111")  # the last found what the two before it left
    assert [record.state for record in heard] == ["interrupted", "interrupted", "finished"]
    assert heard[0].reason == "its worker process has died"
    assert len(list(job.folder.path.glob("metrics-*.jsonl"))) == 3
    assert (job.folder.path / "log.txt").read_text().count("node 0123456789ab") == 3


def test_a_job_that_is_deadly_has_failed_after_some_retries_and_costs_no_other(threads: Threads, make: Any) -> None:
    jobs = make(0, 1, 2)
    outcomes = RayCluster(Needs(1)).run(Mortal(1, 9, jobs[1].folder.checkpoint), jobs, nothing, lambda: None)
    assert [outcomes[job.folder.key].state for job in jobs] == ["finished", "failed", "finished"]
    assert outcomes[jobs[1].folder.key].reason == "its worker process has died, even after 3 retries"
    assert jobs[1].folder.checkpoint.read_text() == "1111"
    assert jobs[1].folder.status().state == "failed"


@pytest.mark.parametrize("how", [State.INTERRUPTED, State.STOPPED])
def test_a_stop_of_all_or_of_one_lets_what_runs_save_and_starts_nothing_more(
    how: State, threads: Threads, make: Any
) -> None:
    jobs = make(99, *range(8))
    heard: list[str] = []

    def stop() -> Any:
        if not jobs[0].folder.checkpoint.exists():
            return None
        if how is State.INTERRUPTED:
            return Wish.INTERRUPT
        jobs[0].folder.request(Wish.STOP)
        return None

    outcomes = RayCluster(Needs(1), most=1).run(Mortal(), jobs, lambda key, record: heard.append(key), stop)
    assert outcomes == {jobs[0].folder.key: Outcome(how, "99")}
    assert heard == [jobs[0].folder.key]
    assert jobs[0].folder.status().state == how


def test_an_interruption_ends_all_at_once_and_leaves_no_job_running(threads: Threads, make: Any) -> None:
    (job,) = make(99)

    def stop() -> Any:
        if job.folder.checkpoint.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RayCluster(Needs(1)).run(Mortal(), [job], nothing, stop)
    assert job.folder.status().state == "interrupted"
    assert all(actor.is_killed for actor in threads.actors)


def test_a_job_that_another_process_holds_costs_no_other(threads: Threads, make: Any) -> None:
    jobs = make(0, 1)
    with JobWriter(jobs[0].folder) as writer:
        outcomes = RayCluster(Needs(1)).run(Trivial(), jobs, nothing, lambda: None)
        writer.record(JobEnded(step=0, state="stopped"))
    assert [outcomes[job.folder.key].state for job in jobs] == ["failed", "finished"]
    assert "another process" in outcomes[jobs[0].folder.key].reason


def test_work_that_cannot_be_made_ready_says_why_in_the_job_log(threads: Threads, make: Any) -> None:
    (job,) = make(0)
    outcomes = RayCluster(Needs(1)).run(Unfit(), [job], nothing, lambda: None)
    assert outcomes[job.folder.key].reason == "ValueError: no such kernel"
    assert "Traceback" in (job.folder.path / "log.txt").read_text()


def test_trainers_that_die_before_they_begin_are_not_hired_for_ever(
    threads: Threads, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(packed: Packed) -> Any:
        raise ValueError("no module named supernet_cli")

    monkeypatch.setattr("supernet_cli.executors._trainer.unpacked", refuse)
    with pytest.raises(RunError, match="before starting a job: no module named supernet_cli"):
        RayCluster(Needs(1)).run(Trivial(), make(0), nothing, lambda: None)


def test_a_cluster_without_room_is_waited_for_and_that_is_said(
    threads: Threads, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = RayCluster(Needs(4, 0.5)).run(Trivial(), make(0, 1), nothing, lambda: None)
    assert len(outcomes) == 2  # these threads know no limits
    assert len(threads.actors) == 1
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "no node has the 4 CPUs and 0.5 GPUs that a job needs; waiting for one"
    ]


def test_where_some_nodes_cannot_begin_the_others_do_it_all_and_hiring_ends(
    threads: Threads, make: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[Packed] = []

    def refuse_all_but_the_first(packed: Packed) -> Any:
        made.append(packed)
        if len(made) > 1:
            raise ValueError("no module named supernet_cli")
        return unpacked(packed)

    monkeypatch.setattr("supernet_cli.executors._trainer.unpacked", refuse_all_but_the_first)
    jobs = make(*range(200))
    outcomes = RayCluster(Needs(1)).run(Trivial(), jobs, nothing, lambda: None)
    assert {outcome.state for outcome in outcomes.values()} == {"finished"}
    assert len(outcomes) == 200
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert 3 <= len(told) <= 8  # some may die before the first has begun its job
    assert set(told) == {"a worker exited before starting a job: no module named supernet_cli"}


def test_a_job_that_cannot_be_handed_over_has_failed_after_some_retries(
    threads: Threads, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Any, job: Any, files: Any) -> None:
        raise TypeError("can't start new thread")

    monkeypatch.setattr(Trainer, "begin", refuse)
    (job,) = make(0)
    outcomes = RayCluster(Needs(1)).run(Trivial(), [job], nothing, lambda: None)
    assert outcomes[job.folder.key] == Outcome(State.FAILED, "can't start new thread, even after 3 retries")


def test_work_that_was_not_said_to_need_so_many_cores_takes_a_whole_node_where_none_has_them(
    threads: Threads, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = RayCluster(Needs(4, or_all=True))
    assert len(cluster.run(Trivial(), make(0, 1), nothing, lambda: None)) == 2
    assert threads.asked == [1.0]
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    assert Needs(0.5, or_all=True).fitted(threads.nodes()) == Needs(0.5, or_all=True)
    assert Needs(4, or_all=True).fitted([]) == Needs(4, or_all=True)
