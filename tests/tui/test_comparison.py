"""The comparison in the monitor: the answer first, the names that every screen uses, whatever was stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import store_run
from textual.content import Content

from supernet_cli.config.schema import Preset
from supernet_cli.reports.compare import compare
from supernet_cli.reports.comparison import Comparison, PathRow, RunComparison, read_comparison
from supernet_cli.reports.sheets import Sheet, baselines, candidates, cost, disagreement, measures, regrets
from supernet_cli.reports.summary import MARKS, summary
from supernet_cli.space import SearchSpace
from supernet_cli.tui.screens.compare import answer, path_table, reasons
from supernet_cli.tui.sheets import fitted, sheet_lines

WIDTHS = [38, 57, 77, 117]


@pytest.fixture(scope="module")
def found(tiny_preset: Preset, tmp_path_factory: pytest.TempPathFactory) -> RunComparison:
    """Return the comparison of a run of 16 paths, two supernets and two stand-alone seeds."""
    paths = [str(path) for path in SearchSpace.from_config(tiny_preset.space).enumerate()]
    right = {path: 0.95 - 0.01 * place for place, path in enumerate(paths)}
    shared = {
        seed: {
            path: (right[path], 1 - right[path] + 0.02 * (seed ^ (place % 3 == 0))) for place, path in enumerate(paths)
        }
        for seed in (0, 1)
    }
    run = store_run(tmp_path_factory.mktemp("runs"), tiny_preset, shared, {0: right, 1: right})
    (found,) = compare([run]).runs
    return found


@pytest.fixture(scope="module")
def tiny_preset(tmp_path_factory: pytest.TempPathFactory) -> Preset:
    from supernet_cli.config.load import validate

    block = {"channels": 4, "pool": 1, "candidates": ["conv1x1", "conv3x3", "conv5x5", "conv7x7"]}
    return validate(
        {"data": {"dataset": "mnist", "validation": 100}, "space": {"hidden": 16, "blocks": [block, block]}},
        Path("tiny.toml"),
    )


def plain(rows: list[Content]) -> list[str]:
    return [row.plain for row in rows]


@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_with_word_reason_decision_and_command(found: RunComparison, width: int) -> None:
    first = summary(found)
    assert first is not None
    rows = plain(answer(found, width))
    assert rows[0].startswith(f"{MARKS[first.word]} {first.word.upper()}  ")
    assert max(map(len, rows)) <= width
    text = "".join("".join(rows).split())
    for part in (first.reason, *(text for _, text in first.lines), first.purpose, first.command, first.weights):
        assert "".join(part.split()) in text


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("make", [measures, baselines, regrets, disagreement, candidates, cost])
def test_tables_fit_and_keep_their_figures(
    found: RunComparison, make: Callable[[RunComparison], Sheet], width: int
) -> None:
    sheet = make(found)
    rows = plain(sheet_lines(sheet, width))
    assert max(map(len, rows)) <= width
    text = "".join("".join(rows).split())
    kept = fitted(sheet, width)
    assert [heading for heading in sheet.headings if heading not in (*kept.headings, *sheet.optional)] in ([], [""])
    for name, *figures in kept.without(("",)).rows:
        assert all(word in text for word in name.split())  # folded beside remarks
        assert all("".join(figure.split()) in text for figure in figures)


def test_remarks_are_folded_beside_their_figures(found: RunComparison) -> None:
    sheet = measures(found)
    rows = plain(sheet_lines(sheet, 80))
    assert max(map(len, rows)) <= 80
    assert len(rows) > 2 + len(sheet.rows)
    assert all("".join(row[-1].split()) in "".join("".join(rows).split()) for row in sheet.rows if len(row[-1]) < 20)


def test_reasons_name_their_figures(found: RunComparison) -> None:
    (rows,) = [row for row in plain(reasons(found)) if row.startswith("synflow as a baseline, NASWOT as a ")]
    assert "supernet evaluate" in rows


def test_the_table_is_sorted_by_every_column_that_holds_something(found: RunComparison) -> None:
    heads, orders = [], []
    for order in range(6):
        rows = plain(path_table(found.rows, (), 110, order))
        heads.append(rows[0].removeprefix("Paths by ").partition("  ")[0])
        orders.append([row.split()[1] for row in rows[2:]])
    assert heads == ["accuracy", "alone", "val. loss", "diff.", "MACs", "path"]
    assert orders[5] == sorted(orders[5])
    macs = {row.path: row.macs or 0 for row in found.rows}
    assert [macs[path] for path in orders[4]] == sorted(macs.values())
    assert "latency" in rows[1]
    narrow = plain(path_table(found.rows, (), 36, 0))
    assert (len(narrow), max(map(len, narrow)) <= 36, narrow[1].split()) == (18, True, ["path", "accuracy", "one-shot"])
    old = [PathRow(path="a", stand_alone_test_accuracy=0.5), PathRow(path="b", stand_alone_test_accuracy=0.6)]
    assert [row.split() for row in plain(path_table(old, (), 60, 0))[1:]] == [
        ["path", "alone"],
        ["1", "b", "60.00", "%"],
        ["2", "a", "50.00", "%"],
    ]


def test_an_answer_of_another_version_is_left_to_the_verdict(found: RunComparison) -> None:
    entry = Comparison(runs=(found,)).document()["runs"][0]
    missing: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
        lambda entry: {key: value for key, value in entry.items() if key != "answer"},
        lambda entry: {**entry, "answer": None},
        lambda entry: {**entry, "answer": {**entry["answer"], "word": "maybe"}},
        lambda entry: {**entry, "answer": {**entry["answer"], "next": 5}},
    ]
    assert answer(found, 77)
    for change in missing:
        comparison = read_comparison({"runs": [change(entry)]})
        assert comparison is not None
        (read,) = comparison.runs
        assert answer(read, 77) == []
        assert read.rows == tuple(row.model_copy(update={"losses": ()}) for row in found.rows)
