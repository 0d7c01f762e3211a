"""Judging: top-1 accuracy and mean cross-entropy of one path, or of many with what they share computed once.

Names of tensors end with their shape: B images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional

from supernet_cli.engine import batchnorm
from supernet_cli.engine.data.resident import ResidentImages
from supernet_cli.engine.device import Device
from supernet_cli.engine.supernet import Supernet
from supernet_cli.space import Architecture, PathCosts

BATCH = 250
"""Images a batch: small enough for the caches, and the same everywhere, since it may change last bits."""

TOGETHER = 1024
"""Paths whose statistics are kept at the same time."""


@dataclass(frozen=True)
class Score:
    """How a network does on a split.

    Args:
        accuracy: Top-1, a fraction.
        loss: Mean cross-entropy, nats an image.
        correct: Which images it got right, (N,) bool on the CPU, where that was asked for.
        accuracy_unrecalibrated: Top-1 with running statistics, where it was recalibrated.
    """

    accuracy: float
    loss: float
    correct: Tensor | None = field(default=None, compare=False)
    accuracy_unrecalibrated: float | None = None


_Statistics = Mapping[tuple[int, ...], batchnorm.PathStatistics]  # by prefix, block by block; () is the stem


class _Tally:
    """Sums over batches, kept on the device: correct answers and cross-entropy."""

    def __init__(self, device: torch.device, keep_correct: bool = False) -> None:
        self._sums = torch.zeros(2, dtype=torch.float64, device="cpu" if device.type == "mps" else device)
        self._images = 0
        self._correct: list[Tensor] | None = [] if keep_correct else None

    def add(self, logits_BK: Tensor, labels_B: Tensor) -> None:
        loss = functional.cross_entropy(logits_BK.float(), labels_B, reduction="sum")
        correct_B = logits_BK.argmax(1) == labels_B
        self._sums += torch.stack([correct_B.sum().float(), loss]).to(self._sums.device)
        self._images += len(labels_B)
        if self._correct is not None:
            self._correct.append(correct_B)

    def score(self) -> Score:
        correct, loss = self._sums.tolist()
        kept = None if self._correct is None else torch.cat(self._correct).cpu()
        return Score(correct / self._images, loss / self._images, kept)


@torch.inference_mode()
def evaluate_network(network: nn.Module, images: ResidentImages, device: Device) -> Score:
    """Judge a plain network, such as an extracted subnet.

    Args:
        network: Maps (B, C, H, W) to logits (B, K).
        images: The split to judge on.
        device: Decides arithmetic.
    """
    was_training, tally = network.training, _Tally(device.place)
    network.eval()
    for images_BCHW, labels_B in images.batches(BATCH):
        with device.autocast():
            logits_BK = network(images_BCHW)
        tally.add(logits_BK, labels_B)
    network.train(was_training)
    return tally.score()


@torch.inference_mode()
def evaluate_paths(
    supernet: Supernet,
    architectures: Sequence[Architecture],
    images: ResidentImages,
    device: Device,
    keep_correct: bool = False,
    calibration: ResidentImages | None = None,
) -> dict[Architecture, Score]:
    """Judge paths of a supernet; activations of a common prefix are computed once.

    The scores equal those of each path's extracted subnet exactly: the same operations run on the same numbers.
    Memory is bounded by one batch of activations a block, and the statistics of `TOGETHER` paths.

    Args:
        supernet: The weights.
        architectures: The paths; in any order, each judged once.
        images: The split to judge on.
        device: Decides arithmetic.
        keep_correct: Whether scores say which images were got right.
        calibration: Training images to measure each path's batch normalisation on before it is judged; None for the
            running statistics.
    """
    ordered = in_order(architectures)
    if calibration is None or not batchnorm.layers_of(supernet):
        with batchnorm.borrowed(supernet):
            return _judge(supernet, ordered, images, device, keep_correct, None)
    with batchnorm.borrowed(supernet):
        plain = _judge(supernet, ordered, images, device, False, None)
    scores: dict[Architecture, Score] = {}
    for group in in_groups(ordered):
        with batchnorm.borrowed(supernet) as layers:
            statistics = _measured(supernet, group, layers, calibration, device)
            scores |= _judge(supernet, group, images, device, keep_correct, statistics)
    return {path: replace(score, accuracy_unrecalibrated=plain[path].accuracy) for path, score in scores.items()}


def judging_macs(
    supernet: Supernet, costs: PathCosts, paths: Sequence[Architecture], images: int, calibration: int | None
) -> int:
    """Return the multiply-accumulates that `evaluate_paths` takes.

    Args:
        supernet: Whose paths are judged.
        costs: Of its candidates.
        paths: The paths.
        images: How many are judged on.
        calibration: How many are calibrated with; None for no calibration.
    """
    plain = images * costs.of_shared_prefixes(paths)
    if calibration is None or not batchnorm.layers_of(supernet):
        return plain
    groups = in_groups(in_order(paths))
    again = sum(images * costs.of_shared_prefixes(group) for group in groups)
    return plain + again + sum(calibration * costs.of_shared_prefixes(group, head=False) for group in groups)


def in_order(architectures: Iterable[Architecture]) -> list[Architecture]:
    """Return each path once, those with a common prefix together."""
    return sorted(set(architectures), key=lambda architecture: architecture.choices)


def in_groups(ordered: Sequence[Architecture]) -> list[Sequence[Architecture]]:
    """Return the paths that are calibrated together: their statistics are kept at the same time."""
    return [ordered[first : first + TOGETHER] for first in range(0, len(ordered), TOGETHER)]


def _judge(
    supernet: Supernet,
    ordered: Sequence[Architecture],
    images: ResidentImages,
    device: Device,
    keep_correct: bool,
    statistics: _Statistics | None,
) -> dict[Architecture, Score]:
    tallies = {architecture: _Tally(device.place, keep_correct) for architecture in ordered}
    for images_BCHW, labels_B in images.batches(BATCH):
        with device.autocast():
            for architecture, features_BCHW in _walk(supernet, images_BCHW, ordered, statistics):
                tallies[architecture].add(supernet.head(features_BCHW), labels_B)
    return {architecture: tally.score() for architecture, tally in tallies.items()}


def _measured(
    supernet: Supernet,
    ordered: Sequence[Architecture],
    layers: Sequence[nn.BatchNorm2d],
    calibration: ResidentImages,
    device: Device,
) -> _Statistics:
    """Return the statistics of every prefix: those of a block depend on nothing behind it."""
    blocks = list(supernet.choice_layers())
    statistics: dict[tuple[int, ...], batchnorm.PathStatistics] = {}
    statistics[()] = batchnorm.PathStatistics(batchnorm.layers_of(supernet.stem))
    for path in ordered:
        for depth, (block, choice) in enumerate(zip(blocks, path.choices, strict=True)):
            prefix = path.choices[: depth + 1]
            if prefix not in statistics:
                inside = batchnorm.layers_of(block.candidates[choice], block.shortcut)
                statistics[prefix] = batchnorm.PathStatistics(inside)
    with batchnorm.calibrating(layers):
        for images_BCHW, _ in calibration.batches(batchnorm.BATCH):
            with device.autocast():
                for _ in _walk(supernet, images_BCHW, ordered, statistics):
                    pass  # the layers have seen it
    return statistics


def _walk(
    supernet: Supernet, images_BCHW: Tensor, ordered: Sequence[Architecture], statistics: _Statistics | None
) -> Iterator[tuple[Architecture, Tensor]]:
    """Yield what each path gives its head, walking the tree of prefixes depth first."""
    if statistics is not None:
        statistics[()].install()
    yield from _descend(supernet, supernet.begin(images_BCHW), ordered, 0, statistics)


def _descend(
    supernet: Supernet,
    features_BCHW: Tensor,
    ordered: Sequence[Architecture],
    depth: int,
    statistics: _Statistics | None,
) -> Iterator[tuple[Architecture, Tensor]]:
    if depth == len(supernet.blocks):
        yield ordered[0], features_BCHW
        return
    for choice, group in groupby(ordered, key=lambda architecture: architecture.choices[depth]):
        paths = list(group)
        if statistics is not None:
            statistics[paths[0].choices[: depth + 1]].install()
        yield from _descend(supernet, supernet.blocks[depth](features_BCHW, choice), paths, depth + 1, statistics)
