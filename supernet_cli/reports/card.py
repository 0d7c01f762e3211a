"""The model card of an exported model: its README.md, in Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from supernet_cli.glyphs import counted
from supernet_cli.reports.formats import ABSENT, milliseconds, percent
from supernet_cli.store.exported import Check, ExportedModel

_SHOWN_CLASSES = 1000
_LICENCES = {"mnist": "The MNIST database is available under CC BY-SA 3.0."}
_KINDS = {
    "model.safetensors": "the weights",
    "model.py": "the network in plain PyTorch, with `load`, `preprocess` and `CLASSES`; needs torch only",
    "model.pt2": "the computation as a graph of torch",
    "model.onnx": "the computation as an ONNX graph",
}


def card(model: ExportedModel) -> str:
    """Return the card of a model.

    Args:
        model: Its config.json, complete but for the card itself.
    """
    parts = [_title(model), _figures(model), _files(model)]
    parts += [_usage(model, name) for name in ("safetensors", "pt2", "onnx") if name in model.formats]
    parts.append(_checked(model))
    if model.benchmark:
        parts.append(_benchmark(model))
    parts += [_classes(model), _training(model), _licence(model)]
    return "\n\n".join(parts) + "\n"


def snippet(model: ExportedModel, name: str) -> str:
    """Return the five lines that classify images with the files of a format, to be run in the model's folder.

    Args:
        model: The model.
        name: The format.
    """
    channels, height, width = model.input.shape
    shape = f"1, {channels}, {height}, {width}"
    if name == "safetensors":
        return f"""\
import torch
from model import CLASSES, load, preprocess
images = torch.zeros({shape}, dtype=torch.uint8)  # your images: (N, {channels}, {height}, {width}), 0 to 255
logits = load()(preprocess(images))
print([CLASSES[label] for label in logits.argmax(1)])
"""
    classes = 'json.load(open("config.json", encoding="utf-8"))["classes"]'
    if name == "pt2":
        values = f"torch.zeros({shape}, dtype=torch.{model.formats[name].takes})"
        return f"""\
import json, torch
classes = {classes}
images = {values}  # your images: (N, {channels}, {height}, {width}), {_range(model, name)}
logits = torch.export.load("model.pt2").module()(images)
print([classes[label] for label in logits.argmax(1)])
"""
    values = f"numpy.zeros(({shape}), numpy.{model.formats[name].takes})"
    return f"""\
