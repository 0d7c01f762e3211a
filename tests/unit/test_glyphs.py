"""Numbers and counts as people read them."""

from __future__ import annotations

import pytest

from supernet_cli.glyphs import counted, number


@pytest.mark.parametrize(
    ("count", "words", "expected"),
    [
        (1, ("thread",), "1 thread"),
        (0, ("path",), "0 paths"),
        (1024, ("path",), "1,024 paths"),
        (1, ("class", "classes"), "1 class"),
        (2, ("class", "classes"), "2 classes"),
    ],
)
def test_one_thing_is_counted_in_the_singular(count: int, words: tuple[str, ...], expected: str) -> None:
    assert counted(count, *words) == expected


@pytest.mark.parametrize(
    ("value", "spec", "expected"),
    [
        (-1 / 3, "z.2f", "−0.33"),
        (1 / 3, "z.2f", "0.33"),
        (-0.001, "z.2f", "0.00"),
        (-0.5, "+z.1f", "−0.5"),
        (0.5, "+z.1f", "+0.5"),
    ],
)
def test_a_negative_number_has_a_true_minus_sign_and_zero_has_none(value: float, spec: str, expected: str) -> None:
    assert number(value, spec) == expected
