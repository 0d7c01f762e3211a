"""Max pooling that keeps the size; followed by a 1×1 projection if channels change."""

from __future__ import annotations

from torch import nn

from supernet_cli.networks.ops._layers import Norm, at_least_3, pooled


def build(in_channels: int, out_channels: int, stride: int, norm: Norm, *, kernel: int) -> nn.Module:
    """Build a max pooling.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        stride: Stride of the window.
        norm: Builds the normalisation at the end.
        kernel: Height and width of the window, odd, 3 or more.
    """
    window = nn.MaxPool2d(at_least_3(kernel, "maxpool"), stride=stride, padding=kernel // 2)
    return pooled(window, in_channels, out_channels, norm)
