"""`supernet retrain`: train paths from scratch, many side by side."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from supernet_cli.cli.executors import CpusPerJob, ExecutorOption, GpusPerJob, RayAddress, Workplace
from supernet_cli.cli.options import (
    PATHS,
    PLACE,
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
    run_and_paths,
)
from supernet_cli.errors import INTERRUPTED
from supernet_cli.runs.layout import JobKey, Way

if TYPE_CHECKING:
    from pathlib import Path

    from supernet_cli.cli.output import Output
    from supernet_cli.cli.selection import Scorer, Wanted
    from supernet_cli.errors import SupernetError
    from supernet_cli.executors import Executor
    from supernet_cli.runs.alone import AloneJob
    from supernet_cli.runs.job import JobFolder
    from supernet_cli.runs.results import Selection
    from supernet_cli.runs.snapshot import JobSnapshot
    from supernet_cli.runs.store import Run
    from supernet_cli.space import SearchSpace
    from supernet_cli.training.driver import Outcome
    from supernet_cli.training.prepare import Prepared

Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        metavar="N",
        help="Trainings side by side. Default: as many as there is room for.",
        show_envvar=False,
        rich_help_panel=PLACE,
    ),
]


def retrain(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|PATH",
            help="A run (default: `latest`), then the paths to train, unless --all, --top or --sample chooses them",
            autocompletion=complete_path,
            show_envvar=False,
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option("--all", help="Train every path of the space", show_envvar=False, rich_help_panel=PATHS),
    ] = False,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="K",
            help="Train the K best by one-shot score (scores more paths first if too few have one), or by --by",
            show_envvar=False,
            rich_help_panel=PATHS,
        ),
    ] = None,
    by: Annotated[
        Literal["one-shot", "size"] | None,
        typer.Option(
            metavar="ORDER",
            help="Order for --top: one-shot (default), or size: most multiply-accumulates first",
            show_envvar=False,
            rich_help_panel=PATHS,
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Train N drawn at random from the paths with a one-shot score; scores more first if too few have one",
            show_envvar=False,
            rich_help_panel=PATHS,
        ),
    ] = None,
    run: RunName = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…",
            help="Seeds of the stand-alone trainings, such as 0,1,2: each path is trained once per seed. "
            "Default: from the preset.",
            show_envvar=False,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    init: Annotated[
        Literal["scratch", "inherit"],
        typer.Option(
            help="Start from scratch, or from the weights of the run's first supernet. "
            "`inherit` is excluded from all ranking statistics.",
            show_envvar=False,
            rich_help_panel=TRAINING,
        ),
    ] = "scratch",
    short: Annotated[
        bool,
        typer.Option(
            "--short",
            help="Train each path briefly, so that all of them together cost as much as one supernet. "
            "A baseline for `compare`, not ground truth.",
            show_envvar=False,
            rich_help_panel=TRAINING,
        ),
    ] = False,
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
    """
    from supernet_cli.cli.output import Output
    from supernet_cli.cli.selection import Scorer, Wanted
    from supernet_cli.cli.train import parse_seeds
    from supernet_cli.errors import UsageError

    voice = Output(json, quiet, output)
    workplace = Workplace(executor, workers, ray_address, cpus_per_job, gpus_per_job)
    if short and init == "inherit":
        raise UsageError("--short starts from scratch, so it cannot be combined with --init inherit.", "Drop one.")
    found, words = run_and_paths(runs_dir, paths or [], run)
    wanted = Wanted.one_of(words, every, top, sample, Way.SHORT if short else Way.of_init(init), by)
    chosen_seeds = parse_seeds(seeds) if seeds is not None else found.preset().retrain.seeds
    scorer = Scorer(found, workplace, voice, data_root)
    if dry_run:
        _rehearse(scorer, wanted, chosen_seeds)
    else:
        trained = train_alone(found, wanted.select(scorer), chosen_seeds, workplace, voice, data_root)
        _report(trained, voice)


def _rehearse(scorer: Scorer, wanted: Wanted, seeds: Sequence[int]) -> None:
    """Say what would be trained and how long it would take, without scoring or training anything."""
    from supernet_cli.cli.rehearsal import AloneRehearsal, say_alone_rehearsal
    from supernet_cli.glyphs import counted
    from supernet_cli.runs.results import Selection

    run, space, voice = scorer.run, scorer.space, scorer.voice
    selection = wanted.earlier(run, space)
    unscored = scorer.unscored(wanted.candidates) if selection is None else []
    if selection is None and not unscored:
        selection = wanted.select(scorer)
    names = [str(path) for path in space.sampled(wanted.count or 1)] if selection is None else selection.paths
    as_chosen = Selection(how="named", init=wanted.init, paths=tuple(names)) if selection is None else selection
    jobs = trainings(run, as_chosen, seeds, space)
    waiting = [job for job in jobs if not job.folder.is_done]
    with voice.working("loading torch and the data, and timing a few steps") as progress:
        from supernet_cli.training.prepare import prepare_run
        from supernet_cli.training.rehearse import estimate_alone

        prepared = prepare_run(run, progress=progress, data_root=scorer.data_root)
        _, where = scorer.workplace.for_trainings(prepared, max(1, len(waiting)))
        steps = _short_steps(run, as_chosen, prepared, space) if wanted.init is Way.SHORT else None
        workers = scorer.workplace.side_by_side(prepared)
        estimate = estimate_alone(prepared, [job.path for job in waiting], workers, steps) if waiting else None
    rehearsal = AloneRehearsal(
        run=run.id,
        paths=None if selection is None else selection.paths,
        num_paths=len(names),
        seeds=tuple(seeds),
        done=len(jobs) - len(waiting),
        scored_first=scorer.describe(len(unscored)) if unscored else "",
        where=where,
        length=f"{steps:,} steps" if steps else counted(prepared.standalone_recipe.epochs, "epoch"),
        estimate=estimate,
    )
    say_alone_rehearsal(rehearsal, voice)


