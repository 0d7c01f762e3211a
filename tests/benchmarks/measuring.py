"""What benchmarks share: loops in processes of their own, spreads, and words about the machine."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

LOOPS = Path(__file__).parent / "loops.py"


def loop(name: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, str(LOOPS), name], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def say(*lines: str) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    host = f"{platform.processor() or platform.machine()}, {cores} cores"
    print(f"\n{host}, Python {platform.python_version()}, torch {torch.__version__}")
    for line in lines:
        print(line)
