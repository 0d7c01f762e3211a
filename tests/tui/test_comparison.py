"""The comparison in the monitor: the answer first, the names that every screen uses, whatever was stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import store_run

from supernet_cli.config.schema import Preset
from supernet_cli.reports.compare import compare
from supernet_cli.reports.labels import BASELINES, LABELS
from supernet_cli.reports.sheets import cost, measures
from supernet_cli.reports.summary import MARKS, summary
from supernet_cli.space import SearchSpace
from supernet_cli.tui.screens.compare import answer, figures, reasons, table

WIDTHS = [38, 57, 77, 117]


@pytest.fixture(scope="module")
def entry(tiny_preset: Preset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the entry of a run of 16 paths, two supernets and two stand-alone seeds."""
    paths = [str(path) for path in SearchSpace.from_config(tiny_preset.space).enumerate()]
    right = {path: 0.95 - 0.01 * place for place, path in enumerate(paths)}
    shared = {
        seed: {
            path: (right[path], 1 - right[path] + 0.02 * (seed ^ (place % 3 == 0))) for place, path in enumerate(paths)
        }
        for seed in (0, 1)
    }
    run = store_run(tmp_path_factory.mktemp("runs"), tiny_preset, shared, {0: right, 1: right})
    (found,) = compare([run])["runs"]
    return found


@pytest.fixture(scope="module")
def tiny_preset(tmp_path_factory: pytest.TempPathFactory) -> Preset:
    from supernet_cli.config.load import validate

    block = {"channels": 4, "pool": 1, "candidates": ["conv1x1", "conv3x3", "conv5x5", "conv7x7"]}
    return validate(
        {"data": {"dataset": "mnist", "validation": 100}, "space": {"hidden": 16, "blocks": [block, block]}},
        Path("tiny.toml"),
    )


def plain(rows: list[Any]) -> list[str]:
    return [row.plain for row in rows]


@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_with_word_reason_decision_and_command(entry: dict[str, Any], width: int) -> None:
    found = summary(entry)
    assert found is not None
    rows = plain(answer(entry, width))
    assert rows[0].startswith(f"{MARKS[found.word]} {found.word.upper()}  ")
    assert max(map(len, rows)) <= width
    text = "".join("".join(rows).split())
    for part in (found.reason, *(line.text for line in found.lines), found.purpose, found.command, found.weights):
        assert "".join(part.split()) in text


def test_its_figures_have_the_names_of_the_sheets(entry: dict[str, Any]) -> None:
    known = {row[0] for sheet in (measures(entry), cost(entry)) for row in sheet.rows}
    known |= {*BASELINES.values(), *(LABELS[key] for key in ("regret_at_1", "regret_at_3", "supernet_agreement"))}
    names = {row[:28].strip() for row in plain(figures(entry, 70))} - {"", "Cost"}
    names = {name for name in names if not name.startswith("Baselines")}
    assert names <= known
    assert {LABELS["kendall_tau_expected"], LABELS["tau_ceiling"], "multiply-accumulates"} <= names


@pytest.mark.parametrize("width", WIDTHS)
def test_figures_fit_and_keep_their_values(entry: dict[str, Any], width: int) -> None:
    rows = plain(figures(entry, width))
    if width < 66:
        assert max(map(len, rows)) <= width
    by_name = {LABELS["kendall_tau"]: f"{entry['kendall_tau']['mean']:.2f}", LABELS["tau_ceiling"]: "1.00"}
    for name, value in by_name.items():
        (row,) = [row for row in rows if row.startswith(f"{name} ")]
        assert f" {value}" in row


def test_reasons_name_their_figures() -> None:
    why = "Needs at least 8 paths; this comparison has 4."
    notes = {"kendall_tau_top_quarter.mean": why, "spearman_rho_top_quarter.mean": why, "tau_ceiling": 5}
    assert plain(reasons({"notes": notes})) == [f"τ in the best quarter, ρ in the best quarter: {why}"]
    assert reasons({"notes": ["of an earlier version"]}) == reasons({}) == []


def test_the_table_is_sorted_by_every_column_that_holds_something(entry: dict[str, Any]) -> None:
    heads, orders = [], []
    for order in range(6):
        rows = plain(table(entry, (), 110, order))
        heads.append(rows[0].removeprefix("Paths by ").partition("  ")[0])
        orders.append([row.split()[1] for row in rows[2:]])
    assert heads == ["accuracy", "alone", "val. loss", "diff.", "MACs", "path"]
    assert orders[5] == sorted(orders[5])
    macs = {row["path"]: row["macs"] for row in entry["rows"]}
    assert [macs[path] for path in orders[4]] == sorted(macs.values())
    assert "latency" in rows[1]
    old = {"rows": [{"path": "a", "stand_alone_test_accuracy": 0.5}, {"path": "b", "stand_alone_test_accuracy": 0.6}]}
    assert [row.split() for row in plain(table(old, (), 60, 0))[1:]] == [
        ["path", "alone"],
        ["1", "b", "60.00", "%"],
        ["2", "a", "50.00", "%"],
    ]


def test_an_answer_of_another_version_is_left_to_the_verdict(entry: dict[str, Any]) -> None:
    missing: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
        lambda found: {key: value for key, value in found.items() if key != "answer"},
        lambda found: {**found, "answer": None},
        lambda found: {**found, "answer": {**found["answer"], "word": "maybe"}},
        lambda found: {key: value for key, value in found.items() if key != "decision"},
        lambda found: {**found, "decision": {**found["decision"], "best": None}},
    ]
    assert answer(entry, 77)
    assert all(answer(change(entry), 77) == [] for change in missing)
