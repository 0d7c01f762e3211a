"""Deep greyscale (16 or 32 bits, floating point) to 8 bits, with one range for all images of a data set.

A range for each image would remove differences in brightness between images, which may be what tells their classes
apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np

Kind = Literal["whole", "float"]
Ranges = dict[Kind, tuple[float, float]]
"""Darkest and brightest value of deep greyscale, of whole numbers and of floating point."""


def deep_kind(mode: str) -> Kind | None:
    """Return the kind of deep greyscale that a mode is, or None for 8 bits per channel."""
    return "whole" if mode.startswith("I") else "float" if mode == "F" else None


def ranges_of(images: Iterable[tuple[Kind, float, float]]) -> Ranges:
    """Return the values that become black and white, for each kind of deep greyscale.

    That is the bit depth in use (0 to 4,096 for 12-bit data in 16-bit files; 0 to 1 for floating point), so that it
    hardly depends on single images; if the values fill less than a quarter of it, their own range.

    Args:
        images: The kind, and the darkest and brightest value, of each image.
    """
    edges: Ranges = {}
    for kind, low, high in images:
        before = edges.get(kind, (low, high))
        edges[kind] = min(low, before[0]), max(high, before[1])
    return {kind: _range(kind, *found) for kind, found in edges.items()}


def _range(kind: Kind, low: float, high: float) -> tuple[float, float]:
    full = 1.0 if kind == "float" else float(2 ** max(8, int(high).bit_length()))
    return (0.0, full) if low >= 0 and high <= full and high - low >= full / 4 else (low, high)


def scaling(mode: str, kind: Kind, limits: tuple[float, float]) -> str:
    """Return in words how images of a mode are scaled."""
    low, high = limits
    is_depth = kind == "whole" and low == 0 and high == 2 ** int(math.log2(max(1, high)))
    return f"{mode} greyscale scaled from {low:,.6g}…{high - is_depth:,.6g} to 0…255, one range for all images"


def scaled(values_HW: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Return values within a range as 0 to 255, (H, W) uint8; without a range, and where not a number, 0."""
    low, high = limits
    steps_HW = (values_HW.astype(np.float64) - low) * (256 / (high - low)) if high > low else np.zeros(values_HW.shape)
    return np.nan_to_num(steps_HW, nan=0.0, posinf=0.0, neginf=0.0).clip(0, 255).astype(np.uint8)
