"""Dilated depthwise separable convolution: a kernel with gaps covers a larger area at the same cost.

Source: the `dil_conv` of DARTS, Liu et al. 2019, arXiv 1806.09055, after Yu and Koltun 2016, arXiv 1511.07122.
"""

from __future__ import annotations

from torch import nn

from supernet_cli.networks.ops._layers import Norm, at_least_3, convolution, in_sequence, no_norm, whole_number


def build(in_channels: int, out_channels: int, stride: int, norm: Norm, *, kernel: int, dilation: int = 2) -> nn.Module:
    """Build a dilated depthwise separable convolution.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        stride: Stride of the depthwise kernel.
        norm: Builds the normalisation after the 1×1 convolution.
        kernel: Height and width of the depthwise kernel, odd, 3 or more.
        dilation: Distance between the kernel's elements, 2 to 8: a 3×3 kernel with dilation 2 spans 5×5 pixels.
    """
    kernel, dilation = at_least_3(kernel, "dil"), whole_number("dilation", dilation, 2, 8)
    depthwise = convolution(in_channels, in_channels, kernel, stride, no_norm, dilation=dilation, depthwise=True)
    return in_sequence([*depthwise, *convolution(in_channels, out_channels, 1, 1, norm)])
