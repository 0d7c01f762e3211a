"""`supernet retrain`: train paths alone, many side by side."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from supernet_cli.cli.executors import CpusPerJob, ExecutorOption, GpusPerJob, RayAddress, Workplace
from supernet_cli.cli.options import RUNS_DIR, Json, OutputFile, Quiet, RunName, RunsDir, complete_path
from supernet_cli.errors import INTERRUPTED

if TYPE_CHECKING:
    from pathlib import Path

    from supernet_cli.cli.output import Output
    from supernet_cli.engine.executors import Executor
    from supernet_cli.engine.prepare import Prepared
    from supernet_cli.engine.training import Outcome
    from supernet_cli.errors import SupernetError
    from supernet_cli.runs.alone import AloneJob
    from supernet_cli.runs.job import JobFolder
    from supernet_cli.runs.results import Selection
    from supernet_cli.runs.snapshot import JobSnapshot
    from supernet_cli.runs.store import Init, Run
    from supernet_cli.space import SearchSpace

Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        metavar="N",
        help="Trainings side by side; left out, as many as there is room for.",
        show_envvar=False,
    ),
]

_WAYS = "Name paths, or give one of --all, --top K (the best by one-shot score), --sample N (spread over the ranking)."


def retrain(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Paths to train.", autocompletion=complete_path, show_envvar=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Train every path of the space.", show_envvar=False)] = False,
    top: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="Train the K best by one-shot score.", show_envvar=False)
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Train N, spread over the one-shot ranking.", show_envvar=False),
    ] = None,
    run: RunName = "latest",
    seeds: Annotated[
        str | None,
        typer.Option(metavar="N,N,…", help="Trainings of each path; the preset's where left out.", show_envvar=False),
    ] = None,
    workers: Workers = None,
    executor: ExecutorOption = "local",
    ray_address: RayAddress = None,
    cpus_per_job: CpusPerJob = None,
    gpus_per_job: GpusPerJob = None,
    init: Annotated[
        Literal["scratch", "inherit"],
        typer.Option(
            help="Begin from scratch, or with the weights of the run's first supernet; the latter tells nothing about "
            "a ranking, and enters no correlation.",
            show_envvar=False,
        ),
    ] = "scratch",
    short: Annotated[
        bool,
        typer.Option(
            "--short",
            help="Train them only so long that all together cost what one supernet did, judging included: a baseline "
            "for `compare`, and no truth.",
            show_envvar=False,
        ),
    ] = False,
    runs_dir: RunsDir = RUNS_DIR,
    json: Json = False,
    quiet: Quiet = False,
    output: OutputFile = None,
) -> None:
    """Train paths alone, to know what their one-shot scores are worth.

    Trainings that are done are not repeated, those that were interrupted go on. Results depend neither on --workers
    nor on --executor.
    """
    from supernet_cli.cli.output import Output
    from supernet_cli.cli.train import parse_seeds
    from supernet_cli.errors import UsageError
    from supernet_cli.runs.store import find_run

    voice = Output(json, quiet, output)
    workplace = Workplace(executor, workers, ray_address, cpus_per_job, gpus_per_job)
    if short and init == "inherit":
        raise UsageError("--short begins from scratch: it takes no --init inherit.", "Give one of the two.")
    found = find_run(runs_dir, run)
    selection = _select(found, paths or [], every, top, sample, "short" if short else init)
    wanted = parse_seeds(seeds) if seeds is not None else found.preset().retrain.seeds
    _report(train_alone(found, selection, wanted, workplace, voice), voice)


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
    outcomes: Mapping[str, Outcome]
    interrupted: bool = False


def train_alone(
    run: Run, selection: Selection, seeds: Sequence[int], workplace: Workplace, voice: Output
) -> TrainedAlone:
    """Train paths alone, each with each seed; those that are done are not repeated.

    Args:
        run: The run they belong to.
        selection: The paths, and what they begin with.
        seeds: Trainings of each.
        workplace: Where they run, and how many side by side.
        voice: Shows progress.

    Raises:
        RunError: There is no supernet to inherit from, a worker could not be started, or a cluster is not there.
        UsageError: The workplace does not suit the run's device.
        DiskError: The folder cannot be written.
    """
    from supernet_cli.cli.train import warn_of_a_lost_checkpoint
    from supernet_cli.runs.job import create_job
    from supernet_cli.runs.results import keep_selection
    from supernet_cli.space import SearchSpace

    space = SearchSpace.from_config(run.preset().space)
    jobs = _jobs(run, selection, seeds, space)
    waiting = [job for job in jobs if not job.folder.is_done]
    if not waiting:
        if selection.init != "short":  # that is kept with its length
            keep_selection(run, selection)
        return TrainedAlone(run, jobs, {})
    _check_free(run, waiting)
    with voice.working("loading torch and the data") as progress:
        from supernet_cli.engine.prepare import prepare

        prepared = prepare(run.preset(), progress=progress)
        prepared.check_images(run.manifest.fingerprints.get("images"))
    executor, told = workplace.for_trainings(prepared, len(waiting))
    if selection.init == "short":
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
            voice.note(f"{run.id}  {len(waiting)} of {len(jobs)} trainings to do, {told}")
        return _run(run, prepared, jobs, waiting, executor, voice)


def _short_steps(run: Run, selection: Selection, prepared: Prepared, space: SearchSpace) -> int:
    """Return how long each short training is: decided once for a run, and the same for all its seeds.

    Raises:
        RunError: No supernet is finished.
        UsageError: Short trainings of other paths were begun, or the budget is too small.
        PresetError: The schedule cannot be so short.
    """
    from supernet_cli.engine.retrain import short_steps
    from supernet_cli.errors import UsageError
    from supernet_cli.reports.cost import macs_of_a_supernet
    from supernet_cli.runs.results import selections

    for known in selections(run):
        if known.init == "short" and known.steps is not None and run.alone_jobs("short"):
            if set(known.paths) != set(selection.paths):
                raise UsageError(
                    f"Short trainings of {len(known.paths):,} other paths were begun, and theirs share the budget.",
                    f"Go on with those, or delete {run.folder / 'short'}.",
                )
            return known.steps
    return short_steps(prepared, [space.parse(path) for path in selection.paths], macs_of_a_supernet(run))


def _check_free(run: Run, waiting: Sequence[AloneJob]) -> None:
    """Make sure that nobody else trains what is to be trained.

    Raises:
        RunError: Somebody does.
    """
    from supernet_cli.errors import RunError
    from supernet_cli.runs.records import ALIVE

    busy = [job for job in waiting if job.folder.status().state in ALIVE]
    if busy:
        raise RunError(
            f"{len(busy)} of these trainings are being done by another process, {busy[0].folder.key} among them.",
            f"Wait for it, or stop it: `supernet runs stop {run.typed}`.",
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
    from supernet_cli.engine.retrain import AloneTraining
    from supernet_cli.runs.records import Fanout
    from supernet_cli.runs.store import DeviceLog
    from supernet_cli.telemetry import Sampling

    work = AloneTraining.of(prepared, _inherited(run) if waiting[0].init == "inherit" else None)
    views = [(job.folder.key, _view(job.folder)) for job in jobs]
    with (
        DeviceLog(run) as devices,
        watching(voice, sys.stderr, run.id, views, side_by_side=True) as watch,
        Sampling(Fanout(devices, watch)),
        Interruption() as interruption,
    ):
        outcomes = executor.run(work, waiting, watch.take, lambda: "interrupted" if interruption.requested else None)
    stopped = any(outcome.state in ("interrupted", "stopped") for outcome in outcomes.values())
    return TrainedAlone(run, jobs, outcomes, interruption.requested or stopped)


def _view(folder: JobFolder) -> JobSnapshot:
    """Return what a job's records say, with the state it truly has: an owner that was killed recorded no end."""
    snapshot, _ = folder.snapshot()
    return replace(snapshot, state=folder.status().state)


