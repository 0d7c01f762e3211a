"""Limits on paths as people write them: `macs=2M`, `parameters=100k`, `latency=0.3ms`, `weights=500kB`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Real

from supernet_cli.errors import UsageError, did_you_mean

_COUNTS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_SECONDS: dict[str, int | Decimal] = {"s": 1, "ms": Decimal("1e-3"), "us": Decimal("1e-6"), "µs": Decimal("1e-6")}
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

_UNITS: dict[str, Mapping[str, int | Decimal]] = {
    "parameters": _COUNTS,
    "macs": _COUNTS,
    "latency": _SECONDS,
    "weights": _BYTES,
}

LIMITED = tuple(_UNITS)
"""What can be limited: learned parameters, multiply-accumulates per image, seconds per image, bytes of weights."""

_EXAMPLES = {"parameters": "100k", "macs": "2M", "latency": "0.3ms", "weights": "500kB"}
_NUMBER = re.compile(r"(?P<number>\d+(\.\d*)?|\.\d+) ?(?P<unit>[a-zA-Zµ]*)")


def parse_limits(texts: Iterable[str]) -> dict[str, float]:
    """Return the largest value of each limited figure: a number, seconds or bytes.

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
        if name not in _UNITS:
            raise UsageError(f"--limit {text}: '{name}' cannot be limited.", did_you_mean(name, LIMITED))
        if name in limits:
            raise UsageError(f"--limit {text}: {name} is limited twice.", "Drop one of them.")
        limits[name] = parse_limit(name, value, f"--limit {text}")
    return limits


def parse_limit(name: str, value: str, where: str) -> float:
    """Return the largest value of a figure.

    Args:
        name: The figure.
        value: As it is written, such as `2M`.
        where: Where it is written, for errors.

    Raises:
        UsageError: It is no positive number, or has another unit.
    """
    like, units = _EXAMPLES[name], _UNITS[name]
    match = _NUMBER.fullmatch(value)
    if match is None or not match["number"].isascii():
        raise UsageError(f"{where}: '{value}' is no positive number.", f"Write it like {name}={like}.")
    if match["unit"] not in units:
        known = ", ".join(unit for unit in units if unit)
        unit = f"unknown unit '{match['unit']}'" if match["unit"] else "the unit is missing"
        more = ", or no unit" if "" in units else ""
        raise UsageError(f"{where}: {unit}.", f"Write it like {name}={like}. Units: {known}{more}.")
    number = float(Decimal(match["number"]) * units[match["unit"]])  # 1.001k is 1001, not a little less
    if not 0 < number < float("inf"):
        raise UsageError(f"{where}: '{value}' is no positive number.", f"Write it like {name}={like}.")
    return number


def amount(name: str, value: float) -> str:
    """Return a limited figure as people read it, with its unit: `2M`, `0.31 ms`, `96 kB`."""
    if name == "latency":
        return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"
    steps = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")) if name == "weights" else ((1e9, "G"), (1e6, "M"))
    for size, unit in steps:
        if value >= size:
            return f"{value / size:.4g} {unit}" if name == "weights" else f"{value / size:.4g}{unit}"
    return f"{value:,.0f}"


def exact(name: str, value: float) -> str:
    """Return a limited figure as it can be typed: the shortest text that `parse_limit` reads as the same value."""
    number = Decimal(repr(float(value)))
    texts = [f"{_plain(number / factor)}{unit}" for unit, factor in _UNITS[name].items() if unit.isascii()]
    return min((text for text in texts if parse_limit(name, text, "") == value), key=len, default=texts[0])


def _plain(number: Decimal) -> str:
    text = f"{number.normalize():f}"
    return text if len(text) <= 24 else f"{float(number):.17g}"


def check_limits(limits: Mapping[str, float | str]) -> dict[str, float]:
    """Return the largest value of each limited figure.

    Args:
        limits: Plain numbers (latency in seconds, weights in bytes), or texts with units, by figure.

    Raises:
        UsageError: There is no such figure, or a value is no positive number.
    """
    found = {}
    for name, value in limits.items():
        if name not in _UNITS:
            raise UsageError(f"'{name}' cannot be limited.", did_you_mean(name, LIMITED))
        if isinstance(value, str):
            found[name] = parse_limit(name, value, f"{name}={value}")
        elif isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < float("inf"):
            raise UsageError(f"{name}={value}: this is no positive number.", f"Write it like {name}={_EXAMPLES[name]}.")
        else:
            found[name] = float(value)
    return found
