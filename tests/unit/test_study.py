"""The study's page says what its data give."""

from __future__ import annotations

import pytest
from helpers import STUDY, study_script


def test_results_of_further_seeds_join_those_that_are_stored() -> None:
    joined = study_script("stored")._joined
    before = {"seeds": [0], "epochs": 3, "test": [[0.1], [0.2]], "loss": [[1.0]], "cost": {"macs": 5}}
    found = {
        "seeds": [1, 2],
        "epochs": 3,
        "test": [[0.3, 0.5], [0.4, 0.6]],
        "loss": [[2.0], [3.0]],
        "cost": {"macs": 7},
    }
    assert joined(before, found) == {
        "seeds": [0, 1, 2],
        "epochs": 3,
        "test": [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]],
        "loss": [[1.0], [2.0], [3.0]],
        "cost": {"macs": 12},
    }
    with pytest.raises(ValueError, match=r"seeds \[0\] are stored already"):
        joined(before, {**found, "seeds": [0, 1]})


@pytest.mark.parametrize("name", ["study.md", "study-lab.md"])
def test_the_tables_of_the_study_are_what_its_data_give(name: str) -> None:
    figures = study_script("figures")
    page = (STUDY.parent / name).read_text(encoding="utf-8")
    assert page.count("<!-- table: ") == len(list(figures._PLACE.finditer(page))) > 10
    assert figures.written(page) == page
