"""`supernet experiment`: the whole of it, from a preset to a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from supernet_cli.cli.executors import CpusPerJob, ExecutorOption, GpusPerJob, RayAddress, Workers
from supernet_cli.cli.options import (
    RUNS_DIR,
    DataRoot,
    DryRun,
    Json,
    OutputFile,
    PresetArgument,
    PresetName,
    Quiet,
    RunsDir,
    Settings,
    one_of,
    resume_option,
    seeds_option,
    typed,
    with_data_root,
    with_seeds,
)
from supernet_cli.errors import INTERRUPTED

if TYPE_CHECKING:
    from supernet_cli.cli.output import Output
    from supernet_cli.workflows.experiment import Experimented


def experiment(
    context: typer.Context,
    preset: PresetArgument = None,
    preset_option: PresetName = None,
    settings: Settings = None,
    data_root: DataRoot = None,
    seeds: Annotated[
        str | None,
        seeds_option(
            "Seeds of the stand-alone trainings: each path is trained once per seed. Default: from the preset."
        ),
    ] = None,
    supernet_seeds: Annotated[
        str | None, seeds_option("Seeds of the supernets: one is trained per seed. Default: from the preset.")
    ] = None,
    resume: Annotated[str | None, resume_option("Continue a run from whatever state it is in")] = None,
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
    from supernet_cli.config.load import load_preset
    from supernet_cli.errors import UsageError
    from supernet_cli.store.runs import find_run
    from supernet_cli.workflows import experiment as workflow
    from supernet_cli.workflows.session import Session
    from supernet_cli.workflows.workplace import Workplace

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
    if resume is not None:
        session = Session(find_run(runs_dir, resume), workplace, voice, data_root)
        _report(workflow.resume_experiment(session), voice)
        return
    name = one_of("preset", preset, preset_option, "default")
    changes = with_data_root(settings, data_root)
    of_supernets = with_seeds(changes, "train.seeds", supernet_seeds, "--supernet-seeds")
    loaded = load_preset(name, with_seeds(of_supernets, "retrain.seeds", seeds))
    workflow.check_size(runs_dir, loaded, name, changes)
    if dry_run:
        from supernet_cli.cli.rehearsal import say_rehearsal

        say_rehearsal(loaded, voice, workplace)
    else:
        _report(workflow.experiment(runs_dir, loaded, workplace, voice), voice)


def _report(done: Experimented, voice: Output) -> None:
    """Print the comparison, or how to resume where there is none."""
    from supernet_cli.cli.comparison import say_comparison

    run = done.run
    if done.comparison is None:
        voice.result({"run": run.id, "status": run.state()}, f"{run.id}  {run.state()}")
        voice.note(f"\nResume with: {run.command('experiment')}")
        raise typer.Exit(INTERRUPTED)
    say_comparison(done.comparison, voice, error=done.error)
    if done.error is not None:
        voice.fail(done.error)
