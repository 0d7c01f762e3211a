"""What all tests share: a quiet environment, a data set made on the spot, and a preset that trains in a second."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from supernet_cli.cli.app import run as run_application
from supernet_cli.config.load import validate
from supernet_cli.config.schema import Preset

for name in [name for name in os.environ if name.startswith("SUPERNET_") and name != "SUPERNET_CACHE_DIR"]:
    del os.environ[name]
for name in ("FORCE_COLOR", "NO_COLOR", "GITHUB_ACTIONS", "CLICOLOR_FORCE", "TTY_COMPATIBLE"):
    os.environ.pop(name, None)
os.environ["COLUMNS"] = "120"

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in a job started with `nohup … &`: children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

IMAGES = {"train": 600, "t10k": 200}
SIDE = 12


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in MNIST's layout with images that can be learned: the label sets a bright square's place."""
    import numpy as np

    root = tmp_path_factory.mktemp("digits")
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, count in IMAGES.items():
        labels = rng.integers(0, 10, count).astype(np.uint8)
        images = rng.integers(0, 60, (count, SIDE, SIDE)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            row, column = divmod(int(label), 4)
            image[1 + 3 * row : 4 + 3 * row, 3 * column : 3 * column + 3] = 250
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
            header = (0x0800 + array.ndim).to_bytes(4, "big") + sizes
            (raw / f"{part}-{kind}-ubyte").write_bytes(header + array.tobytes())
    return root


TINY: dict[str, Any] = {
    "data": {"dataset": "mnist", "validation": 100, "shift": 1},
    "space": {
        "hidden": 16,
        "blocks": [
            {"channels": 4, "pool": 2, "candidates": ["conv3x3", "conv5x5"]},
            {"channels": 4, "pool": 2, "candidates": ["conv3x3", "conv5x5"]},
        ],
    },
    "train": {
        "epochs": 3,
        "batch_size": 50,
        "log_every": 4,
        "checkpoint_every": 3,
        "optimizer": {"name": "AdamW", "lr": 0.01, "weight_decay": 0.01},
        "schedule": {"name": "OneCycleLR", "pct_start": 0.3},
    },
    "retrain": {"seeds": [0]},
    "runtime": {"device": "cpu", "threads": 1},
}


@pytest.fixture
def tiny(digits: Path) -> Callable[..., Preset]:
    """Return a maker of presets that train in a second; it takes sections to change: `tiny(train={"epochs": 1})`."""

    def make(**sections: dict[str, Any]) -> Preset:
        table = {name: {**TINY.get(name, {}), **sections.get(name, {})} for name in {*TINY, *sections}}
        table["data"] = {**table["data"], "root": str(digits)} | sections.get("data", {})
        return validate(table, Path("tiny.toml"))

    return make


@pytest.fixture
def tiny_file(tiny: Callable[..., Preset], tmp_path: Path) -> Path:
    """Return the tiny preset as a file."""
    from supernet_cli.config.load import dump_toml

    path = tmp_path / "tiny.toml"
    path.write_text(dump_toml(tiny()))
    return path


@pytest.fixture
def supernet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs a command line in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run_application([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return invoke


@pytest.fixture
def trained(supernet: Callable[..., tuple[int, str, str]], tiny_file: Path) -> str:
    """Return the id of a finished run of two seeds, in the folder where commands run."""
    _, out, _ = supernet("train", "--preset", tiny_file, "--seeds", "0,1", "--json")
    return str(json.loads(out)["run"])
