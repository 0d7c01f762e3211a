"""Training speed and memory of `supernet train` on a terminal, all switched on, against loops written out plainly.

Interleaved rounds in one run; ratios are quoted with their spread. The clock of each covers training alone: start-up,
judging and checkpoints are counted apart, and judging is bounded on its own.
"""

from __future__ import annotations

import json
import os
import pty
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from measuring import loop, say, spread

ROUNDS = 5

pytestmark = pytest.mark.benchmark


def product(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run `supernet train` on a pseudo-terminal of 120 × 40 and return its document, with its peak memory."""
    master, slave = pty.openpty()
    os.set_blocking(master, True)
    result = folder / "result.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "supernet_cli", "train", "--output", str(result), *arguments],
        cwd=folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"},
        start_new_session=True,
    )
    os.close(slave)
    drawn = bytearray()
    reader = threading.Thread(target=_drain, args=(master, drawn))
    reader.start()
    _, status, usage = os.wait4(process.pid, 0)
    reader.join()
    process.returncode = os.waitstatus_to_exitcode(status)  # wait4 was asked instead of the process itself
    assert process.returncode == 0, drawn.decode(errors="replace")
    assert drawn.count(b"images/s") > 5, "the live view was not drawn"
    return {**json.loads(result.read_text()), "peak_bytes": usage.ru_maxrss * 1024}


def _drain(master: int, drawn: bytearray) -> None:
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        drawn += chunk
    os.close(master)


def test_training_is_as_fast_as_a_bare_loop(tmp_path: Path) -> None:
    speed, memory, judging, rates = [], [], [], []
    product(tmp_path, "--preset", "quick")  # unpacks the data and warms the disk's cache
    for number in range(ROUNDS):
        first = loop("bare") if number % 2 == 0 else None
        ours = product(tmp_path, "--preset", "default", "--set", "train.epochs=2")
        bare = first or loop("bare")
        training = ours["forward_images"] / ours["images_per_second"]
        speed.append(ours["images_per_second"] / bare["images_per_second"])
        memory.append(ours["peak_bytes"] / bare["peak_bytes"])
        judging.append(1 - training / ours["seconds"])
        rates.append((ours["images_per_second"], bare["images_per_second"]))
    say(
        f"images/s, supernet train against bare loop: {spread(speed)}   target 0.95 or more",
        f"peak memory, the same:                      {spread(memory)}   target 1.3 or less",
        f"share of time spent judging paths:          {spread(judging)}   target about 0.1 or less",
        "rounds, images/s ours and bare:             " + "  ".join(f"{a:,.0f}/{b:,.0f}" for a, b in rates),
    )
    assert statistics.median(speed) >= 0.95
    assert statistics.median(memory) <= 1.3
    assert statistics.median(judging) <= 0.12


def test_training_is_faster_than_a_loop_like_the_references(tmp_path: Path) -> None:
    speed = []
    for _ in range(3):
        ours = product(tmp_path, "--preset", "default", "--set", "train.epochs=1")
        speed.append(ours["images_per_second"] / loop("dataloader")["images_per_second"])
    say(f"images/s, supernet train against a DataLoader loop: {spread(speed)}   target 2 or more")
    assert statistics.median(speed) >= 2.0
