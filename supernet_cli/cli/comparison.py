"""A comparison as `compare` and `experiment` print it: one screen, every figure, or a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.console import RenderableType

    from supernet_cli.cli.output import Output
    from supernet_cli.errors import SupernetError
    from supernet_cli.reports.comparison import Comparison, RunComparison
    from supernet_cli.reports.sheets import Sheet

Format = Literal["table", "json", "csv", "markdown", "html"]

_MOST_ROWS = 40
_LEADING = 5
"""Paths on the first screen."""

_COLOURS = {"trust": "green", "use with care": "yellow", "do not trust": "red", "not enough evidence": "cyan"}


def say_comparison(
    comparison: Comparison,
    voice: Output,
    form: Format = "table",
    sort: str | None = None,
    details: bool = False,
    error: SupernetError | None = None,
) -> None:
    """Print a comparison.

    Args:
        comparison: The comparison.
        voice: How to speak.
        form: In which format.
        sort: The column to sort paths by.
        details: Whether to print every figure.
        error: What went wrong before; it becomes part of the document.

    Raises:
        UsageError: There is no such column.
    """
    from supernet_cli.cli.output import error_document
    from supernet_cli.reports.export import as_csv, as_markdown, sort_rows

    comparison = sort_rows(comparison, sort)
    document = comparison.document() | (error_document(error) if error else {})
    if voice.json or form == "json":
        voice.text(as_json(document))
    elif form == "csv":
        voice.text(as_csv(comparison))
    elif form == "markdown":
        voice.text(as_markdown(comparison))
    else:
        voice.result(document, *_rendered(comparison, details))
        for missing in (missing for run in comparison.runs for missing in run.missing):
            voice.note(f"missing: {missing.what}" + (f": {missing.command}" if missing.command else ""))


def as_json(document: dict[str, Any]) -> str:
    """Return a document as the commands print it."""
    import json

    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _rendered(comparison: Comparison, details: bool) -> list[RenderableType]:
    """Return what a person reads: one screen, or every figure."""
    from rich.text import Text

    from supernet_cli.cli.render import sheet_table
    from supernet_cli.reports.sheets import leading, overview, sheets, strategies

    several = len(comparison.runs) > 1
    tables = [overview(comparison)] if several else []
    tables += [strategies(comparison)] if comparison.strategies else []
    parts: list[RenderableType] = [*_titled(tables)]
    for run in comparison.runs if details or not several else ():
        parts += [_answer(run, named=several), ""]
        shown = sheets(run, _MOST_ROWS) if details else [leading(run, _LEADING)]
        parts += _titled(shown) if details else [sheet_table(shown[0])]
        if details:
            parts += [Text(run.verdict), ""]
    if not details:
        parts.append(Text("In brackets: 95 % intervals. Every figure: --details, or --format html.", style="dim"))
    return parts if parts[-1] else parts[:-1]


def _titled(tables: Sequence[Sheet]) -> Iterator[RenderableType]:
    from rich.text import Text

    from supernet_cli.cli.render import sheet_table

    for sheet in tables:
        yield from (Text(sheet.title, style="bold"), sheet_table(sheet), "")


def _answer(run: RunComparison, named: bool) -> RenderableType:
    """Return the answer of one run: the word, the reason, the decision, and what to do next.

    Args:
        run: The run's comparison.
        named: Whether it says which run it is.
    """
    from rich.console import Group
    from rich.text import Text

    from supernet_cli.cli.console import printable
    from supernet_cli.cli.render import facts
    from supernet_cli.reports.summary import MARKS, summary

    found = summary(run)
    assert found is not None  # just made
    head = Text(f"{run.run}  " if named else "", style="bold")
    head.append(f"{MARKS[found.word]} {found.word.upper()}", style=f"bold {_COLOURS[found.word]}")
    head.append(f"  {printable(found.reason)}")
    lines = [*found.lines, ("next", found.purpose + (":" if found.command else ""))]
    lines += [("its weights", found.weights)] if found.weights else []
    parts: list[RenderableType] = [head, "", facts(lines)]
    if found.command:
        parts.append(Text(f"  {printable(found.command)}", style="bold"))
    return Group(*parts)
