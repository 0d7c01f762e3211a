"""Candidate operations, one family a file; each keeps height and width."""

from __future__ import annotations

import importlib
from itertools import chain

from torch import nn

from supernet_cli.config.catalog import entries
from supernet_cli.config.schema import Candidate


def build_candidate(candidate: Candidate, in_channels: int, out_channels: int) -> nn.Module:
    """Build a candidate operation: its family's module, stacked `repeat` times with ReLU between.

    Args:
        candidate: What the preset says.
        in_channels: Channels that come in, C.
        out_channels: Channels that go out, K.

    Returns:
        A module that maps (B, C, H, W) to (B, K, H, W); the last ReLU is the block's, behind its pooling.

    Raises:
        ValueError: A parameter's value cannot be.
    """
    module = importlib.import_module(f"supernet_cli.{entries('operation')[candidate.op].module}")
    widths = [in_channels] + [out_channels] * candidate.repeat
    pairs = zip(widths[:-1], widths[1:], strict=True)
    layers: list[nn.Module] = [
        module.build(width_in, width_out, **candidate.parameters) for width_in, width_out in pairs
    ]
    if len(layers) == 1:
        return layers[0]
    return nn.Sequential(*list(chain.from_iterable((nn.ReLU(), layer) for layer in layers))[1:])
