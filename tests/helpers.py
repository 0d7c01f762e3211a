"""Small things that several test modules build."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from supernet_cli.config.schema import Space
from supernet_cli.space import SearchSpace

TWO = ["conv3x3", "conv5x5"]


def space_of(*blocks: list[str], channels: int = 32, pool: int = 2) -> SearchSpace:
    """Return a space with these candidates in its blocks."""
    table = [{"channels": channels, "pool": pool, "candidates": block} for block in blocks]
    return SearchSpace.from_config(Space.model_validate({"hidden": 16, "blocks": table}))


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


def program(*arguments: object, cwd: Path, ignoring: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start the program as a process of its own, with signals as a shell sets them, whatever they are here."""

    def set_signals() -> None:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            signal.signal(getattr(signal, name), signal.SIG_IGN if name in ignoring else signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, "-m", "supernet_cli", *map(str, arguments)],
        cwd=cwd,
        preexec_fn=set_signals,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
