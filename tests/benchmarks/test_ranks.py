"""What torchrun is worth on one machine: images a second of two ranks, against one process with as many threads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from measuring import say, spread

from supernet_cli.store.job import JobFolder
from supernet_cli.store.layout import JobKey

ROUNDS = 3

WAYS = {
    "one process, one thread": (1, 1),
    "one process, two threads": (1, 2),
    "two ranks of one thread": (2, 1),
}

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize("batch", [64, 512])
def test_images_a_second_of_two_ranks(batch: int, tmp_path: Path) -> None:
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(ROUNDS):
        for name in list(WAYS) if number % 2 == 0 else reversed(WAYS):
            found[name].append(images_a_second(tmp_path / f"{number} {name}", batch, *WAYS[name]))
    base = found["one process, one thread"]
    say(
        f"default, one epoch, a mini-batch of {batch}, on the CPU: images a second of training",
        *(
            f"{name}: {spread(each)}   against the first {spread([a / b for a, b in zip(each, base, strict=True)])}"
            for name, each in found.items()
        ),
    )
    assert min(found["two ranks of one thread"]) > 0


def images_a_second(folder: Path, batch: int, ranks: int, threads: int) -> float:
    """Train the default preset for an epoch in a new folder."""
    folder.mkdir()
    settings = ("train.epochs=1", f"train.batch_size={batch}", f"runtime.threads={threads}", "runtime.device=cpu")
    words = [word for setting in settings for word in ("--set", setting)]
    starter = ("-m", "torch.distributed.run", "--nproc-per-node", str(ranks)) if ranks > 1 else ()
    command = [sys.executable, *starter, "-m", "supernet_cli", "train", *words, "--quiet"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    (job,) = folder.glob("runs/*/supernet/seed-0")
    snapshot, _ = JobFolder(job, JobKey.supernet(0)).snapshot()
    return snapshot.forward_images / snapshot.train_seconds
