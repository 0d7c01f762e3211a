"""`supernet compare`: whether one-shot scores rank paths as training each alone does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from supernet_cli.cli.options import A_RUN, DATA, OUTPUT, PATHS, RUNS_DIR, Json, Quiet, RunsDir, complete_run, typed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from supernet_cli.cli.output import Output
    from supernet_cli.errors import SupernetError
    from supernet_cli.reports.sheets import Sheet
    from supernet_cli.runs.store import Run

Format = Literal["table", "json", "csv", "markdown", "html"]

_SUFFIXES: dict[str, Format] = {".json": "json", ".csv": "csv", ".md": "markdown", ".html": "html", ".htm": "html"}
_MOST_ROWS = 40
_LEADING = 5
"""Paths on the first screen."""

_COLOURS = {"trust": "green", "use with care": "yellow", "do not trust": "red", "not enough evidence": "cyan"}


def compare(
    context: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help=f"{A_RUN} (default). Several runs of one search space are compared side by side.",
            autocompletion=complete_run,
            show_envvar=False,
            show_default=False,
        ),
    ] = None,
    run_options: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="Same as RUN; repeatable",
            autocompletion=complete_run,
            show_envvar=False,
            rich_help_panel=PATHS,
        ),
    ] = None,
    truth: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Take the stand-alone results of another run with the same search space, recipe and images",
            autocompletion=complete_run,
            show_envvar=False,
            rich_help_panel=DATA,
        ),
    ] = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="table, json, csv, markdown or html. Default: from the extension of --output.",
            show_envvar=False,
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = "table",
    details: Annotated[
        bool,
        typer.Option(
            "--details",
            help="Show every figure: all paths, agreement, baselines, sources of disagreement, cost",
            show_envvar=False,
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Sort paths by a column of the JSON rows; shows --details",
            show_envvar=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    runs_dir: RunsDir = RUNS_DIR,
    json: Json = False,
    quiet: Quiet = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the result to this file; for tables, the JSON document",
            dir_okay=False,
            show_envvar=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
) -> None:
    """Report whether the supernet's ranking can be trusted, using stored results only (takes seconds).

    Opens with the answer in a word, the path to take, what trusting the supernet would cost, and the next command.
    With --details: agreement with training from scratch, what chance and simple baselines reach, which operations the
    supernet over- or under-rates, and what all of it cost.
    """
    from supernet_cli.cli.output import Output
    from supernet_cli.errors import UsageError
    from supernet_cli.runs.store import find_run

    chosen = "form" in typed(context)
    if json and chosen and form != "json":
        raise UsageError(f"--json and --format {form} contradict each other.", "Drop one of them.")
    if output is not None and not json and not chosen:
        form = _format_of(output, form)
    voice = Output(json, quiet, output, any_ending=not json and form != "table")
    names = [*(runs or []), *(run_options or [])] or ["latest"]
    found = list({run.folder.resolve(): run for run in (find_run(runs_dir, name) for name in names)}.values())
    borrowed = find_run(runs_dir, truth) if truth is not None else None
    say_comparison(found, borrowed, voice, form, sort, details or sort is not None)


def _format_of(file: Path, otherwise: Format) -> Format:
    """Return the format that a file's ending stands for.

    Args:
        file: The file to write.
        otherwise: The format where it has no ending.

    Raises:
        UsageError: It is the ending of no format.
    """
    from supernet_cli.errors import UsageError

    ending = file.suffix.lower()
    if ending and ending not in _SUFFIXES:
        raise UsageError(
            f"--output {file}: `supernet compare` does not write {file.suffix} files.",
            f"Use one of {', '.join(_SUFFIXES)}, or choose the format with --format.",
        )
    return _SUFFIXES.get(ending, otherwise)


def say_comparison(
    runs: Sequence[Run],
    truth: Run | None,
    voice: Output,
    form: Format = "table",
    sort: str | None = None,
    details: bool = False,
    error: SupernetError | None = None,
) -> None:
    """Compare runs, keep the result where it is of one, and say it.

    Args:
        runs: The runs.
        truth: Whose stand-alone results to take; by default, their own.
        voice: How to speak.
        form: In which format.
        sort: The column to sort paths by.
        details: Whether to print every figure.
        error: What went wrong before; it becomes part of the document.

    Raises:
        RunError: Facts are missing or damaged.
        UsageError: Runs or truth do not fit, or there is no such column.
    """
    from supernet_cli.cli.output import error_document
    from supernet_cli.reports.compare import compare
    from supernet_cli.reports.export import as_csv, as_markdown, sort_rows

    compared = compare(runs, truth)
    document = sort_rows(compared, sort) | (error_document(error) if error else {})
    if voice.json or form == "json":
        voice.text(_as_json(document))
    elif form == "csv":
        voice.text(as_csv(document))
    elif form == "markdown":
        voice.text(as_markdown(document))
    elif form == "html":
        _write_report(runs, truth, document, voice)
    else:
        voice.result(document, *_rendered(document, details))
        for entry in document["runs"]:
            for missing in entry["missing"]:
                voice.note(f"missing: {missing['what']}" + (f": {missing['command']}" if missing["command"] else ""))
    if truth is None:
        _keep(runs, compared, voice)


def _keep(runs: Sequence[Run], document: dict[str, Any], voice: Output) -> None:
    """Store each run's comparison with it, for whoever looks at the run later; a run of others may be read-only."""
    from supernet_cli.errors import DiskError
    from supernet_cli.runs.results import keep_comparison

    for run, entry in zip(runs, document["runs"], strict=True):
        try:
            keep_comparison(run, {"runs": [entry]})
        except DiskError as failed:
            voice.note(f"The comparison was not stored with the run: {failed.message}")


