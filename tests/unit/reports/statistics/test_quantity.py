from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from supernet_cli.reports.statistics.quantity import Booleans, Interval, Quantity, document, needs, unknown


@dataclass(frozen=True)
class Result:
    p: Quantity
    each: tuple[Quantity, ...]
    bounds: Interval
    mask: Booleans
    count: int


RESULT = Result(
    Quantity(0.5, "Half."),
    (Quantity(1.0), unknown("Too few.")),
    Interval(Quantity(0.0), unknown("No end.")),
    np.eye(2, dtype=bool),
    3,
)


def test_a_document_holds_null_for_what_is_unknown_and_says_why() -> None:
    fields, notes = document(RESULT, "test")
    assert json.loads(json.dumps(fields)) == {
        "p": 0.5,
        "each": [1.0, None],
        "bounds": {"low": 0.0, "high": None},
        "count": 3,
    }
    assert notes == {"test.p": "Half.", "test.each.1": "Too few.", "test.bounds.high": "No end."}


def test_results_under_names_and_bare_quantities_become_documents_too() -> None:
    fields, notes = document({"a": unknown("No."), "b": None})
    assert fields == {"a": None, "b": None}
    assert notes == {"a": "No."}
    assert document(unknown("No."), "t1") == (None, {"t1": "No."})


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_quantity_without_a_finite_value_or_a_reason_cannot_be_made(value: float | None) -> None:
    with pytest.raises(AssertionError):
        Quantity(value)


def test_importing_any_module_of_the_room_imports_neither_torch_nor_rich_nor_scipy() -> None:
    code = (
        "import importlib, pkgutil, sys, supernet_cli.reports as room;"
        "[importlib.import_module(found.name) for found in pkgutil.iter_modules(room.__path__, room.__name__ + '.')];"
        "print([name for name in ('torch', 'torchvision', 'rich', 'textual', 'typer', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_is_needed_is_said_with_what_there_is() -> None:
    assert needs(2, "supernet seeds", 1) == "Needs at least 2 supernet seeds; this comparison has 1."
