"""`supernet search`: the best path within limits; or how search policies do on a table of known accuracies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from supernet_cli.cli.executors import CpusPerJob, ExecutorOption, GpusPerJob, RayAddress, Workers
from supernet_cli.cli.options import (
    DATA,
    RUNS_DIR,
    DataRoot,
    DryRun,
    Json,
    OutputFile,
    Quiet,
    RunArgument,
    RunsDir,
    Settings,
    complete_preset,
    parse_seeds,
    seeds_option,
    typed,
    with_data_root,
)

GOAL = "What is searched for"
BUDGET = "For how long"
TABLE = "On a table"

_OF_TABLES = {"repeats", "score"}
_OF_BOTH = {"table", "policy", "trainings", "limit", "json", "quiet", "output"}


def complete_policy(incomplete: str) -> list[str]:
    """Return the names of policies that start with the typed text."""
    from supernet_cli.config.catalog import entries

    return [name for name in entries("policy") if name.startswith(incomplete)]


def search(
    context: typer.Context,
    run: RunArgument = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="PRESET",
            help="Search the newest run of this preset; train its supernet first if there is none",
            autocompletion=complete_preset,
            rich_help_panel=DATA,
        ),
    ] = None,
    settings: Settings = None,
    data_root: DataRoot = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Search only paths with at most this: parameters=100k, macs=2M, latency=0.3ms or weights=500kB; "
            "repeatable",
            show_envvar=False,
            rich_help_panel=GOAL,
        ),
    ] = None,
    latency_table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Latencies of another device, a JSON file; otherwise they are measured here",
            rich_help_panel=GOAL,
        ),
    ] = None,
    against: Annotated[
        Literal["macs", "parameters", "latency", "weights"] | None,
        typer.Option(
            metavar="FIGURE",
            help="What accuracy is weighed against: macs (default), parameters, latency or weights",
            rich_help_panel=GOAL,
        ),
    ] = None,
    trainings: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            min=1,
            max=1_000_000,
            help="Stand-alone trainings that the search may choose. Default: from the preset, otherwise 8; 20 on a "
            "table.",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(metavar="M", min=0.0, help="Choose no further training after M minutes", rich_help_panel=BUDGET),
    ] = None,
    supernets: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            min=0.0,
            help="Trainings may cost as many multiply-accumulates as X supernets",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    until: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            min=0.0,
            max=1.0,
            help="Stop once the pick is the best path within the limits with probability P",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            min=0.0,
            help="Stop once the expected regret is at most so many points of accuracy",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    seeds: Annotated[
        str | None, seeds_option("Seeds of the stand-alone trainings: each path is trained once per seed. Default: 0.")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Policy that decides what to train. Default: `posterior`. On a table, repeatable; default: all.",
            autocompletion=complete_policy,
            show_envvar=False,
            rich_help_panel=GOAL,
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            metavar="FILE",
            help="Instead, try policies on a table of known accuracies, a JSON file",
            show_envvar=False,
            rich_help_panel=TABLE,
        ),
    ] = None,
    repeats: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=10_000, help="Searches of each policy", rich_help_panel=TABLE),
    ] = 20,
    score: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Score of the table that policies may see; repeatable. `one-shot` goes by the first. Default: all.",
            show_envvar=False,
            rich_help_panel=TABLE,
        ),
    ] = None,
    dry_run: DryRun = False,
    workers: Workers = None,
    executor: ExecutorOption = "local",
    ray_address: RayAddress = None,
    cpus_per_job: CpusPerJob = None,
    gpus_per_job: GpusPerJob = None,
    runs_dir: RunsDir = RUNS_DIR,
    json: Json = False,
    quiet: Quiet = False,
    output: OutputFile = None,
) -> None:
    """Find the best path within limits by training as few as possible, and say how sure the choice is.

    Sizes, one-shot scores and trainings are evidence of what every path would reach; how much each is worth is learned.
    Finished trainings are never repeated; an interrupted search continues with the same command. With --table, policies
    are tried on a table of known accuracies instead, where each training is looked up.
    """
    from supernet_cli.cli.output import Output
    from supernet_cli.config.limits import parse_limits
    from supernet_cli.errors import UsageError

    voice, given = Output(json, quiet, output), typed(context)
    limits = parse_limits(limit or ())
    if table is not None:
        from supernet_cli.cli.trials import say_trials

        _refuse(given - _OF_BOTH - _OF_TABLES, "--table trains nothing, so it takes no")
        say_trials(voice, table, policy or (), trainings or 20, repeats, limits, score)
        return
    _refuse(given & _OF_TABLES, "Without --table, there is nothing to look up with")
    if len(policy or ()) > 1:
        raise UsageError("A search has one policy.", "Name one, or try several on a table with --table FILE.")
    if run is not None and preset is not None:
        raise UsageError(f"You named a run, {run}, and --preset {preset}.", "Name one of them.")
    if settings and preset is None:
        raise UsageError("A run has its own preset, so --set needs --preset.", "Add --preset, or drop --set.")
    from supernet_cli.cli.searched import say_found, say_plan
    from supernet_cli.workflows import search as workflow
    from supernet_cli.workflows.request import requested
    from supernet_cli.workflows.session import Session
    from supernet_cli.workflows.workplace import Workplace

    workplace = Workplace(executor, workers, ray_address, cpus_per_job, gpus_per_job)
    options: dict[str, Any] = {
        "trainings": trainings,
        "minutes": minutes,
        "supernets": supernets,
        "seeds": None if seeds is None else parse_seeds(seeds),
        "limits": limits or None,
        "latencies": latency_table,
        "against": against,
        "until": until,
        "tolerance": tolerance,
        "policy": policy[0] if policy else None,
    }
    if preset is not None:
        from supernet_cli.config.load import load_preset

        loaded = load_preset(preset, with_data_root(settings, data_root))
        request = requested(loaded.preset.search, **options)
        if dry_run:
            raise UsageError("--dry-run needs a run, whose supernet is known.", f"Train it: `supernet train {preset}`.")
        say_found(workflow.search_preset(runs_dir, loaded, workplace, voice, request), voice)
        return
    from supernet_cli.store.runs import find_run

    found = find_run(runs_dir, run or "latest")
    session = Session(found, workplace, voice, data_root)
    request = requested(found.preset().search, **options)
    if dry_run:
        say_plan(session, request, voice)
    else:
        say_found(workflow.search(session, request), voice)


def _refuse(given: set[str], why: str) -> None:
    """Make sure that no typed option would be ignored.

    Raises:
        UsageError: One would.
    """
    from supernet_cli.errors import UsageError

    if given:
        names = {"settings": "set", "run": "RUN"}
        words = ["RUN" if name == "run" else f"--{names.get(name, name).replace('_', '-')}" for name in sorted(given)]
        raise UsageError(f"{why} {', '.join(words)}.", "Drop it." if len(words) == 1 else "Drop them.")
