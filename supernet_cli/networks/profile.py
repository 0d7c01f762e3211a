"""The cost of a path: its parameters, multiply-accumulates and latency."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from supernet_cli.device import Device
from supernet_cli.networks.normalisation import borrowed
from supernet_cli.networks.supernet import Supernet
from supernet_cli.space import PathCosts, PathSizes


@dataclass(frozen=True)
class Profile:
    """The size of one subnet.

    Args:
        parameters: Number of learned parameters.
        macs: Multiply-accumulates of the forward pass of one image, in convolutions, matrix products and attention.
    """

    parameters: int
    macs: int


@torch.no_grad()
def profile(network: nn.Module, image_shape: tuple[int, int, int], device: Device) -> Profile:
    """Measure a plain network, such as an extracted subnet.

    Args:
        network: Maps (1, C, H, W) to logits.
        image_shape: (C, H, W).
        device: Where its weights are.
    """
    with borrowed(network):
        macs, _ = _run(network, torch.zeros(1, *image_shape, device=device.place))
    return Profile(_parameters(network), macs)


@torch.no_grad()
def path_costs(supernet: Supernet, image_shape: tuple[int, int, int], device: Device) -> PathCosts:
    """Measure every candidate of a supernet and the shared layers, each on one image of zeros.

    Args:
        supernet: The network.
        image_shape: (C, H, W).
        device: Where its weights are.
    """
    features_1CHW = torch.zeros(1, *image_shape, device=device.place)
    with borrowed(supernet):
        stem = 0
        if supernet.stem is not None:
            stem, features_1CHW = _run(supernet.stem, features_1CHW)
        candidates, shared = [], []
        for layer in supernet.choice_layers():
            candidates.append(tuple(_run(candidate, features_1CHW)[0] for candidate in layer.candidates))
            shared.append(0 if layer.shortcut is None else _run(layer.shortcut, features_1CHW)[0])
            features_1CHW = layer(features_1CHW, 0)
        head, _ = _run(supernet.head, features_1CHW)
    return PathCosts(tuple(candidates), head, stem, tuple(shared))


def path_sizes(supernet: Supernet, macs: PathCosts) -> PathSizes:
    """Count what every candidate of a supernet and the shared layers hold.

    Args:
        supernet: The network.
        macs: From `path_costs`.
    """

    def counted(count: Callable[[nn.Module | None], int]) -> PathCosts:
        layers = list(supernet.choice_layers())
        candidates = tuple(tuple(map(count, layer.candidates)) for layer in layers)
        shared = tuple(count(layer.shortcut) for layer in layers)
        return PathCosts(candidates, count(supernet.head), count(supernet.stem), shared)

    return PathSizes(macs, counted(_parameters), counted(_bytes))


def _parameters(layer: nn.Module | None) -> int:
    return 0 if layer is None else sum(parameter.numel() for parameter in layer.parameters())


def _bytes(layer: nn.Module | None) -> int:
    tensors = () if layer is None else layer.state_dict().values()
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@torch.inference_mode()
def latency(
    network: nn.Module, image_shape: tuple[int, int, int], batch: int, device: Device, warm_up: int = 3, runs: int = 11
) -> float:
    """Return the median time of a forward pass after warm-up, in seconds.

    Args:
        network: Maps (B, C, H, W) to logits.
        image_shape: (C, H, W).
        batch: B.
        device: Where its weights are.
        warm_up: Passes before timing starts.
        runs: Timed passes.
    """
    images_BCHW = torch.zeros(batch, *image_shape, device=device.place).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(warm_up + runs):
        device.synchronize()
        started = time.perf_counter()
        with device.autocast():
            network(images_BCHW)
        device.synchronize()
        times.append(time.perf_counter() - started)
    return statistics.median(times[warm_up:])


def _run(layer: nn.Module, features_BCHW: Tensor) -> tuple[int, Tensor]:
    """Return a layer's multiply-accumulates and output."""
    with _counting() as counter:
        output = layer(features_BCHW)
    return counter.get_total_flops() // 2, output


@contextlib.contextmanager
def _counting() -> Iterator[FlopCounterMode]:
    """Count the floating-point operations executed inside, two per multiply-accumulate, whoever calls them.

    The fused kernels of `nn.MultiheadAttention` would hide theirs.
    """
    is_fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False, custom_mapping=_UNKNOWN_TO_TORCH) as counter:
            yield counter
    finally:
        torch.backends.mha.set_fastpath_enabled(is_fused)


def _attention(query: torch.Size, key: torch.Size, value: torch.Size, *_: object, **__: object) -> int:
    """Return the operations of both products of an attention: of its queries with its keys, and with its values."""
    return 2 * query.numel() * key[-2] + 2 * query[:-1].numel() * key[-2] * value[-1]


def _vector(first: torch.Size, *_: object, **__: object) -> int:
    """Return the operations of a product with a vector."""
    return 2 * first.numel()


_UNKNOWN_TO_TORCH = {
    getattr(torch.ops.aten, name): formula
    for name, formula in {
        "_scaled_dot_product_flash_attention_for_cpu": _attention,
        "_scaled_dot_product_attention_math_for_mps": _attention,
        "mv": _vector,
        "dot": _vector,
    }.items()
    if hasattr(torch.ops.aten, name)  # not every version of torch has all of them
}
"""Formulas for operations that torch counts as nothing."""
