"""Shipped presets, colour images and runs of earlier versions are exported in every format."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exports import run_of
from PIL import Image

import supernet_cli
from supernet_cli.store.exported import ExportedModel
from supernet_cli.store.layout import Way
from supernet_cli.store.results import evaluation

Invoke = Callable[..., tuple[int, str, str]]

MNIST = {"data.dataset": "mnist", "train.seeds": [0], "train.calibration": 300}
SHIPPED: dict[str, tuple[dict[str, Any], str]] = {
    "quick": ({}, "conv5x5_conv3x3"),
    "default": ({}, "conv3x3_conv5x5"),
    "depth": ({}, "conv3x3x2_conv3x3x3"),
    "fashion": (MNIST, "conv5x5_conv3x3_conv5x5"),
    "lab": (MNIST, "sep3x3_conv1x1_conv5x5"),
    "deep": (MNIST, "mbconv3x3e3_maxpool3x3_sep5x5_identity_conv3x3_maxpool3x3"),
}


def assert_whole(model: ExportedModel) -> None:
    """All formats were written, and their files reproduced the network in a process without this package."""
    assert set(model.formats) == {"onnx", "pt2", "safetensors"}
    assert {check.format for check in model.checks} == set(model.formats)
    assert {check.accuracy for check in model.checks} == {model.validation_accuracy}


@pytest.mark.parametrize("preset", SHIPPED)
def test_a_path_of_every_shipped_preset_is_exported_in_every_format(preset: str, digits: Path, tmp_path: Path) -> None:
    settings, path = SHIPPED[preset]
    run = run_of(tmp_path / "runs", digits, settings, preset)
    supernet_cli.retrain(run, [path])
    supernet_cli.evaluate(run, [path], split="validation")
    model = supernet_cli.export(run, path, tmp_path / "model", formats="all").model
    assert_whole(model)
    row = evaluation(run).rows("validation", Way.ALONE)[0][path]
    assert model.validation_accuracy == row.accuracy


def test_inherited_batch_normalisation_is_measured_for_the_path_before_it_is_exported(
    digits: Path, tmp_path: Path
) -> None:
    settings = {**MNIST, "train.evaluate_unrecalibrated": True, "train.epochs": 4}
    run = run_of(tmp_path / "runs", digits, settings, "lab")
    supernet_cli.evaluate(run, split="validation")
    supernet_cli.evaluate(run, split="test")
    rows = evaluation(run).rows("validation", Way.ONE_SHOT)[0]
    path = max(rows, key=lambda name: rows[name].accuracy - (rows[name].accuracy_unrecalibrated or 0))
    exported = supernet_cli.export(run, path, tmp_path / "model", formats="all", weights="inherited").model
    assert_whole(exported)
    assert exported.validation_accuracy == rows[path].accuracy
    assert exported.test_accuracy == evaluation(run).rows("test", Way.ONE_SHOT)[0][path].accuracy
    assert rows[path].accuracy_unrecalibrated is not None
    assert abs(rows[path].accuracy - rows[path].accuracy_unrecalibrated) > 0.05  # the trap: as extracted
    assert exported.recalibrated == 256
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "batch normalisation measured for this path on 256 training images" in card


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of colour images of several sizes in two classes with unusual names."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, light in (("dark ones", 60), ("light [ones] é", 200)):
        (root / name).mkdir()
        for number in range(40):
            pixels = rng.normal(light, 20, (9 + number % 3, 11, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


COLOUR = {
    "data.dataset": "folder",
    "data.size": 12,
    "data.validation": 10,
    "train.epochs": 6,
    "retrain.epochs": 8,
    "train.batch_size": 10,
    "space.norm": "group",
}


def test_a_folder_of_own_colour_images_is_exported_and_predicts_its_own_pictures(
    photos: Path, supernet: Invoke, tmp_path: Path
) -> None:
    run = run_of(tmp_path / "runs", photos, COLOUR)
    supernet_cli.retrain(run, ["conv3x3_conv5x5"])
    exported = supernet_cli.export(run, output=tmp_path / "model", formats="all")
    assert_whole(exported.model)
    assert exported.model.classes == ("dark ones", "light [ones] é")
    assert exported.model.input.shape == (3, 12, 12)
    assert len(exported.model.normalisation.mean) == 3
    files = sorted(photos.rglob("*.png"))
    code, out, err = supernet("predict", *files, "--model", "model", "--json")
    assert code == 0, err
    images = json.loads(out)["images"]
    right = sum(row["class"] == Path(row["file"]).parent.name for row in images)
    assert right / len(files) > 0.9
    assert [row["file"] for row in images] == [str(file) for file in files]
    _, out, _ = supernet("predict", *files, "--json")  # the run's own network, which is the same
    again = json.loads(out)["images"]
    assert [row["class"] for row in again] == [row["class"] for row in images]
    assert [row["probability"] for row in again] == pytest.approx([row["probability"] for row in images], abs=1e-6)


def test_a_run_of_an_earlier_version_is_exported_with_the_classes_of_its_images(
    supernet: Invoke, tmp_path: Path
) -> None:
    with tarfile.open(Path(__file__).parents[1] / "data" / "runs-0.1.0.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    (run,) = (run for run in supernet_cli.runs(tmp_path / "runs") if run.manifest.preset == "plain")
    path = run.alone_jobs()[0].key.path
    code, out, err = supernet("export", run.id, path, "--format", "safetensors", "--data-root", "digits", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert len(document["classes"]) == document["num_classes"] == 10
    assert document["checks"][0]["accuracy"] == document["validation_accuracy"]
    rows = evaluation(run).rows("test", Way.ALONE)
    assert document["test_accuracy"] == pytest.approx(rows[document["seed"]][path].accuracy, abs=0.02)
