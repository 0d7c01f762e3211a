"""CONTRIBUTING's operation and strategy: one file each, found by existing, tested by the conformance tests, trained."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import supernet_cli
from supernet_cli.config.load import dump_toml
from supernet_cli.config.schema import Preset

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"
TESTS = Path(__file__).parents[1]
CONFORMANCE = "every_operation or restored_sampler or as_many_images_forward or same_forward_images or plans_hold"


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """Return the files that the page tells to write."""
    found = re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```\n", PAGE.read_text(), re.DOTALL)
    return dict(found)


@pytest.fixture
def environment(files: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Return an environment in which the package has these files."""
    shutil.copytree(Path(supernet_cli.__file__).parent, tmp_path / "supernet_cli")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def run(arguments: list[str], environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_page_walks_through_an_operation_and_a_strategy(files: dict[str, str]) -> None:
    assert sorted(files) == ["supernet_cli/networks/ops/grouped.py", "supernet_cli/sampling/opposites.py"]


def test_conformance_tests_pick_both_up_and_presets_train_them(
    environment: dict[str, str], tiny: Callable[..., Preset], tmp_path: Path
) -> None:
    tests = [str(TESTS / "unit" / name) for name in ("networks/test_ops.py", "test_sampling.py")]
    done = run(["pytest", "-v", "-p", "no:cacheprovider", "-k", CONFORMANCE, *tests], environment, tmp_path)
    assert done.returncode == 0, done.stdout
    assert len(re.findall(r"\[.*grouped.*\] PASSED", done.stdout)) == 18
    assert len(re.findall(r"\[opposites\] PASSED", done.stdout)) == 4

    (tmp_path / "mine.toml").write_text(dump_toml(tiny()))
    candidates = '["conv3x3", "grouped3x3", { op = "grouped", kernel = 5, groups = 2, norm = "batch" }]'
    settings = [f"space.blocks.1.candidates={candidates}", "train.sampler=opposites"]
    words = [word for setting in settings for word in ("--set", setting)]
    done = run(["supernet_cli", "train", "--preset", "mine.toml", *words, "--json"], environment, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "grouped5x5" in done.stdout
