"""Limits on paths as people write them: `macs=2M`, `parameters=100k`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from supernet_cli.errors import UsageError, did_you_mean

LIMITED = ("parameters", "macs")
"""What can be limited."""

_FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_NUMBER = re.compile(r"(?P<number>\d+(\.\d*)?|\.\d+)(?P<unit>[a-zA-Z]*)", re.ASCII)


def parse_limits(texts: Iterable[str]) -> dict[str, float]:
    """Return the largest value of each limited figure.

    Args:
        texts: Such as `macs=2M`.

    Raises:
        UsageError: One is not understood, or limits what another limits.
    """
    limits: dict[str, float] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise UsageError(f"--limit {text}: expected a name and a value.", "Write it like macs=2M.")
        if name not in LIMITED:
            raise UsageError(f"--limit {text}: '{name}' cannot be limited.", did_you_mean(name, LIMITED))
        if name in limits:
            raise UsageError(f"--limit {text}: {name} is limited twice.", "Drop one of them.")
        limits[name] = _value(text, value)
    return limits


def _value(text: str, value: str) -> float:
    match = _NUMBER.fullmatch(value)
    if match is None:
        raise UsageError(f"--limit {text}: '{value}' is no positive number.", "Write it like 2M, 1.5M or 100k.")
    if match["unit"] not in _FACTORS:
        raise UsageError(f"--limit {text}: unknown unit '{match['unit']}'.", "Use k, M or G, or no unit.")
    number = float(Decimal(match["number"]) * _FACTORS[match["unit"]])  # 1.001k is 1001, not a little less
    if number == 0:
        raise UsageError(f"--limit {text}: '{value}' is no positive number.", "Write it like 2M, 1.5M or 100k.")
    return number
