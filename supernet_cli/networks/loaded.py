"""The network of one path as it is used outside a run: with its classes, and with what images go through first."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from supernet_cli.store.network import Normalisation


class LoadedNetwork(nn.Module):
    """The network of one path.

    Args:
        network: Maps normalised images (B, C, H, W) to logits (B, K).
        path: The path.
        classes: Names of the classes, by label.
        normalisation: Of the images that it was trained on.
    """

    def __init__(self, network: nn.Module, path: str, classes: Sequence[str], normalisation: Normalisation) -> None:
        super().__init__()
        self.network = network
        self.path = path
        self.classes = tuple(classes)
        mean_C, std_C = torch.tensor(normalisation.mean), torch.tensor(normalisation.std)
        self.register_buffer("_scale_C11", (1 / (255 * std_C))[:, None, None], persistent=False)
        self.register_buffer("_offset_C11", (-mean_C / std_C)[:, None, None], persistent=False)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the logits, (B, K), of images that `preprocess` has normalised."""
        return self.network(images_BCHW)  # type: ignore[no-any-return]

    def preprocess(self, pixels_BCHW: Tensor) -> Tensor:
        """Return images as the network expects them, on its device.

        Args:
            pixels_BCHW: uint8, (B, C, H, W); a single image may come without the first dimension.

        Raises:
            ValueError: These are not 8-bit pixels.
        """
        if pixels_BCHW.dtype != torch.uint8:
            raise ValueError(f"preprocess takes pixels as torch.uint8, not as {pixels_BCHW.dtype}")
        batch_BCHW = pixels_BCHW if pixels_BCHW.dim() == 4 else pixels_BCHW[None]
        scale_C11, offset_C11 = self.get_buffer("_scale_C11"), self.get_buffer("_offset_C11")
        return batch_BCHW.to(scale_C11.device).float().mul_(scale_C11).add_(offset_C11)
