"""Drawing in terminals: marks of states, bars, sparklines, and short forms of numbers and times."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

MARKS = {
    "created": "○",
    "running": "●",
    "paused": "‖",
    "finished": "✔",
    "stopped": "■",
    "interrupted": "▲",
    "diverged": "✘",
    "failed": "✘",
    "lost": "?",
}
"""A mark for each state, so that none depends on colour alone."""

BRAILLE = range(0x2800, 0x2900)
"""Code points of braille: dots that curves are drawn with."""

_SPARKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int, low: float | None = None, high: float | None = None) -> str:
    """Return values as a line of at most `width` blocks, newest last; a flat series is drawn low.

    Args:
        values: Oldest first.
        width: Available columns; neighbours are averaged if the values do not fit.
        low: Value of the lowest block (default: the minimum).
        high: Value of the highest block (default: the maximum).
    """
    if not values or width < 1:
        return ""
    grouped = resample(values, width)
    low = min(grouped) if low is None else low
    span = (max(grouped) if high is None else high) - low
    heights = (int((value - low) / span * 7.999) if span > 0 else 0 for value in grouped)
    return "".join(_SPARKS[max(0, min(7, height))] for height in heights)


def bar(share: float, width: int) -> str:
    """Return a bar that fills a fraction of `width`, to half a column, padded to `width`."""
    full, half = divmod(round(max(0.0, min(1.0, share)) * width * 2), 2)
    return ("━" * full + "╸" * half).ljust(width)


def plain_braille(code: int) -> str:
    """Return an ASCII character for one of braille: a line where its dots are one, otherwise how many there are.

    Args:
        code: The code point.
    """
    bits = code - BRAILLE.start
    if bits in _LEVEL:
        return "-"
    return "|" if bits in _UPRIGHT else " .::++**#"[bits.bit_count()]


_LEVEL = (0x01 | 0x08, 0x02 | 0x10, 0x04 | 0x20, 0x40 | 0x80)
_UPRIGHT = (0x01 | 0x02 | 0x04 | 0x40, 0x08 | 0x10 | 0x20 | 0x80)


def floor_below(lowest: float) -> float:
    """Return where bars start: a round number below the lowest accuracy, so that differences show."""
    step = next((step for step in (0.1, 0.05, 0.01, 0.005) if 1 - lowest > step), 0.001)
    return max(0.0, math.floor(lowest / step - 1e-9) * step)


def resample(values: Sequence[float], width: int) -> list[float]:
    """Return values as at most `width` means of neighbours."""
    if len(values) <= width:
        return list(values)
    edges = [round(index * len(values) / width) for index in range(width + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def number(value: float, spec: str = "z.2f") -> str:
    """Return a number with a true minus sign: `−0.33`.

    Args:
        value: The number.
        spec: How to format it, such as `+z.3f`; with `z`, what rounds to zero has no minus sign.
    """
    return f"{value:{spec}}".replace("-", "\N{MINUS SIGN}")


def gib(size: int) -> str:
    """Return a number of bytes in GiB."""
    return f"{size / 2**30:.1f}"


def short(number: float) -> str:
    """Return a count in at most five characters: `612`, `61.2k`, `6.12M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size * 0.9995:
            value = number / size
            return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}{unit}"
    return f"{number:.0f}"


def clock(seconds: float | None) -> str:
    """Return a duration as `0:48` or `1:02:03`, or `-:--` if unknown."""
    if seconds is None or not math.isfinite(seconds):
        return "-:--"
    minutes, left = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def counted(number: float, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the singular where that is right: `1 thread`, `1,234 images`.

    Args:
        number: How many.
        noun: For exactly one.
        plural: For any other number; by default, with an s.
    """
    figure = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{figure} {noun if number == 1 else plural or f'{noun}s'}"


def ago(moment: float, now: float | None = None) -> str:
    """Return how long ago a moment was, in one unit: `3 min ago`."""
    seconds = max(0.0, (now or time.time()) - moment)
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
