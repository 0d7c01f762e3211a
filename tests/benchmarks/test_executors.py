"""What executors add to the work itself: overhead of a job, and how much faster two workers are than one."""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from measuring import say, spread
from works import Trivial

from supernet_cli.executors import Executor
from supernet_cli.executors.local import LocalProcesses
from supernet_cli.executors.ray import Needs, RayCluster
from supernet_cli.space import SearchSpace
from supernet_cli.store.alone import AloneJob
from supernet_cli.store.runs import create_run

ROUNDS = 3
JOBS = 100

MAKERS: dict[str, Callable[[int], Executor]] = {"local": LocalProcesses}
if importlib.util.find_spec("ray") is not None:
    MAKERS["ray"] = lambda workers: RayCluster(Needs(1), "local", workers)

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize("how", list(MAKERS))
def test_overhead_of_a_job(how: str, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=":")  # for works.py
    run = create_run(tmp_path, "tiny", tiny())
    path = SearchSpace.from_config(run.preset().space).at(0)
    each, before = [], []
    for number in range(ROUNDS):
        jobs = [AloneJob(run.alone_job(path, seed), path, seed) for seed in range(JOBS * number, JOBS * (number + 1))]
        begun = time.perf_counter()
        ends = ends_of(MAKERS[how](1), jobs)
        before.append(ends[0] - begun)
        each.append(1000 * (ends[-1] - ends[0]) / (JOBS - 1))
    say(
        f"{how}, one worker: milliseconds of a job that does nothing {spread(each)}",
        f"seconds until the first is done, start of processes and torch included {spread(before)}",
    )
    assert statistics.median(each) < 1000


def ends_of(executor: Executor, jobs: list[AloneJob]) -> list[float]:
    ends: list[float] = []
    executor.run(Trivial(), jobs, lambda key, record: ends.append(time.perf_counter()), lambda: None)
    return ends


@pytest.mark.parametrize("how", list(MAKERS))
def test_efficiency_of_two_workers(how: str, tmp_path: Path) -> None:
    timed(tmp_path, "train", "--set", "train.epochs=1", "--set", "retrain.epochs=1", "--set", "runtime.device=cpu")
    taken: dict[int, list[float]] = {1: [], 2: []}
    for number in range(ROUNDS):
        for workers in (1, 2) if number % 2 == 0 else (2, 1):
            first = 4 * (ROUNDS * workers + number)  # seeds that no round before has trained
            seeds = ",".join(map(str, range(first, first + 4)))
            words = ("retrain", "conv3x3_conv3x3", "--seeds", seeds, "--workers", str(workers))
            taken[workers].append(timed(tmp_path, *words, "--executor", how))
    speedups = [one / two for one, two in zip(taken[1], taken[2], strict=True)]
    say(
        f"{how}: 4 equal trainings, seconds with 1 worker {spread(taken[1])}, with 2 {spread(taken[2])}",
        f"efficiency of 2 workers, start-up included: {spread([each / 2 for each in speedups])}   target 0.75 or more",
    )
    assert statistics.median(speedups) / 2 >= 0.75


def timed(folder: Path, *arguments: str) -> float:
    """Run a command line in a folder; return its seconds, start-up included."""
    command = [sys.executable, "-m", "supernet_cli", *arguments, "--quiet"]
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - begun
