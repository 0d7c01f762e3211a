"""A comparison as CSV or Markdown; JSON is the document itself."""

from __future__ import annotations

import csv
import io
from typing import Any

from supernet_cli.errors import UsageError, did_you_mean
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


def sort_rows(document: dict[str, Any], column: str | None) -> dict[str, Any]:
    """Return the document with each run's rows sorted; rows without a value come last.

    Args:
        document: Of `supernet compare`.
        column: A field of the rows (default: stand-alone accuracy). Accuracies are sorted from the highest, losses and
            costs from the lowest.

    Raises:
        UsageError: The rows have no such field.
    """
    column = column or "stand_alone_test_accuracy"

    def sorted_entry(entry: dict[str, Any]) -> dict[str, Any]:
        rows = entry["rows"]
        if column not in rows[0]:
            raise UsageError(f"--sort {column}: there is no such column.", did_you_mean(column, rows[0]))
        known = [row for row in rows if row[column] is not None]
        unknown = [row for row in rows if row[column] is None]
        known.sort(key=lambda row: row[column], reverse=column not in _ASCENDING)
        return {**entry, "rows": [*known, *unknown]}

    return {**document, "runs": [sorted_entry(entry) for entry in document["runs"]]}


def as_csv(document: dict[str, Any]) -> str:
    """Return the rows of all runs as CSV, the run first; units as in the document, unknown values empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, ["run", *document["runs"][0]["rows"][0]], lineterminator="\n")
    writer.writeheader()
    for entry in document["runs"]:
        writer.writerows({"run": entry["run"], **row} for row in entry["rows"])
    return stream.getvalue()


def as_markdown(document: dict[str, Any]) -> str:
    """Return the verdict and all tables of each run as Markdown."""
    parts = []
    if len(document["runs"]) > 1:
        parts.append(_table(overview(document)))
    if document.get("strategies"):
        parts.append(_table(strategies(document)))
    for entry in document["runs"]:
        parts += [f"# {_escaped(entry['run'])}", entry["verdict"], *map(_table, sheets(entry))]
        for missing in entry["missing"]:
            parts.append(f"Missing: {missing['what']}." + (f" `{missing['command']}`" if missing["command"] else ""))
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
