"""`supernet compare`: whether one-shot scores rank paths as training each alone does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from supernet_cli.cli.comparison import Format
from supernet_cli.cli.options import A_RUN, DATA, OUTPUT, PATHS, RUNS_DIR, Json, Quiet, RunsDir, complete_run, typed

if TYPE_CHECKING:
    from supernet_cli.cli.output import Output
    from supernet_cli.reports.comparison import Comparison
    from supernet_cli.store.run import Run

_SUFFIXES: dict[str, Format] = {".json": "json", ".csv": "csv", ".md": "markdown", ".html": "html", ".htm": "html"}


def compare(
    context: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help=f"{A_RUN} (default). Several runs of one search space are compared side by side.",
            autocompletion=complete_run,
            show_default=False,
        ),
    ] = None,
    run_options: Annotated[
        list[str] | None,
        typer.Option(
            "--run", metavar="RUN", help="Same as RUN; repeatable", autocompletion=complete_run, rich_help_panel=PATHS
        ),
    ] = None,
    truth: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Take the stand-alone results of another run with the same search space, recipe and images",
            autocompletion=complete_run,
            rich_help_panel=DATA,
        ),
    ] = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="table, json, csv, markdown or html. Default: from the extension of --output.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = "table",
    details: Annotated[
        bool,
        typer.Option(
            "--details",
            help="Show every figure: all paths, agreement, baselines, sources of disagreement, cost",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Sort paths by a column of the JSON rows; shows --details", rich_help_panel=OUTPUT
        ),
    ] = None,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema", help="Print the JSON Schema of the JSON document; needs no run", rich_help_panel=OUTPUT
        ),
    ] = False,
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
            rich_help_panel=OUTPUT,
        ),
    ] = None,
) -> None:
    """Report whether the supernet's ranking can be trusted, using stored results only (takes seconds).

    Opens with the answer in a word, the path to take, what trusting the supernet would cost, and the next command.
    With --details: agreement with training from scratch, what chance and simple baselines reach, which operations the
    supernet over- or under-rates, and what all of it cost.
    """
    from supernet_cli.cli.comparison import as_json, say_comparison
    from supernet_cli.cli.output import Output
    from supernet_cli.errors import UsageError
    from supernet_cli.reports.export import check_column, sort_rows
    from supernet_cli.store.runs import find_run
    from supernet_cli.workflows import compare as workflow

    chosen = "form" in typed(context)
    if schema:
        from supernet_cli.reports.comparison import json_schema

        if typed(context) - {"schema", "json", "quiet", "output", "runs_dir"}:
            raise UsageError(
                "--schema needs no run and no other option.", "Drop the rest: `supernet compare --schema`."
            )
        Output(json, quiet, output, any_ending=True).text(as_json(json_schema()))
        return
    if json and chosen and form != "json":
        raise UsageError(f"--json and --format {form} contradict each other.", "Drop one of them.")
    if output is not None and not json and not chosen:
        form = _format_of(output, form)
    voice = Output(json, quiet, output, any_ending=not json and form != "table")
    names = [*(runs or []), *(run_options or [])] or ["latest"]
    found = list({run.folder.resolve(): run for run in (find_run(runs_dir, name) for name in names)}.values())
    borrowed = find_run(runs_dir, truth) if truth is not None else None
    if sort is not None:
        check_column(sort)
    comparison = workflow.compare(found, borrowed, voice)
    if form == "html":
        _write_report(found, borrowed, sort_rows(comparison, sort), voice)
    else:
        say_comparison(comparison, voice, form, sort, details or sort is not None)


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


def _write_report(runs: Sequence[Run], truth: Run | None, comparison: Comparison, voice: Output) -> None:
    """Write the report to a file: the one that was asked for, or one in the first run's results."""
    from supernet_cli.reports.page.html import as_html

    file = voice.file or runs[0].folder / "results" / "report.html"
    replace(voice, file=file).text(as_html(comparison, runs, truth))
    replace(voice, file=None).result({"report": str(file)}, f"The report is in {file}")
