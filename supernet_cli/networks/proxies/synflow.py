"""Synaptic flow: how much flows through an untrained network; it needs no data.

Source: Tanaka et al. 2020, "Pruning neural networks without any data by iteratively conserving synaptic flow",
arXiv 2006.05467; as a ranking, Abdelfattah et al. 2021, arXiv 2101.08134.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

INITIALISATIONS = 1
"""Only the magnitudes of the weights matter, and their sums hardly differ between initialisations."""


@torch.enable_grad()
def score(network: nn.Module, images_BCHW: Tensor, labels_B: Tensor) -> float | None:
    """Return the natural logarithm of a network's synaptic flow; None if the flow is zero or not finite.

    The flow is Σ |θ ∂R/∂θ| with R the sum of the logits for an image of ones, all weights replaced by their magnitude
    and normalisation removed: one forward and backward pass.

    Args:
        network: As for a `Scorer`.
        images_BCHW: Only their shape is used.
        labels_B: Not used.
    """
    linear = copy.deepcopy(network).to("cpu", torch.float64)
    for parent in list(linear.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d | nn.GroupNorm):
                setattr(parent, name, nn.Identity())
    weights = list(linear.parameters())
    with torch.no_grad():
        for weight in weights:
            weight.abs_()
    ones_1CHW = torch.ones(1, *images_BCHW.shape[1:], dtype=torch.float64)
    gradients = torch.autograd.grad(linear(ones_1CHW).sum(), weights)
    with torch.no_grad():
        flow = sum(float((weight * gradient).abs().sum()) for weight, gradient in zip(weights, gradients, strict=True))
    return math.log(flow) if 0 < flow < math.inf else None
