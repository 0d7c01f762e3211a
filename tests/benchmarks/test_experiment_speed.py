"""Time of the whole experiment against the reference project's, and of trainings side by side against one by one.

Both in one run on one machine. The reference took 500 epochs of 60,000 images: 100 for its supernet, 100 for each of
its four subnets. A DataLoader loop like its own says at what speed; the time follows from that.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from measuring import loop, say, spread

REFERENCE_IMAGES = 500 * 60_000
ROUNDS = 3

pytestmark = pytest.mark.benchmark


def timed(folder: Path, *arguments: str) -> tuple[float, dict[str, Any]]:
    """Run a command line in a folder; return its seconds, start-up included, and its document."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "supernet_cli", *arguments, "--json", "--quiet"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - begun, json.loads(done.stdout)


def test_the_whole_experiment_takes_a_thirtieth_of_the_references_time(tmp_path: Path) -> None:
    before = loop("dataloader")["images_per_second"]
    seconds, document = timed(tmp_path, "experiment", "--preset", "default", "--seeds", "0")
    after = loop("dataloader")["images_per_second"]
    reference = REFERENCE_IMAGES / max(before, after)
    (entry,) = document["runs"]
    accuracies = {kind: [row[f"{kind}_test_accuracy"] for row in entry["rows"]] for kind in ("one_shot", "stand_alone")}
    say(
        f"supernet experiment --preset default --seeds 0: {seconds:,.0f} s",
        f"the reference's 500 epochs at {before:,.0f} and {after:,.0f} images/s: {reference:,.0f} s, at the faster",
        f"share:                                          1/{reference / seconds:.1f}   target 1/30 or less",
        *(f"test accuracies, {kind}: {min(values):.4f} to {max(values):.4f}" for kind, values in accuracies.items()),
    )
    assert seconds <= reference / 30
    assert min(min(values) for values in accuracies.values()) >= 0.990


def test_two_workers_of_one_thread_are_as_fast_as_one_of_two(tmp_path: Path) -> None:
    ratios, rounds = [], []
    settings = ("--set", "train.epochs=1", "--set", "retrain.epochs=1")
    for threads in (1, 2):
        (tmp_path / str(threads)).mkdir()
        timed(tmp_path / str(threads), "train", *settings, "--set", f"retrain.threads={threads}")
    for number in range(ROUNDS):
        taken = {}
        for threads in (1, 2) if number % 2 == 0 else (2, 1):
            (run,) = (tmp_path / str(threads) / "runs").iterdir()
            shutil.rmtree(run / "standalone", ignore_errors=True)
            workers = str(3 - threads)
            taken[threads], _ = timed(tmp_path / str(threads), "retrain", "--all", "--seeds", "0", "--workers", workers)
        ratios.append(taken[2] / taken[1])
        rounds.append(f"{taken[1]:.1f}/{taken[2]:.1f}")
    say(
        f"speed of --workers 2 with 1 thread against --workers 1 with 2: {spread(ratios)}   target 1 or more",
        "rounds, seconds of each:                                       " + "  ".join(rounds),
    )
    assert statistics.median(ratios) >= 1.0
