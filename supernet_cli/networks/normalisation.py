"""Recalibration: batch normalisation with the statistics of the path that is evaluated, not those shared by all paths.

Running statistics collected while a supernet trains are a mixture over paths and belong to none of them. Before a path
is evaluated, they are measured for it: one pass over a few thousand training images without augmentation, each layer
averaging over batches. The old statistics are restored afterwards, so that evaluating one path does not affect any
other.

Source: Guo et al. 2020, "Single Path One-Shot Neural Architecture Search with Uniform Sampling", arXiv 1904.00420.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from supernet_cli.data.images import CALIBRATION_BATCH
from supernet_cli.data.resident import ResidentImages

_NAMES = ("running_mean", "running_var", "num_batches_tracked")


def layers_of(*modules: nn.Module | None) -> list[nn.BatchNorm2d]:
    """Return the batch normalisation layers in some modules, each once."""
    submodules = (m for module in modules if module is not None for m in module.modules())
    return list(dict.fromkeys(m for m in submodules if isinstance(m, nn.BatchNorm2d)))


class SyncedBatchNorm(nn.SyncBatchNorm, nn.BatchNorm2d):
    """Batch normalisation over the images of all ranks during training; recalibration runs on one rank only."""

    process_group = None  # all ranks

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name is torch's
        """Return the normalised features, of the same shape."""
        is_measuring = self.momentum is None  # set by `calibrating`, which only the first rank does
        kind = nn.BatchNorm2d if is_measuring else nn.SyncBatchNorm
        return kind.forward(self, input)


def synchronise(network: nn.Module) -> None:
    """Make a network on a GPU normalise over the images of all ranks; its tensors stay the same."""
    for layer in layers_of(network):
        layer.__class__ = SyncedBatchNorm


class PathStatistics:
    """Statistics of some layers for one path, or for a prefix that paths share; empty until measured.

    Args:
        layers: The layers.
    """

    def __init__(self, layers: Sequence[nn.BatchNorm2d]) -> None:
        self._kept = [(layer, _fresh(layer)) for layer in layers]

    def install(self) -> None:
        """Make the layers use these statistics, and update them in place during calibration."""
        for layer, buffers in self._kept:
            for name, value in buffers.items():
                setattr(layer, name, value)


@contextlib.contextmanager
def borrowed(network: nn.Module) -> Iterator[list[nn.BatchNorm2d]]:
    """Put a network into evaluation mode and allow its batch normalisation statistics to be replaced.

    Its own statistics, batch counters and modes are restored afterwards.

    Yields:
        The layers.
    """
    layers, modes = layers_of(network), [(module, module.training) for module in network.modules()]
    own = [(layer, {name: getattr(layer, name) for name in _NAMES}, layer.momentum) for layer in layers]
    network.eval()
    try:
        yield layers
    finally:
        for layer, buffers, momentum in own:
            layer.momentum = momentum
            for name, value in buffers.items():
                setattr(layer, name, value)
        for module, training in modes:
            module.training = training


@contextlib.contextmanager
def calibrating(layers: Iterable[nn.BatchNorm2d]) -> Iterator[None]:
    """Make layers calibrate inside: they normalise by batch statistics, and record the average over batches."""
    layers = list(layers)
    for layer in layers:
        layer.momentum, layer.training = None, True
    try:
        yield
    finally:
        for layer in layers:
            layer.training = False


@torch.no_grad()
def measure(layers: Sequence[nn.BatchNorm2d], calibration: ResidentImages, forward: Callable[[Tensor], object]) -> None:
    """Recalibrate one network, inside `borrowed`.

    Args:
        layers: All of its batch normalisation layers.
        calibration: Images to calibrate on.
        forward: Runs a batch through the network.
    """
    PathStatistics(layers).install()
    with calibrating(layers):
        for images_BCHW, _ in calibration.batches(CALIBRATION_BATCH):
            forward(images_BCHW)


def _fresh(layer: nn.BatchNorm2d) -> dict[str, Tensor]:
    values = {name: getattr(layer, name) for name in _NAMES}
    return {name: torch.ones_like(v) if name == "running_var" else torch.zeros_like(v) for name, v in values.items()}