@dataclass(frozen=True)
class TrainedAlone:
    """How trainings of single paths went.

    Args:
        run: The run they belong to.
        jobs: All that were asked for, done earlier or now.
        outcomes: By key, how those that ran ended.
        interrupted: Whether somebody asked to stop before all were done.
    """

    run: Run
    jobs: Sequence[AloneJob]
    outcomes: Mapping[JobKey, Outcome]
    interrupted: bool = False


def train_alone(
    run: Run,
    selection: Selection,
    seeds: Sequence[int],
    workplace: Workplace,
    voice: Output,
    data_root: Path | None = None,
) -> TrainedAlone:
    """Train paths from scratch, each with each seed; finished trainings are not repeated.

    Args:
        run: The run they belong to.
        selection: The paths, and what they begin with.
        seeds: Trainings of each.
        workplace: Where they run, and how many side by side.
        voice: Shows progress.
        data_root: Folder of the images, if not where the preset says.

    Raises:
        RunError: There is no supernet to inherit from, a worker could not be started, or a cluster is not there.
        UsageError: The workplace does not suit the run's device.
        DiskError: The folder cannot be written.
    """
    from supernet_cli.cli.supernets import warn_of_a_lost_checkpoint
    from supernet_cli.runs.job import create_job
    from supernet_cli.runs.results import keep_selection
    from supernet_cli.space import SearchSpace

    space = SearchSpace.from_config(run.preset().space)
    jobs = trainings(run, selection, seeds, space)
    waiting = [job for job in jobs if not job.folder.is_done]
    if not waiting:
        if selection.init is not Way.SHORT:  # that is kept with its length
            keep_selection(run, selection)
        return TrainedAlone(run, jobs, {})
    _check_free(run, waiting)
    with voice.working("loading torch and the data") as progress:
        from supernet_cli.training.prepare import prepare_run

        prepared = prepare_run(run, progress=progress, data_root=data_root)
    executor, where = workplace.for_trainings(prepared, len(waiting))
    if selection.init is Way.SHORT:
        selection = selection.model_copy(update={"steps": _short_steps(run, selection, prepared, space)})
        jobs, waiting = ([replace(job, steps=selection.steps) for job in several] for several in (jobs, waiting))
    keep_selection(run, selection)
    with voice.warnings():
        for job in waiting:
            if job.folder.path.exists():
                warn_of_a_lost_checkpoint(job.folder)
            else:
                create_job(job.folder)
        if not voice.is_live:
            voice.note(f"{run.id}  {len(waiting)} of {len(jobs)} trainings to do, {where}")
        return _run(run, prepared, jobs, waiting, executor, voice)


def _short_steps(run: Run, selection: Selection, prepared: Prepared, space: SearchSpace) -> int:
    """Return how long each short training is: decided once for a run, and the same for all its seeds.

    Raises:
        RunError: No supernet is finished.
        UsageError: Short trainings of other paths were started, or the budget is too small.
        PresetError: The schedule cannot be so short.
    """
    from supernet_cli.errors import UsageError
    from supernet_cli.reports.cost import macs_of_a_supernet
    from supernet_cli.runs.results import selections
    from supernet_cli.training.retrain import short_steps

    for known in selections(run):
        if known.init is Way.SHORT and known.steps is not None and run.alone_jobs(Way.SHORT):
            if set(known.paths) != set(selection.paths):
                raise UsageError(
                    f"{len(known.paths):,} other paths already share the budget of this run's short trainings.",
                    f"Train those, or delete {run.folder / 'short'} to start over.",
                )
            return known.steps
    return short_steps(prepared, [space.parse(path) for path in selection.paths], macs_of_a_supernet(run))


def _check_free(run: Run, waiting: Sequence[AloneJob]) -> None:
    """Make sure that no other process trains what is to be trained.

    Raises:
        RunError: One does.
    """
    from supernet_cli.errors import RunError

    busy = [job for job in waiting if job.folder.status().state.is_alive]
    if busy:
        raise RunError(
            f"Another process is running {len(busy)} of these trainings, {busy[0].folder.key} among them.",
            f"Watch it with `{run.command('tui')}`, or stop it with `{run.command('runs stop')}`.",
        )


