"""Whether exported files compute what the network computes: they are run in a fresh process and compared.

The process cannot import this package. Names of tensors end with their shape: N images, K classes.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from supernet_cli.data.resident import ResidentImages
from supernet_cli.errors import ExportError
from supernet_cli.networks.deployable import Deployable
from supernet_cli.networks.formats import _fresh
from supernet_cli.networks.scoring import BATCH
from supernet_cli.store.exported import Check, Latency

_SHOWN = 400  # characters of what another process said last


@dataclass(frozen=True)
class Answers:
    """What the network says to some images.

    Args:
        pixels_NCHW: The images, uint8.
        logits_NK: Of the network.
        labels_N: The true classes.
    """

    pixels_NCHW: np.ndarray
    logits_NK: np.ndarray
    labels_N: np.ndarray

    @classmethod
    def of(cls, network: nn.Module, images: ResidentImages, pixels_NHWC: torch.Tensor) -> Answers:
        """Run a network on a split, in the batches that evaluations use.

        Args:
            network: The network, on the CPU.
            images: The split, normalised.
            pixels_NHWC: The same images as they are stored.
        """
        with torch.inference_mode():
            batches = [(network(images_BCHW), labels_B) for images_BCHW, labels_B in images.batches(BATCH)]
        logits_NK, labels_N = (torch.cat(parts).numpy() for parts in zip(*batches, strict=True))
        return cls(np.ascontiguousarray(pixels_NHWC.permute(0, 3, 1, 2).numpy()), logits_NK, labels_N)

    @property
    def accuracy(self) -> float:
        """The share of images that the network gets right."""
        return _accuracy(self.logits_NK, self.labels_N)


def check(name: str, module: ModuleType, folder: Path, model: Deployable, answers: Answers, threads: int) -> Check:
    """Run the files of a format in a fresh process and compare them with the network.

    Args:
        name: The format.
        module: Its file.
        folder: Where its files are.
        model: What was exported.
        answers: Of the network.
        threads: Of the processor.

    Raises:
        ExportError: They cannot be run, or compute something else.
    """
    found = _run(name, module, folder, model, answers.pixels_NCHW, threads, ())
    logits_NK = found["logits"]
    if logits_NK.shape != answers.logits_NK.shape or not np.isfinite(logits_NK).all():
        raise mismatch(name, f"its outputs have shape {logits_NK.shape} or are not all finite")
    scale = float(np.abs(answers.logits_NK).max()) or 1.0
    difference = float(np.abs(logits_NK - answers.logits_NK).max()) / scale
    if difference > module.TOLERANCE:
        allowed = f"at most {module.TOLERANCE:g} is accepted" if module.TOLERANCE else "they must be the same"
        raise mismatch(name, f"outputs differ by {difference:.2g} of the largest one; {allowed}")
    # No logit differs by more than the tolerance: classes differ only where the best two are closer than twice that.
    ours_N, theirs_N = answers.logits_NK.argmax(1), logits_NK.argmax(1)
    return Check(
        format=name,
        images=len(logits_NK),
        accuracy=_accuracy(logits_NK, answers.labels_N),
        tolerance=module.TOLERANCE,
        difference=difference,
        ties=int((ours_N != theirs_N).sum()),
        loaded=tuple(map(str, found["loaded"])),
    )


def measure(
    name: str,
    module: ModuleType,
    folder: Path,
    model: Deployable,
    pixels_NCHW: np.ndarray,
    threads: int,
    batches: Sequence[int],
) -> list[Latency]:
    """Return how long one pass of a format's files takes in a fresh process, by batch size.

    Args:
        name: The format.
        module: Its file.
        folder: Where its files are.
        model: What was exported.
        pixels_NCHW: Images, repeated as needed.
        threads: Of the processor.
        batches: The batch sizes.

    Raises:
        ExportError: They cannot be run.
    """
    found = _run(name, module, folder, model, pixels_NCHW, threads, batches)
    rows = []
    for batch in batches:
        seconds = found[f"batch{batch}"]
        low, median, high = (float(value) for value in np.quantile(seconds, (0.1, 0.5, 0.9)))
        passes = len(seconds)
        rows.append(
            Latency(format=name, batch=batch, median_seconds=median, low_seconds=low, high_seconds=high, passes=passes)
        )
    return rows


def mismatch(name: str, problem: str) -> ExportError:
    """Return the error of an exported file that is not what it should be."""
    return ExportError(
        f"The exported {name} file does not reproduce the network: {problem}. Nothing was written.",
        "Choose other formats with --format, and please report this as a bug.",
    )


def _run(
    name: str,
    module: ModuleType,
    folder: Path,
    model: Deployable,
    pixels_NCHW: np.ndarray,
    threads: int,
    batches: Sequence[int],
) -> dict[str, np.ndarray]:
    """Run the files of a format in a process of its own and return what it says."""
    mean_C, std_C = torch.tensor(model.normalisation.mean), torch.tensor(model.normalisation.std)
    arrays: dict[str, Any] = {
        "pixels": pixels_NCHW,
        "scale": (1 / (255 * std_C))[:, None, None].numpy(),
        "offset": (-mean_C / std_C)[:, None, None].numpy(),
    }
    job = {
        "threads": threads,
        "floats": model.raw and not module.TAKES_PIXELS,
        "batch": BATCH,
        "batches": list(batches),
        "search": [place for place in sys.path if place],
    }
    header = json.dumps(job).encode()
    content = io.BytesIO()
    np.savez(content, **arrays)
    words = [sys.executable, "-I", _fresh.__file__, module.__file__ or "", str(folder)]
    given = len(header).to_bytes(8, "little") + header + content.getvalue()
    done = subprocess.run(words, input=given, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][-_SHOWN:]
        raise mismatch(name, f"it cannot be run without supernet: {said or f'exit code {done.returncode}'}")
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as found:
        return dict(found)


def _accuracy(logits_NK: Any, labels_N: Any) -> float:
    return int((logits_NK.argmax(1) == labels_N).sum()) / len(labels_N)
