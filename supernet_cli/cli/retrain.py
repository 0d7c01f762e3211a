"""`supernet retrain`: train paths from scratch, many side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from supernet_cli.cli.executors import CpusPerJob, ExecutorOption, GpusPerJob, RayAddress, Workers
from supernet_cli.cli.options import (
    PATHS,
    RUNS_DIR,
    TRAINING,
    DataRoot,
    DryRun,
    Json,
    OutputFile,
    Quiet,
    RunName,
    RunsDir,
    complete_path,
    parse_seeds,
    run_and_paths,
    seeds_option,
)
from supernet_cli.errors import INTERRUPTED
from supernet_cli.store.layout import Way

if TYPE_CHECKING:
    from supernet_cli.cli.output import Output
    from supernet_cli.store.alone import AloneJob
    from supernet_cli.workflows.retrain import TrainedAlone


def retrain(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|PATH",
            help="A run (default: `latest`), then the paths to train, unless --all, --top or --sample chooses them",
            autocompletion=complete_path,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Train every path of the space", rich_help_panel=PATHS)] = False,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="K",
            help="Train the K best by one-shot score (scores more paths first if too few have one), or by --by",
            rich_help_panel=PATHS,
        ),
    ] = None,
    by: Annotated[
        Literal["one-shot", "size", "posterior"] | None,
        typer.Option(
            metavar="ORDER",
            help="Order for --top: one-shot (default); size: most multiply-accumulates first; or posterior: the "
            "highest accuracy expected from trainings, scores and sizes",
            rich_help_panel=PATHS,
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Train N drawn at random from the paths with a one-shot score; scores more first if too few have one",
            rich_help_panel=PATHS,
        ),
    ] = None,
    run: RunName = None,
    seeds: Annotated[
        str | None,
        seeds_option(
            "Seeds of the stand-alone trainings, such as 0,1,2: each path is trained once per seed. "
            "Default: from the preset."
        ),
    ] = None,
    init: Annotated[
        Literal["scratch", "inherit"],
        typer.Option(
            help="Start from scratch, or from the weights of the run's first supernet. "
            "`inherit` is excluded from all ranking statistics.",
            rich_help_panel=TRAINING,
        ),
    ] = "scratch",
    short: Annotated[
        bool,
        typer.Option(
            "--short",
            help="Train each path briefly, so that all of them together cost as much as one supernet. "
            "A baseline for `compare`, not ground truth.",
            rich_help_panel=TRAINING,
        ),
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Train for use rather than for the ranking: N epochs, kept apart from every comparison",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|FILE",
            help="Train for use, and learn from another network, too (distillation): a path of the run, or an "
            "exported model.pt2",
            autocompletion=complete_path,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(metavar="T", help="Of distillation: softens what the teacher says (4)", rich_help_panel=TRAINING),
    ] = None,
    data_root: DataRoot = None,
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
    """Train paths from scratch, to find out whether to trust their one-shot scores.

    --seeds are those of the stand-alone trainings. Finished trainings are not repeated, interrupted ones are resumed.
    Results depend neither on --workers nor on --executor.

    With --epochs or --teacher, paths are trained for use: once the path is chosen, longer than for the ranking.
    """
    from supernet_cli.cli.output import Output
    from supernet_cli.errors import UsageError
    from supernet_cli.workflows import retrain as workflow
    from supernet_cli.workflows.final import final_of
    from supernet_cli.workflows.selection import Wanted
    from supernet_cli.workflows.session import Session
    from supernet_cli.workflows.workplace import Workplace

    voice = Output(json, quiet, output)
    workplace = Workplace(executor, workers, ray_address, cpus_per_job, gpus_per_job)
    if short and init == "inherit":
        raise UsageError("--short starts from scratch, so it cannot be combined with --init inherit.", "Drop one.")
    if (epochs or teacher) and (short or init == "inherit"):
        other = "--short" if short else "--init inherit"
        raise UsageError(f"{'--epochs' if epochs else '--teacher'} cannot be combined with {other}.", "Drop one.")
    found, words = run_and_paths(runs_dir, paths or [], run)
    final = final_of(found, epochs, teacher, temperature)
    wanted = Wanted.one_of(words, every, top, sample, Way.SHORT if short else Way.of_init(init), by, final)
    chosen_seeds = parse_seeds(seeds) if seeds is not None else found.preset().retrain.seeds
    session = Session(found, workplace, voice, data_root)
    if dry_run:
        from supernet_cli.cli.rehearsal import say_alone_rehearsal

        say_alone_rehearsal(session, wanted, chosen_seeds, voice)
    else:
        _report(workflow.retrain(session, wanted, chosen_seeds), voice)


def _report(trained: TrainedAlone, voice: Output) -> None:
    """Say how the trainings went, from what is stored, and leave with the exit code of that."""
    from supernet_cli.cli.output import error_document
    from supernet_cli.cli.render import scores_table
    from supernet_cli.reports.next_step import next_step

    run = trained.run
    jobs = [_row(trained, job) for job in trained.jobs]
    document: dict[str, Any] = {"run": run.id, "jobs": jobs}
    rows = [
        {**row, "accuracy": row["validation_accuracy"], "loss": row["validation_loss"]}
        for row in jobs
        if row["validation_accuracy"] is not None
    ]
    error = trained.failure
    table = scores_table(rows, "validation") if rows else "No path has been evaluated yet."
    voice.result(document | (error_document(error) if error else {}), f"{run.id}  trained from scratch", "", table)
    if trained.stopped is not None:
        voice.note("\nRun the same command again to resume.")
        raise typer.Exit(INTERRUPTED)
    if error is not None:
        voice.fail(error)
    voice.next_step(next_step(run))


def _row(trained: TrainedAlone, job: AloneJob) -> dict[str, Any]:
    snapshot, _ = job.folder.snapshot()
    state, reason = trained.ending(job)
    score = next((view.score for view in snapshot.paths.values()), None)
    return {
        "path": str(job.path),
        "seed": job.seed,
        "status": state,
        "reason": reason,
        "seconds": snapshot.train_seconds + snapshot.evaluation_seconds,
        "validation_accuracy": score.accuracy if score is not None else None,
        "validation_loss": score.loss if score is not None else None,
        "init": job.way.init,
        "folder": str(job.folder.path),
    }
