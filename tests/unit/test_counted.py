"""Numbers with their nouns: the singular for exactly one, and only for that."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from supernet_cli.glyphs import counted


@pytest.mark.parametrize(
    ("number", "noun", "plural", "text"),
    [
        (0, "thread", "", "0 threads"),
        (1, "thread", "", "1 thread"),
        (2, "thread", "", "2 threads"),
        (15625, "path", "", "15,625 paths"),
        (1, "retry", "retries", "1 retry"),
        (3, "retry", "retries", "3 retries"),
        (1.0, "CPU", "", "1 CPU"),
        (0.5, "GPU", "", "0.5 GPUs"),
    ],
)
def test_a_number_has_its_noun_in_the_right_form(number: float, noun: str, plural: str, text: str) -> None:
    assert counted(number, noun, plural) == text


def test_a_single_thread_is_one_thread(supernet: Callable[..., tuple[int, str, str]], tiny_file: Path) -> None:
    _, out, _ = supernet("train", "--preset", tiny_file, "--dry-run", "--json")
    assert json.loads(out)["device"] == "cpu, 1 thread"
    _, _, err = supernet("train", "--preset", tiny_file, "--set", "train.epochs=1")
    assert "4 paths, 1 thread on cpu" in err
