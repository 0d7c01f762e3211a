"""What a person is told of the data: by a dry run, when a run starts, in the run's folder and in its log."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from supernet_cli.store.data_report import DATA_REPORT, DataReport

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what trains on a folder with given splits, a class without test images, and a broken file."""
    monkeypatch.setenv("SUPERNET_CACHE_DIR", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for part, number in (("train", 20), ("val", 6), ("test", 4)):
        for name in ("cats", "dogs", "[owls]"):
            (tmp_path / "images" / part / name).mkdir(parents=True)
            for index in range(0 if (part, name) == ("test", "dogs") else number):
                pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "images" / part / name / f"{index}.png")
    (tmp_path / "images" / "val" / "dogs" / "broken.png").write_text("x")
    settings = ["data.dataset=folder", "data.root=images", "data.size=8", "data.skip_broken=true", "train.epochs=1"]
    settings += ["train.batch_size=20", "runtime.threads=1"]
    return ["--preset", "quick", *(word for setting in settings for word in ("--set", setting))]


LINE = "86 images of 3 classes: 60 train, 18 validation, 8 test; 1 file skipped (see data.json)"


def test_a_dry_run_shows_its_results_then_the_data_then_the_preset(
    supernet: Invoke, arguments: list[str], tmp_path: Path
) -> None:
    code, out, _ = supernet("train", *arguments, "--dry-run")
    assert code == 0
    first = [line.split("  ")[0] for line in out.splitlines()[:6]]
    assert first[0] == "space"
    assert first[3:5] == ["images", "device"]
    places = [out.index(words) for words in ("60 train, 18 validation, 8 test", "[owls]", "given splits", "[data]")]
    assert places == sorted(places)
    assert "no test images: dogs" in out
    assert "broken.png" in out
    document = json.loads(supernet("train", *arguments, "--dry-run", "--json")[1])
    assert document["images"] == {"train": 60, "validation": 18, "test": 8}
    assert document["data"]["classes"][2] == {"name": "dogs", "train": 20, "validation": 6, "test": 0}
    assert document["data"]["layout"] == "splits"
    assert not (tmp_path / "runs").exists()


def test_a_run_shows_one_line_and_its_warnings_and_keeps_the_report(
    supernet: Invoke, arguments: list[str], tmp_path: Path
) -> None:
    code, out, err = supernet("train", *arguments)
    assert code == 0
    assert LINE not in out
    assert err.splitlines().count(LINE) == 1
    assert err.count("warning: 1 class has no test images: dogs.") == 1
    (folder,) = (tmp_path / "runs").iterdir()
    assert DataReport.model_validate_json((folder / DATA_REPORT).read_bytes()).line() == LINE
    log = (folder / "supernet" / "seed-0" / "log.txt").read_text()
    assert LINE in log
    assert "no test images: dogs" in log
    assert "data.validation is not used" in log
    assert LINE in supernet("train", *arguments, "--quiet")[1]  # a result, not progress


def test_an_experiment_shows_the_line_and_keeps_the_report_too(
    supernet: Invoke, arguments: list[str], tmp_path: Path
) -> None:
    code, _, err = supernet("experiment", *arguments, "--seeds", "0", "--workers", "1")
    assert code == 0, err
    assert err.count(LINE) == 1
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / DATA_REPORT).is_file()


def test_a_class_without_training_images_is_refused_before_a_run_is_made(
    supernet: Invoke, arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "images" / "train" / "dogs").rename(tmp_path / "images" / "train" / "wolves")
    for dry in ([], ["--dry-run"]):
        code, _, err = supernet("train", *arguments, *dry)
        assert code == 2
        assert "1 class has no training images: dogs." in err
    assert not (tmp_path / "runs").exists()
