"""Judging: top-1 accuracy and mean cross-entropy of one path, or of many with what they share computed once.

Names of tensors end with their shape: B images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional

from supernet_cli.engine.data.resident import ResidentImages
from supernet_cli.engine.device import Device
from supernet_cli.engine.supernet import Supernet
from supernet_cli.space import Architecture

BATCH = 250
"""Images a batch: small enough for the caches, and the same everywhere, since it may change last bits."""


@dataclass(frozen=True)
class Score:
    """How a network does on a split.

    Args:
        accuracy: Top-1, a fraction.
        loss: Mean cross-entropy, nats an image.
        correct: Which images it got right, (N,) bool on the CPU, where that was asked for.
    """

    accuracy: float
    loss: float
    correct: Tensor | None = field(default=None, compare=False)


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
) -> dict[Architecture, Score]:
    """Judge paths of a supernet; activations of a common prefix are computed once.

    The scores equal those of each path's extracted subnet exactly: the same operations run on the same numbers.
    Memory is bounded by one batch of activations a block.

    Args:
        supernet: The weights.
        architectures: The paths; in any order, each judged once.
        images: The split to judge on.
        device: Decides arithmetic.
        keep_correct: Whether scores say which images were got right.
    """
    ordered = sorted(set(architectures), key=lambda architecture: architecture.choices)
    tallies = {architecture: _Tally(device.place, keep_correct) for architecture in ordered}
    was_training = supernet.training
    supernet.eval()
    for images_BCHW, labels_B in images.batches(BATCH):
        with device.autocast():
            for architecture, logits_BK in _logits(supernet, images_BCHW, ordered, 0):
                tallies[architecture].add(logits_BK, labels_B)
    supernet.train(was_training)
    return {architecture: tally.score() for architecture, tally in tallies.items()}


def _logits(
    supernet: Supernet, features_BCHW: Tensor, architectures: Sequence[Architecture], depth: int
) -> Iterator[tuple[Architecture, Tensor]]:
    """Yield every path's logits, walking the tree of prefixes depth first; paths come sorted."""
    if depth == len(supernet.blocks):
        yield architectures[0], supernet.head(features_BCHW)
        return
    for choice, group in groupby(architectures, key=lambda architecture: architecture.choices[depth]):
        yield from _logits(supernet, supernet.blocks[depth](features_BCHW, choice), list(group), depth + 1)
