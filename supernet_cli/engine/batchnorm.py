"""Recalibration: batch normalisation with statistics of the path that is judged, instead of those all paths share.

Running statistics gathered while a supernet trains are a mixture over paths and belong to none of them. Before a path
is judged, they are measured anew for it: one pass over a few thousand training images, as they are, each layer
averaging over batches. What it had before is put back afterwards, so that judging one path changes nothing for any
other.

Source: Guo et al. 2020, «Single Path One-Shot Neural Architecture Search with Uniform Sampling», arXiv 1904.00420.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from supernet_cli.engine import seed
from supernet_cli.engine.data import Split
from supernet_cli.engine.data.resident import ResidentImages

BATCH = 256
"""Images of which a layer takes the mean and variance at once; their average over batches is what it keeps."""

_NAMES = ("running_mean", "running_var", "num_batches_tracked")


def layers_of(*modules: nn.Module | None) -> list[nn.BatchNorm2d]:
    """Return the batch normalisation in some modules, each once."""
    found = (m for module in modules if module is not None for m in module.modules())
    return list(dict.fromkeys(m for m in found if isinstance(m, nn.BatchNorm2d)))


class SyncedBatchNorm(nn.SyncBatchNorm, nn.BatchNorm2d):
    """Batch normalisation over the images of all ranks while they train; it measures a path on its own."""

    process_group = None  # all of them

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name is torch's
        """Return the normalised features, of the same shape."""
        is_measuring = self.momentum is None  # what `calibrating` sets: the first rank is alone in that
        kind = nn.BatchNorm2d if is_measuring else nn.SyncBatchNorm
        return kind.forward(self, input)


def synchronise(network: nn.Module) -> None:
    """Make a network on a GPU normalise over the images of all ranks; its tensors stay what they are."""
    for layer in layers_of(network):
        layer.__class__ = SyncedBatchNorm


def calibration_split(training: Split, count: int) -> Split:
    """Return the training images to calibrate with: always the same ones, drawn from all, whole batches if there are.

    Args:
        training: Images to choose from.
        count: How many are wanted; fewer where there are no more.
    """
    count = min(count, len(training))
    count -= count % BATCH if count > BATCH else 0
    chosen = torch.randperm(len(training), generator=seed.torch_rng(0, "calibration"))[:count].sort().values
    return Split(training.images[chosen], training.labels[chosen])


class PathStatistics:
    """Statistics of some layers that belong to one path, or to a prefix that paths share; empty until measured.

    Args:
        layers: The layers.
    """

    def __init__(self, layers: Sequence[nn.BatchNorm2d]) -> None:
        self._kept = [(layer, _fresh(layer)) for layer in layers]

    def install(self) -> None:
        """Make the layers use these; while they calibrate, they change them in place."""
        for layer, buffers in self._kept:
            for name, value in buffers.items():
                setattr(layer, name, value)


@contextlib.contextmanager
def borrowed(network: nn.Module) -> Iterator[list[nn.BatchNorm2d]]:
    """Lend out a network's batch normalisation: inside, the network judges and its statistics may be replaced.

    Afterwards it has its own statistics, batch counters and modes again.

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
    """Make layers measure inside: each batch by its own statistics, and what they keep the average over batches."""
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
    """Give the layers of one network statistics that are its own, inside `borrowed`.

    Args:
        layers: All of its batch normalisation.
        calibration: Images to measure on.
        forward: Runs a batch through the network.
    """
    PathStatistics(layers).install()
    with calibrating(layers):
        for images_BCHW, _ in calibration.batches(BATCH):
            forward(images_BCHW)


def _fresh(layer: nn.BatchNorm2d) -> dict[str, Tensor]:
    values = {name: getattr(layer, name) for name in _NAMES}
    return {name: torch.ones_like(v) if name == "running_var" else torch.zeros_like(v) for name, v in values.items()}
