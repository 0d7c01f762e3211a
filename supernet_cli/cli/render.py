"""The tables that commands print. On narrow terminals text folds and columns are dropped; no figure is cut."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from supernet_cli.cli.console import printable
from supernet_cli.glyphs import counted
from supernet_cli.reports.formats import percent
from supernet_cli.reports.sheets import Sheet
from supernet_cli.space.names import Blocks, legend, short_names
from supernet_cli.store.ranking import RankKey, rank_key

_TRAINED = "trained images"
_MOST_ROWS = 40
_MOST_SEEDS = 5  # that get a column each
_NARROWEST_PATH = 16  # columns, before others go
_NARROWEST_WORDS = 12
_NARROWEST_REMARK = 24


def scores_table(rows: Iterable[dict[str, Any]], what: str) -> RenderableType:
    """Return paths with their accuracy for each seed, mean, spread and loss, the best first by mean loss.

    If there is no room, the column of trained images is dropped first, then those of the seeds.

    Args:
        rows: Each has `path`, `seed`, `accuracy`, `loss` and, if known, `trained_images`.
        what: Heading of the accuracy.
    """
    by_path: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_path[row["path"]].append(row)
    seeds = sorted({row["seed"] for group in by_path.values() for row in group})
    paths = sorted(by_path, key=lambda path: _rank(path, by_path[path]))
    hidden, paths = len(paths[_MOST_ROWS:]), paths[:_MOST_ROWS]
    figures = [_cells(by_path[path], what, seeds) for path in paths]
    headings = list(dict.fromkeys(heading for cells in figures for heading in cells))
    lines = [
        [printable(path), *(cells.get(h, "") for h in headings)] for path, cells in zip(paths, figures, strict=True)
    ]
    per_seed = [f"seed {seed}" for seed in seeds]
    sacrifices: tuple[list[str], ...] = ([], [_TRAINED], per_seed, [_TRAINED, *per_seed])
    table = _Fitted(["path", *headings], lines, sacrifices, words=["path"])
    return Group(table, Text(f"… and {counted(hidden, 'more path')}; --json has all.")) if hidden else table


@dataclass(frozen=True)
class _Fitted:
    """A table that drops columns if there is no room for them.

    Args:
        headings: Headings of all columns; that of remarks is empty.
        lines: A cell for each heading.
        sacrifices: Sets of headings to drop; the first set that makes enough room is used, or else the last.
        words: Headings of text columns, which fold; the others hold figures, which never do.
        blocks: Labels of each block's candidates. With them, paths in the first column have short names where their
            own do not fit, and a legend says what these mean.
    """

    headings: Sequence[str]
    lines: Sequence[Sequence[str]]
    sacrifices: Sequence[Sequence[str]]
    words: Sequence[str]
    blocks: Blocks = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        left_out = next((gone for gone in self.sacrifices if self._fits(options.max_width, gone)), self.sacrifices[-1])
        paths = [line[0] for line in self.lines]
        names = self._names(options.max_width - self._beside_paths(options.max_width, left_out))
        yield self._table(left_out, names)
        if names != paths and (meanings := legend(paths, self.blocks)):
            yield Text(meanings, style="dim")
        missing = [heading for heading in self.headings if heading in left_out]
        if missing:
            yield Text(f"No room for: {', '.join(missing)} (see --json)", style="dim")

    def _fits(self, width: int, left_out: Sequence[str]) -> bool:
        return self._narrowest(0, width) + self._beside_paths(width, left_out) <= width

    def _beside_paths(self, width: int, left_out: Sequence[str]) -> int:
        """Return how many columns everything but the first column needs."""
        kept = [index for index, heading in enumerate(self.headings) if heading not in left_out]
        return sum(2 + self._narrowest(index, width) for index in kept if index > 0)

    def _names(self, room: int) -> list[str]:
        """Return what the first column shows if it has so much room."""
        paths = [line[0] for line in self.lines]
        if not self.blocks or max(map(cell_len, paths), default=0) <= room:
            return paths
        names = short_names(list(dict.fromkeys(paths)), room, self.blocks)
        return [names[path] for path in paths]

    def _narrowest(self, index: int, width: int) -> int:
        """Return how narrow a column may get on a terminal of some width."""
        heading = self.headings[index]
        longest = max(cell_len(line[index]) for line in (self.headings, *self.lines))
        if not self._folds(heading):
            return longest
        least = max(_NARROWEST_PATH, width // 3) if index == 0 else _NARROWEST_WORDS
        if index == 0 and self.blocks:
            longest = max(map(cell_len, (heading, *self._names(least))))
        return min(longest, least if heading else _NARROWEST_REMARK)

    def _folds(self, heading: str) -> bool:
        return heading in self.words or not heading

    def _table(self, left_out: Sequence[str], names: Sequence[str]) -> Table:
        kept = [index for index, heading in enumerate(self.headings) if heading not in left_out]
        headings = [self.headings[index] for index in kept]
        right = [heading for heading in headings if not self._folds(heading)]
        table = columns(headings, right, folding=[heading for heading in headings if self._folds(heading)])
        for name, line in zip(names, self.lines, strict=True):
            cells = [name, *line[1:]]
            table.add_row(*(Text(cells[index], style="" if self.headings[index] else "dim") for index in kept))
        return table


def _cells(group: Sequence[dict[str, Any]], what: str, seeds: Sequence[int]) -> dict[str, str]:
    """Return a path's figures by heading, in order."""
    accuracy = {row["seed"]: row["accuracy"] for row in group}
    cells = {what: percent(_mean(group, "accuracy"))}
    if len(seeds) > 1:
        values = list(accuracy.values())
        cells["± sd"] = f"{100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    if 1 < len(seeds) <= _MOST_SEEDS:
        cells |= {f"seed {seed}": percent(accuracy[seed]) if seed in accuracy else "" for seed in seeds}
    losses = [row["loss"] for row in group if row["loss"] is not None]
    cells["loss"] = f"{statistics.fmean(losses):.4f}" if losses else "n/a"
    trained = [row["trained_images"] for row in group if "trained_images" in row]
    return cells | ({_TRAINED: f"{statistics.fmean(trained):,.0f}"} if trained else {})


