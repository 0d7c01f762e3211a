"""`supernet retrain`: train paths from scratch, many side by side."""

from __future__ import annotations

import sys
from collections import defaultdict
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
    Json,
    OutputFile,
    Quiet,
    RunName,
    RunsDir,
    complete_path,
    run_and_paths,
)
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
        help="Trainings side by side. Default: as many as there is room for.",
        show_envvar=False,
        rich_help_panel=PLACE,
    ),
]

_WAYS = "Name paths, or give one of --all, --top K (the best by one-shot score), --sample N (spread over the ranking)."
_CANDIDATES_PER_PATH = 16
_FEWEST_CANDIDATES = 64
"""Scored paths that a choice by one-shot score is made from, at least: so many for each path that is chosen."""


def retrain(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN] [PATH]...", help="Paths to train.", autocompletion=complete_path, show_envvar=False
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option("--all", help="Train every path of the space.", show_envvar=False, rich_help_panel=PATHS),
    ] = False,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="K",
            help="Train the K best by one-shot score; scores more paths first if too few have one.",
            show_envvar=False,
            rich_help_panel=PATHS,
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Train N spread over the one-shot ranking; scores more paths first if too few have one.",
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
    from supernet_cli.cli.train import parse_seeds
    from supernet_cli.errors import UsageError

    voice = Output(json, quiet, output)
    workplace = Workplace(executor, workers, ray_address, cpus_per_job, gpus_per_job)
    if short and init == "inherit":
        raise UsageError("--short starts from scratch, so it cannot be combined with --init inherit.", "Drop one.")
    found, words = run_and_paths(runs_dir, paths or [], run)
    _check_one_way(words, every, top, sample)
    wanted = parse_seeds(seeds) if seeds is not None else found.preset().retrain.seeds
    way: Init = "short" if short else init
    selection = _select(found, words, top, sample, way, workplace, voice, data_root)
    _report(train_alone(found, selection, wanted, workplace, voice, data_root), voice)


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
        from supernet_cli.engine.prepare import prepare_run

        prepared = prepare_run(run, progress=progress, data_root=data_root)
    executor, where = workplace.for_trainings(prepared, len(waiting))
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
            voice.note(f"{run.id}  {len(waiting)} of {len(jobs)} trainings to do, {where}")
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
                    f"{len(known.paths):,} other paths share the budget of this run's short trainings already.",
                    f"Train those, or delete {run.folder / 'short'} to start over.",
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
    voice.note(f"\n{next_step(run)}")


def failure(trained: TrainedAlone) -> SupernetError | None:
    """Return what to say where some trainings failed or diverged, with the place of their logs."""
    from supernet_cli.errors import JobsError

    failures = []
    for job in trained.jobs:
        status, outcome = job.folder.status(), trained.outcomes.get(job.folder.key)
        state = outcome.state if outcome is not None else status.state
        if state in ("failed", "diverged"):
            reason = outcome.reason if outcome is not None else status.reason
            failures.append(f"{job.folder.key}: {state}: {reason}\n    {job.folder.path / 'log.txt'}")
    if not failures:
        return None
    more = [f"… and {len(failures) - 10} more"] if len(failures) > 10 else []
    return JobsError(
        "\n".join([f"{len(failures)} of {len(trained.jobs)} trainings failed:", *failures[:10], *more]),
        "Look at the logs. The same command repeats those that failed; one that diverged would diverge again.",
    )


def _check_one_way(paths: list[str], every: bool, top: int | None, sample: int | None) -> None:
    """Make sure that paths are chosen in one way.

    Raises:
        UsageError: They are chosen in none, or in several.
    """
    from supernet_cli.errors import UsageError

    ways = {"PATH": bool(paths), "--all": every, "--top": top is not None, "--sample": sample is not None}
    given = [way for way, is_given in ways.items() if is_given]
    if not given:
        raise UsageError("You did not say which paths to train.", _WAYS)
    if len(given) > 1:
        raise UsageError(f"You chose paths in several ways: {' and '.join(given)}.", "Give one of them.")


def _select(
    run: Run,
    paths: list[str],
    top: int | None,
    sample: int | None,
    init: Init,
    workplace: Workplace,
    voice: Output,
    data_root: Path | None,
) -> Selection:
    """Return the paths that the command line asks for: named, or by their one-shot scores, or all.

    A choice by scores whose trainings are not done is not made anew: scores may have been added meanwhile, and the same
    command resumes.

    Raises:
        UsageError: There is no such path, or there are too many.
        RunError: There are no scores to choose by.
    """
    from supernet_cli.cli.evaluate import one_shot_ranking
    from supernet_cli.reports.next_step import SAMPLED
    from supernet_cli.reports.scores import stratified
    from supernet_cli.runs.results import Selection
    from supernet_cli.space import SearchSpace

    space = SearchSpace.from_config(run.preset().space)
    if paths:
        return Selection(how="named", init=init, paths=tuple(dict.fromkeys(str(space.parse(path)) for path in paths)))
    count = top or sample
    if count is None:
        sample_some = run.command("retrain", "--sample", str(SAMPLED))
        return everything(space, f"Train a sample of them: `{sample_some}`.", init)
    how: Literal["top", "sample"] = "top" if top is not None else "sample"
    if (unfinished := _unfinished(run, space, how, init, min(count, space.size))) is not None:
        return unfinished
    candidates = max(_FEWEST_CANDIDATES, _CANDIDATES_PER_PATH * count)
    ranking = one_shot_ranking(run, space, candidates, workplace, voice, data_root)
    chosen = [score.path for score in ranking[:count]] if how == "top" else stratified(ranking, count)
    return Selection(how=how, init=init, paths=tuple(chosen))


def _unfinished(run: Run, space: SearchSpace, how: str, init: Init, count: int) -> Selection | None:
    """Return an earlier choice of the same kind and size whose trainings were started and are not all done."""
    from supernet_cli.runs.results import selections

    started: dict[str, list[bool]] = defaultdict(list)
    for job in run.alone_jobs(init):
        started[job.path.parent.name].append(job.is_done)
    for known in selections(run):
        if (known.how, known.init, len(known.paths)) == (how, init, count):
            done = [started.get(run.alone_job(space.parse(path), 0).path.parent.name, [False]) for path in known.paths]
            if not all(all(each) for each in done):
                return known
    return None


def everything(space: SearchSpace, instead: str, init: Init = "scratch") -> Selection:
    """Return all paths of a space.

    Args:
        space: The space.
        instead: What to do where it is too large, for a hint.
        init: How they are trained.

    Raises:
        UsageError: They are too many to train each.
    """
    from supernet_cli.cli.evaluate import MOST_PATHS
    from supernet_cli.errors import UsageError
    from supernet_cli.runs.results import Selection

    if space.size > MOST_PATHS:
        raise UsageError(
            f"The space has {space.size:,} paths, too many to train each from scratch (the limit is {MOST_PATHS:,}).",
            instead,
        )
    return Selection(how="all", init=init, paths=tuple(map(str, space.enumerate())))


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
    from supernet_cli.reports.next_step import finish_first

    found = next((job.weights for job in run.supernet_jobs() if job.weights.is_file()), None)
    if found is None:
        raise finish_first(run, "finished supernet to inherit from")
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
