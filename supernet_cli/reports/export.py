"""A comparison as CSV or Markdown; JSON is the document itself."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from supernet_cli.errors import UsageError, did_you_mean
from supernet_cli.reports.comparison import Comparison, PathRow
from supernet_cli.reports.sheets import Sheet, overview, sheets, strategies

_ASCENDING = {
    "path",
    "one_shot_validation_loss",
    "stand_alone_test_loss",
    "parameters",
    "macs",
    "latency_seconds",
    "seconds",
}


def check_column(column: str) -> None:
    """Make sure that rows have a field.

    Raises:
        UsageError: They do not.
    """
    known = [name for name, field in PathRow.model_fields.items() if not field.exclude]
    if column not in known:
        raise UsageError(f"--sort {column}: there is no such column.", did_you_mean(column, known))


def sort_rows(comparison: Comparison, column: str | None) -> Comparison:
    """Return the comparison with each run's rows sorted; rows without a value come last.

    Args:
        comparison: Of some runs.
        column: A field of the rows (default: stand-alone accuracy). Accuracies are sorted from the highest, losses and
            costs from the lowest.

    Raises:
        UsageError: The rows have no such field.
    """
    column = column or "stand_alone_test_accuracy"
    check_column(column)

    def ordered(rows: Sequence[PathRow]) -> tuple[PathRow, ...]:
        valued = [(dict(row)[column], row) for row in rows]
        there = [pair for pair in valued if pair[0] is not None]
        there.sort(key=lambda pair: pair[0], reverse=column not in _ASCENDING)
        return (*(row for _, row in there), *(row for value, row in valued if value is None))

    runs = tuple(run.model_copy(update={"rows": ordered(run.rows)}) for run in comparison.runs)
    return comparison.model_copy(update={"runs": runs})


def as_csv(comparison: Comparison) -> str:
    """Return the rows of all runs as CSV, the run first; units as in the document, unknown values empty."""
    stream = io.StringIO()
    rows = [{"run": run.run, **row.model_dump()} for run in comparison.runs for row in run.rows]
    writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def as_markdown(comparison: Comparison) -> str:
    """Return the verdict and all tables of each run as Markdown."""
    parts = []
    if len(comparison.runs) > 1:
        parts.append(_table(overview(comparison)))
    if comparison.strategies:
        parts.append(_table(strategies(comparison)))
    for run in comparison.runs:
        parts += [f"# {_escaped(run.run)}", run.verdict, *map(_table, sheets(run))]
        for missing in run.missing:
            parts.append(f"Missing: {missing.what}." + (f" `{missing.command}`" if missing.command else ""))
    return "\n\n".join(parts) + "\n"


def _table(sheet: Sheet) -> str:
    lines = [
        f"## {sheet.title}",
        "",
        _line(sheet.headings),
        _line(tuple("---" if heading in sheet.words else "---:" for heading in sheet.headings)),
        *map(_line, sheet.rows),
    ]
    return "\n".join(lines)


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
