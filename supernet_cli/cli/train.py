"""`supernet train`: train a supernet from a preset, or resume a run."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from supernet_cli.cli.options import (
    OUTPUT,
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
from supernet_cli.config.torchrun import Place, here
from supernet_cli.errors import INTERRUPTED
from supernet_cli.store.state import State

if TYPE_CHECKING:
    from supernet_cli.cli.output import Output
    from supernet_cli.store.run import Run
    from supernet_cli.workflows.train import Trained


def train(
    context: typer.Context,
    preset: PresetArgument = None,
    preset_option: PresetName = None,
    settings: Settings = None,
    data_root: DataRoot = None,
    seeds: Annotated[
        str | None,
        seeds_option("Seeds of the supernets, such as 0,1,2: one is trained per seed. Default: from the preset."),
    ] = None,
    resume: Annotated[
        str | None,
        resume_option(
            "Resume an interrupted run. With --set train.epochs=N, train even a finished one for longer, unless "
            "its schedule depends on the number of epochs."
        ),
    ] = None,
    dry_run: DryRun = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard event files", rich_help_panel=OUTPUT)
    ] = False,
    tui: Annotated[
        bool,
        typer.Option("--tui", help="Train in a separate process and open the monitor on it", rich_help_panel=OUTPUT),
    ] = False,
    runs_dir: RunsDir = RUNS_DIR,
    json: Json = False,
    quiet: Quiet = False,
    output: OutputFile = None,
) -> None:
    """Train a supernet and evaluate its paths on the validation images as it goes.

    --seeds are those of the supernets. The first Ctrl-C writes a checkpoint and stops; --resume continues from it,
    bit for bit.
    """
    from supernet_cli.cli.output import Output
    from supernet_cli.config.load import load_preset
    from supernet_cli.errors import UsageError

    place = here()
    if place.size > 1 and _is_only_to_help(place, tui or dry_run, data_root):
        return
    voice = Output(json, quiet, output)
    given = typed(context)
    if resume is not None and given & {"preset", "preset_option", "seeds"}:
        raise UsageError(
            "--resume uses the run's own preset, so it takes no PRESET or --seeds.",
            "Drop them, or start a new run without --resume.",
        )
    epochs = None
    if resume is not None and "settings" in given:
        from supernet_cli.workflows.train import longer

        epochs = longer(settings or [])
    name = one_of("preset", preset, preset_option, "default")
    changes = with_data_root(settings, data_root)
    if tui:
        if dry_run or json or quiet or output is not None:
            raise UsageError(
                "--tui opens the monitor, so it takes no --dry-run, --json, --quiet or --output.", "Drop them."
            )
        _train_beside_the_monitor(runs_dir, name, changes, seeds, resume, tensorboard, data_root, epochs)
        return
    if dry_run:
        if resume is not None:
            raise UsageError("--dry-run describes a new training, so it takes no --resume.", "Drop one of them.")
        from supernet_cli.cli.rehearsal import say_rehearsal

        say_rehearsal(load_preset(name, with_seeds(changes, "train.seeds", seeds)), voice)
        return
    if resume is None:
        loaded = load_preset(name, with_seeds(changes, "train.seeds", seeds))  # a wrong preset is reported sooner
        from supernet_cli.workflows import train as workflow

        _report(workflow.train(runs_dir, loaded, voice, place, tensorboard), voice)
    else:
        from supernet_cli.store.runs import find_run
        from supernet_cli.workflows import train as workflow

        _report(workflow.resume(find_run(runs_dir, resume), voice, place, tensorboard, data_root, epochs), voice)


def _is_only_to_help(place: Place, is_no_training: bool, data_root: Path | None) -> bool:
    """Train along where this is another rank than the first, and return whether it is.

    Raises:
        UsageError: It is not to be trained, or not by this process.
    """
    from supernet_cli.errors import UsageError

    if is_no_training:
        raise UsageError(
            "--tui and --dry-run cannot be used under torchrun.",
            "Drop them, or start it without torchrun; `supernet tui` watches from another terminal.",
        )
    if place.is_first:
        return False
    from supernet_cli.workflows.ranks import help_to_train

    if code := help_to_train(place, data_root):
        raise typer.Exit(code)
    return True


def _train_beside_the_monitor(
    runs_dir: Path,
    preset: str,
    settings: list[str],
    seeds: str | None,
    resume: str | None,
    tensorboard: bool,
    data_root: Path | None,
    epochs: int | None,
) -> None:
    """Check what can be checked at once, start the training on its own, and open the monitor on it."""
    from supernet_cli.cli.tui import check_terminal, open_monitor
    from supernet_cli.config.load import load_preset
    from supernet_cli.store.launch import launch
    from supernet_cli.store.runs import find_run

    check_terminal("Train without --tui.")
    if resume is not None:
        words = ["--resume", str(find_run(runs_dir, resume).folder.absolute())]
        words += ["--data-root", str(data_root)] if data_root is not None else []
        words += ["--set", f"train.epochs={epochs}"] if epochs is not None else []
    else:
        load_preset(preset, with_seeds(settings, "train.seeds", seeds))
        words = ["--preset", preset, *(word for setting in settings for word in ("--set", setting))]
        words += ["--seeds", seeds] if seeds is not None else []
    words += ["--tensorboard"] if tensorboard else []
    open_monitor(runs_dir, None, launched=launch(runs_dir, ["train", *words]))


def _report(trained: Trained, voice: Output) -> None:
    """Report how it went, unless the terminal was closed: then the run is saved, and nobody is left to read."""
    try:
        _say(trained, voice)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise typer.Exit(0 if trained.supernets is State.FINISHED else INTERRUPTED) from error


def _say(trained: Trained, voice: Output) -> None:
    """Say how it went, from what is stored, with the line about the data if that was not shown at the start."""
    from supernet_cli.cli.output import error_document
    from supernet_cli.cli.render import scores_table
    from supernet_cli.reports.next_step import next_step

    run, error = trained.run, trained.failure
    document = _document(run)
    rows = [
        {"seed": job["seed"], "accuracy": path["validation_accuracy"], "loss": path["validation_loss"], **path}
        for job in document["jobs"]
        for path in job["paths"]
    ]
    title = f"{run.id}  {document['status']}  {document['images_per_second'] or 0:,.0f} images/s"
    table = scores_table(rows, "validation") if rows else "No path has been evaluated yet."
    data = [trained.data.line()] if voice.quiet else []
    voice.result(document | (error_document(error) if error else {}), title, *data, "", table)
    if error is not None:
        voice.fail(error)
    if document["status"] != State.FINISHED:
        voice.note(f"\nResume with: {run.command('train')}")
        raise typer.Exit(INTERRUPTED)
    voice.next_step(next_step(run))


def _document(run: Run) -> dict[str, Any]:
    """Return a run as the JSON document of `train`."""
    snapshots = [(job, job.status().state, job.snapshot()[0]) for job in run.supernet_jobs()]
    images = sum(snapshot.forward_images for _, _, snapshot in snapshots)
    seconds = sum(snapshot.train_seconds for _, _, snapshot in snapshots)
    return {
        "run": run.id,
        "status": run.state(run.supernet_jobs()),
        "seconds": seconds + sum(snapshot.evaluation_seconds for _, _, snapshot in snapshots),
        "forward_images": images,
        "images_per_second": images / seconds if seconds else None,
        "jobs": [
            {
                "seed": job.seed,
                "status": state,
                "paths": [
                    {
                        "path": view.score.path,
                        "validation_accuracy": view.score.accuracy,
                        "validation_loss": view.score.loss,
                        "trained_images": view.score.trained_images,
                    }
                    for view in snapshot.paths.values()
                ],
            }
            for job, state, snapshot in snapshots
        ],
    }
