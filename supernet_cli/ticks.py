"""Ticks of a chart's axes: round numbers whose labels are exact, fit their room and never touch each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

_MOST = 6
"""Ticks of an axis that are still easy to read."""

_LONGEST_FIXED = 6  # characters of a label, beyond which a power of ten may be shorter
_LARGEST_EXPONENT = 300  # of a number that a float holds with room to spare


@dataclass(frozen=True)
class Ticks:
    """Ticks of one axis.

    Args:
        positions: Where they are, in the axis's coordinates.
        labels: What is written there.
    """

    positions: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()


Choices = Callable[[float, float], Iterator[Ticks]]
"""Yields possible ticks of an axis from one limit to another, from many ticks to few."""


def most(choices: Choices, low: float, high: float, fitting: Callable[[Ticks], Ticks]) -> Ticks:
    """Return the most ticks that can be read, several if possible; none where no label fits.

    Args:
        choices: Possible ticks.
        low: The axis begins here.
        high: And ends here.
        fitting: Returns those ticks of a choice whose labels can be read, none if labels would touch each other.
    """
    found = [fitting(ticks) for ticks in choices(low, high)]
    several = (ticks for ticks in found if len(ticks.positions) > 1)
    return next(several, None) or next((ticks for ticks in found if ticks.positions), Ticks())


def side_by_side(ticks: Ticks, begin: Callable[[float, str], int], columns: int) -> Ticks:
    """Return the ticks whose labels are inside a row; none if there is no blank between any two.

    Args:
        ticks: The ticks.
        begin: Returns the column where the label of a position begins.
        columns: Width of the row.
    """
    free, kept = 0, []
    for position, label in zip(ticks.positions, ticks.labels, strict=True):
        first = begin(position, label)
        if first < 0 or first + len(label) > columns:
            continue
        if first < free:
            return Ticks()
        free = first + len(label) + 1
        kept.append((position, label))
    return Ticks(tuple(position for position, _ in kept), tuple(label for _, label in kept))


def linear(low: float, high: float) -> Iterator[Ticks]:
    """Yield round numbers between two limits, from many to few."""
    for numbers in _round_numbers(low, high):
        yield Ticks(tuple(map(float, numbers)), _even(numbers))


def whole_steps(low: float, high: float) -> Iterator[Ticks]:
    """Yield whole numbers between two limits, labelled `500`, `1.5k`, `2M`."""
    for numbers in _round_numbers(low, high, Decimal(1)):
        yield Ticks(tuple(map(float, numbers)), _with_units(numbers))


def logarithmic(low: float, high: float) -> Iterator[Ticks]:
    """Yield numbers between two limits that are logarithms: 1, 2 and 5 of each decade, or round ones in between."""
    if not -_LARGEST_EXPONENT < low < high < _LARGEST_EXPONENT:
        return
    for numbers in _decades(low, high):
        yield Ticks(_logarithms(numbers), tuple(map(_shortest, numbers)))
    for numbers in _round_numbers(10**low, 10**high):
        positive = tuple(number for number in numbers if number > 0 and low <= math.log10(number) <= high)
        yield Ticks(_logarithms(positive), _even(positive))


def _logarithms(numbers: Sequence[Decimal]) -> tuple[float, ...]:
    return tuple(math.log10(number) for number in numbers)


def _decades(low: float, high: float) -> Iterator[tuple[Decimal, ...]]:
    """Yield 1, 2 and 5 of each decade; then 1 and 3, powers of ten, every second power, and so on."""
    exponents = range(math.floor(low), math.ceil(high) + 1)
    for digits, every in (((1, 2, 5), 1), ((1, 3), 1), *(((1,), every) for every in (1, 2, 3, 5, 10, 20, 50, 100))):
        numbers = (Decimal(digit).scaleb(e) for e in exponents if e % every == 0 for digit in digits)
        inside = tuple(number for number in numbers if low <= math.log10(number) <= high)
        if (3 if len(digits) > 1 else 2) <= len(inside) <= _MOST:
            yield inside


def _round_numbers(low: float, high: float, least: Decimal | None = None) -> Iterator[tuple[Decimal, ...]]:
    """Yield the multiples of 1, 2 and 5 times a power of ten between two limits, from many to few.

    Args:
        low: The lower limit.
        high: The upper limit.
        least: The smallest distance between two ticks; None for any.
    """
    if not (low < high and math.isfinite(high - low) and high - low > 0):
        return
    exponent = math.floor(math.log10(high - low)) - 1
    while True:
        for digit in (1, 2, 5):
            distance = Decimal(digit).scaleb(exponent)
            if least is not None and distance < least:
                continue
            numbers = _multiples(low, high, distance)
            if 0 < len(numbers) <= _MOST:
                yield numbers
            if len(numbers) <= 1:
                return
        exponent += 1


def _multiples(low: float, high: float, distance: Decimal) -> tuple[Decimal, ...]:
    first, last = math.ceil(Decimal(low) / distance), math.floor(Decimal(high) / distance)
    numbers = (distance * count for count in range(first, last + 1))
    return tuple(number for number in numbers if low <= float(number) <= high)


def _even(numbers: Sequence[Decimal]) -> tuple[str, ...]:
    """Return exact labels with as many decimals each, or as powers of ten where that is shorter."""
    decimals = max((_decimals(number) for number in numbers), default=0)
    fixed = tuple(f"{number:.{decimals}f}" for number in numbers)
    if max(map(len, fixed), default=0) <= _LONGEST_FIXED:
        return fixed
    powers = tuple(map(_power, numbers))
    return min(fixed, powers, key=lambda labels: max(map(len, labels)))


def _shortest(number: Decimal) -> str:
    """Return a number in full, or as a power of ten where that is shorter and the number is long."""
    fixed = f"{number:.{_decimals(number)}f}"
    return fixed if len(fixed) <= _LONGEST_FIXED else min(fixed, _power(number), key=len)


def _power(number: Decimal) -> str:
    """Return a number as `5e-7`, with all its digits."""
    sign, digits, exponent = number.normalize().as_tuple()
    assert isinstance(exponent, int)
    if not number:
        return "0"
    first, rest = digits[0], "".join(map(str, digits[1:]))
    return f"{'-' if sign else ''}{first}{'.' if rest else ''}{rest}e{exponent + len(rest)}"


def _decimals(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def _with_units(numbers: Sequence[Decimal]) -> tuple[str, ...]:
    """Return whole numbers with units, or in full where two decimals of a unit are not exact."""
    labels = tuple(map(_with_unit, numbers))
    return labels if all(map(bool, labels)) else tuple(f"{number:.0f}" for number in numbers)


def _with_unit(number: Decimal) -> str:
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k"), (1, "")):
        if abs(number) >= size:
            value = number / size
            return f"{value:.{_decimals(value)}f}{unit}" if _decimals(value) <= 2 else ""
    return "0"
