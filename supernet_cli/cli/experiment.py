"""`supernet experiment`: the whole of it, from a preset to a comparison."""

from __future__ import annotations

import contextlib
import math
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from supernet_cli.cli.executors import CpusPerJob, ExecutorOption, GpusPerJob, RayAddress, Workplace
from supernet_cli.cli.options import (
    RUNS_DIR,
    TRAINING,
    DataRoot,
    DryRun,
    Json,
    OutputFile,
    PresetArgument,
    PresetName,
    Quiet,
    RunsDir,
    Settings,
    complete_run,
    one_preset,
    typed,
    with_data_root,
)
from supernet_cli.cli.retrain import Workers
from supernet_cli.errors import INTERRUPTED, RunError

if TYPE_CHECKING:
    from pathlib import Path

    from supernet_cli.cli.output import Output
    from supernet_cli.config.load import LoadedPreset
    from supernet_cli.runs.store import Run
    from supernet_cli.space import SearchSpace


def experiment(
    context: typer.Context,
    preset: PresetArgument = None,
    preset_option: PresetName = None,
    settings: Settings = None,
    data_root: DataRoot = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…",
            help="Seeds of the stand-alone trainings: each path is trained once per seed. Default: from the preset.",
            show_envvar=False,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    supernet_seeds: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…",
            help="Seeds of the supernets: one is trained per seed. Default: from the preset.",
            show_envvar=False,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Continue a run from whatever state it is in",
            autocompletion=complete_run,
            show_envvar=False,
            rich_help_panel=TRAINING,
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
    """Train a supernet and every path from scratch, evaluate them all, and report whether the ranking can be trusted.

    Four commands in one: train, retrain --all, evaluate, compare. --seeds are those of the stand-alone trainings. Can
    be interrupted at any point; --resume continues. A second `experiment` on the same run waits for the first.
    """
    from supernet_cli.cli.output import Output
    from supernet_cli.cli.supernets import begin, check_idle, train_supernets
    from supernet_cli.errors import UsageError
    from supernet_cli.runs.store import EXPERIMENT_LOCK, find_run

    voice = Output(json, quiet, output)
    workplace = Workplace(executor, workers, ray_address, cpus_per_job, gpus_per_job)
    given = typed(context) & {"preset", "preset_option", "settings", "seeds", "supernet_seeds"}
    if resume is not None and given:
        raise UsageError(
            "--resume uses the run's own preset, so it takes no PRESET, --set, --seeds or --supernet-seeds.",
            "Drop them, or start a new run without --resume.",
        )
    if dry_run and resume is not None:
        raise UsageError("--dry-run describes a new experiment, so it takes no --resume.", "Drop one of them.")
    if resume is None:
        name, changes = one_preset(preset, preset_option), with_data_root(settings, data_root)
        loaded = _load(runs_dir, name, changes, seeds, supernet_seeds)
    if dry_run:
        from supernet_cli.cli.rehearsal import say_rehearsal

        say_rehearsal(loaded, voice, workplace)
        return
    workplace.check()
    if resume is None:
        with voice.working("loading torch and the data") as progress:
            run, prepared = begin(runs_dir, loaded, progress)
        with _only_here(run, voice):
            _go_through(run, train_supernets(run, prepared, voice), workplace, voice, None)
    else:
        run = find_run(runs_dir, resume)
        if not (run.folder / EXPERIMENT_LOCK).is_file():  # a run that is refused stays what it is: no experiment
            check_idle(run)
        with _only_here(run, voice):
            _go_through(run, _finish_supernets(run, voice, data_root), workplace, voice, data_root)


def _go_through(run: Run, stopped: bool, workplace: Workplace, voice: Output, data_root: Path | None) -> None:
    """Do what remains after the supernets are trained, and report the result."""
    from supernet_cli.cli.compare import say_comparison
    from supernet_cli.cli.evaluate import judge
    from supernet_cli.cli.retrain import failure, train_alone
    from supernet_cli.cli.selection import everything
    from supernet_cli.reports.next_step import next_step
    from supernet_cli.space import SearchSpace

    _check_supernets(run)
    trained = None
    preset = run.preset()
    space = SearchSpace.from_config(preset.space)
    if not stopped:
        step = next_step(run)
        selection = everything(space, step.hint if step else "")
        trained = train_alone(run, selection, preset.retrain.seeds, workplace, voice, data_root)
    if trained is None or trained.interrupted:
        _leave(run, voice)
    error = failure(trained)
    try:
        if _lacks_scores(run, space):
            judge(run, list(space.enumerate()), "validation", workplace, voice, data_root)
        judge(run, list(space.enumerate()), "test", workplace, voice, data_root)
    except KeyboardInterrupt:
        _leave(run, voice)
    try:
        say_comparison([run], None, voice, error=error)
    except RunError:
        if error is None:
            raise
        raise error from None  # nothing can be compared because the trainings failed: that is what to say
    if error is not None:
        voice.fail(error)


@contextlib.contextmanager
def _only_here(run: Run, voice: Output) -> Iterator[None]:
    """Hold the experiment of a run; where another process does, wait until it is done or gone.

    What that one did is then not done again, and what it left open is done here.
    """
    from supernet_cli.runs.lock import FileLock
    from supernet_cli.runs.store import EXPERIMENT_LOCK

    lock = FileLock(run.folder / EXPERIMENT_LOCK, f"The experiment {run.id}")
    try:
        lock.acquire()
    except RunError:
        voice.note(f"Another process is working on {run.id}; waiting for it. Ctrl-C stops waiting, not the work.")
        lock.acquire(patience=math.inf)
    try:
        yield
    finally:
        lock.release()


def _load(
    runs_dir: Path, preset: str, settings: list[str], seeds: str | None, supernet_seeds: str | None
) -> LoadedPreset:
    """Load a preset with settings, and with the seeds of its supernets and of its stand-alone trainings.

    Raises:
        UsageError: The space is too large to train each path.
    """
    from supernet_cli.cli.selection import everything
    from supernet_cli.cli.train import parse_seeds
    from supernet_cli.config.load import load_preset
    from supernet_cli.runs.store import runs_dir_option
    from supernet_cli.space import SearchSpace

    given = {"train.seeds": ("--supernet-seeds", supernet_seeds), "retrain.seeds": ("--seeds", seeds)}
    extra = [f"{key}={list(parse_seeds(t, option))}" for key, (option, t) in given.items() if t is not None]
    loaded = load_preset(preset, [*settings, *extra])
    words = shlex.join(["supernet", "train", preset, *(word for setting in settings for word in ("--set", setting))])
    instead = f"Train its supernet, then a sample of its paths: `{words}{runs_dir_option(runs_dir)}`."
    everything(SearchSpace.from_config(loaded.preset.space), instead)  # before anything is trained
    return loaded


def _finish_supernets(run: Run, voice: Output, data_root: Path | None) -> bool:
    """Train those of a run's supernets that are not done; return whether somebody asked to stop."""
    from supernet_cli.cli.supernets import reopen, train_supernets

    if all(run.supernet_job(seed).is_done for seed in run.preset().train.seeds):
        return False
    with voice.working("loading torch and the data") as progress:
        run, prepared = reopen(run, progress, data_root=data_root)
    return train_supernets(run, prepared, voice)


def _check_supernets(run: Run) -> None:
    """Make sure that there is something to compare with.

    Raises:
        DivergedError: All supernets diverged.
    """
    from supernet_cli.cli.supernets import divergence
    from supernet_cli.runs.state import State

    jobs = run.supernet_jobs()
    if jobs and all(job.status().state is State.DIVERGED for job in jobs):
        raise divergence(run)


def _leave(run: Run, voice: Output) -> NoReturn:
    """Say how to resume, and leave as interrupted."""
    voice.result({"run": run.id, "status": run.state()}, f"{run.id}  {run.state()}")
    voice.note(f"\nResume with: {run.command('experiment')}")
    raise typer.Exit(INTERRUPTED)


def _lacks_scores(run: Run, space: SearchSpace) -> bool:
    """Whether training has not evaluated every path on validation at its end: spaces may be too large for that."""
    from supernet_cli.reports.scores import scores
    from supernet_cli.runs.layout import Way
    from supernet_cli.runs.results import evaluation

    by_seed = scores(run, evaluation(run), "validation", Way.ONE_SHOT)
    return any(len(rows) < space.size for rows in by_seed.values())
