"""The study's page says what its data give."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "study"


def test_the_tables_of_the_study_are_what_its_data_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("figures", FOLDER / "figures.py")
    assert spec is not None
    assert spec.loader is not None
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    page = (FOLDER.parent / "study.md").read_text(encoding="utf-8")
    assert page.count("<!-- table: ") == len(list(figures._PLACE.finditer(page))) > 10
    assert figures.written(page) == page
