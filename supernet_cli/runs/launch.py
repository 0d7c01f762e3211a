"""Start a training that lives on its own: own session, no keyboard, its words in a log file."""

from __future__ import annotations

import datetime as dt
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from supernet_cli.runs.files import disk_errors
from supernet_cli.runs.job import JobStatus
from supernet_cli.runs.store import list_runs
from supernet_cli.runs.tail import last_lines

_FOLDER = ".started"
_CLOCK_SECONDS = 2.0  # that two readings of the clock may lie apart
_NOT_FOR_IT = ("SUPERNET_TRAIN_TUI", "SUPERNET_SET")  # it has its arguments in full


@dataclass(frozen=True)
class Launched:
    """A training that was started.

    Args:
        process: It.
        log: Where its words go.
        words: What was started, for a person.
        started: When.
    """

    process: subprocess.Popen[bytes]
    log: Path
    words: str
    started: float = field(default_factory=time.time)

    def find_run(self, runs_dir: Path) -> Path | None:
        """Return the folder of its run, or None where it has none yet."""
        for run in list_runs(runs_dir):
            if any(self._owns(job.status()) for job in run.supernet_jobs()):
                return run.folder
        return None

    def _owns(self, status: JobStatus) -> bool:
        """Whether a job is this process's: numbers of processes come again, in containers soon."""
        same = status.pid == self.process.pid and status.host == socket.gethostname()
        return same and status.heartbeat >= self.started - _CLOCK_SECONDS

    def has_ended(self) -> bool:
        """Whether its process is over."""
        return self.process.poll() is not None

    def last_words(self, count: int = 6) -> str:
        """Return the end of what it said."""
        return "\n".join(last_lines(self.log, count)) or f"It ended with code {self.process.returncode}."


def start_training(runs_dir: Path, preset: str, settings: Sequence[str] = (), more: Sequence[str] = ()) -> Launched:
    """Start `supernet train` as a process of its own, which goes on when this one ends, however it ends.

    Args:
        runs_dir: Where its run goes.
        preset: Name or file of the preset.
        settings: Keys to change, such as `train.epochs=4`.
        more: Further arguments of `supernet train`.

    Raises:
        DiskError: Its log cannot be written.
    """
    changes = [word for setting in settings for word in ("--set", setting)]
    return launch(runs_dir, ["train", "--preset", preset, *changes, *more])


def launch(runs_dir: Path, arguments: Sequence[str]) -> Launched:
    """Start a command of ours as a process of its own.

    Args:
        runs_dir: Where runs live; the log goes into a folder there.
        arguments: What would be typed after `supernet`.

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
    return Launched(process, log, f"supernet {' '.join(arguments)}")
