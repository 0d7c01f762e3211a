"""Classify image files with an exported model, or with the network of a path."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supernet_cli.config.catalog import entries
from supernet_cli.errors import DataError, RunError, UsageError
from supernet_cli.glyphs import counted
from supernet_cli.store.exported import Weights, check_files, read_exported
from supernet_cli.store.network import Normalisation
from supernet_cli.workflows.export import ExportRequest, chosen_path, lacking
from supernet_cli.workflows.load import find_source, needs_images, network_of
from supernet_cli.workflows.observer import Observer
from supernet_cli.workflows.session import Session

if TYPE_CHECKING:
    import numpy as np

_BATCH = 64
_LISTED = 10
_PREFERRED = ("safetensors", "pt2", "onnx")


@dataclass(frozen=True)
class Prediction:
    """What an image shows.

    Args:
        file: The image.
        label: The most probable class.
        name: Its name.
        probability: Of that class, by the network.
        conversions: What was done to the image, as training images are treated.
    """

    file: Path
    label: int
    name: str
    probability: float
    conversions: tuple[str, ...]


@dataclass(frozen=True)
class Predicted:
    """Images that were classified.

    Args:
        model: Folder of the exported model; None if a run's network was used.
        run: Id of the run that the network is from.
        path: Its path.
        weights: Which weights.
        predictions: One per image, in order.
        broken: Images that could not be read, with the reason.
    """

    model: Path | None
    run: str
    path: str
    weights: Weights
    predictions: tuple[Prediction, ...]
    broken: tuple[tuple[Path, str], ...]

    @property
    def error(self) -> DataError | None:
        """The error to end with, if images could not be read."""
        if not self.broken:
            return None
        lines = [f"{file}: {reason}" for file, reason in self.broken[:_LISTED]]
        more = [f"and {len(self.broken) - _LISTED:,} more"] if len(self.broken) > _LISTED else []
        text = "\n".join([f"{counted(len(self.broken), 'image')} could not be classified:", *lines, *more])
        return DataError(text, "Name image files that Pillow reads, such as PNG or JPEG.")


@dataclass(frozen=True)
class Classifier:
    """Something that maps images to logits.

    Args:
        logits: uint8 (B, C, H, W) to (B, K), both numpy arrays.
        image_shape: (C, H, W).
        classes: Names, by label; the first ones, if there are too many to keep.
        model: As in `Predicted`.
        run: As in `Predicted`.
        path: As in `Predicted`.
        weights: As in `Predicted`.
    """

    logits: Callable[[np.ndarray], np.ndarray]
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    model: Path | None
    run: str
    path: str
    weights: Weights


def exported_classifier(folder: Path) -> Classifier:
    """Return the classifier of an exported model; its `model.py` is executed, if it has one.

    Raises:
        UsageError: It is no exported model, or needs a package that is not installed.
        RunError: It is damaged.
    """
    model, known = read_exported(folder), entries("format")
    name = next((name for name in _PREFERRED if name in model.formats and name in known), None)
    if name is None:
        raise RunError(f"The exported model {folder} has no format that this version reads.", "Export it again.")
    module = importlib.import_module(f"supernet_cli.{known[name].module}")
    if packages := lacking(module):
        raise UsageError(
            f"{folder} only has {name}, which needs {' and '.join(packages)}.",
            f'Install: pip install "supernet-cli[{name}]"',
        )
    facts = model.formats[name]
    check_files(folder, model, facts.files)
    import numpy as np

    try:
        read = module.read(folder, 1)
    except Exception as error:  # whatever the library raises for a file that is what was written, but not for it
        raise RunError(f"{folder} cannot be loaded: {error}", "Export it again with this version.") from error
    scale, offset = _scaling(model.normalisation)

    def logits(pixels_BCHW: np.ndarray) -> np.ndarray:
        if facts.takes == "float32":
            pixels_BCHW = pixels_BCHW.astype(np.float32) * scale + offset
        return read(pixels_BCHW)  # type: ignore[no-any-return]

    shape = model.input.shape
    return Classifier(logits, shape, model.classes, folder, model.run, model.path, model.weights)


def _scaling(normalisation: Normalisation) -> tuple[Any, Any]:
    import numpy as np

    mean_C, std_C = (np.array(values, np.float32) for values in (normalisation.mean, normalisation.std))
    return (1 / (255 * std_C))[:, None, None], (-mean_C / std_C)[:, None, None]


def run_classifier(session: Session, path: str | None, weights: Weights | None, seed: int | None) -> Classifier:
    """Return the classifier of a path.

    Args:
        session: The run.
        path: The path; by default the one that is exported by default.
        weights: As for `load`.
        seed: As for `load`.

    Raises:
        SupernetError: As for `load`.
    """
    name, _ = chosen_path(session, ExportRequest(Path(), path))
    source = find_source(session, name, weights, seed)
    import torch

    with session.observer.working("loading the network") as advance:
        prepared = session.prepare(advance) if needs_images(session, source) else None
        network, spec = network_of(session, source, prepared)

    def logits(pixels_BCHW: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(network.preprocess(torch.from_numpy(pixels_BCHW))).numpy()  # type: ignore[no-any-return]

    return Classifier(logits, spec.image_shape, spec.classes, None, session.run.id, network.path, source.weights)


def predict(classifier: Classifier, files: Sequence[Path], observer: Observer) -> Predicted:
    """Classify image files; those that cannot be read are listed.

    Args:
        classifier: What classifies.
        files: The images, in any format that Pillow reads; resized and converted as training images are.
        observer: Sees how far it is.

    Raises:
        OutOfMemoryError: No memory is left.
    """
    import numpy as np

    predictions: list[Prediction] = []
    broken: list[tuple[Path, str]] = []
    channels, height, width = classifier.image_shape
    with observer.working("classifying images") as advance:
        pending = iter(files)
        while batch := list(islice(pending, _BATCH)):
            pixels_BHWC = np.zeros((len(batch), height, width, channels), np.uint8)
            read: dict[int, tuple[str, ...]] = {}
            for index, file in enumerate(batch):
                seen = _decoded(file, pixels_BHWC[index])
                if isinstance(seen, str):
                    broken.append((file, seen))
                else:
                    read[index] = seen
            if read:
                chosen_BCHW = np.ascontiguousarray(pixels_BHWC[list(read)].transpose(0, 3, 1, 2))
                answers = _answers(classifier, chosen_BCHW)
                for (index, done), (label, name, probability) in zip(read.items(), answers, strict=True):
                    predictions.append(Prediction(batch[index], label, name, probability, done))
            advance("classifying images", len(predictions) + len(broken), len(files))
    return Predicted(
        classifier.model,
        classifier.run,
        classifier.path,
        classifier.weights,
        tuple(predictions),
        tuple(broken),
    )


def _answers(classifier: Classifier, pixels_BCHW: np.ndarray) -> Iterator[tuple[int, str, float]]:
    """Yield label, name and probability of the most probable class of each image."""
    import numpy as np

    logits_BK = classifier.logits(pixels_BCHW).astype(np.float64)
    shares_BK = np.exp(logits_BK - logits_BK.max(1, keepdims=True))
    shares_BK /= shares_BK.sum(1, keepdims=True)
    for shares_K in shares_BK:
        label = int(shares_K.argmax())
        known = label < len(classifier.classes)
        yield label, classifier.classes[label] if known else f"class {label}", float(shares_K[label])


def _decoded(file: Path, target_HWC: np.ndarray) -> tuple[str, ...] | str:
    """Decode an image into its place; returns what was done to it, or what is wrong with it."""
    from supernet_cli.data.pixels import ImageFile, decode

    try:
        if file.is_dir():
            return "a folder; name the images in it, such as FOLDER/*"
        digest = hashlib.sha256(file.read_bytes()).digest()
    except OSError as error:
        return error.strerror or str(error)
    look = decode(ImageFile(file, digest), target_HWC, None)
    if isinstance(look, str):
        return look
    if look.deep is not None:
        return "more than 8 bits per pixel, whose range among the training images is not known; convert it to 8 bits"
    return look.conversions
