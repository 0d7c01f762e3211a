"""The monitor on a terminal: first paint of a million records, and what it costs at rest and beside a training."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from recorded import BEGIN, grow, record_run, sample, started, trained

from supernet_cli.store.records import encode

pytestmark = pytest.mark.benchmark

RECORDS = 1_000_000
FIRST_PAINT_SECONDS = 2.0
IDLE_SHARE = 0.03
BUSY_SHARE = 0.15
MOST_BYTES = 250e6


def watch(run: Path, mark: bytes, seconds: float, quiet: float) -> tuple[float, float, float]:
    """Run the monitor on a pseudo terminal: seconds to the mark, share of a core after `quiet` seconds, peak bytes."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", COLUMNS="120", LINES="40")
        command = [sys.executable, "-m", "supernet_cli", "tui", "--runs-dir", str(run.parent), "--run", run.name]
        os.execv(sys.executable, command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process, begun, told = psutil.Process(pid), time.monotonic(), b""
    painted, used, since, peak = float("inf"), 0.0, 0.0, 0
    try:
        while (now := time.monotonic() - begun) < seconds:
            if select.select([terminal], [], [], 0.05)[0]:
                told = (told + os.read(terminal, 1 << 16))[-100_000:]
            if painted == float("inf") and mark in told:
                painted = now
            if not since and now >= quiet:
                used, since = sum(process.cpu_times()[:2]), now
            peak = max(peak, process.memory_info().rss)
        share = (sum(process.cpu_times()[:2]) - used) / (now - since)
        os.write(terminal, b"q")
        time.sleep(0.5)
    finally:
        process.kill()
        os.waitpid(pid, 0)
        os.close(terminal)
    return painted, share, float(peak)


def writing(run: Path, until: threading.Event) -> Callable[[], None]:
    """Return what writes as a training does: losses twice a second, devices once."""

    def write() -> None:
        step = 1040
        while not until.wait(0.5):
            grow(run, step, 0.05 + 1 / step)
            if step % 40 == 0:
                with (run / "devices-0.jsonl").open("a") as file:
                    file.write(encode(sample(step, 2, 0, BEGIN)) + "\n")
            step += 20

    return write


def test_a_million_records_are_painted_at_once_and_cost_nothing_at_rest(tmp_path: Path) -> None:
    run = record_run(tmp_path, state="interrupted")
    with (run / "supernet" / "seed-0" / "metrics-0.jsonl").open("w") as file:
        file.write(encode(started(0, RECORDS, 100, 4, BEGIN)) + "\n")
        for step in range(1, RECORDS + 1):
            file.write(encode(trained(step, 1, 0.02 + 2 / step, BEGIN)) + "\n")
    painted, share, peak = watch(run, f"{RECORDS:,}".encode(), seconds=30, quiet=20)
    print(f"\nfirst paint {painted:.2f} s, at rest {100 * share:.1f} % of a core, {peak / 1e6:.0f} MB")
    assert painted <= FIRST_PAINT_SECONDS
    assert share <= IDLE_SHARE
    assert peak <= MOST_BYTES


def test_watching_a_training_costs_little(tmp_path: Path) -> None:
    run, finished = record_run(tmp_path), threading.Event()
    writer = threading.Thread(target=writing(run, finished))
    writer.start()
    try:
        painted, share, peak = watch(run, b"training", seconds=30, quiet=10)
    finally:
        finished.set()
        writer.join()
    print(f"\nfirst paint {painted:.2f} s, beside a training {100 * share:.1f} % of a core, {peak / 1e6:.0f} MB")
    assert share <= BUSY_SHARE
