"""Runs to export from, and processes in which little can be imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import supernet_cli
from supernet_cli.store.run import Run

PATH = "conv3x3_conv5x5"

FEW = """
import sys
class Poorer:
    def __init__(self, finder): self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {refused!r} else self.finder.find_spec(name, path, target)
    def __getattr__(self, name): return getattr(self.finder, name)
sys.meta_path[:] = [Poorer(finder) for finder in sys.meta_path]
"""
"""Makes packages missing in a process, wherever they are."""

OTHERS = [
    "supernet_cli",
    "safetensors",
    "pydantic",
    "rich",
    "typer",
    "scipy",
    "torchvision",
    "PIL",
    "onnx",
    "onnxscript",
]


def run_of(folder: Path, digits: Path, settings: Mapping[str, Any], preset: Any = "quick") -> Run:
    """Train a preset for a moment on small images, and one path of it from scratch."""
    small = {
        "train.epochs": 1,
        "train.batch_size": 50,
        "retrain.epochs": 1,
        "retrain.seeds": [0],
        "runtime.threads": 1,
        "runtime.device": "cpu",
        "data.validation": 100,
    }
    return supernet_cli.train(preset, {**small, **settings}, data_root=digits, runs_dir=folder)


def in_a_process_without(refused: list[str], code: str, folder: Path) -> str:
    """Run code in a folder, in a process in which packages are missing; returns what it prints."""
    text = FEW.replace("{refused!r}", repr(refused)) + code
    environment = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", text], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
