"""`supernet search`: how search policies do on a table of known accuracies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from supernet_cli.cli.options import Json, OutputFile, Quiet

if TYPE_CHECKING:
    from rich.console import RenderableType

    from supernet_cli.policies.trial import Trial
    from supernet_cli.workflows.search import Trials

_SHOWN = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


def complete_policy(incomplete: str) -> list[str]:
    """Return the names of policies that start with the typed text."""
    from supernet_cli.config.catalog import entries

    return [name for name in entries("policy") if name.startswith(incomplete)]


def search(
    table: Annotated[
        Path,
        typer.Option("--table", metavar="FILE", help="Table of known accuracies, a JSON file", show_envvar=False),
    ],
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Policy to try; repeatable. Default: all.",
            autocompletion=complete_policy,
            show_envvar=False,
        ),
    ] = None,
    trainings: Annotated[int, typer.Option(metavar="K", min=1, max=1000, help="Trainings of each search")] = 20,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="Searches of each policy")] = 20,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Search only paths with at most this many macs or parameters, such as macs=2M; repeatable",
            show_envvar=False,
        ),
    ] = None,
    score: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Score of the table that policies may see; repeatable. `one-shot` goes by the first. Default: all.",
            show_envvar=False,
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    output: OutputFile = None,
) -> None:
    """Try search policies on a table of known accuracies, where each training is looked up.

    Policies see validation accuracies; their picks are judged by test. Prints the regret of the pick after each number
    of trainings: how many points of test accuracy the best path is above it.
    """
    from supernet_cli.cli.output import Output
    from supernet_cli.glyphs import counted
    from supernet_cli.policies.limits import parse_limits
    from supernet_cli.workflows.search import try_on_table

    voice = Output(json, quiet, output)
    trials = try_on_table(table, policy or (), trainings, repeats, parse_limits(limit or ()), score, voice)
    heading = f"{trials.table}: {counted(trials.paths, 'path')}"
    if trials.within < trials.paths:
        heading += f", {trials.within:,} within the limits"
    searches = counted(repeats, "search", "searches")
    heading += f"; regret of the pick in points of test accuracy, ± standard error over {searches}"
    voice.result(trials.document(), heading, "", _table(trials))


def _table(trials: Trials) -> RenderableType:
    from supernet_cli.cli.render import columns

    most = max(trial.regret.shape[1] for _, trial in trials.policies)
    shown = sorted({*(count for count in _SHOWN if count < most), most})
    headings = ["trainings", *map(str, shown)]
    table = columns(headings, headings[1:])
    for name, trial in trials.policies:
        table.add_row(name, *_regrets(trial, shown))
        if trial.mean_coverage is not None:
            coverage = trial.mean_coverage
            table.add_row("  within 90 % intervals", *(f"{100 * coverage[count - 1]:.0f} %" for count in shown))
    return table


def _regrets(trial: Trial, shown: Sequence[int]) -> list[str]:
    errors = [f" ± {error:.2f}" if error == error else "" for error in trial.standard_error.tolist()]
    return [f"{trial.mean_regret[count - 1]:.2f}{errors[count - 1]}" for count in shown]
