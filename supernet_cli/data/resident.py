"""A split that lives on the device as one tensor: a batch is one indexed gather, standardised and shifted in bulk.

Names of tensors end with their shape: N images of a split, B of a batch, H height, W width, C channels.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from supernet_cli.data import Split

_COUNTED = 1024  # images at a time: counting pixels takes four times their memory


@dataclass(frozen=True)
class Statistics:
    """Mean and deviation of the pixels, one per channel, with pixels as fractions.

    Args:
        mean: (C,) float32.
        std: (C,) float32.
    """

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, split: Split) -> Statistics:
        """Measure a split with exact integer sums, which do not depend on the order of addition."""
        channels = split.images.shape[-1]
        counts_CV = torch.zeros(channels, 256, dtype=torch.int64)
        for start in range(0, len(split), _COUNTED):
            some_NHWC = split.images[start : start + _COUNTED]
            for count_V, channel_N in zip(counts_CV, some_NHWC.reshape(-1, channels).T, strict=True):
                count_V += torch.bincount(channel_N.int(), minlength=256)
        shares_CV = counts_CV.double()
        pixels = split.images.numel() // channels
        values_V = torch.arange(256, dtype=torch.float64) / 255
        mean = shares_CV @ values_V / pixels
        variance = shares_CV @ values_V.square() / pixels - mean.square()
        return cls(mean.float(), variance.clamp_min(1e-12).sqrt().float())

    @classmethod
    def neutral(cls, channels: int) -> Statistics:
        """Return statistics that leave pixels as fractions."""
        return cls(torch.zeros(channels), torch.ones(channels))


class ResidentImages:
    """The images of a split on a device.

    Args:
        split: Images and labels.
        statistics: Mean and deviation to standardise with.
        device: Where they are kept and used.
        shift: Pixels of zero padding on each side; training crops shifted images from it.
        flip: Whether training mirrors images left to right, each with probability one half.
    """

    def __init__(
        self, split: Split, statistics: Statistics, device: torch.device, shift: int = 0, flip: bool = False
    ) -> None:
        num, height, width, channels = split.images.shape
        padded_NHWC = torch.zeros(num, height + 2 * shift, width + 2 * shift, channels, dtype=torch.uint8)
        padded_NHWC[:, shift : shift + height, shift : shift + width] = split.images
        self._padded_NHWC = padded_NHWC.to(device)
        self._labels = split.labels.to(device)
        # (x / 255 - mean) / std as one multiplication and one addition
        self._scale = (1 / (255 * statistics.std)).to(device)
        self._offset = (-statistics.mean / statistics.std).to(device)
        self._shift = shift
        self._flip = flip
        self.shape = (channels, height, width)

    def __len__(self) -> int:
        return len(self._labels)

    def to(self, device: torch.device) -> ResidentImages:
        """Return the same images on a device, without copying what is already there."""
        moved = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(moved, name, value.to(device))
        return moved

    def epoch(self, generator: torch.Generator, batch_size: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch: every image once, in random order, shifted and mirrored at random.

        Args:
            generator: The source of randomness; all numbers of an epoch are drawn at once, so that an epoch can be
                resumed anywhere.
            batch_size: B; the last batch may be smaller.
            first: Batches to skip, for an interrupted epoch.

        Yields:
            Images (B, C, H, W) float32 in channels-last order, and labels (B,) int64.
        """
        device, windows = self._labels.device, self._windows()
        order_N = torch.randperm(len(self), generator=generator).to(device)
        shifts_2N = torch.randint(0, 2 * self._shift + 1, (2, len(self)), generator=generator).to(device)
        mirrored_N = (torch.rand(len(self), generator=generator) < 0.5).to(device) if self._flip else None
        for start in range(first * batch_size, len(self), batch_size):
            chosen_B = order_N[start : start + batch_size]
            down_B, right_B = shifts_2N[:, start : start + batch_size]
            pixels_BHWC = windows[chosen_B, down_B, right_B]
            if mirrored_N is not None:
                mirrored_B111 = mirrored_N[start : start + batch_size, None, None, None]
                pixels_BHWC = torch.where(mirrored_B111, pixels_BHWC.flip(2), pixels_BHWC)
            yield self._normalise(pixels_BHWC), self._labels[chosen_B]

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images in order, unshifted, for evaluation.

        Yields:
            Images (B, C, H, W) float32 in channels-last order, and labels (B,) int64.
        """
        centred_NHWC = self._windows()[:, self._shift, self._shift]
        for start in range(0, len(self), batch_size):
            yield self._normalise(centred_NHWC[start : start + batch_size]), self._labels[start : start + batch_size]

    def _windows(self) -> Tensor:
        """Return every placement of the window as a view, (N, 2s+1, 2s+1, H, W, C): a shifted batch is one gather."""
        _, height, width = self.shape
        return self._padded_NHWC.unfold(1, height, 1).unfold(2, width, 1).permute(0, 1, 2, 4, 5, 3)

    def _normalise(self, pixels_BHWC: Tensor) -> Tensor:
        return pixels_BHWC.float().mul_(self._scale).add_(self._offset).permute(0, 3, 1, 2)