def _report(trained: TrainedAlone, voice: Output) -> None:
    """Say how the trainings went, from what is stored, and leave with the exit code of that."""
    from supernet_cli.cli.output import error_document
    from supernet_cli.cli.render import scores_table

    run = trained.run
    told = [_row(job, trained.outcomes) for job in trained.jobs]
    document: dict[str, Any] = {"run": run.id, "jobs": told}
    rows = [
        {**row, "accuracy": row["validation_accuracy"], "loss": row["validation_loss"]}
        for row in told
        if row["validation_accuracy"] is not None
    ]
    error = failure(trained)
    table = scores_table(rows, "validation") if rows else "No path was judged yet."
    voice.result(document | (error_document(error) if error else {}), f"{run.id}  trained alone", "", table)
    if trained.interrupted:
        voice.note("\nGo on with the same command.")
        raise typer.Exit(INTERRUPTED)
    if error is not None:
        voice.fail(error)
    if any(job.init == "short" for job in trained.jobs):
        voice.note(f"\nSee how they rank: supernet compare --run {run.typed}")
    else:
        voice.note(f"\nJudge them on the test images: supernet evaluate --run {run.typed}")


def failure(trained: TrainedAlone) -> SupernetError | None:
    """Return what to say where some trainings failed or diverged, with the place of their logs."""
    from supernet_cli.errors import JobsError

    told = []
    for job in trained.jobs:
        status, outcome = job.folder.status(), trained.outcomes.get(job.folder.key)
        state = outcome.state if outcome is not None else status.state
        if state in ("failed", "diverged"):
            reason = outcome.reason if outcome is not None else status.reason
            told.append(f"{job.folder.key}: {state}: {reason}\n    {job.folder.path / 'log.txt'}")
    if not told:
        return None
    more = [f"… and {len(told) - 10} more"] if len(told) > 10 else []
    return JobsError(
        "\n".join([f"{len(told)} of {len(trained.jobs)} trainings did not come to their end:", *told[:10], *more]),
        "Look at the logs; the same command goes on with those that failed. One that diverged would diverge again.",
    )


