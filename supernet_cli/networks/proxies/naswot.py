"""NASWOT: how well an untrained network tells the images of a mini-batch apart by which of its ReLUs are active.

Source: Mellor et al. 2021, "Neural Architecture Search without Training", arXiv 2006.04647, and their code.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

INITIALISATIONS = 3
"""A single one is noisy: on the space of the preset `lab`, its noise is as large as the differences between paths."""

_RELU = (torch.ops.aten.relu.default, torch.ops.aten.relu_.default)


@torch.no_grad()
def score(network: nn.Module, images_BCHW: Tensor, labels_B: Tensor) -> float | None:
    """Return log |det K| with K[i, j] the number of ReLU units that treat images i and j alike; None if K is singular.

    A unit treats two images alike if it is active for both or for neither. As in the authors' code, K sums over all
    ReLUs, each unit of a feature map counts, and batch normalisation is in training mode: it uses the statistics of the
    mini-batch.

    Args:
        network: As for a `Scorer`.
        images_BCHW: As for a `Scorer`. Two equal images make K singular.
        labels_B: Not used.
    """
    network = copy.deepcopy(network).train()
    with _ActivationKernel(len(images_BCHW)) as kernel:
        network(images_BCHW)
    return _log_determinant(kernel.alike_BB)


class _ActivationKernel(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums K over every ReLU executed inside, whether a module or a function calls it.

    Args:
        images: B.
    """

    def __init__(self, images: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alike_BB = torch.zeros(images, images, dtype=torch.float64)

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in _RELU:
            self._add(args[0])
        return func(*args, **(kwargs or {}))

    def _add(self, inputs: Tensor) -> None:
        """Add a ReLU, given its inputs, (B, …); float32 counts exactly up to 16 million units."""
        active_BU = (inputs > 0).flatten(1).float()
        both_BB, active_B = (active_BU @ active_BU.T).cpu().double(), active_BU.sum(1).cpu().double()
        self.alike_BB += active_BU.shape[1] - active_B[:, None] - active_B + 2 * both_BB


def _log_determinant(kernel_BB: Tensor) -> float | None:
    """Return log |det K| of a kernel, whose eigenvalues are not negative; None if one is zero but for rounding."""
    eigenvalues_B = torch.linalg.eigvalsh(kernel_BB)
    rounding = len(eigenvalues_B) * torch.finfo(torch.float64).eps * eigenvalues_B[-1]
    return float(eigenvalues_B.log().sum()) if eigenvalues_B[0] > rounding else None
