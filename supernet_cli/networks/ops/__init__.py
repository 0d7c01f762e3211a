"""Candidate operations, one family per file; each keeps height and width except for its stride."""

from __future__ import annotations

import importlib
from itertools import chain

from torch import nn

from supernet_cli.config.catalog import entries
from supernet_cli.config.space import Candidate
from supernet_cli.networks.ops._layers import NORMS


def build_candidate(candidate: Candidate, in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    """Build a candidate operation: its family's module, stacked `repeat` times with ReLU between.

    Args:
        candidate: The preset's candidate; without a normalisation it gets none.
        in_channels: Input channels, C.
        out_channels: Output channels, K.
        stride: Stride of the first module of the stack, S.

    Returns:
        A module that maps (B, C, H, W) to (B, K, ⌈H/S⌉, ⌈W/S⌉); the last ReLU belongs to the block, after its pooling.

    Raises:
        ValueError: A parameter's value is invalid.
    """
    module = importlib.import_module(f"supernet_cli.{entries('operation')[candidate.op].module}")
    norm = NORMS[candidate.norm or "none"]
    widths = [in_channels] + [out_channels] * candidate.repeat
    strides = [stride] + [1] * (candidate.repeat - 1)
    layers: list[nn.Module] = [
        module.build(width_in, width_out, step, norm, **candidate.parameters)
        for width_in, width_out, step in zip(widths[:-1], widths[1:], strides, strict=True)
    ]
    if len(layers) == 1:
        return layers[0]
    return nn.Sequential(*list(chain.from_iterable((nn.ReLU(), layer) for layer in layers))[1:])
