"""Training a run's supernets for longer than was planned: when that is the same training, and how it is prepared."""

from __future__ import annotations

import hashlib

from supernet_cli.config.schema import Preset
from supernet_cli.errors import RunError, UsageError
from supernet_cli.sampling import depends_on_length
from supernet_cli.store.results import forget_one_shot
from supernet_cli.store.run import Run, replace_preset
from supernet_cli.store.state import State
from supernet_cli.training.optimiser import is_stretched


def extend(run: Run, epochs: int) -> None:
    """Let a run's supernets be trained for more epochs: resumed, their weights are those of a longer training.

    What was found out about their earlier weights is forgotten. Stand-alone trainings keep their length.

    Args:
        run: The run.
        epochs: Length of the training, those done included.

    Raises:
        UsageError: The training is not shorter than that, or its steps depend on its length.
        RunError: Supernets are being trained, diverged, or have no checkpoint to resume from.
    """
    preset = run.preset()
    again = f"Train longer in a new run: `{run.repeated(f'--set train.epochs={epochs}')}`."
    if epochs <= preset.train.epochs:
        raise UsageError(
            f"Run {run.id} is trained for {preset.train.epochs} epochs already.",
            f"Give a larger number, such as --set train.epochs={2 * preset.train.epochs}.",
        )
    if (reason := why_length_matters(preset)) is not None:
        raise UsageError(f"Run {run.id} cannot be extended to {epochs} epochs: {reason}.", again)
    jobs = run.supernet_jobs()
    for job in jobs:
        state = job.status().state
        if state.is_alive:
            raise RunError(f"Another process is training {job.key}.", f"Watch it: `{run.command('tui')}`.")
        if state is State.DIVERGED or not job.has_checkpoint:
            raise RunError(f"{job.key} has no checkpoint to resume from (status: {state}).", again)
    retrain = preset.retrain.model_copy(update={"epochs": preset.standalone_recipe().epochs})
    train = preset.train.model_copy(update={"epochs": epochs})
    forget_one_shot(run)
    for job in jobs:  # until the preset is replaced, resuming gives the earlier weights again
        job.reopen(f"extended to {epochs} epochs")
    replace_preset(run, preset.model_copy(update={"train": train, "retrain": retrain}))


def why_length_matters(preset: Preset) -> str | None:
    """Return why a supernet's first steps depend on how many there are, or None if they do not."""
    train = preset.train
    if train.schedule is not None and is_stretched(train.schedule):
        return f"its schedule {train.schedule.name} is stretched over {train.epochs} epochs"
    if depends_on_length(train.sampler.name):
        return f"its strategy {train.sampler.name} is planned for {train.epochs} epochs"
    return None


def origins(preset: Preset) -> tuple[str, ...]:
    """Return what a checkpoint may carry to be resumed with a preset, the newest form first.

    It is a hash of the preset; of its length only where earlier steps depend on it, so that a run can be extended.
    Keys that a later version adds, at their defaults, leave it as it is.
    """
    if why_length_matters(preset) is not None:
        return (_digest(preset),)
    retrain = preset.retrain.model_copy(update={"epochs": preset.standalone_recipe().epochs})
    train = preset.train.model_copy(update={"epochs": 1})
    return _digest(preset.model_copy(update={"train": train, "retrain": retrain})), _digest(preset)


def _digest(preset: Preset) -> str:
    return hashlib.sha256(preset.model_dump_json(exclude_defaults=True).encode()).hexdigest()
