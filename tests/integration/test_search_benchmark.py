"""The benchmark of search policies: its page matches the stored results, and it continues where it was interrupted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "docs" / "search" / "benchmark.py"


def benchmark(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARK), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_tables_of_the_page_are_those_of_the_stored_results() -> None:
    done = benchmark("--check")
    assert done.returncode == 0, done.stderr


def test_a_benchmark_in_two_sittings_stores_what_one_does(tmp_path: Path) -> None:
    what = ("--settings", "worlds", "lab-half", "--policies", "one-shot", "local", "--results")
    for sitting, repeats in (("two", 2), ("two", 3), ("one", 3)):
        done = benchmark(*what, tmp_path / sitting, "--repeats", str(repeats))
        assert done.returncode == 0, done.stderr
    stored = {
        sitting: {file.relative_to(tmp_path / sitting): json.loads(file.read_text()) for file in files}
        for sitting in ("one", "two")
        for files in [sorted((tmp_path / sitting).glob("*/*.json"))]
    }
    assert {str(file) for file in stored["one"]} == {"lab-half/local.json", "worlds/local.json", "worlds/one-shot.json"}
    for file, whole in stored["one"].items():
        parts = stored["two"][file]
        assert {**parts, "seconds": 0} == {**whole, "seconds": 0}
        assert whole["repeats"] == 3
        assert len(whole["regret"]) == (32 if "half" in str(file) else 50)


def test_an_unknown_setting_is_refused_with_those_there_are(tmp_path: Path) -> None:
    done = benchmark("--settings", "nas-bench-201-cifar10", "--results", tmp_path)
    assert done.returncode == 2
    assert "unknown setting nas-bench-201-cifar10" in done.stderr
    assert "lab-half-scored" in done.stderr
    assert "--tables" in done.stderr
