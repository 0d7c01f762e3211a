"""No operation: the block is skipped; a 1×1 projection where the number of channels changes."""

from __future__ import annotations

from torch import nn


def build(in_channels: int, out_channels: int) -> nn.Module:
    """Build the identity, or the 1×1 convolution that stands for it where channels change."""
    return nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)
