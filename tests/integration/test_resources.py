"""What runs out, and what must not grow: memory, open files."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from helpers import only_run

from supernet_cli.config.schema import Preset
from supernet_cli.store.follow import RunFollower
from supernet_cli.store.job import JobWriter
from supernet_cli.store.records import DevicesSampled, PathScore, PathsEvaluated, Record, StepsTrained
from supernet_cli.store.run import DeviceLog
from supernet_cli.store.runs import create_run
from supernet_cli.training import loop

Invoke = Callable[..., tuple[int, str, str]]

EXHAUSTED = {
    "host": (MemoryError(), "This machine is out of memory."),
    "allocator": (
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried"),
        "This machine is out of memory.",
    ),
    "gpu": (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of"),
        "The device is out of memory: CUDA out of memory.",
    ),
}


@pytest.mark.parametrize("where", EXHAUSTED)
def test_a_training_without_memory_says_so_and_goes_on_when_there_is_some(
    where: str, supernet: Invoke, tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error, words = EXHAUSTED[where]
    left, real = [17], loop.train_step

    def step(*arguments: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise error
        real(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as poor:
        poor.setattr(loop, "train_step", step)
        code, out, _ = supernet("train", "--preset", tiny_file, "--json")
    assert code == 4
    told = json.loads(out)["error"]
    assert (told["kind"], words in told["message"], "batch_size" in told["hint"]) == ("memory", True, True)
    (row,) = json.loads(supernet("runs", "ls", "--json")[1])["runs"]
    assert row["status"] == "failed"
    weights = only_run(tmp_path) / "supernet" / "seed-0" / "weights.safetensors"
    assert not weights.exists()
    assert supernet("train", "--resume", "latest")[0] == 0
    killed = weights.read_bytes()
    assert supernet("train", "--preset", tiny_file)[0] == 0
    (whole,) = set((tmp_path / "runs").rglob("weights.safetensors")) - {weights}
    assert whole.read_bytes() == killed


def test_memory_that_runs_out_anywhere_else_is_told_the_same_way(
    supernet: Invoke, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from supernet_cli.store import runs

    def find(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(runs, "find_run", find)
    code, out, _ = supernet("runs", "show", trained, "--json")
    assert (code, json.loads(out)["error"]["kind"]) == (4, "memory")


def _open_files(process: psutil.Process) -> int:
    """Return how many files a process keeps open: the heartbeat opens one for a moment each second."""
    counts = []
    for _ in range(10):
        counts.append(process.num_fds())
        time.sleep(0.02)
    return min(counts)


def test_a_hundred_thousand_records_cost_neither_memory_nor_files(tmp_path: Path, tiny: Callable[..., Preset]) -> None:
    """Of the trainer's writer, the log of devices and the monitor's reader, together in one process."""
    run = create_run(tmp_path / "runs", "long", tiny())
    process = psutil.Process()
    follower = RunFollower(run.folder)
    held: list[tuple[int, int]] = []
    sample = DevicesSampled(cores=(50.0,) * 2, memory_used_bytes=1, memory_total_bytes=2, process_memory_bytes=1)
    steps = 0
    with JobWriter(run.supernet_job(0)) as writer, DeviceLog(run) as devices:
        for number in range(1, 100_001):
            writer.record(_record(number))
            if number % 10 == 0:
                devices.record(sample)
            if number % 200 == 0:
                view, more = follower.poll()
                while more:
                    view, more = follower.poll()
                steps = view.jobs[0].snapshot.step if view is not None else steps
            if number in (50_000, 100_000):
                gc.collect()
                held.append((process.memory_info().rss, _open_files(process)))
    assert steps == 100_000
    (first, open_first), (last, open_last) = held
    assert last - first < 5e6
    assert open_last == open_first


def _record(number: int) -> Record:
    if number % 50 == 1:
        scores = tuple(PathScore(path=p, accuracy=0.5, loss=0.7) for p in ("conv3x3_conv3x3", "conv5x5_conv5x5"))
        return PathsEvaluated(step=number, epoch=number // 50, seconds=0.1, scores=scores)
    return StepsTrained(
        step=number, epoch=1 + number // 50, objective=1.0, loss=1.0, learning_rate=0.1, forward_images=number * 50,
        macs=number * 1000, seconds=number * 0.01,
    )  # fmt: skip
