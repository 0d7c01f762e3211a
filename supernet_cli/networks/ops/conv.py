"""Plain convolution with any odd kernel."""

from __future__ import annotations

from torch import nn

from supernet_cli.networks.ops._layers import Norm, convolution, in_sequence


def build(in_channels: int, out_channels: int, stride: int, norm: Norm, *, kernel: int) -> nn.Module:
    """Build a convolution.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        stride: Stride of the kernel.
        norm: Builds the normalisation that follows.
        kernel: Height and width of the kernel, odd.
    """
    return in_sequence(convolution(in_channels, out_channels, kernel, stride, norm))
