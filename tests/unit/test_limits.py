from __future__ import annotations

import pytest

from supernet_cli.config.limits import parse_limits
from supernet_cli.errors import UsageError


def test_limits_are_read_with_their_units() -> None:
    assert parse_limits(["macs=2M", " parameters = 1.5k "]) == {"macs": 2e6, "parameters": 1500.0}
    assert parse_limits(["macs=12"]) == {"macs": 12.0}
    assert parse_limits(["macs=.5G"]) == {"macs": 5e8}
    assert parse_limits(["macs=1.001k"]) == {"macs": 1001.0}
    assert parse_limits([]) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("macs", "expected a name and a value"),
        ("mac=2M", "'mac' cannot be limited"),
        ("macs=", "no positive number"),
        ("macs=0", "no positive number"),
        ("macs=-1", "no positive number"),
        ("macs=1e400", "no positive number"),
        ("macs=2m", "unknown unit 'm'"),
        ("macs=inf", "no positive number"),
        ("macs=٣M", "no positive number"),
    ],
)
def test_a_limit_that_is_not_understood_is_refused_with_an_example(text: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_limits([text])
    assert words in raised.value.message
    assert text in raised.value.message
    assert raised.value.hint


def test_a_figure_cannot_be_limited_twice() -> None:
    with pytest.raises(UsageError, match="limited twice"):
        parse_limits(["macs=1M", "macs=2M"])
