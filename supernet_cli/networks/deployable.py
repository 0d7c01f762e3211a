"""A network with everything that leaves the run with it: what each export format is written from."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from supernet_cli.networks.loaded import LoadedNetwork
from supernet_cli.networks.plain import plain
from supernet_cli.store.network import Normalisation


@dataclass(frozen=True)
class Deployable:
    """A network to export.

    Args:
        network: Its plain layers, in evaluation mode on the CPU.
        path: The path.
        origin: Where it is from, in a few words.
        classes: Names of the classes, by label.
        image_shape: (C, H, W) of the images.
        normalisation: Of the images.
        raw: Whether graphs take normalised floats instead of pixels.
    """

    network: nn.Sequential
    path: str
    origin: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    normalisation: Normalisation
    raw: bool

    @classmethod
    def of(
        cls,
        loaded: LoadedNetwork,
        image_shape: tuple[int, int, int],
        normalisation: Normalisation,
        origin: str,
        raw: bool,
    ) -> Deployable:
        """Return what is exported of a loaded network."""
        assert isinstance(loaded.network, nn.Sequential)
        layers = plain(loaded.network)
        return cls(layers, loaded.path, origin, loaded.classes, image_shape, normalisation, raw)

    @cached_property
    def program(self) -> torch.export.ExportedProgram:
        """The whole computation as a graph, from a batch of any size, pixels or normalised floats, to logits."""
        kind = torch.float32 if self.raw else torch.uint8
        graph = _Graph(self.network, None if self.raw else self.normalisation).eval()
        example_BCHW = torch.zeros(2, *self.image_shape, dtype=kind)
        shapes = {"images": {0: torch.export.Dim("batch")}}
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of torch's own code, such as about what it deprecates
            return torch.export.export(graph, (example_BCHW,), dynamic_shapes=shapes)


class _Graph(nn.Module):
    """A network from images as they are stored to logits.

    Args:
        network: Takes normalised images.
        normalisation: Applied first; None if images arrive normalised.
    """

    def __init__(self, network: nn.Module, normalisation: Normalisation | None) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        self.normalises = normalisation is not None
        if normalisation is not None:
            mean_C, std_C = torch.tensor(normalisation.mean), torch.tensor(normalisation.std)
            self.register_buffer("scale", (1 / (255 * std_C))[:, None, None])
            self.register_buffer("offset", (-mean_C / std_C)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (B, K)."""
        if self.normalises:
            images = images.float() * self.get_buffer("scale") + self.get_buffer("offset")
        return self.network(images)  # type: ignore[no-any-return]
