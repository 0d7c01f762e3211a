"""A search that is killed between any two things that it does ends as one that was not; trainings are made up."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import score, store_job

from supernet_cli.config.parts import Named
from supernet_cli.config.schema import Preset
from supernet_cli.errors import DivergedError, UsageError
from supernet_cli.reports.next_step import next_step
from supernet_cli.reports.search.document import Searched, stored_search
from supernet_cli.space import Architecture
from supernet_cli.store.job import JobWriter
from supernet_cli.store.layout import Way
from supernet_cli.store.records import JobEnded
from supernet_cli.store.results import (
    PathProfile,
    Profiles,
    Selection,
    Split,
    evaluation,
    keep_profiles,
    keep_scores,
    profiles,
)
from supernet_cli.store.run import Run
from supernet_cli.store.runs import create_run
from supernet_cli.store.search import search_journal
from supernet_cli.workflows import retrain, searching
from supernet_cli.workflows.request import Request
from supernet_cli.workflows.searching import Search
from supernet_cli.workflows.session import Session

BLOCK = {"channels": 4, "pool": 1, "candidates": ["conv3x3", "conv5x5", "conv7x7", "identity"]}
MODULE = "supernet_cli.workflows.searching"


class KilledError(BaseException):
    """Nothing in the program catches it."""


def accuracy(path: Architecture, seed: int) -> float:
    """Return what a training reaches: some operations are better than others, more so together."""
    worth = sum(choice % 3 for choice in path.choices) / (3 * len(path.choices))
    return 0.6 + 0.3 * worth + random.Random(f"{path} {seed}").gauss(0, 0.01)


@dataclasses.dataclass
class World:
    """Stands in for everything that takes time; dies after so many events.

    Args:
        run: The run.
        diverging: Paths whose trainings diverge.
        latency: Of each path, seconds.
        failing: Names of paths whose next training fails, for a reason that may be gone the next time.
        life: Events until it dies; None to live.
        trained: Names of the paths that were trained, in order.
    """

    run: Run
    diverging: Callable[[Architecture], bool] = lambda path: False
    latency: Callable[[Architecture], float] = lambda path: 1e-3
    failing: set[str] = dataclasses.field(default_factory=set)
    life: int | None = None
    trained: list[str] = dataclasses.field(default_factory=list)

    def event(self) -> None:
        if self.life is not None:
            self.life -= 1
            if self.life <= 0:
                raise KilledError

    def around(self, write: Callable[..., None]) -> Callable[..., None]:
        """Return a write that may be the last thing that happens, or not happen any more."""

        def writes(*values: Any) -> None:
            self.event()
            write(*values)
            self.event()

        return writes

    def judge(self, session: Session, paths: Sequence[Architecture], split: Split, figures: Collection[str]) -> None:
        for path in paths:
            self.event()
            loss = 1 - accuracy(path, 0) + random.Random(f"{path}").gauss(0, 0.05)
            keep_scores(self.run, split, [score(str(path), Way.ONE_SHOT, 0, 0.5, loss)], {})
            for job in self.run.alone_jobs():
                if job.key.path == str(path) and job.weights.is_file():
                    reached = accuracy(path, job.seed)
                    keep_scores(self.run, split, [score(str(path), Way.ALONE, job.seed, reached, 1 - reached)], {})
        self.event()
        for path in paths:
            every = {"latency_seconds": self.latency(path), "synflow": float(sum(path.choices))}
            measured = PathProfile(parameters=1, macs=1, **{name: every[name] for name in figures})
            keep_profiles(self.run, Profiles(device="cpu", threads=1, batch=250, paths={str(path): measured}))

    def train(self, session: Session, selection: Selection, seeds: Sequence[int]) -> retrain.TrainedAlone:
        jobs = retrain.trainings(self.run, selection, seeds, session.space)
        for job in jobs:
            if not job.folder.is_done:
                self.event()
                self.trained.append(str(job.path))
                if str(job.path) in self.failing or self.diverging(job.path):
                    state = "failed" if str(job.path) in self.failing else "diverged"
                    self.failing.discard(str(job.path))
                    with JobWriter(job.folder) as writer:
                        writer.record(JobEnded(step=1, state=state))
                else:
                    store_job(job.folder, {str(job.path): accuracy(job.path, job.seed)})
        self.event()
        return retrain.TrainedAlone(self.run, jobs)


@pytest.fixture
def make(tiny: Callable[..., Preset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    """Return a maker of runs with a supernet, and of the world that they are searched in."""

    def maker(name: str, blocks: int = 3, **changes: Any) -> World:
        preset = tiny(space={"blocks": [BLOCK] * blocks, "hidden": 8})
        run = create_run(tmp_path / name, "made-up", preset)
        store_job(run.supernet_job(0), {})
        return World(run, **changes)

    return maker


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Searched | None]:
    """Return a function that searches a world, as often as it dies."""
    write_journal, write_finding, prepared = searching.keep_journal, searching.keep_finding, {}

    def searches(world: World, request: Request, lives: Sequence[int] = ()) -> Searched | None:
        monkeypatch.setattr(f"{MODULE}.judge", world.judge)
        monkeypatch.setattr(f"{MODULE}.train_selection", world.train)
        monkeypatch.setattr(f"{MODULE}.keep_journal", world.around(write_journal))
        monkeypatch.setattr(f"{MODULE}.keep_finding", world.around(write_finding))
        session = Session(world.run)
        if "made" not in prepared:
            prepared["made"] = session.prepare(lambda *_: None)
        for life in (*lives, None):
            world.life = life
            try:
                return Search(session, request, prepared["made"]).run()[0]
            except KilledError:
                continue
        raise AssertionError

    return searches


def found(world: World) -> dict[str, Any]:
    """Return what a search has stored, without its run and its cost."""
    journal = search_journal(world.run)
    assert journal is not None
    assert journal.finished
    document = stored_search(world.run)
    assert document is not None
    return {**document.document(), "run": "", "cost": "", "command": "", "pick": {**dict(document.pick), "weights": ""}}


EVOLUTION = {"name": "evolution", "population": 2, "sample": 1}

_ORDINARY = ("posterior", "evolution")

REQUESTS = {
    "posterior": Request(trainings=6),
    "evolution": Request(trainings=5, policy=Named.model_validate(EVOLUTION)),
    "limited": Request(trainings=5, limits={"parameters": 5400.0}, until=0.99),
    "two seeds": Request(trainings=7, seeds=(0, 3)),
    "supernets": Request(trainings=None, supernets=15000.0),
}


@pytest.mark.parametrize(
    "name", [name if name in _ORDINARY else pytest.param(name, marks=pytest.mark.slow) for name in REQUESTS]
)
def test_a_search_killed_at_any_moment_makes_the_same_decisions(
    make: Callable[..., World], search: Callable[..., Searched | None], name: str
) -> None:
    request = REQUESTS[name]

    def is_bad(path: Architecture) -> bool:
        return path.choices[0] == 2

    whole = make("whole", diverging=is_bad)
    search(whole, request)
    assert len(set(whole.trained)) >= 3
    rng = random.Random(name)
    killed = make("killed", diverging=is_bad)
    lives = [rng.choice((1, 2, 3, 4, 6, 9, 20, 70)) for _ in range(25)]
    search(killed, request, lives)
    assert killed.trained == whole.trained
    assert found(killed) == found(whole)
    again = killed.trained.copy()
    search(killed, request)
    assert killed.trained == again
    assert found(killed) == found(whole)


def test_more_trainings_continue_a_search_and_other_limits_begin_another(
    make: Callable[..., World], search: Callable[..., Searched | None]
) -> None:
    world = make("one")
    search(world, Request(trainings=3))
    first = world.trained.copy()
    document = search(world, Request(trainings=5))
    assert (len(world.trained), world.trained[:3], document and document.trainings) == (5, first, 5)
    document = search(world, Request(trainings=2, limits={"parameters": 5200.0}))
    assert document is not None
    assert (len(world.trained), document.trainings) == (7, 2)
    assert document.used == 7
    journal = search_journal(world.run)
    assert journal is not None
    assert list(journal.decided) == world.trained[5:]


def test_paths_that_turn_out_too_slow_are_neither_trained_nor_taken_and_do_not_end_the_search(
    make: Callable[..., World], search: Callable[..., Searched | None]
) -> None:
    def latency(path: Architecture) -> float:
        return 1e-3 * (1 + sum(choice % 3 for choice in path.choices) + random.Random(str(path)).random())

    world = make("slow", latency=latency)
    document = search(world, Request(trainings=6, limits={"latency": 3e-3}))
    assert len(world.trained) == 6
    space = Session(world.run).space
    assert all(latency(space.parse(name)) <= 3e-3 for name in world.trained)
    assert document is not None
    assert latency(space.parse(document.pick.path)) <= 3e-3


def test_a_path_trained_before_is_measured_before_it_may_be_taken(
    make: Callable[..., World], search: Callable[..., Searched | None]
) -> None:
    world = make("earlier", latency=lambda path: 5e-3 if set(path.choices) == {2} else 1e-3)
    best = Session(world.run).space.architecture((2, 2, 2))
    store_job(world.run.alone_job(best, 0), {str(best): 0.999})
    document = search(world, Request(trainings=2, limits={"latency": 4e-3}))
    assert document is not None
    assert document.pick.path != str(best)
    assert document.used == 3
    assert str(best) not in {path.path for path in document.paths if path.within_limits}


def test_a_space_of_which_every_path_diverges_says_so(
    make: Callable[..., World], search: Callable[..., Searched | None]
) -> None:
    world = make("bad", blocks=1, diverging=lambda path: True)
    with pytest.raises(DivergedError, match="Every path diverged") as raised:
        search(world, Request(trainings=8))
    assert "lr=" in raised.value.hint
    assert len(world.trained) == 4
    with pytest.raises(DivergedError):
        search(world, Request(trainings=8))
    assert len(world.trained) == 4


def test_a_training_that_fails_ends_the_command_and_is_repeated_by_the_next(
    make: Callable[..., World], search: Callable[..., Searched | None]
) -> None:
    whole = make("whole")
    search(whole, Request(trainings=3))
    world = make("fragile", failing={whole.trained[1]})
    document = search(world, Request(trainings=3))
    assert document is None or not document.finished
    assert world.trained[-1] == whole.trained[1] or whole.trained[1] in world.trained
    before = world.trained.copy()
    assert (step := next_step(world.run)) is not None
    assert step.command.startswith("supernet search")
    search(world, Request(trainings=3))
    assert world.trained == [*before, whole.trained[1], *whole.trained[len(before) :]]
    assert found(world) == found(whole)


def test_limits_on_latency_that_no_path_meets_are_found_out_by_measuring(
    make: Callable[..., World], search: Callable[..., Searched | None]
) -> None:
    world = make("slow", blocks=1, latency=lambda path: 2e-3)
    with pytest.raises(UsageError, match="No path has latency ≤ 1ms") as raised:
        search(world, Request(trainings=3, limits={"latency": 1e-3}))
    assert "with 2ms." in raised.value.hint
    assert world.trained == []


def test_a_budget_too_small_for_a_training_says_so(
    make: Callable[..., World], search: Callable[..., Searched | None]
) -> None:
    world = make("poor")
    with pytest.raises(UsageError, match="not allow a single training"):
        search(world, Request(trainings=None, supernets=1e-9))
    assert world.trained == []


def test_every_path_can_be_trained_and_then_the_search_is_done(
    make: Callable[..., World], search: Callable[..., Searched | None]
) -> None:
    world = make("all", blocks=1)
    document = search(world, Request(trainings=100))
    assert document is not None
    assert document.finished
    assert len(world.trained) == 4
    assert document.next.macs is None
    assert sum(len(rows) for rows in evaluation(world.run).rows("test", Way.ALONE).values()) == 1
    assert json.loads((world.run.folder / "results" / "search.json").read_text()) == document.document()


def timed(world: World) -> set[str]:
    """Return the paths whose latency was measured."""
    return {name for name, measured in profiles(world.run).paths.items() if measured.has("latency_seconds")}


def test_latencies_are_measured_of_the_pick_and_of_other_paths_only_if_the_search_depends_on_them(
    make: Callable[..., World], search: Callable[..., Searched | None]
) -> None:
    world = make("untimed")
    document = search(world, Request(trainings=3))
    assert document is not None
    assert timed(world) == {document.pick.path}
    assert document.pick.latency_seconds == 1e-3
    assert search(world, Request(trainings=3)) == document
    assert all(measured.has("synflow") for measured in profiles(world.run).paths.values())
    document = search(world, Request(trainings=5, against="latency"))
    assert document is not None
    scored = evaluation(world.run).rows("validation", Way.ONE_SHOT)[0]
    assert len(scored) >= 64
    assert timed(world) == set(scored)
    assert all(path.latency_seconds for path in document.paths if path.one_shot_rank)
