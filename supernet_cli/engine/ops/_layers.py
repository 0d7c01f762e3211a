"""What operations are made of: convolutions with their normalisation, and sequences without idle layers."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

Norm = Callable[[int], nn.Module | None]
"""Makes the normalisation of so many channels; None where there is none."""

_MOST_GROUPS, _CHANNELS_A_GROUP = 8, 4


def no_norm(channels: int) -> None:
    """Make no normalisation."""


def batch_norm(channels: int) -> nn.Module:
    """Make batch normalisation (Ioffe and Szegedy 2015)."""
    return nn.BatchNorm2d(channels)


def group_norm(channels: int) -> nn.Module:
    """Make group normalisation (Wu and He 2018): at most 8 groups, of 4 channels or more where there are as many."""
    most = max(1, min(_MOST_GROUPS, channels // _CHANNELS_A_GROUP))
    return nn.GroupNorm(next(groups for groups in range(most, 0, -1) if channels % groups == 0), channels)


NORMS: dict[str, Norm] = {"none": no_norm, "batch": batch_norm, "group": group_norm}
"""By their names in a preset."""


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
    """Return a convolution that keeps height and width but for its stride, and its normalisation.

    It has a bias only where no normalisation follows, which would take it out again.

    Args:
        in_channels: Channels that come in.
        out_channels: Channels that go out.
        kernel: Height and width of the kernel, odd.
        stride: Step of the kernel; S makes (H, W) into (⌈H/S⌉, ⌈W/S⌉).
        norm: Makes the normalisation.
        dilation: Distance of the kernel's numbers.
        depthwise: Each channel on its own.
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
    """Return the 1×1 convolution, normalised, that changes channels or size; nothing where neither changes."""
    if in_channels == out_channels and stride == 1:
        return []
    return convolution(in_channels, out_channels, 1, stride, norm)


def pooled(pool: nn.Module, in_channels: int, out_channels: int, norm: Norm) -> nn.Module:
    """Return a pooling that ends in a 1×1 projection where channels change, and in its normalisation."""
    ending = projection(in_channels, out_channels, 1, norm)
    normalisation = norm(out_channels) if not ending else None
    return in_sequence([pool, *ending, *([] if normalisation is None else [normalisation])])


def in_sequence(layers: list[nn.Module]) -> nn.Module:
    """Return layers as one module; a single one as it is."""
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)


def at_least_3(kernel: int, family: str) -> int:
    """Return a kernel that is no single pixel.

    Raises:
        ValueError: It is one.
    """
    if kernel < 3:
        raise ValueError(f"{family} with kernel {kernel} would look at single pixels; the smallest is 3")
    return kernel


def whole_number(name: str, value: object, low: int, high: int) -> int:
    """Return a parameter that has to be a whole number within bounds.

    Raises:
        ValueError: It is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name} = {value!r}: must be a whole number from {low} to {high}")
    return value
