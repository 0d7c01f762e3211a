"""The tables of a comparison as lines of text: what does not fit is folded or dropped, and no figure is cut."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from textual.content import Content

from supernet_cli.reports.sheets import Sheet
from supernet_cli.tui.draw import MUTED, clean, line

_GAP = 2
_REMARK, _NAME = 24, 20
"""Columns that a remark, and a name beside one, have at least."""


def sheet_lines(sheet: Sheet, width: int, more: str = "") -> list[Content]:
    """Return a table with its title.

    Args:
        sheet: The table; a column without a heading holds remarks.
        width: Columns available.
        more: What stands beside the title.
    """
    sheet = fitted(sheet, width)
    title = [line((part, "bold")) for part in folded(sheet.title, width)]
    title = [*title[:-1], line(title[-1], (more, MUTED))]
    widths = _widths(sheet, width)
    if _needed(widths) > width:
        return [*title, *_stacked(sheet, width)]
    rows = [*title, *(line((text, MUTED)) for text, _ in _joined(sheet.headings, sheet, widths))]
    for row in sheet.rows:
        rows += [line(figures, (remark, MUTED)) for figures, remark in _joined(row, sheet, widths)]
    return rows


def _stacked(sheet: Sheet, width: int) -> list[Content]:
    """Return a table whose columns are below each other."""
    rows = []
    for first, *cells in sheet.rows:
        rows += [line((part, MUTED)) for part in folded(first, width)]
        rows += [
            line((f"  {head.strip()}  ", MUTED), cell) for head, cell in zip(sheet.headings[1:], cells, strict=True)
        ]
    return rows


def fitted(sheet: Sheet, width: int) -> Sheet:
    """Return a table without its optional columns and remarks, as far as there is no room for them."""
    dropped = [sheet.optional[:count] for count in range(len(sheet.optional) + 1)]
    fewer = [sheet.without(some) for some in (*dropped, (*sheet.optional, ""))]
    return next((some for some in fewer if _needed(_widths(some, width)) <= width), fewer[-1])


def _widths(sheet: Sheet, width: int) -> list[int]:
    """Return the widths of a table's columns; beside remarks, which get what is left, names are folded."""
    widths = [max(map(len, cells)) for cells in zip(sheet.headings, *sheet.rows, strict=True)]
    if "" not in sheet.headings:
        return widths
    widths[0] = min(widths[0], max(_NAME, width // 3))
    return [*widths[:-1], max(_REMARK, width - _needed(widths[:-1]) - _GAP)]


def _needed(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _joined(cells: Sequence[str], sheet: Sheet, widths: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Yield lines of cells beside each other, words to the left and figures to the right; and of the remark."""
    with_remarks = sheet.headings[-1] == ""
    names = folded(cells[0], widths[0]) if with_remarks else [cells[0]]
    remarks = folded(cells[-1], widths[-1]) if with_remarks else []
    figures = cells[1:-1] if with_remarks else cells[1:]
    for place, (name, remark) in enumerate(zip_longest(names, remarks, fillvalue="")):
        shown = [name, *(("" for _ in figures) if place else figures)]
        columns = zip(shown, sheet.headings, widths, strict=False)
        aligned = (f"{cell:<{w}}" if head in sheet.words else f"{cell:>{w}}" for cell, head, w in columns)
        text = (" " * _GAP).join(aligned)
        yield (text + " " * _GAP, remark) if remark else (text.rstrip(), "")


def folded(text: str, width: int) -> list[str]:
    """Return a text in lines, none of which ends within an equation, before a unit or in a file's name."""
    glued = re.sub(r" (?=[=%])|(?<==) |(?<=\d) (?=(?:ms|[MGTP])\b)", "\N{NO-BREAK SPACE}", clean(text))
    return [part.replace("\N{NO-BREAK SPACE}", " ") for part in textwrap.wrap(glued, width, break_on_hyphens=False)]
