"""How soon the program answers: help, completion and a preset error against the help of an empty Typer application."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.benchmark

EMPTY = """
import typer
app = typer.Typer()
for name in ("train", "retrain", "evaluate", "compare", "experiment", "tui", "doctor"):
    app.command(name)(lambda: None)
for group, names in (("runs", ("ls", "show", "stop", "rm")), ("preset", ("ls", "show", "copy", "validate", "schema"))):
    inner = typer.Typer()
    for name in names:
        inner.command(name)(lambda: None)
    app.add_typer(inner, name=group)
app()
"""
ROUNDS = 15


def seconds(arguments: list[str], folder: Path, **environment: str) -> float:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()  # modules are compiled by the first run, or by an installation
    subprocess.run(arguments, cwd=folder, env={**inherited, **environment}, capture_output=True)
    return time.perf_counter() - start


COMPLETION = {"_SUPERNET_COMPLETE": "complete_bash", "COMP_WORDS": "supernet tr", "COMP_CWORD": "1"}


@pytest.mark.parametrize(
    ("what", "arguments", "environment", "target"),
    [
        ("--help", ["--help"], {}, 1.2),
        (
            "completion",
            [],
            {"_SUPERNET_COMPLETE": "complete_bash", "COMP_WORDS": "supernet tr", "COMP_CWORD": "1"},
            1.2,
        ),
        ("a preset error", ["train", "--set", "train.epoch=3"], {}, 1.6),
    ],
)
def test_answers_come_about_as_soon_as_an_empty_applications_help(
    what: str, arguments: list[str], environment: dict[str, str], target: float, tmp_path: Path
) -> None:
    (tmp_path / "empty.py").write_text(EMPTY)
    ours = [sys.executable, "-c", "from supernet_cli.cli.app import main; main()", *arguments]
    empty = [sys.executable, "empty.py", "--help"]
    for command in (ours, empty):
        seconds(command, tmp_path)
    ratios = [seconds(ours, tmp_path, **environment) / seconds(empty, tmp_path) for _ in range(ROUNDS)]
    median = statistics.median(ratios)
    print(f"\n{what}: {median:.2f} × ({min(ratios):.2f} to {max(ratios):.2f})   target {target} or less")
    assert median <= target
