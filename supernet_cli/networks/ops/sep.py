"""Depthwise separable convolution: one kernel per channel, then a 1×1 convolution across channels.

Source: Chollet 2017, "Xception", arXiv 1610.02357; DARTS (Liu et al. 2019) applies it twice: `repeat = 2`.
"""

from __future__ import annotations

from torch import nn

from supernet_cli.networks.ops._layers import Norm, at_least_3, convolution, in_sequence, no_norm


def build(in_channels: int, out_channels: int, stride: int, norm: Norm, *, kernel: int) -> nn.Module:
    """Build a depthwise separable convolution.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        stride: Stride of the depthwise kernel.
        norm: Builds the normalisation after the 1×1 convolution.
        kernel: Height and width of the depthwise kernel, odd, 3 or more.
    """
    kernel = at_least_3(kernel, "sep")
    depthwise = convolution(in_channels, in_channels, kernel, stride, no_norm, depthwise=True)
    return in_sequence([*depthwise, *convolution(in_channels, out_channels, 1, 1, norm)])
