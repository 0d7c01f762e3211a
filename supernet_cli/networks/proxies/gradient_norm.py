"""Gradient norm: how strongly the loss of one mini-batch pulls at the weights of an untrained network.

Source: `grad_norm` of Abdelfattah et al. 2021, "Zero-Cost Proxies for Lightweight NAS", arXiv 2101.08134, and their
code.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

INITIALISATIONS = 3
"""A single one is noisy: on the space of the preset `lab`, its noise is half as large as the differences of paths."""


@torch.enable_grad()
def score(network: nn.Module, images_BCHW: Tensor, labels_B: Tensor) -> float | None:
    """Return the sum over layers of the Euclidean norm of their weights' gradient; None if it is not finite.

    The loss is the mean cross-entropy. As in the authors' code, biases and the parameters of normalisation do not
    count, and batch normalisation is in training mode: it uses the statistics of the mini-batch.

    Args:
        network: As for a `Scorer`.
        images_BCHW: As for a `Scorer`.
        labels_B: As for a `Scorer`.
    """
    network = copy.deepcopy(network).train()
    weights = [parameter for parameter in network.parameters() if parameter.dim() > 1]
    gradients = torch.autograd.grad(functional.cross_entropy(network(images_BCHW), labels_B), weights)
    norm = sum(float(gradient.norm()) for gradient in gradients)
    return norm if math.isfinite(norm) else None
