"""`supernet predict`: classes of image files, by an exported model or by a run's network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from exports import PATH, run_of
from PIL import Image

import supernet_cli
from supernet_cli.store.run import Run

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> tuple[Run, Path]:
    """Return a run, and its exported models side by side in a folder."""
    place = tmp_path_factory.mktemp("made")
    run = run_of(place / "runs", digits, {"retrain.epochs": 4})
    supernet_cli.retrain(run, [PATH])
    supernet_cli.export(run, output=place / "plain", formats="safetensors", check=False)
    supernet_cli.export(run, output=place / "graph", formats="onnx", raw=True, check=False)
    return run, place


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Return image files of several kinds."""
    rng = np.random.default_rng(0)
    grey, colour = rng.integers(0, 256, (12, 12), dtype=np.uint8), rng.integers(0, 256, (30, 20, 3), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(colour).save(tmp_path / "colour.jpg")
    return [tmp_path / "grey.png", tmp_path / "colour.jpg"]


def test_an_image_gets_the_class_and_the_probability_of_the_network(
    supernet: Invoke, made: tuple[Run, Path], pictures: list[Path]
) -> None:
    run, place = made
    network = supernet_cli.load(run, PATH)
    pixels = torch.from_numpy(np.array(Image.open(pictures[0])))[None, None]
    with torch.inference_mode():
        shares = network(network.preprocess(pixels)).softmax(1)[0]
    for source in (("--model", place / "plain"), ("--model", place / "graph"), ("--runs-dir", place / "runs")):
        code, out, err = supernet("predict", *pictures, *source, "--json")
        assert code == 0, err
        first, second = json.loads(out)["images"]
        assert (first["label"], first["class"]) == (int(shares.argmax()), network.classes[int(shares.argmax())])
        assert first["probability"] == pytest.approx(float(shares.max()), abs=1e-5)
        assert first["conversions"] == []
        assert second["conversions"] == ["stretched to a square", "colour to greyscale"]
        assert json.loads(out)["path"] == PATH


def test_what_is_printed_has_the_file_the_class_and_the_probability(
    supernet: Invoke, made: tuple[Run, Path], pictures: list[Path]
) -> None:
    code, out, _ = supernet("predict", *pictures, "--model", made[1] / "plain")
    (row,) = (line for line in out.splitlines() if "grey.png" in line)
    assert (code, row.rstrip().endswith("%")) == (0, True)


def test_images_that_cannot_be_read_are_listed_and_the_others_classified(
    supernet: Invoke, made: tuple[Run, Path], pictures: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_text("no image")
    Image.fromarray(np.full((12, 12), 40_000, np.uint16)).save(tmp_path / "deep.png")
    words = [pictures[0], tmp_path / "broken.png", tmp_path / "missing.png", tmp_path, tmp_path / "deep.png"]
    code, out, _ = supernet("predict", *words, "--model", made[1] / "plain", "--json")
    document = json.loads(out)
    assert (code, document["error"]["kind"]) == (2, "data")
    assert [row["file"] for row in document["images"]] == [str(pictures[0])]
    reasons = [row["reason"] for row in document["broken"]]
    for reason, said in zip(reasons, ("format", "No such file", "folder", "8 bits"), strict=True):
        assert said in reason


def test_a_folder_that_is_no_exported_model_or_a_damaged_one_is_refused(
    supernet: Invoke, made: tuple[Run, Path], pictures: list[Path], tmp_path: Path
) -> None:
    import shutil

    for folder, said in ((tmp_path, "has no config.json"), (tmp_path / "nothing", "is not a folder")):
        code, out, _ = supernet("predict", pictures[0], "--model", folder, "--json")
        assert (code, said in json.loads(out)["error"]["message"]) == (2, True)
    for name, content, said in (
        ("model.safetensors", b"other", "model.safetensors is not the file that was exported"),
        ("model.py", b"raise SystemExit('executed')", "model.py is not the file that was exported"),
        ("config.json", b"{", "config.json"),
    ):
        damaged = tmp_path / f"damaged {name}"
        shutil.copytree(made[1] / "plain", damaged)
        (damaged / name).write_bytes(content)
        code, out, _ = supernet("predict", pictures[0], "--model", damaged, "--json")
        assert (code, said in json.loads(out)["error"]["message"]) == (5, True), out


def test_options_of_a_run_are_refused_beside_a_folder(
    supernet: Invoke, made: tuple[Run, Path], pictures: list[Path]
) -> None:
    code, out, _ = supernet("predict", pictures[0], "--model", made[1] / "plain", "--path", PATH, "--json")
    assert (code, "takes no --path" in json.loads(out)["error"]["message"]) == (2, True)
