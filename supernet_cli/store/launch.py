"""Start a training as a separate process: own session, no keyboard, output in a log file."""

from __future__ import annotations

import datetime as dt
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from supernet_cli.store.files import disk_errors
from supernet_cli.store.job import JobStatus
from supernet_cli.store.runs import list_runs
from supernet_cli.store.tail import last_lines

_FOLDER = ".started"
_CLOCK_SECONDS = 2.0  # that two readings of the clock may differ
_NOT_FOR_IT = ("SUPERNET_TRAIN_TUI", "SUPERNET_SET")  # its arguments are complete


@dataclass(frozen=True)
class Launched:
    """A training that was started.

    Args:
        process: The process.
        log: File with its output.
        words: The command, as typed.
        started: When it was started, in seconds since 1970.
    """

    process: subprocess.Popen[bytes]
    log: Path
    words: str
    started: float = field(default_factory=time.time)

    def find_run(self, runs_dir: Path) -> Path | None:
        """Return the folder of its run, or None if it has none yet."""
        for run in list_runs(runs_dir):
            if any(self._owns(job.status()) for job in run.supernet_jobs()):
                return run.folder
        return None

    def _owns(self, status: JobStatus) -> bool:
        """Whether a job belongs to this process; process ids are reused, in containers soon."""
        same = status.pid == self.process.pid and status.host == socket.gethostname()
        return same and status.heartbeat >= self.started - _CLOCK_SECONDS

    def has_ended(self) -> bool:
        """Whether its process has ended."""
        return self.process.poll() is not None

    def last_words(self, count: int = 6) -> str:
        """Return the end of its output."""
        return "\n".join(last_lines(self.log, count)) or f"It ended with code {self.process.returncode}."


def start_training(runs_dir: Path, preset: str, settings: Sequence[str] = ()) -> Launched:
    """Start `supernet train` as a separate process, which continues however this one ends.

    Args:
        runs_dir: Where its run is stored.
        preset: Name or file of the preset.
        settings: Keys to change, such as `train.epochs=4`.

    Raises:
        DiskError: Its log cannot be written.
    """
    changes = [word for setting in settings for word in ("--set", setting)]
    return launch(runs_dir, ["train", "--preset", preset, *changes])


def launch(runs_dir: Path, arguments: Sequence[str]) -> Launched:
    """Start one of our commands as a separate process.

    Args:
        runs_dir: Where runs are stored; the log goes into a folder there.
        arguments: The arguments of `supernet`.

    Raises:
        DiskError: The log cannot be written.
    """
    log = runs_dir / _FOLDER / f"{dt.datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    with disk_errors(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        out = log.open("ab")
    with out:
        process = subprocess.Popen(
            [sys.executable, "-m", "supernet_cli", *arguments, "--runs-dir", str(runs_dir)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if name not in _NOT_FOR_IT},
        )
    return Launched(process, log, shlex.join(["supernet", *arguments]))
