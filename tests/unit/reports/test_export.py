"""A comparison in other formats: sorted, as CSV and as Markdown."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import store_run
from ladders import entry_of, ladder, read, scored

from supernet_cli.config.schema import Preset
from supernet_cli.errors import UsageError
from supernet_cli.reports.compare import compare
from supernet_cli.reports.export import as_csv, as_markdown, sort_rows
from supernet_cli.store.run import Run


def test_rows_are_sorted_by_any_column(whole: Run) -> None:
    comparison = compare([whole])
    rows = sort_rows(comparison, None).runs[0].rows
    by_accuracy = [row.stand_alone_test_accuracy or 0.0 for row in rows]
    assert by_accuracy == sorted(by_accuracy, reverse=True)
    rows = sort_rows(comparison, "one_shot_validation_loss").runs[0].rows
    by_loss = [row.one_shot_validation_loss or 0.0 for row in rows]
    assert by_loss == sorted(by_loss)
    with pytest.raises(UsageError, match="no such column") as caught:
        sort_rows(comparison, "parametres")
    assert "'parameters'" in caught.value.hint


def test_csv_holds_every_row_and_leaves_the_unknown_empty(tmp_path: Path, lab: Preset) -> None:
    import csv

    some = dict(list(ladder(lab).items())[:3])
    run = store_run(tmp_path, lab, {0: scored(ladder(lab))}, {0: some}, how="named")
    rows = list(csv.DictReader(as_csv(compare([run])).splitlines()))
    assert len(rows) == 16
    assert {row["run"] for row in rows} == {run.id}
    assert float(rows[0]["stand_alone_test_accuracy"]) == some[rows[0]["path"]]
    assert rows[-1]["stand_alone_test_accuracy"] == ""


def test_markdown_escapes_what_would_break_its_tables(whole: Run) -> None:
    entry = entry_of(whole)
    entry["rows"][0]["path"] = "a|b<c>"
    text = as_markdown(read(entry))
    assert "| a\\|b&lt;c> |" in text
    table = [line for line in text.splitlines() if line.startswith("| conv")]
    assert len({line.count("|") for line in table}) == 1
