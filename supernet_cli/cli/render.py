"""Rows to Rich: the tables that commands print."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from supernet_cli.cli.output import printable
from supernet_cli.reports.sheets import Sheet

_MOST_SEEDS = 5  # that get a column each


def scores_table(rows: Iterable[dict[str, Any]], what: str, sort_by_mean: bool = True) -> Table:
    """Return paths with their accuracy under each seed, mean, spread and loss.

    Args:
        rows: Each `path`, `seed`, `accuracy`, `loss` and, where known, `trained_images`.
        what: What the accuracy is, for the heading.
        sort_by_mean: Best first; else in the order of the rows.
    """
    by_path: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_path[row["path"]].append(row)
    seeds = sorted({row["seed"] for group in by_path.values() for row in group})
    paths = sorted(by_path, key=lambda path: -_mean(by_path[path], "accuracy")) if sort_by_mean else list(by_path)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("path", no_wrap=True, overflow="fold")
    several = len(seeds) > 1
    counted = any("trained_images" in row for group in by_path.values() for row in group)
    for heading in [
        what,
        *(["± sd"] if several else []),
        *_seed_headings(seeds),
        "loss",
        *(["trained images"] if counted else []),
    ]:
        table.add_column(heading, justify="right", no_wrap=True)
    for path in paths:
        table.add_row(printable(path), *_cells(by_path[path], seeds))
    return table


def _cells(group: Sequence[dict[str, Any]], seeds: Sequence[int]) -> list[str]:
    accuracy = {row["seed"]: row["accuracy"] for row in group}
    cells = [percent(_mean(group, "accuracy"))]
    if len(seeds) > 1:
        values = list(accuracy.values())
        cells.append(f"{100 * statistics.stdev(values):.2f}" if len(values) > 1 else "")
    if 1 < len(seeds) <= _MOST_SEEDS:
        cells += [percent(accuracy[seed]) if seed in accuracy else "" for seed in seeds]
    losses = [row["loss"] for row in group if row["loss"] is not None]
    cells.append(f"{statistics.fmean(losses):.4f}" if losses else "n/a")
    trained = [row["trained_images"] for row in group if "trained_images" in row]
    if trained:
        cells.append(f"{statistics.fmean(trained):,.0f}")
    return cells


def columns(headings: Sequence[str], right: Sequence[str] = ()) -> Table:
    """Return an empty table with these headings, some of them for figures on the right."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=True, justify="right" if heading in right else "left")
    return table


def sheet_table(sheet: Sheet) -> RenderableType:
    """Return a sheet as a table that leaves out columns it can do without where the terminal is narrow."""
    return _Fitted(sheet)


class _Fitted:
    """A sheet drawn with as many of its columns as there is room for."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        sheet = self._sheet
        for kept in range(len(sheet.optional), -1, -1):
            shown = sheet.without(sheet.optional[: len(sheet.optional) - kept])
            if sum(_widths(shown)) <= options.max_width:
                break
        yield _sheet_table(shown)


def _widths(sheet: Sheet) -> list[int]:
    """Return the columns that each column of a sheet takes, its gap included; remarks fold and take little."""
    cells = zip(sheet.headings, *sheet.rows, strict=True)
    return [(20 if cells_of[0] == "" else max(map(len, cells_of))) + 2 for cells_of in cells]


def _sheet_table(sheet: Sheet) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading in sheet.headings:
        remark = heading == ""
        left = heading in sheet.words
        table.add_column(
            heading,
            justify="left" if left else "right",
            no_wrap=not remark,
            overflow="fold",
            style="dim" if remark else "",
        )
    for row in sheet.rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def facts(pairs: Iterable[tuple[str, str]]) -> Table:
    """Return names and values in two columns."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, Text(printable(value)))
    return table


def percent(fraction: float) -> str:
    """Return a fraction as per cent with two decimals."""
    return f"{100 * fraction:.2f} %"


def _seed_headings(seeds: Sequence[int]) -> list[str]:
    return [f"seed {seed}" for seed in seeds] if 1 < len(seeds) <= _MOST_SEEDS else []


def _mean(group: Sequence[dict[str, Any]], key: str) -> float:
    return statistics.fmean(row[key] for row in group)
