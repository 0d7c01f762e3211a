from __future__ import annotations

import subprocess
import sys

import pytest

from supernet_cli.reports.statistics.quantity import Quantity, needs


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_quantity_without_a_finite_value_or_a_reason_cannot_be_made(value: float | None) -> None:
    with pytest.raises(AssertionError):
        Quantity(value)


def test_importing_any_module_of_the_room_imports_neither_torch_nor_rich_nor_scipy() -> None:
    code = (
        "import importlib, pkgutil, sys, supernet_cli.reports as room;"
        "[importlib.import_module(found.name) for found in pkgutil.iter_modules(room.__path__, room.__name__ + '.')];"
        "heavy = ('torch', 'torchvision', 'rich', 'textual', 'typer', 'scipy', 'jinja2');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_is_needed_is_said_with_what_there_is() -> None:
    assert needs(2, "supernet seeds", 1) == "Needs at least 2 supernet seeds; this comparison has 1."
