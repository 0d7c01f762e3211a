"""Inverted bottleneck: a 1×1 convolution widens, a depthwise one filters, a 1×1 convolution narrows.

Source: Sandler et al. 2018, "MobileNetV2", arXiv 1801.04381; without its shortcut, which is the block's `residual`.
"""

from __future__ import annotations

from torch import nn

from supernet_cli.networks.ops._layers import Norm, at_least_3, convolution, in_sequence, whole_number


def build(in_channels: int, out_channels: int, stride: int, norm: Norm, *, kernel: int, expansion: int) -> nn.Module:
    """Build an inverted bottleneck, with ReLU after all but its last convolution.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        stride: Stride of the depthwise kernel.
        norm: Builds the normalisation after each of the three convolutions.
        kernel: Height and width of the depthwise kernel, odd, 3 or more.
        expansion: Factor by which it is wider inside, 1 to 16; usually 3 or 6.
    """
    kernel, wide = at_least_3(kernel, "mbconv"), in_channels * whole_number("expansion", expansion, 1, 16)
    return in_sequence(
        [
            *convolution(in_channels, wide, 1, 1, norm),
            nn.ReLU(),
            *convolution(wide, wide, kernel, stride, norm, depthwise=True),
            nn.ReLU(),
            *convolution(wide, out_channels, 1, 1, norm),
        ]
    )