def columns(headings: Sequence[str], right: Sequence[str] = (), folding: Sequence[str] = ()) -> Table:
    """Return an empty table with these headings.

    Args:
        headings: From left to right.
        right: Headings of columns aligned right.
        folding: Headings of text columns, which continue on further lines if the terminal is narrow.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(
            heading,
            no_wrap=heading not in folding,
            justify="right" if heading in right else "left",
            overflow="fold" if heading in folding else "ellipsis",
        )
    return table


def sheet_table(sheet: Sheet, blocks: Blocks = ()) -> RenderableType:
    """Return a sheet as a table that drops its optional columns on a narrow terminal.

    Args:
        sheet: The sheet.
        blocks: Labels of each block's candidates, if its first column holds paths that may be abbreviated.
    """
    sacrifices = [sheet.optional[:count] for count in range(len(sheet.optional) + 1)]
    lines = [[printable(cell) for cell in row] for row in sheet.rows]
    return _Fitted(sheet.headings, lines, sacrifices, sheet.words, blocks)


def facts(pairs: Iterable[tuple[str, str]]) -> Table:
    """Return names and values in two columns."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(Text(printable(name)), Text(printable(value)))
    return table


def _rank(path: str, group: Sequence[dict[str, Any]]) -> RankKey:
    losses = [row["loss"] for row in group]
    loss = None if any(value is None for value in losses) else statistics.fmean(losses)
    return rank_key(loss, _mean(group, "accuracy"), path)


def _mean(group: Sequence[dict[str, Any]], key: str) -> float:
    return statistics.fmean(row[key] for row in group)
