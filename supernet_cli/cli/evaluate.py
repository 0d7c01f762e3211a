"""`supernet evaluate`: score the networks of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from supernet_cli.cli.executors import CpusPerJob, ExecutorOption, GpusPerJob, RayAddress
from supernet_cli.cli.options import (
    DATA,
    PATHS,
    PLACE,
    RUNS_DIR,
    DataRoot,
    Json,
    OutputFile,
    Quiet,
    RunName,
    RunsDir,
    Split,
    complete_path,
    run_and_paths,
)

if TYPE_CHECKING:
    from rich.console import RenderableType


def evaluate(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|PATH",
            help="A run (default: `latest`), then the paths to evaluate. Default: all; in a large space, those "
            "monitored, sampled or trained so far.",
            autocompletion=complete_path,
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Evaluate N random paths; a larger N includes those of a smaller one",
            rich_help_panel=PATHS,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="Evaluate the K best by one-shot score", rich_help_panel=PATHS),
    ] = None,
    run: RunName = None,
    split: Annotated[Split, typer.Option(help="Images to evaluate on", rich_help_panel=DATA)] = "test",
    data_root: DataRoot = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            metavar="N",
            help="Processes that evaluate side by side, with as many threads each as the supernet's training. "
            "Default: 1; on a Ray cluster, as many as fit.",
            rich_help_panel=PLACE,
        ),
    ] = None,
    executor: ExecutorOption = "local",
    ray_address: RayAddress = None,
    cpus_per_job: CpusPerJob = None,
    gpus_per_job: GpusPerJob = None,
    runs_dir: RunsDir = RUNS_DIR,
    json: Json = False,
    quiet: Quiet = False,
    output: OutputFile = None,
) -> None:
    """Evaluate paths with inherited weights, and with weights of their own if they were trained from scratch.

    Results are also stored in the run: scores, which images were classified correctly, and sizes, latencies and
    zero-cost proxies of the paths. Scores depend neither on --workers nor on --executor.
    """
    from supernet_cli.cli.output import Output
    from supernet_cli.cli.render import scores_table
    from supernet_cli.reports.next_step import next_step
    from supernet_cli.store.layout import Way
    from supernet_cli.store.results import is_writable
    from supernet_cli.workflows import evaluate as workflow
    from supernet_cli.workflows.session import Session
    from supernet_cli.workflows.workplace import Workplace

    voice = Output(json, quiet, output)
    workplace = Workplace(executor, workers, ray_address, cpus_per_job, gpus_per_job, judges=workers or 1)
    found, words = run_and_paths(runs_dir, paths or [], run)
    evaluated = workflow.evaluate(Session(found, workplace, voice, data_root), words, split, sample, top)
    rows = [row.model_dump() for row in evaluated.rows]
    document = {"run": found.id, "split": split, "paths": rows}
    parts: list[RenderableType] = []
    for way in Way:
        if some := [row for row in rows if row["kind"] == way]:
            parts += ["" if parts else f"{found.id}  {split}", "", way.words, scores_table(some, split)]
    voice.result(document, *parts)
    if split == "test" and is_writable(found):  # else it would be to evaluate what was not stored
        voice.next_step(next_step(found))
