"""Kendall's tau-b of many rankings at once, on which relabelling tests and the bootstrap spend their time.

Knight's method (1966): sort and count inversions, for whole batches in every step. Ranks are integers from 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from supernet_cli.reports.statistics.quantity import Floats, Integers

BATCH = 100_000
"""Roughly how many ranks to handle at once: more saves no time and costs memory."""


def dense_ranks(values: Floats) -> NDArray[np.int64]:
    """Return the rank of each value, 0 for the smallest; equal values share one.

    Args:
        values: (n,) float.
    """
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def tau_b_rows(a: Integers, b: Integers) -> NDArray[np.float64]:
    """Return the tau-b of each pair of rows.

    Args:
        a: (d, n) ranks from 0; ties are equal numbers.
        b: (d, n) ranks, or (n,) to compare with every row of `a`.

    Returns:
        (d,) tau-b; 0 if a row is constant, because it orders nothing.
    """
    count = a.shape[1]
    pairs = count * (count - 1) // 2
    width = int(a.max(initial=0)) + 1
    kind = np.int32 if width * (int(b.max(initial=0)) + 1) < 2**31 else np.int64
    keys: NDArray[Any] = np.sort(np.broadcast_to(b, a.shape).astype(kind) * width + a.astype(kind), axis=1)
    tied_a, tied_b = _tied_pairs(np.sort(a.astype(kind), axis=1)), _tied_pairs(keys // width)
    surplus = pairs - tied_a - tied_b + _tied_pairs(keys) - 2 * _inversions(keys % width)
    scale = np.sqrt((pairs - tied_a).astype(np.float64) * (pairs - tied_b))
    return np.asarray(np.where(scale > 0, surplus / np.where(scale > 0, scale, 1.0), 0.0))


def _tied_pairs(rows: NDArray[Any]) -> NDArray[np.int64]:
    """Count the pairs of equal elements in each sorted row."""
    equal = rows[:, 1:] == rows[:, :-1]
    counts = np.zeros(len(rows), dtype=np.int64)
    some = equal.any(axis=1)
    if some.any():
        places = np.arange(1, rows.shape[1])
        starts = np.maximum.accumulate(np.where(equal[some], 0, places), axis=1)
        counts[some] = (places - starts).sum(axis=1)
    return counts


def _inversions(rows: NDArray[Any]) -> NDArray[np.int64]:
    """Count the pairs in each row whose earlier element is greater.

    Neighbouring blocks of 1, 2, 4 … are sorted together. Where the right block's w elements end up, summed, is w(w-1)/2
    and the pairs in order between the blocks (Mann and Whitney's U); the rest of their w² pairs are inverted. The last
    bit marks the block, so that the left of two equals comes first.
    """
    count, length = rows.shape
    width = 1 << max(length - 1, 0).bit_length()
    doubled = np.full((count, width), 2 * rows.max(initial=0), dtype=rows.dtype)
    doubled[:, :length] = 2 * rows
    total, half = np.zeros(count), 1
    while half < width:
        right = (np.arange(width, dtype=rows.dtype) // half) & 1
        blocks = np.sort((doubled + right).reshape(count, -1, 2 * half), axis=2)
        places = (blocks & 1).astype(np.float64) @ np.arange(2 * half, dtype=np.float64)
        total += (half * (3 * half - 1) // 2 - places).sum(axis=1)
        half *= 2
    return total.astype(np.int64)
