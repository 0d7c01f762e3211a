"""`supernet bench`: what a strategy is worth on a space whose paths have all been trained from scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from supernet_cli.cli.options import (
    OUTPUT,
    RUNS_DIR,
    TRAINING,
    DataRoot,
    Json,
    OutputFile,
    Quiet,
    RunsDir,
    Settings,
    complete_run,
    parse_seeds,
    typed,
)
from supernet_cli.errors import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from supernet_cli.benchmarks.result import Standing
    from supernet_cli.benchmarks.table import Table
    from supernet_cli.cli.output import Output
    from supernet_cli.workflows.bench import Benched


def _complete_strategy(incomplete: str) -> list[str]:
    from supernet_cli.config.catalog import entries

    return [name for name in entries("sampler") if name.startswith(incomplete)]


def _complete_benchmark(incomplete: str) -> list[str]:
    from supernet_cli.benchmarks.table import names

    return [name for name in names() if name.startswith(incomplete)]


def bench(
    context: typer.Context,
    strategy: Annotated[
        str | None,
        typer.Argument(
            metavar="STRATEGY",
            help="A sampler's name, or an inline table with its parameters, as in a preset",
            autocompletion=_complete_strategy,
            show_envvar=False,
            show_default=False,
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="BENCHMARK",
            help="The benchmark; --list shows which there are. Default: `iso`, otherwise the first.",
            autocompletion=_complete_benchmark,
            show_envvar=False,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    epochs: Annotated[
        int,
        typer.Option(
            min=1,
            max=1_000_000,
            metavar="N",
            help="Epochs of each supernet; it is compared with recorded supernets of the same length",
            show_envvar=False,
            rich_help_panel=TRAINING,
        ),
    ] = 4,
    seeds: Annotated[
        str,
        typer.Option(
            metavar="N,N,…",
            help="Seeds of the supernets: one is trained per seed. With five, τ gets a 95 % interval.",
            show_envvar=False,
            rich_help_panel=TRAINING,
        ),
    ] = "0,1",
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Continue an interrupted run, or compare a finished one",
            autocompletion=complete_run,
            show_envvar=False,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    listing: Annotated[
        bool,
        typer.Option(
            "--list",
            help="Show the benchmarks and what is recorded for them; trains nothing",
            show_envvar=False,
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    settings: Settings = None,
    data_root: DataRoot = None,
    runs_dir: RunsDir = RUNS_DIR,
    json: Json = False,
    quiet: Quiet = False,
    output: OutputFile = None,
) -> None:
    """Train a strategy's supernets on a benchmark and report how well they rank, beside recorded strategies.

    Every path of a benchmark has been trained from scratch before, so only supernets are trained: minutes on two cores.
    Conditions are fixed; with --set, only `runtime` can be changed.
    """
    from supernet_cli.benchmarks.table import default_name, find_table, names
    from supernet_cli.cli.output import Output
    from supernet_cli.errors import UsageError

    voice = Output(json, quiet, output)
    _check(typed(context))
    if listing:
        _list([find_table(name) for name in ([on] if on is not None else names())], voice)
        return
    if resume is not None:
        from supernet_cli.store.runs import find_run
        from supernet_cli.workflows.bench import resume_bench

        table = find_table(on) if on is not None else None
        _report(resume_bench(find_run(runs_dir, resume), table, voice, data_root), voice)
        return
    from supernet_cli.workflows import bench as workflow

    if strategy is None:
        raise UsageError("Name the strategy to benchmark, such as `supernet bench fair`.", _known_strategies())
    name = on if on is not None else default_name()
    workflow.check_strategy(strategy, name)
    table = find_table(name)
    loaded = workflow.load_bench(table, strategy, epochs, parse_seeds(seeds), settings or [], data_root)
    _report(workflow.bench(runs_dir, table, loaded, voice), voice)


def _check(given: set[str]) -> None:
    """Make sure that no typed option would be ignored.

    Raises:
        UsageError: One would.
    """
    from supernet_cli.errors import UsageError

    training = given & {"strategy", "epochs", "seeds", "settings"}
    if "resume" in given and training:
        raise UsageError(
            "--resume uses the run's own preset, so it takes no STRATEGY, --epochs, --seeds or --set.",
            "Drop them, or start a new run without --resume.",
        )
    if "listing" in given and (training or given & {"resume", "data_root"}):
        raise UsageError(
            "--list trains nothing, so it takes only --on, --json, --quiet and --output.", "Drop the rest, or --list."
        )


def _known_strategies() -> str:
    from supernet_cli.config.catalog import entries

    return f"Known: {', '.join(sorted(entries('sampler')))}. `supernet bench --list` shows what is recorded."


def _report(done: Benched, voice: Output) -> None:
    """Print the result, or how to resume where there is none."""
    from supernet_cli.cli.output import error_document

    run = done.run
    document: dict[str, Any] = {"run": run.id, "status": run.state(run.supernet_jobs())}
    if done.standing is None:
        voice.result(document, f"{run.id}  {run.state()}")
        voice.note(f"\nResume with: {run.command('bench')}")
        raise typer.Exit(INTERRUPTED)
    document |= done.standing.document() | (error_document(done.error) if done.error else {})
    voice.result(document, *_rendered(done.standing))
    if done.error is not None:
        voice.fail(done.error)


def _rendered(found: Standing) -> Iterator[RenderableType]:
    from rich.console import Group
    from rich.text import Text

    from supernet_cli.benchmarks import words
    from supernet_cli.cli.console import printable
    from supernet_cli.cli.render import facts, sheet_table

    yield Group(Text(printable(words.sentence(found)), style="bold"))  # wraps at words, as a text alone would not
    yield ""
    yield facts(words.lines(found))
    yield ""
    yield sheet_table(words.sheet(found))
    yield ""
    yield Text(words.FOOTNOTE, style="dim")


def _list(tables: list[Table], voice: Output) -> None:
    """Print benchmarks with what is recorded for each."""
    from rich.text import Text

    from supernet_cli.benchmarks.standing import catalogue
    from supernet_cli.benchmarks.words import FOOTNOTE, recorded_sheets, title
    from supernet_cli.cli.render import sheet_table

    found = [catalogue(table) for table in tables]
    parts: list[RenderableType] = []
    for each in found:
        parts += [Text(title(each), style="bold"), ""]
        for sheet in recorded_sheets(each):
            parts += [sheet_table(sheet), ""]
    voice.result({"benchmarks": [each.document() for each in found]}, *parts, Text(FOOTNOTE, style="dim"))
