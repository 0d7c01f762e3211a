"""`supernet compare`: whether one-shot scores rank paths as training each alone does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from supernet_cli.cli.options import A_RUN, DATA, OUTPUT, PATHS, RUNS_DIR, Json, Quiet, RunsDir, complete_run, typed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from supernet_cli.cli.output import Output
    from supernet_cli.errors import SupernetError
    from supernet_cli.runs.store import Run

Format = Literal["table", "json", "csv", "markdown", "html"]

_SUFFIXES: dict[str, Format] = {".json": "json", ".csv": "csv", ".md": "markdown", ".html": "html", ".htm": "html"}
_MOST_ROWS = 40


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
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Sort paths by a column of the JSON rows",
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

    Agreement with stand-alone training and its uncertainty, what chance and simple baselines reach, which operations
    the supernet over- or under-rates, what all of it cost, and a verdict in plain words.
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
    say_comparison(found, borrowed, voice, form, sort)


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
    error: SupernetError | None = None,
) -> None:
    """Compare runs, keep the result where it is of one, and say it.

    Args:
        runs: The runs.
        truth: Whose stand-alone results to take; by default, their own.
        voice: How to speak.
        form: In which format.
        sort: The column to sort paths by.
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
        voice.result(document, *_rendered(document))
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


def _rendered(document: dict[str, Any]) -> list[RenderableType]:
    """Return what a person reads."""
    from rich.console import Group
    from rich.text import Text

    from supernet_cli.cli.render import sheet_table
    from supernet_cli.glyphs import counted
    from supernet_cli.reports.sheets import overview, sheets, strategies

    parts: list[RenderableType] = []
    if len(document["runs"]) > 1:
        parts += [Text("Runs", style="bold"), sheet_table(overview(document)), ""]
    if document.get("strategies"):
        parts += [Text("Strategies against uniform", style="bold"), sheet_table(strategies(document)), ""]
    for entry in document["runs"]:
        parts.append(
            Text.assemble((entry["run"], "bold"), f"  one-shot against stand-alone, {counted(entry['n'], 'path')}")
        )
        for sheet in sheets(entry, _MOST_ROWS):
            parts += ["", Text(sheet.title, style="bold"), sheet_table(sheet)]
        parts += ["", Text("Verdict", style="bold"), Group(Text(entry["verdict"])), ""]
    return parts[:-1]
