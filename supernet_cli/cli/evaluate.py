"""`supernet evaluate`: score the networks of a run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from supernet_cli.cli.executors import CpusPerJob, ExecutorOption, GpusPerJob, RayAddress, Workplace
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
    from pathlib import Path

    from rich.console import RenderableType

    from supernet_cli.cli.output import Output
    from supernet_cli.runs.store import Run
    from supernet_cli.space import Architecture

logger = logging.getLogger(__name__)

_TITLES = {
    "one-shot": "one-shot: weights inherited from a supernet",
    "stand-alone": "alone: trained from scratch",
    "inherited": "fine-tuned: trained from a supernet's weights",
}


def evaluate(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|PATH",
            help="A run (default: `latest`), then the paths to evaluate. Default: all; in a large space, those "
            "monitored, sampled or trained so far.",
            autocompletion=complete_path,
            show_envvar=False,
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Evaluate N random paths; a larger N includes those of a smaller one",
            show_envvar=False,
            rich_help_panel=PATHS,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="K",
            help="Evaluate the K best by one-shot score",
            show_envvar=False,
            rich_help_panel=PATHS,
        ),
    ] = None,
    run: RunName = None,
    split: Annotated[
        Split, typer.Option(help="Images to evaluate on", show_envvar=False, rich_help_panel=DATA)
    ] = "test",
    data_root: DataRoot = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            metavar="N",
            help="Processes that evaluate side by side, with as many threads each as the supernet's training. "
            "Default: 1; on a Ray cluster, as many as fit.",
            show_envvar=False,
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

    Results are also stored in the run: scores, which images were classified correctly, sizes and latencies of the
    paths. Scores depend neither on --workers nor on --executor.
    """
    from supernet_cli.cli.output import Output
    from supernet_cli.cli.render import scores_table
    from supernet_cli.cli.selection import Scorer, paths_to_evaluate
    from supernet_cli.reports.next_step import next_step
    from supernet_cli.runs.results import is_writable

    voice = Output(json, quiet, output)
    workplace = Workplace(executor, workers, ray_address, cpus_per_job, gpus_per_job, judges=workers or 1)
    found, words = run_and_paths(runs_dir, paths or [], run)
    scorer = Scorer(found, workplace, voice, data_root)
    chosen = paths_to_evaluate(scorer, words, sample, top)
    rows = judge(found, chosen, split, workplace, voice, data_root)
    document = {"run": found.id, "split": split, "paths": rows}
    parts: list[RenderableType] = []
    for kind, title in _TITLES.items():
        if some := [row for row in rows if row["kind"] == kind]:
            parts += ["" if parts else f"{found.id}  {split}", "", title, scores_table(some, split)]
    voice.result(document, *parts)
    if split == "test" and is_writable(found):  # else it would be to evaluate what was not stored
        voice.next_step(next_step(found))


def judge(
    run: Run,
    paths: Sequence[Architecture],
    split: Split,
    workplace: Workplace,
    voice: Output,
    data_root: Path | None = None,
) -> list[dict[str, Any]]:
    """Evaluate the trained networks of a run, store the results, and return them as rows.

    Args:
        run: The run.
        paths: Which paths.
        split: Whose images.
        workplace: Where to evaluate.
        voice: Shows progress.
        data_root: Folder of the images, if not where the preset says.

    Raises:
        RunError: The run has no trained network yet, its results are damaged, a worker failed, or a cluster is not
            there.
        KeyboardInterrupt: A signal came; what was evaluated until then is stored.
    """
    from supernet_cli.cli.signals import Interruption
    from supernet_cli.runs.results import check_results, is_writable

    _check_anything_to_judge(run)
    check_results(run)
    writable = is_writable(run)
    with voice.working("loading torch and the data") as advance, Interruption() as interruption:
        from supernet_cli.training.judge import Networks, judge_run
        from supernet_cli.training.prepare import prepare_run

        threads = max((job.status().threads for job in run.supernet_jobs()), default=0)
        prepared = prepare_run(run, threads or None, advance, data_root=data_root)

        def stop_if_asked() -> None:
            if interruption.requested:
                raise KeyboardInterrupt

        executor, spread = workplace.for_judging(prepared), None
        if executor is not None:
            from supernet_cli.executors._judging import spread_over

            spread = spread_over(executor, lambda: "interrupted" if interruption.requested else None)
        networks = Networks.of(run, paths)
        rows = judge_run(prepared, run, networks, paths, split, advance, stop_if_asked, spread, keep=writable)
    if not writable:
        with voice.warnings():
            logger.warning("%s is read-only: these results were not stored", run.folder)
    return [row.model_dump() for row in rows]


def _check_anything_to_judge(run: Run) -> None:
    from supernet_cli.reports.next_step import finish_first

    if not any(job.weights.is_file() for job in run.jobs()):
        raise finish_first(run, "trained network yet")