import json, numpy, onnxruntime
classes = {classes}
images = {values}  # your images: (N, {channels}, {height}, {width}), {_range(model, name)}
(logits,) = onnxruntime.InferenceSession("model.onnx").run(None, {{"images": images}})
print([classes[label] for label in logits.argmax(1)])
"""


def came_from(model: ExportedModel) -> str:
    """Return where the weights are from."""
    if model.weights != "inherited":
        purpose = " for use" if model.weights == "final" else ""
        return f"trained from scratch{purpose}, seed {model.seed}"
    text = f"inherited from the supernet of seed {model.seed}"
    if model.recalibrated:
        text += f"; batch normalisation measured for this path on {counted(model.recalibrated, 'training image')}"
    return text


def agreement(check: Check) -> str:
    """Return how well the files of a format reproduce the network."""
    if check.difference == 0:
        return "bit for bit"
    text = f"within {check.difference:.1e} of the largest output ({check.tolerance:g} is accepted)"
    if check.ties:
        text += f"; {counted(check.ties, 'image')} with two equally good classes got the other one"
    return text


def _range(model: ExportedModel, name: str) -> str:
    return "0 to 255" if model.formats[name].takes == "uint8" else "normalised as below"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _title(model: ExportedModel) -> str:
    channels, height, width = model.input.shape
    return (
        f"# {model.path}\n\nClassifies images of {height}×{width} pixels with {counted(channels, 'channel')} into "
        f"{counted(model.num_classes, 'class', 'classes')}. Exported by "
        f"supernet {model.versions.get('supernet', '')} from the run `{_code(model.run)}`."
    )


def _code(text: str) -> str:
    """Return a text that stays inside of backticks."""
    return text.replace("`", "'").replace("\n", " ")


def _figures(model: ExportedModel) -> str:
    rows = [
        ("accuracy on validation", _accuracy(model.validation_accuracy, model.validation_images)),
        ("accuracy on test", _accuracy(model.test_accuracy, model.test_images)),
        ("parameters", f"{model.parameters:,}"),
        ("multiply-accumulates", f"{model.macs:,} per image"),
        ("latency of one image", _latency(model)),
        ("weights", came_from(model)),
        ("data set", f"`{_code(model.dataset)}`"),
    ]
    note = "Paths are chosen by validation images; nothing is chosen by test images."
    return f"{_table(('figure', 'value'), rows)}\n\n{note}"


def _accuracy(value: float | None, images: int | None) -> str:
    if value is None:
        return f"{ABSENT} (not evaluated)"
    return percent(value) + (f" of {images:,} images" if images else "")


def _latency(model: ExportedModel) -> str:
    if model.latency_seconds is None:
        return ABSENT
    threads = counted(model.threads, "thread")
    return f"{milliseconds(model.latency_seconds)} (median, PyTorch, {threads}, {_code(model.device)})"


def _files(model: ExportedModel) -> str:
    names = [name for facts in model.formats.values() for name in facts.files]
    rows = [(f"`{name}`", f"{model.files[name].bytes:,}", _kind(model, name)) for name in names]
    rows.append(("`config.json`", ABSENT, "everything on this page, and SHA-256 of the files"))
    return f"## Files\n\n{_table(('file', 'bytes', 'content'), rows)}"


def _kind(model: ExportedModel, name: str) -> str:
    text = _KINDS.get(name, "")
    facts = next(facts for facts in model.formats.values() if name in facts.files)
    if name in ("model.pt2", "model.onnx"):
        text += f"; takes {_words(facts.takes)}, batches of any size"
    return text + (f"; opset {facts.opset}" if facts.opset else "")


def _words(takes: str) -> str:
    return "uint8 images and normalises them" if takes == "uint8" else "normalised float32 images"


_HEADINGS = {"safetensors": "PyTorch", "pt2": "torch.export", "onnx": "ONNX Runtime"}


def _usage(model: ExportedModel, name: str) -> str:
    return f"## Use it with {_HEADINGS[name]}\n\n```python\n{snippet(model, name)}```"


def _checked(model: ExportedModel) -> str:
    if not model.checks:
        return "## Not checked\n\nThese files were exported without a check that they reproduce the network."
    rows = [(check.format, f"{check.images:,}", percent(check.accuracy), agreement(check)) for check in model.checks]
    return (
        "## Checked\n\nThe files were loaded in a fresh process without supernet, on the machine that exported them, "
        f"and run on all validation images. The network's accuracy there is {percent(model.validation_accuracy)}.\n\n"
        + _table(("format", "images", "accuracy", "outputs agree with the network's"), rows)
    )


def _benchmark(model: ExportedModel) -> str:
    rows = [
        (
            row.format,
            str(row.batch),
            milliseconds(row.median_seconds),
            f"{milliseconds(row.low_seconds)} to {milliseconds(row.high_seconds)}",
            str(row.passes),
        )
        for row in model.benchmark
    ]
    headings = ("format", "batch", "median", "10 % to 90 % of passes", "passes")
    threads = counted(model.threads, "thread")
    return (
        f"## Latency\n\nOf one pass, from its input to logits, with {threads} of {_code(model.device)}.\n\n"
        f"{_table(headings, rows)}"
    )


def _classes(model: ExportedModel) -> str:
    shown = model.classes[:_SHOWN_CLASSES]
    lines = [f"    {label}  {json.dumps(name, ensure_ascii=False)}" for label, name in enumerate(shown)]
    if len(shown) < model.num_classes:
        lines.append(f"    … {counted(model.num_classes - len(shown), 'more class', 'more classes')}")
    mean, std = list(model.normalisation.mean), list(model.normalisation.std)
    values = f"(pixel / 255 - mean) / std, by channel, with mean = {mean} and std = {std}"
    return "\n".join(["## Classes and normalisation", "", *lines, "", f"Pixels are normalised as {values}."])


def _training(model: ExportedModel) -> str:
    recipe = model.recipe
    words: dict[str, str] = {
        key: str(recipe[key]) for key in ("epochs", "batch_size", "teacher", "temperature") if key in recipe
    }
    words |= {key: _named(recipe[key]) for key in ("optimizer", "schedule", "loss", "sampler") if recipe.get(key)}
    rows = [(key, f"`{_code(value)}`") for key, value in words.items()]
    whose = "the supernet" if model.weights == "inherited" else "this network"
    return f"## Training\n\nHow {whose} was trained, by the preset `{_code(model.preset)}`.\n\n" + _table(
        ("setting", "value"), rows
    )


def _named(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    parameters = ", ".join(f"{key}={item!r}" for key, item in value.items() if key != "name")
    return f"{value.get('name', '')}({parameters})".replace("|", "/")


def _licence(model: ExportedModel) -> str:
    data = _LICENCES.get(model.dataset, "Check the terms of the images, which may also apply to the weights.")
    return (
        "## Licence\n\n`model.py` was generated by supernet and may be used under the Apache License 2.0. The weights "
        f"were learned from the images of `{_code(model.dataset)}`. {data}"
    )