def _run(
    run: Run,
    prepared: Prepared,
    jobs: Sequence[AloneJob],
    waiting: Sequence[AloneJob],
    executor: Executor,
    voice: Output,
) -> TrainedAlone:
    from supernet_cli.cli.signals import Interruption
    from supernet_cli.cli.watch import watching
    from supernet_cli.runs.records import Fanout
    from supernet_cli.runs.store import DeviceLog
    from supernet_cli.telemetry import Sampling
    from supernet_cli.training.retrain import AloneTraining

    work = AloneTraining.of(prepared, _inherited(run) if waiting[0].way is Way.INHERITED else None)
    views = [(job.folder.key, _view(job.folder)) for job in jobs]
    with (
        DeviceLog(run) as devices,
        watching(voice, sys.stderr, run.id, views, side_by_side=True) as watch,
        Sampling(Fanout(devices, watch)),
        Interruption() as interruption,
    ):
        outcomes = executor.run(work, waiting, watch.take, lambda: interruption.wish)
    stopped = any(outcome.state.is_by_request for outcome in outcomes.values())
    return TrainedAlone(run, jobs, outcomes, interruption.requested or stopped)


def _view(folder: JobFolder) -> JobSnapshot:
    """Return what a job's records say, with the state it truly has: an owner that was killed recorded no end."""
    snapshot, _ = folder.snapshot()
    return replace(snapshot, state=folder.status().state)


def _report(trained: TrainedAlone, voice: Output) -> None:
    """Say how the trainings went, from what is stored, and leave with the exit code of that."""
    from supernet_cli.cli.output import error_document
    from supernet_cli.cli.render import scores_table
    from supernet_cli.reports.next_step import next_step

    run = trained.run
    jobs = [_row(job, trained.outcomes) for job in trained.jobs]
    document: dict[str, Any] = {"run": run.id, "jobs": jobs}
    rows = [
        {**row, "accuracy": row["validation_accuracy"], "loss": row["validation_loss"]}
        for row in jobs
        if row["validation_accuracy"] is not None
    ]
    error = failure(trained)
    table = scores_table(rows, "validation") if rows else "No path has been evaluated yet."
    voice.result(document | (error_document(error) if error else {}), f"{run.id}  trained from scratch", "", table)
    if trained.interrupted:
        voice.note("\nRun the same command again to resume.")
        raise typer.Exit(INTERRUPTED)
    if error is not None:
        voice.fail(error)
    voice.next_step(next_step(run))


def failure(trained: TrainedAlone) -> SupernetError | None:
    """Return what to say where some trainings failed or diverged, with the place of their logs."""
    from supernet_cli.errors import JobsError

    failures = []
    for job in trained.jobs:
        status, outcome = job.folder.status(), trained.outcomes.get(job.folder.key)
        state = outcome.state if outcome is not None else status.state
        if state.has_failed:
            reason = outcome.reason if outcome is not None else status.reason
            failures.append(f"{job.folder.key}: {state}: {reason}\n    {job.folder.path / 'log.txt'}")
    if not failures:
        return None
    more = [f"… and {len(failures) - 10} more"] if len(failures) > 10 else []
    return JobsError(
        "\n".join([f"{len(failures)} of {len(trained.jobs)} trainings failed:", *failures[:10], *more]),
        "Look at the logs. The same command repeats those that failed; one that diverged would diverge again.",
    )


def trainings(run: Run, selection: Selection, seeds: Sequence[int], space: SearchSpace) -> list[AloneJob]:
    """Return the trainings, seed by seed: wherever they are stopped, the ranking is as whole as it can be."""
    from supernet_cli.runs.alone import AloneJob

    if selection.init is Way.INHERITED:
        _inherited(run)
    paths = [space.parse(path) for path in selection.paths]
    return [AloneJob(run.alone_job(path, seed, selection.init), path, seed) for seed in seeds for path in paths]


def _inherited(run: Run) -> Path:
    """Return the weights that paths of a run inherit: those of its first supernet.

    Raises:
        RunError: None is finished.
    """
    from supernet_cli.reports.next_step import finish_first

    found = next((job.weights for job in run.supernet_jobs() if job.weights.is_file()), None)
    if found is None:
        raise finish_first(run, "finished supernet to inherit from")
    return found


def _row(job: AloneJob, outcomes: Mapping[JobKey, Outcome]) -> dict[str, Any]:
    status, (snapshot, _) = job.folder.status(), job.folder.snapshot()
    outcome = outcomes.get(job.folder.key)
    score = next((view.score for view in snapshot.paths.values()), None)
    return {
        "path": str(job.path),
        "seed": job.seed,
        "status": outcome.state if outcome is not None else status.state,
        "reason": outcome.reason if outcome is not None else status.reason,
        "seconds": snapshot.train_seconds + snapshot.evaluation_seconds,
        "validation_accuracy": score.accuracy if score is not None else None,
        "validation_loss": score.loss if score is not None else None,
        "init": job.way.init,
        "folder": str(job.folder.path),
    }
