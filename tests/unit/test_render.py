"""Tables where columns are few: text folds, columns go, and no figure is cut."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console, RenderableType

from supernet_cli.cli.render import columns, scores_table, sheet_table
from supernet_cli.config.load import load_preset
from supernet_cli.reports.sheets import Sheet
from supernet_cli.store.runs import create_run

WIDTHS = [40, 60, 80, 120, 200]


def lines_of(renderable: RenderableType, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, highlight=False, color_system=None).print(renderable)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    return lines


def rows(path: str, seeds: int, trained: int | None = 123_456) -> list[dict[str, Any]]:
    row = {"path": path, "accuracy": 0.98765, "loss": 0.01234}
    return [row | {"seed": seed} | ({"trained_images": trained} if trained else {}) for seed in range(seeds)]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", ["conv3x3_conv5x5", "_".join(["conv3x3"] * 12)], ids=["short", "long"])
@pytest.mark.parametrize("seeds", [1, 2, 3, 5, 6])
def test_no_figure_is_cut_and_no_path_loses_a_letter(width: int, path: str, seeds: int) -> None:
    head, *body = lines_of(scores_table(rows(path, seeds), "validation"), width)
    figures = [line for line in body if "98.77 %" in line]
    assert head.split()[:2] == ["path", "validation"]
    assert head.endswith(("loss", "trained images"))
    assert len(figures) == 1
    assert figures[0].count("98.77 %") == 1 + head.count("seed")
    assert "0.0123" in figures[0]
    assert ("123,456" in figures[0]) == ("trained images" in head)
    assert "…" not in "".join(body)
    table = itertools.takewhile(lambda line: not line.startswith("No room for"), body)
    assert "".join(line.split()[0] for line in table) == path


@pytest.mark.parametrize(
    ("width", "seeds", "headings"),
    [
        (200, 3, ["± sd", "seed 0", "seed 2", "loss", "trained images"]),
        (80, 3, ["± sd", "seed 0", "seed 2", "loss"]),
        (80, 1, ["loss", "trained images"]),
        (80, 5, ["± sd", "loss", "trained images"]),
        (50, 5, ["± sd", "loss"]),
    ],
)
def test_columns_go_in_the_order_of_their_worth(width: int, seeds: int, headings: list[str]) -> None:
    head, *body = lines_of(scores_table(rows("conv3x3_conv5x5", seeds), "validation"), width)
    assert all(heading in head for heading in headings)
    for gone in {"± sd", "seed 0", "trained images"} - set(headings):
        assert gone not in head
    left_out = width < 200 and seeds > 1
    assert any(line.startswith("No room for: ") for line in body) == left_out


@pytest.mark.parametrize("width", [60, 80, 120])
def test_words_fold_in_every_column_and_figures_in_none(width: int) -> None:
    run = "20261126-010110-a-name-of-more-than-forty-letters-for-a-space"
    row = ("path-dropout", run, "\N{MINUS SIGN}0.06", "< 0.001", "5,000 forward images; uniform had 10,000.")
    sheet = Sheet("Strategies", ("sampler", "run", "Δτ vs. uniform", "p (Holm)", ""), (row,), ("sampler", "run", ""))
    head, *body = lines_of(sheet_table(sheet), width)
    assert head.split() == ["sampler", "run", "Δτ", "vs.", "uniform", "p", "(Holm)"]
    assert "\N{MINUS SIGN}0.06" in body[0]
    assert "< 0.001" in body[0]
    assert "…" not in "".join(body)
    start = head.index("run")
    assert "".join(line[start:].split("  ")[0].strip() for line in body) == run


def test_a_path_is_neither_markup_nor_control() -> None:
    _, line = lines_of(scores_table(rows("[red]a\x1b[2J", 1), "test"), 80)
    assert line.startswith("[red]a\\x1b[2J")


@pytest.mark.parametrize("width", [60, 80])
def test_a_long_text_goes_on_in_further_lines(width: int) -> None:
    table = columns(("preset", "from", "what it is"), folding=("what it is",))
    table.add_row("default", "supernet", "word " * 40 + "end")
    lines = lines_of(table, width)
    assert "…" not in "".join(lines)
    assert " ".join(lines).split().count("word") == 40
    assert lines[-1].endswith("end")


@pytest.mark.parametrize("width", ["60", "80"])
def test_lists_of_presets_and_runs_are_whole_on_a_narrow_terminal(
    supernet: Callable[..., tuple[int, str, str]], width: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr("supernet_cli.cli.console._PLAIN_WIDTH", int(width))
    name = "a-name-of-more-than-forty-letters-for-a-space-of-my-own"
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / f"{name}.toml").write_text("# What it is, at some length: " + "word " * 20 + "end\n")
    create_run(tmp_path / "runs", name, load_preset("quick").preset)
    _, out, _ = supernet("runs", "ls")
    assert ("…" in out, max(map(len, out.splitlines())) <= int(width)) == (False, True)
    assert re.sub(r"\s", "", out).count("created") == 1
    _, out, _ = supernet("preset", "ls")
    assert "…" not in out
    assert out.split().count("word") == 20
    assert max(map(len, out.splitlines())) <= int(width)
