"""Training and scoring done again plainly: one network, one batch after another, torch's own batch normalisation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from supernet_cli.data.resident import ResidentImages
from supernet_cli.networks.scoring import BATCH


@torch.no_grad()
def judged(network: nn.Module, images: ResidentImages) -> tuple[float, float]:
    """Return accuracy and mean cross-entropy; batches are those of the package, which may change last bits."""
    network.eval()
    hits, loss = 0, 0.0
    for images_BCHW, labels_B in images.batches(BATCH):
        logits_BK = network(images_BCHW)
        hits += int((logits_BK.argmax(1) == labels_B).sum())
        loss += float(functional.cross_entropy(logits_BK, labels_B, reduction="sum"))
    return hits / len(images), loss / len(images)


@contextlib.contextmanager
@torch.no_grad()
def recalibrated(network: nn.Module, images: ResidentImages, batch: int = 256) -> Iterator[None]:
    """Give a network, which is spent by it, statistics averaged over batches."""
    network.eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
            layer.train()
    for images_BCHW, _ in images.batches(batch):
        network(images_BCHW)
    network.eval()
    yield
