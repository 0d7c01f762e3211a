"""Building blocks of operations: convolutions with their normalisation, and sequences without redundant layers."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

Norm = Callable[[int], nn.Module | None]
"""Builds the normalisation for a number of channels; None for no normalisation."""

_MOST_GROUPS, _CHANNELS_A_GROUP = 8, 4


def no_norm(channels: int) -> None:
    """Build no normalisation."""


def batch_norm(channels: int) -> nn.Module:
    """Build batch normalisation (Ioffe and Szegedy 2015)."""
    return nn.BatchNorm2d(channels)


def group_norm(channels: int) -> nn.Module:
    """Build group normalisation (Wu and He 2018): at most 8 groups, each of at least 4 channels if possible."""
    most = max(1, min(_MOST_GROUPS, channels // _CHANNELS_A_GROUP))
    return nn.GroupNorm(next(groups for groups in range(most, 0, -1) if channels % groups == 0), channels)


NORMS: dict[str, Norm] = {"none": no_norm, "batch": batch_norm, "group": group_norm}
"""Normalisations by their name in a preset."""


def convolution(
    in_channels: int,
    out_channels: int,
    kernel: int,
    stride: int,
    norm: Norm,
    *,
    dilation: int = 1,
    depthwise: bool = False,
) -> list[nn.Module]:
    """Return a convolution that keeps height and width except for its stride, and its normalisation.

    It has a bias only without normalisation, which would cancel it.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        kernel: Height and width of the kernel, odd.
        stride: Stride of the kernel; S turns (H, W) into (⌈H/S⌉, ⌈W/S⌉).
        norm: Builds the normalisation.
        dilation: Distance between the kernel's elements.
        depthwise: Whether each channel has a kernel of its own.
    """
    normalisation = norm(out_channels)
    layer = nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=dilation * (kernel // 2),
        dilation=dilation,
        groups=in_channels if depthwise else 1,
        bias=normalisation is None,
    )
    return [layer] if normalisation is None else [layer, normalisation]


def projection(in_channels: int, out_channels: int, stride: int, norm: Norm) -> list[nn.Module]:
    """Return the normalised 1×1 convolution that changes channels or size; an empty list if neither changes."""
    if in_channels == out_channels and stride == 1:
        return []
    return convolution(in_channels, out_channels, 1, stride, norm)


def pooled(pool: nn.Module, in_channels: int, out_channels: int, norm: Norm) -> nn.Module:
    """Return a pooling, followed by a 1×1 projection if channels change, and by its normalisation."""
    projected = projection(in_channels, out_channels, 1, norm)
    normalisation = norm(out_channels) if not projected else None
    return in_sequence([pool, *projected, *([] if normalisation is None else [normalisation])])


def in_sequence(layers: list[nn.Module]) -> nn.Module:
    """Return layers as one module; a single layer as it is."""
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)


def at_least_3(kernel: int, family: str) -> int:
    """Return a kernel size after checking that it covers more than a single pixel.

    Raises:
        ValueError: It is below 3.
    """
    if kernel < 3:
        raise ValueError(f"{family} needs a kernel of at least 3, not {kernel}")
    return kernel


def whole_number(name: str, value: object, low: int, high: int) -> int:
    """Return a parameter after checking that it is a whole number within bounds.

    Raises:
        ValueError: It is not a whole number, or out of bounds.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name} = {value!r}: must be a whole number from {low} to {high}")
    return value