def _as_json(document: dict[str, Any]) -> str:
    import json

    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _write_report(runs: Sequence[Run], truth: Run | None, document: dict[str, Any], voice: Output) -> None:
    """Write the report to a file: the one that was asked for, or one in the first run's results."""
    from supernet_cli.reports.page.html import as_html

    file = voice.file or runs[0].folder / "results" / "report.html"
    replace(voice, file=file).text(as_html(document, runs, truth))
    replace(voice, file=None).result({"report": str(file)}, f"The report is in {file}")


def _rendered(document: dict[str, Any], details: bool) -> list[RenderableType]:
    """Return what a person reads: one screen, or every figure."""
    from rich.text import Text

    from supernet_cli.cli.render import sheet_table
    from supernet_cli.reports.sheets import leading, overview, sheets, strategies

    several = len(document["runs"]) > 1
    tables = [overview(document)] if several else []
    tables += [strategies(document)] if document.get("strategies") else []
    parts: list[RenderableType] = [*_titled(tables)]
    for entry in document["runs"] if details or not several else []:
        parts += [_answer(entry, named=several), ""]
        shown = sheets(entry, _MOST_ROWS) if details else [leading(entry, _LEADING)]
        parts += _titled(shown) if details else [sheet_table(shown[0])]
        if details:
            parts += [Text(entry["verdict"]), ""]
    if not details:
        parts.append(Text("In brackets: 95 % intervals. Every figure: --details, or --format html.", style="dim"))
    return parts if parts[-1] else parts[:-1]


def _titled(tables: Sequence[Sheet]) -> Iterator[RenderableType]:
    from rich.text import Text

    from supernet_cli.cli.render import sheet_table

    for sheet in tables:
        yield from (Text(sheet.title, style="bold"), sheet_table(sheet), "")


def _answer(entry: dict[str, Any], named: bool) -> RenderableType:
    """Return the answer of one run: the word, the reason, the decision, and what to do next.

    Args:
        entry: The run's.
        named: Whether it says which run it is.
    """
    from rich.console import Group
    from rich.text import Text

    from supernet_cli.cli.output import printable
    from supernet_cli.cli.render import facts
    from supernet_cli.reports.summary import MARKS, summary

    found = summary(entry)
    assert found is not None  # just made
    head = Text(f"{entry['run']}  " if named else "", style="bold")
    head.append(f"{MARKS[found.word]} {found.word.upper()}", style=f"bold {_COLOURS[found.word]}")
    head.append(f"  {printable(found.reason)}")
    lines = [(line.label, line.text) for line in found.lines]
    lines.append(("next", found.purpose + (":" if found.command else "")))
    lines += [("its weights", found.weights)] if found.weights else []
    parts: list[RenderableType] = [head, "", facts(lines)]
    if found.command:
        parts.append(Text(f"  {printable(found.command)}", style="bold"))
    return Group(*parts)
