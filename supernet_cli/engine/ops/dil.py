"""Dilated depthwise separable convolution: a kernel with holes looks further for the same price.

Source: the `dil_conv` of DARTS, Liu et al. 2019, arXiv 1806.09055, after Yu and Koltun 2016, arXiv 1511.07122.
"""

from __future__ import annotations

from torch import nn

from supernet_cli.engine.ops._layers import Norm, at_least_3, convolution, in_sequence, no_norm, whole_number


def build(in_channels: int, out_channels: int, stride: int, norm: Norm, *, kernel: int, dilation: int = 2) -> nn.Module:
    """Build a dilated depthwise separable convolution.

    Args:
        in_channels: Channels that come in.
        out_channels: Channels that go out.
        stride: Of the depthwise kernel.
        norm: Makes the normalisation behind the 1×1 convolution.
        kernel: Height and width of the depthwise kernel, odd, 3 or more.
        dilation: Distance of the kernel's numbers, 2 to 8: 3×3 numbers at distance 2 span 5×5 pixels.
    """
    kernel, dilation = at_least_3(kernel, "dil"), whole_number("dilation", dilation, 2, 8)
    depthwise = convolution(in_channels, in_channels, kernel, stride, no_norm, dilation=dilation, depthwise=True)
    return in_sequence([*depthwise, *convolution(in_channels, out_channels, 1, 1, norm)])
