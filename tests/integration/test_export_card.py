"""The model card's five lines, where only what they name can be imported."""

from __future__ import annotations

import ast
import lzma
from pathlib import Path

import pytest
from exports import OTHERS, in_a_process_without

import supernet_cli
from supernet_cli.reports.card import snippet
from supernet_cli.store.exported import ExportedModel, read_exported

EMBEDDED = Path(supernet_cli.__file__).parent / "data" / "embedded" / "mnist"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an exported model of the shipped MNIST, which classifies most of it correctly."""
    place = tmp_path_factory.mktemp("card")
    settings = {
        "train.epochs": 1,
        "data.validation": 2000,
        "runtime.threads": 1,
        "runtime.device": "cpu",
        "space.blocks.0.channels": 4,
        "space.blocks.1.channels": 8,
    }
    run = supernet_cli.train("quick", settings, runs_dir=place / "runs")
    supernet_cli.retrain(run, ["conv3x3_conv3x3"])
    supernet_cli.export(run, output=place / "model", formats="all")
    supernet_cli.export(run, output=place / "raw", formats=["pt2", "onnx"], raw=True)
    return place / "model"


def images_and_labels(folder: Path) -> tuple[Path, bytes]:
    """Unpack the test images of MNIST, uint8 after 16 bytes; returns their file and their labels."""
    pixels, labels = (
        lzma.decompress(next(EMBEDDED.rglob(f"t10k-{kind}*.xz")).read_bytes())
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    file = folder.parent / "t10k.raw"
    file.write_bytes(pixels[16:])
    return file, labels[8:]


READ = {
    "safetensors": "torch.frombuffer(bytearray(open({file!r}, 'rb').read()), dtype=torch.uint8).reshape(-1, 1, 28, 28)",
    "pt2": "torch.frombuffer(bytearray(open({file!r}, 'rb').read()), dtype=torch.uint8).reshape(-1, 1, 28, 28)",
    "onnx": "numpy.fromfile({file!r}, numpy.uint8).reshape(-1, 1, 28, 28)",
}
MISSING = {
    "safetensors": [*OTHERS, "numpy", "onnxruntime"],
    "pt2": [*OTHERS, "onnxruntime"],
    "onnx": [*OTHERS, "torch"],
}


def with_images(lines: str, expression: str) -> str:
    """Put other images into the card's lines."""
    text = [f"images = {expression}" if line.startswith("images =") else line for line in lines.splitlines()]
    assert len(text) == 5
    assert text != lines.splitlines()
    return "\n".join(text)


def share_correct(printed: str, labels: bytes, classes: tuple[str, ...]) -> float:
    names = ast.literal_eval(printed)
    assert len(names) == len(labels)
    return sum(name == classes[label] for name, label in zip(names, labels, strict=True)) / len(labels)


@pytest.mark.parametrize("name", ["safetensors", "pt2", "onnx"])
def test_the_five_lines_of_the_card_run_as_they_are_and_classify_test_images_with_the_recorded_accuracy(
    name: str, folder: Path
) -> None:
    model = read_exported(folder)
    lines = snippet(model, name)
    assert lines in (folder / "README.md").read_text(encoding="utf-8")
    assert len(lines.splitlines()) == 5
    printed = in_a_process_without(MISSING[name], lines, folder)
    assert ast.literal_eval(printed)[0] in model.classes
    file, labels = images_and_labels(folder)
    code = with_images(lines, READ[name].format(file=str(file)))
    printed = in_a_process_without(MISSING[name], code, folder)
    assert model.test_accuracy is not None
    assert model.test_accuracy > 0.8
    assert share_correct(printed, labels, model.classes) == pytest.approx(model.test_accuracy, abs=1e-4)


@pytest.mark.parametrize("name", ["pt2", "onnx"])
def test_graphs_that_take_floats_classify_normalised_images_likewise(name: str, folder: Path) -> None:
    raw = folder.with_name("raw")
    model = read_exported(raw)
    assert model.formats[name].takes == "float32"
    (mean,), (std,) = model.normalisation.mean, model.normalisation.std
    file, labels = images_and_labels(folder)
    pixels = READ[name].format(file=str(file))
    as_float = f"({pixels}).float()" if name == "pt2" else f"{pixels}.astype(numpy.float32)"
    expression = f"({as_float} / 255 - {mean}) / {std}"
    if name == "onnx":
        expression = f"({expression}).astype(numpy.float32)"
    printed = in_a_process_without(MISSING[name], with_images(snippet(model, name), expression), raw)
    assert model.test_accuracy is not None
    assert share_correct(printed, labels, model.classes) == pytest.approx(model.test_accuracy, abs=1e-4)


def test_the_card_says_what_was_checked_how_large_it_is_and_where_it_is_from(folder: Path) -> None:
    model, text = read_exported(folder), (folder / "README.md").read_text(encoding="utf-8")
    for said in (
        f"{model.parameters:,}",
        f"{model.macs:,} per image",
        f"{100 * (model.test_accuracy or 0):.2f} % of 10,000 images",
        f"{100 * (model.validation_accuracy or 0):.2f} % of 2,000 images",
        "| safetensors | 2,000 |",
        "bit for bit",
        "opset 18",
        "trained from scratch, seed 0",
        f"`{model.run}`",
        "CC BY-SA 3.0",
        "Apache License 2.0",
    ):
        assert said in text, said
    assert "## Latency" not in text


def test_a_hostile_class_name_stays_inside_of_the_card(folder: Path) -> None:
    from supernet_cli.reports.card import card

    model = read_exported(folder)
    hostile = model.model_copy(update={"classes": ("a\n# Not a heading", *model.classes[1:]), "run": "x`\n# y"})
    assert isinstance(hostile, ExportedModel)
    headings = [line for line in card(hostile).splitlines() if line.startswith("#")]
    assert headings == [line for line in card(model).splitlines() if line.startswith("#")]
