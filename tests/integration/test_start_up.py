"""What has to answer at once: help, errors and completion never import torch."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Invoke = Callable[..., tuple[int, str, str]]


TORCHLESS = [
    ["--help"],
    ["--version"],
    ["train", "--help"],
    ["runs", "rm", "--help"],
    ["train", "--preset", "nothing"],
    ["train", "--set", "train.epoch=3"],
    ["train", "--set", 'space.blocks.0.candidates=["conv3x4"]'],
    ["train", "--set", "train.sampler=nothing"],
    ["train", "--resume", "nothing"],
    ["evaluate", "--run", "nothing"],
    ["bench", "--help"],
    ["bench", "nothing"],
    ["bench", "fair", "--on", "nothing"],
    ["bench", "--resume", "nothing"],
    ["search", "--help"],
    ["search"],
    ["export", "--help"],
    ["export"],
    ["export", "--format", "nothing"],
    ["predict", "--help"],
    ["predict", "photo.png"],
    ["predict", "photo.png", "--model", "nothing"],
    ["runs", "ls"],
    ["tui"],
    ["tui", "--help"],
    ["tui", "--run", "nothing"],
]


@pytest.mark.parametrize("arguments", TORCHLESS, ids=" ".join)
def test_help_and_errors_never_import_torch(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from supernet_cli.cli.app import run; code = run(sys.argv[1:]);"
        "heavy = [name for name in ('torch', 'torchvision', 'numpy', 'scipy', 'textual') if name in sys.modules];"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert "imported" not in done.stderr
    assert done.returncode in (0, 2, 5)


def test_the_monitor_never_imports_torch(tmp_path: Path) -> None:
    code = (
        "import sys, pkgutil, importlib, supernet_cli.tui as tui, supernet_cli.cli.tui\n"
        "for module in pkgutil.walk_packages(tui.__path__, 'supernet_cli.tui.'):\n"
        "    importlib.import_module(module.name)\n"
        "sys.exit('torch' in sys.modules or 'torchvision' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 0


def test_the_monitor_off_a_terminal_says_what_to_do_instead(supernet: Invoke, trained: str) -> None:
    code, out, err = supernet("tui", "--run", trained)
    assert (code, out) == (2, "")
    assert "needs an interactive terminal" in err
    assert "supernet runs show" in err
    _, _, err = supernet("tui", "--runs-dir", "no runs")
    assert "`supernet tui --web --runs-dir 'no runs'`" in err


def test_training_beside_the_monitor_needs_a_terminal_and_checks_first(supernet: Invoke, tmp_path: Path) -> None:
    code, _, err = supernet("train", "--tui")
    assert (code, "needs an interactive terminal" in err) == (2, True)
    assert "Train without --tui." in err
    code, _, err = supernet("train", "--tui", "--json")
    assert code == 2
    assert not (tmp_path / "runs").exists()


LINES = [
    ("supernet tr", "train"),
    ("supernet train --preset qu", "quick"),
    ("supernet evaluate --run 20", "tiny"),
    ("supernet evaluate conv3x3_c", "conv3x3_conv5x5"),
    ("supernet runs show la", "latest"),
    ("supernet preset copy fa", "fashion"),
    ("supernet export conv3x3_c", "conv3x3_conv5x5"),
    ("supernet export --format on", "onnx"),
    ("supernet bench fa", "fair"),
    ("supernet bench fair --on la", "lab"),
]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_presets_runs_and_paths_without_torch(
    shell: str, supernet: Invoke, trained: str, tmp_path: Path
) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    for line, completed in LINES:
        environment = {
            "PYTHONPATH": str(tmp_path),
            "_SUPERNET_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - 1),
            "_TYPER_COMPLETE_ARGS": line,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        done = subprocess.run(
            [sys.executable, "-c", "from supernet_cli.cli.app import main; main()"],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )
        assert completed in done.stdout, (line, done.stdout, done.stderr)


def test_a_pipe_that_closes_early_is_no_error(supernet: Invoke, trained: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m supernet_cli runs show {trained} | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("terminal", ["dumb", "unknown", "", None])
def test_a_terminal_that_cannot_place_text_gets_words_and_not_one_escape_code(
    terminal: str | None, tmp_path: Path
) -> None:
    controller, terminal_end = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "TERM"}
    if terminal is not None:
        environment["TERM"] = terminal
    process = subprocess.Popen(
        [sys.executable, "-m", "supernet_cli", "tui"],
        cwd=tmp_path,
        env=environment,
        stdin=terminal_end,
        stdout=terminal_end,
        stderr=terminal_end,
    )
    os.close(terminal_end)
    shown = read_all(controller)
    assert process.wait(30) == 2
    assert "cannot show the monitor" in shown
    assert "supernet runs show" in shown
    assert "supernet runs ls" in shown
    assert "\x1b" not in shown


def read_all(controller: int) -> str:
    """Return what is written on a pseudo-terminal until its other end is closed."""
    parts = []
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(controller, 65536):
            parts.append(part)
    os.close(controller)
    return b"".join(parts).decode()
