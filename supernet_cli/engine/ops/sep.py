"""Depthwise separable convolution: each channel on its own, then a 1×1 convolution across them.

Source: Chollet 2017, «Xception», arXiv 1610.02357; DARTS (Liu et al. 2019) applies it twice: `repeat = 2`.
"""

from __future__ import annotations

from torch import nn

from supernet_cli.engine.ops._layers import Norm, at_least_3, convolution, in_sequence, no_norm


def build(in_channels: int, out_channels: int, stride: int, norm: Norm, *, kernel: int) -> nn.Module:
    """Build a depthwise separable convolution.

    Args:
        in_channels: Channels that come in.
        out_channels: Channels that go out.
        stride: Of the depthwise kernel.
        norm: Makes the normalisation behind the 1×1 convolution.
        kernel: Height and width of the depthwise kernel, odd, 3 or more.
    """
    kernel = at_least_3(kernel, "sep")
    depthwise = convolution(in_channels, in_channels, kernel, stride, no_norm, depthwise=True)
    return in_sequence([*depthwise, *convolution(in_channels, out_channels, 1, 1, norm)])
