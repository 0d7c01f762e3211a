"""A disk that is full, or cannot be written: on a small file system of its own, where the system lets us make one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Invoke = Callable[..., tuple[int, str, str]]


def _can_mount() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    words = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not _can_mount(), reason="file systems cannot be mounted here")

SCRIPT = """
import hashlib, json, subprocess, sys
from pathlib import Path
disk, size, preset = sys.argv[1:]
def on_disk(options): subprocess.run(["mount", "-t", "tmpfs", "-o", options, "small", disk], check=True)
def supernet(*words):
    done = subprocess.run([sys.executable, "-m", "supernet_cli", *words, "--runs-dir", disk + "/runs"],
                          capture_output=True, text=True)
    return [done.returncode, done.stdout, done.stderr]
def look():
    return sorted(str(path.relative_to(disk)) for path in Path(disk).rglob("*") if path.is_file())
on_disk(f"size={size}")
told = {"first": supernet("train", "--preset", preset), "files": look()}
on_disk("remount,size=64m")
told["listed"] = supernet("runs", "ls", "--json")
told["second"] = supernet("train", "--resume", "latest")
if told["second"][0] == 5:  # there was no space even for a run
    told["second"] = supernet("train", "--preset", preset)
on_disk("remount,ro")
told["read-only"] = [supernet("train", "--preset", preset), supernet("runs", "rm", "latest", "--yes")]
weights = next(iter(Path(disk).glob("runs/*/supernet/seed-0/weights.safetensors")), None)
told["weights"] = weights and hashlib.sha256(weights.read_bytes()).hexdigest()
print(json.dumps(told))
"""


SIZES = [
    pytest.param(size, marks=[] if size == "80k" else pytest.mark.slow) for size in ("4k", "20k", "40k", "80k", "120k")
]


@pytest.mark.parametrize("size", SIZES)
def test_a_full_disk_loses_nothing_and_training_goes_on_once_there_is_space(
    size: str, supernet: Invoke, tiny_file: Path, tmp_path: Path
) -> None:
    import hashlib

    assert supernet("train", "--preset", tiny_file, "--quiet")[0] == 0
    (whole,) = (tmp_path / "runs").glob("*/supernet/seed-0/weights.safetensors")
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["unshare", "--mount", sys.executable, "-c", SCRIPT, str(disk), size, str(tiny_file)]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ}, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    code, _, err = told["first"]
    assert code == 4, told["first"]
    assert "No space left on device" in err
    assert f"{disk}/runs" in err
    assert "MB are free there" in err
    assert "Traceback" not in err
    assert not [name for name in told["files"] if name.endswith(".tmp")]
    assert told["listed"][0] == 0
    assert told["second"][0] == 0, told["second"]
    assert told["weights"] == hashlib.sha256(whole.read_bytes()).hexdigest()
    for code, _, err in told["read-only"]:
        assert code == 4, err
        assert "Read-only file system" in err


EXPORT = """
import json, subprocess, sys
from pathlib import Path
disk, run = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "small", disk], check=True)
words = ["export", run, "--no-check", "--format", "safetensors", "--output", disk + "/model", "--json"]
done = subprocess.run([sys.executable, "-m", "supernet_cli", *words], capture_output=True, text=True)
print(json.dumps([done.returncode, done.stdout, done.stderr, [path.name for path in Path(disk).iterdir()]]))
"""


def test_an_export_to_a_full_disk_says_how_much_it_needs_and_leaves_nothing(
    supernet: Invoke, trained: str, tmp_path: Path
) -> None:
    assert supernet("retrain", "conv5x5_conv5x5", "--quiet")[0] == 0
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["unshare", "--mount", sys.executable, "-c", EXPORT, str(disk), trained]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    code, out, err, left = json.loads(done.stdout)
    error = json.loads(out)["error"]
    assert (code, error["kind"], left) == (4, "disk", []), err
    assert f"{disk}/model/model." in error["message"]
    assert "No space left on device" in error["message"]
    assert "--output DIR" in error["hint"]
