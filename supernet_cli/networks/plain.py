"""A network as plain layers: what all formats are written from.

The modules of a search space are nested by how the space is built. Here they become a chain of stages, each a flat
sequence of layers of torch and of shortcuts, with the same weights: its state dict has the names that are exported.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator

from torch import Tensor, nn

from supernet_cli.networks import supernet


class Residual(nn.Module):
    """Layers with a shortcut around them.

    Args:
        layers: The layers.
        shortcut: Added to their output.
    """

    def __init__(self, layers: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.shortcut = shortcut

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """Return the sum of both."""
        return self.layers(features_BCHW) + self.shortcut(features_BCHW)  # type: ignore[no-any-return]


def plain(network: nn.Sequential) -> nn.Sequential:
    """Return a subnet as a chain of stages: `stem` if there is one, `block1`, `block2` and so on, and `head`.

    Args:
        network: From `Supernet.extract`; it is not changed.

    Returns:
        A copy that computes the same, bit for bit, in evaluation mode.
    """
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    for name, stage in copy.deepcopy(network).named_children():
        number = name.removeprefix("block")
        stages[f"block{int(number) + 1}" if number.isdecimal() else name] = nn.Sequential(*_layers(stage))
    return nn.Sequential(stages).eval()


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers that a module executes one after another."""
    if type(module) is nn.Sequential:
        for child in module:
            yield from _layers(child)
    elif isinstance(module, supernet.BlockEnd):
        yield from _layers(module.pool)
        yield nn.ReLU()
    elif isinstance(module, supernet.Residual):
        yield Residual(_one(module.candidate), _one(module.shortcut))
    elif not isinstance(module, nn.Identity):
        yield module


def _one(module: nn.Module) -> nn.Module:
    """Return a module as a single one: a layer, a flat sequence of several, or the identity."""
    layers = list(_layers(module))
    if not layers:
        return nn.Identity()
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)
