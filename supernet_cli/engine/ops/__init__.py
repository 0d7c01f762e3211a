"""Candidate operations, one family a file; each keeps height and width but for the stride it is given."""

from __future__ import annotations

import importlib
from itertools import chain

from torch import nn

from supernet_cli.config.catalog import entries
from supernet_cli.config.schema import Candidate
from supernet_cli.engine.ops._layers import NORMS


def build_candidate(candidate: Candidate, in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    """Build a candidate operation: its family's module, stacked `repeat` times with ReLU between.

    Args:
        candidate: What the preset says; a normalisation that is left open is none.
        in_channels: Channels that come in, C.
        out_channels: Channels that go out, K.
        stride: Of the first of the stack, S.

    Returns:
        A module that maps (B, C, H, W) to (B, K, ⌈H/S⌉, ⌈W/S⌉); the last ReLU is the block's, behind its pooling.

    Raises:
        ValueError: A parameter's value cannot be.
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