def _select(run: Run, paths: list[str], every: bool, top: int | None, sample: int | None, init: Init) -> Selection:
    """Return the paths that the command line asks for.

    Raises:
        UsageError: None or several ways to choose are given, there is no such path, or there are too many.
        RunError: There are no scores to choose by.
    """
    from supernet_cli.errors import UsageError
    from supernet_cli.runs.results import Selection
    from supernet_cli.space import SearchSpace

    if sum([bool(paths), every, top is not None, sample is not None]) != 1:
        raise UsageError("Which paths are to be trained?", _WAYS)
    space = SearchSpace.from_config(run.preset().space)
    if paths:
        return Selection(how="named", init=init, paths=tuple(dict.fromkeys(str(space.parse(path)) for path in paths)))
    if every:
        return everything(space, init)
    from supernet_cli.reports.scores import best, stratified

    losses = _one_shot_losses(run, space, top or sample or 1)
    if top is not None:
        return Selection(how="top", init=init, paths=tuple(best(losses, top)))
    assert sample is not None
    return Selection(how="sample", init=init, paths=tuple(stratified(losses, sample)))


def everything(space: SearchSpace, init: Init = "scratch") -> Selection:
    """Return all paths of a space.

    Raises:
        UsageError: They are too many to train each.
    """
    from supernet_cli.cli.evaluate import MOST_PATHS
    from supernet_cli.errors import UsageError
    from supernet_cli.runs.results import Selection

    if space.size > MOST_PATHS:
        raise UsageError(
            f"The space has {space.size:,} paths; training each alone would take too long.",
            "Train some of them: `supernet retrain --sample 50`.",
        )
    return Selection(how="all", init=init, paths=tuple(map(str, space.enumerate())))


def _one_shot_losses(run: Run, space: SearchSpace, wanted: int) -> dict[str, float]:
    """Return the one-shot losses to choose by.

    Raises:
        RunError: There are none.
        UsageError: Fewer paths have one than are wanted.
    """
    from supernet_cli.errors import RunError, UsageError
    from supernet_cli.reports.scores import mean_losses, scores
    from supernet_cli.runs.results import evaluation

    losses = mean_losses(scores(run, evaluation(run), "validation", "one-shot"))
    if not losses:
        raise RunError(
            f"Run {run.id} has no one-shot scores to choose by.", f"Finish it: `supernet train --resume {run.typed}`."
        )
    if len(losses) < min(wanted, space.size):
        raise UsageError(
            f"{wanted} paths are asked for, and {len(losses)} of the space's {space.size:,} have a one-shot score.",
            f"Judge more of them first: `supernet evaluate --split validation --run {run.typed}`, or name paths to it.",
        )
    return losses


def _jobs(run: Run, selection: Selection, seeds: Sequence[int], space: SearchSpace) -> list[AloneJob]:
    """Return the trainings, seed by seed: wherever they are stopped, the ranking is as whole as it can be."""
    from supernet_cli.runs.alone import AloneJob

    if selection.init == "inherit":
        _inherited(run)
    paths = [space.parse(path) for path in selection.paths]
    return [
        AloneJob(run.alone_job(path, seed, selection.init), path, seed, selection.init)
        for seed in seeds
        for path in paths
    ]


def _inherited(run: Run) -> Path:
    """Return the weights that paths of a run inherit: those of its first supernet.

    Raises:
        RunError: None is finished.
    """
    from supernet_cli.errors import RunError

    found = next((job.weights for job in run.supernet_jobs() if job.weights.is_file()), None)
    if found is None:
        raise RunError(
            f"Run {run.id} has no finished supernet to inherit from.",
            f"Finish it first: `supernet train --resume {run.typed}`.",
        )
    return found


def _row(job: AloneJob, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
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
        "init": job.init,
        "folder": str(job.folder.path),
    }
