"""SIGKILL at moments that nobody chose: whatever is gone on with ends as if nothing had happened, to the bit.

A few kills in every run; `pytest -m slow tests/integration/test_kills.py` does a hundred, over every strategy, paths
trained alone by two workers, and whole experiments.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers import PATIENCE, program, records_of, wait_for

from supernet_cli.config.catalog import entries
from supernet_cli.errors import RunError
from supernet_cli.store.job import JobFolder
from supernet_cli.store.records import JobStarted, PathsEvaluated, StepsTrained
from supernet_cli.store.results import evaluation
from supernet_cli.store.run import Run
from supernet_cli.store.runs import find_run

KILLS_PER_COMMAND = 3
"""Before it is left to come to its end."""


@dataclass
class Killer:
    """Runs a program to its end in a folder, however often it has to be begun anew.

    Args:
        folder: Where the program runs.
        begin: Its arguments, the first time.
        resume: Its arguments once there is a run.
        rng: Draws the moments.
    """

    folder: Path
    begin: list[object]
    resume: list[object]
    rng: random.Random
    kills: int = 0
    told: list[str] = field(default_factory=list)

    def run(self) -> Run:
        """Return the run that came to its end."""
        (self.folder / "runs").mkdir(parents=True, exist_ok=True)
        seconds = 1.0  # from the first look at a job to the end, as far as it is known
        for _ in range(KILLS_PER_COMMAND):
            process = self._start()
            begun = time.monotonic()
            if self.rng.random() < 0.15:
                time.sleep(self.rng.uniform(0, 3))  # while it starts
            else:
                files = self._files()
                wait_for(lambda p=process, f=files: p.poll() is not None or self._files() != f)
                time.sleep(self.rng.uniform(0, seconds))
            if process.poll() is not None:
                self._check(process)
                seconds = max(0.5, seconds / 2)
                continue
            self._kill(process)
            self.kills += 1
            self.told.append(f"{time.monotonic() - begun:.2f} s")
            seconds *= 1.5
        self._check(self._start())
        return find_run(self.folder / "runs", "latest")

    def _check(self, process: subprocess.Popen[str]) -> None:
        """Make sure that it came to its end, or found that the one before had, a moment before it was killed."""
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0 or "nothing to resume" in err, (self.told, err)

    def _files(self) -> int:
        """Return how many files of records there are."""
        return len(list((self.folder / "runs").rglob("metrics-*.jsonl")))

    def _start(self) -> subprocess.Popen[str]:
        try:
            find_run(self.folder / "runs", "latest")
        except RunError:
            return program(*self.begin, cwd=self.folder)
        return program(*self.resume, cwd=self.folder)

    def _kill(self, process: subprocess.Popen[str]) -> None:
        """Kill it: alone, or with its workers at once, as a power cut does."""
        workers: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        if self.rng.random() < 0.5:
            for worker in workers:
                with contextlib.suppress(psutil.Error):
                    worker.kill()
        process.communicate()
        _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
        assert not alive, "workers outlive their parent"


def series(job: JobFolder) -> list[tuple[Any, ...]]:
    """Return what a job reported, without times; what a later segment did again counts once."""
    found: list[tuple[Any, ...]] = []
    for record in records_of(job):
        match record:
            case JobStarted(step=first):
                found = [row for row in found if row[0] <= first]
            case StepsTrained():
                row = (record.step, "steps", record.objective, record.loss, record.learning_rate)
                found.append((*row, record.forward_images, record.macs))
            case PathsEvaluated():
                found.append((record.step, "judged", record.scores, record.macs))
    return list(dict.fromkeys(found))


def same(killed: Run, whole: Run) -> None:
    """Make sure that two runs came to the same end."""
    names = [job.key for job in whole.jobs()]
    assert [job.key for job in killed.jobs()] == names
    for one, other in zip(killed.jobs(), whole.jobs(), strict=True):
        assert one.weights.read_bytes() == other.weights.read_bytes(), one.key
        assert series(one) == series(other), one.key
        assert one.status().state == "finished"
    assert judged(killed) == judged(whole)


def judged(run: Run) -> dict[str, list[str]]:
    """Return what `evaluate` found, by split, if it was run."""
    return {split: sorted(map(repr, rows)) for split, rows in evaluation(run).splits.items()}


def settings(**changes: object) -> list[str]:
    return [word for key, value in changes.items() for word in ("--set", f"{key.replace('__', '.')}={value}")]


SAMPLERS = {
    "path-dropout": '{name="path-dropout",rate=0.5,ghost=2}',
    "bandit": '{name="bandit",window=20,held_out=100}',
}


def ended(folder: Path, *arguments: object) -> Run:
    """Run a program that nobody interrupts."""
    folder.mkdir(exist_ok=True)
    process = program(*arguments, cwd=folder)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    return find_run(folder / "runs", "latest")


def killed_often(folder: Path, times: int, make: Callable[[Path, random.Random], Killer], whole: Run) -> None:
    """Run a program again and again until it was killed so many times; each must end as the whole one did."""
    rng = random.Random(seed := int(os.environ.get("KILLS_SEED", time.time_ns())))
    kills, killers = 0, 0
    while kills < times:
        killer = make(folder / f"killed-{killers}", rng)
        same(killer.run(), whole)
        kills, killers = kills + killer.kills, killers + 1
        assert killers < 4 * times, "too few kills"
    print(f"{kills} kills of {killers} programs, KILLS_SEED={seed}")


@pytest.mark.parametrize(
    ("sampler", "times"),
    [("uniform", 2), *(pytest.param(name, 12, marks=pytest.mark.slow) for name in entries("sampler"))],
)
def test_a_supernet_killed_at_random_moments_ends_as_one_that_was_not(
    sampler: str, times: int, tiny_file: Path, tmp_path: Path
) -> None:
    changes = settings(
        train__epochs=100,
        train__evaluate_every=10,
        train__checkpoint_every=10,
        train__sampler=SAMPLERS.get(sampler, sampler),
    )
    command = ["train", "--preset", tiny_file, *changes]
    whole = ended(tmp_path / "whole", *command)
    killed_often(
        tmp_path, times, lambda folder, rng: Killer(folder, command, ["train", "--resume", "latest"], rng), whole
    )


@pytest.mark.slow
def test_paths_trained_alone_by_two_workers_and_killed_at_random_moments(tiny_file: Path, tmp_path: Path) -> None:
    changes = settings(retrain__epochs=60, retrain__checkpoint_every=10, retrain__evaluate_every=10)
    train, retrain = ["train", "--preset", tiny_file, *changes], ["retrain", "--all", "--seeds", "0,1", "--workers", 2]
    whole = ended(tmp_path / "whole", *train)
    ended(tmp_path / "whole", *retrain)

    def make(folder: Path, rng: random.Random) -> Killer:
        ended(folder, *train)
        return Killer(folder, retrain, retrain, rng)

    killed_often(tmp_path, 16, make, whole)


@pytest.mark.slow
def test_an_experiment_killed_at_random_moments(tiny_file: Path, tmp_path: Path) -> None:
    changes = settings(train__epochs=40, retrain__epochs=20, train__checkpoint_every=10, retrain__checkpoint_every=10)
    command = ["experiment", "--preset", tiny_file, *changes, "--workers", 2]
    whole = ended(tmp_path / "whole", *command)
    killed_often(
        tmp_path, 12, lambda folder, rng: Killer(folder, command, ["experiment", "--resume", "latest"], rng), whole
    )


def test_a_killed_training_is_told_as_interrupted_at_once(tiny_file: Path, tmp_path: Path) -> None:
    process = program("train", "--preset", tiny_file, *settings(train__epochs=500), cwd=tmp_path)
    wait_for(lambda: any(path.stat().st_size for path in (tmp_path / "runs").rglob("metrics-*.jsonl")))
    process.kill()
    process.communicate()
    listed = program("runs", "ls", "--json", cwd=tmp_path).communicate()[0]
    assert json.loads(listed)["runs"][0]["status"] == "interrupted"
