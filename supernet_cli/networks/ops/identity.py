"""No operation: the block is skipped; a 1×1 projection if channels or size change.

Only a projection is normalised; a plain identity stays one.
"""

from __future__ import annotations

from torch import nn

from supernet_cli.networks.ops._layers import Norm, in_sequence, projection


def build(in_channels: int, out_channels: int, stride: int, norm: Norm) -> nn.Module:
    """Build the identity, or the 1×1 convolution that replaces it if channels or size change."""
    return in_sequence(projection(in_channels, out_channels, stride, norm) or [nn.Identity()])
