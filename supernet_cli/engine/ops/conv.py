"""Plain convolution, any odd kernel."""

from __future__ import annotations

from torch import nn


def build(in_channels: int, out_channels: int, *, kernel: int) -> nn.Module:
    """Build a convolution with bias that keeps height and width.

    Args:
        in_channels: Channels that come in.
        out_channels: Channels that go out.
        kernel: Height and width of the kernel, odd.
    """
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
