"""The Python interface: what the commands do, as functions; see the package's docstring and docs/python.md.

A run is given as a `Run`, or as the commands take it: an id, a unique prefix of one, a folder, or "latest". Each
function is silent unless it is given `progress=True`, which shows what the command shows, or an `observer`: an
`Observer`, or a function that is called with a job's key and each of its records. Ctrl-C saves what is being trained
and then raises KeyboardInterrupt; the same call continues.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from supernet_cli.config.load import LoadedPreset, load_preset, load_table
from supernet_cli.config.settings import as_setting
from supernet_cli.errors import UsageError
from supernet_cli.store.layout import Way
from supernet_cli.store.results import Order, Split
from supernet_cli.store.run import Run, default_runs_dir
from supernet_cli.store.runs import find_run, list_runs
from supernet_cli.store.state import State
from supernet_cli.workflows.observer import Observer, Together
from supernet_cli.workflows.workplace import Workplace

if TYPE_CHECKING:
    from supernet_cli.networks.loaded import LoadedNetwork
    from supernet_cli.reports.comparison import Comparison
    from supernet_cli.store.layout import JobKey
    from supernet_cli.store.records import Record
    from supernet_cli.workflows.evaluate import Evaluated
    from supernet_cli.workflows.load import Weights
    from supernet_cli.workflows.retrain import TrainedAlone
    from supernet_cli.workflows.selection import Wanted
    from supernet_cli.workflows.session import Session

logging.getLogger("supernet_cli").addHandler(logging.NullHandler())  # silent, unless the program sets up logging

PresetLike = str | os.PathLike[str] | Mapping[str, Any]
"""A shipped preset's name, one in ./presets, a TOML file, or a mapping with the same sections and keys."""

Settings = Mapping[str, Any] | Sequence[str]
"""Changes to a preset: {"train.epochs": 4}, or as they are typed after --set, ["train.epochs=4"]."""

RunLike = Run | str | os.PathLike[str]
"""A run, or what names one: an id, a unique prefix of one, a folder, or "latest"."""

Paths: TypeAlias = "str | Sequence[str] | Wanted"
"""Which paths: "all" of them, named ones, `top(k)` or `sample(n)`."""

Watcher = Observer | Callable[["JobKey | None", "Record"], None]
"""Who sees what happens: an Observer, or a function that is called with a job's key and one of its records."""

Workers = int | Workplace | None
"""Trainings side by side; None for as many as there is room for. A `Workplace` also names a Ray cluster."""


def train(
    preset: PresetLike | Run = "default",
    settings: Settings = (),
    *,
    seeds: Sequence[int] | None = None,
    data_root: str | os.PathLike[str] | None = None,
    tensorboard: bool = False,
    runs_dir: str | os.PathLike[str] | None = None,
    progress: bool = False,
    observer: Watcher | None = None,
) -> Run:
    """Train a supernet for each seed, and evaluate its paths on the validation images as it goes.

    Args:
        preset: What to train; or a run whose training was interrupted, to resume it from its checkpoints.
        settings: Changes to the preset. With a run, only train.epochs, to train it for longer.
        seeds: Of the supernets (default: from the preset).
        data_root: Folder of the images, if not where the preset says.
        tensorboard: Whether to write event files for TensorBoard, too.
        runs_dir: Where the run is created (default: $SUPERNET_RUNS_DIR, or ./runs).
        progress: Whether to show what `supernet train` shows.
        observer: Sees every record of the training.

    Returns:
        The run, finished or stopped by `supernet runs stop`.

    Raises:
        SupernetError: As the command fails: a PresetError, DataError, DivergedError and so on.
        KeyboardInterrupt: After Ctrl-C, once the checkpoint is written.
    """
    from supernet_cli.workflows import train as workflow

    sees = _observer(progress, observer)
    if isinstance(preset, Run):
        epochs = _epochs(settings)
        if seeds is not None:
            raise UsageError("A run has its own seeds.", "Give a preset to train others.")
        root = None if data_root is None else Path(data_root)
        trained = workflow.resume(preset, sees, tensorboard=tensorboard, data_root=root, epochs=epochs)
    else:
        changes = _settings(settings, {"train.seeds": seeds, "data.root": data_root})
        trained = workflow.train(_folder(runs_dir), _load(preset, changes, sees), sees, tensorboard=tensorboard)
    if trained.supernets is State.INTERRUPTED:
        raise KeyboardInterrupt(f"Saved; resume with: {trained.run.command('train')}")
    if trained.failure is not None:
        raise trained.failure
    return trained.run


def retrain(
    run: RunLike,
    paths: Paths,
    *,
    seeds: Sequence[int] | None = None,
    init: Literal["scratch", "inherit", "short"] = "scratch",
    workers: Workers = None,
    data_root: str | os.PathLike[str] | None = None,
    progress: bool = False,
    observer: Watcher | None = None,
) -> TrainedAlone:
    """Train paths alone, with each seed, to find out whether to trust their one-shot scores.

    Finished trainings are not repeated, interrupted ones are resumed.

    Args:
        run: The run.
        paths: Which paths: "all", names, `top(k)` or `sample(n)`.
        seeds: Trainings of each (default: from the preset).
        init: From scratch, from the weights of the run's first supernet, or from scratch but so briefly that all of
            them together cost as much as one supernet.
        workers: Trainings side by side, or a `Workplace`.
        data_root: Folder of the images, if not where the preset says.
        progress: Whether to show what `supernet retrain` shows.
        observer: Sees every record of the trainings.

    Raises:
        SupernetError: As the command fails; a JobsError where trainings failed or diverged.
        KeyboardInterrupt: After Ctrl-C, once the checkpoints are written.
    """
    from supernet_cli.workflows import retrain as workflow

    session = _session(run, workers, data_root, _observer(progress, observer))
    trained = workflow.retrain(session, _wanted(paths, Way.of_init(init)), None if seeds is None else tuple(seeds))
    if trained.interrupted:
        raise KeyboardInterrupt("Saved; the same call continues.")
    if trained.failure is not None:
        raise trained.failure
    return trained


def evaluate(
    run: RunLike,
    paths: Paths = "all",
    *,
    split: Split = "test",
    workers: Workers = None,
    data_root: str | os.PathLike[str] | None = None,
    progress: bool = False,
    observer: Watcher | None = None,
) -> Evaluated:
    """Evaluate paths with inherited weights, and with weights of their own where they have been trained.

    Results are also stored in the run.

    Args:
        run: The run.
        paths: Which paths: all (in a large space, those that something is known of), names, `top(k)` or `sample(n)`.
        split: The images to evaluate on.
        workers: Where to evaluate, as a `Workplace`.
        data_root: Folder of the images, if not where the preset says.
        progress: Whether to show what `supernet evaluate` shows.
        observer: Sees how far the evaluation is.

    Raises:
        SupernetError: As the command fails.
        KeyboardInterrupt: After Ctrl-C; what was evaluated until then is stored.
    """
    from supernet_cli.workflows import evaluate as workflow

    session = _session(run, workers, data_root, _observer(progress, observer))
    if paths == "all":
        return workflow.evaluate(session, split=split)
    wanted = _wanted(paths, Way.ALONE)
    return workflow.evaluate(session, wanted.paths, split, wanted.sample, wanted.top)


def compare(run: RunLike | Sequence[RunLike], *more: RunLike, truth: RunLike | None = None) -> Comparison:
    """Compare one-shot scores with stand-alone trainings: whether the ranking can be trusted, and which path to take.

    Reads stored results only.

    Args:
        run: The run, or several runs of one search space.
        more: Further runs.
        truth: The run whose stand-alone results to take (default: each run's own).

    Raises:
        SupernetError: As the command fails.
    """
    from supernet_cli.workflows import compare as workflow

    first = [run] if isinstance(run, Run | str | os.PathLike) else list(run)
    found = list({each.folder.resolve(): each for each in map(_run, [*first, *more])}.values())
    return workflow.compare(found, None if truth is None else _run(truth))


def experiment(
    preset: PresetLike | Run = "default",
    settings: Settings = (),
    *,
    workers: Workers = None,
    data_root: str | os.PathLike[str] | None = None,
    runs_dir: str | os.PathLike[str] | None = None,
    progress: bool = False,
    observer: Watcher | None = None,
) -> Comparison:
    """Train a supernet and every path from scratch, evaluate them all, and compare.

    Args:
        preset: What to train; or a run, to do what is left of its experiment.
        settings: Changes to the preset, such as {"retrain.seeds": [0, 1]}.
        workers: Trainings side by side, or a `Workplace`.
        data_root: Folder of the images, if not where the preset says.
        runs_dir: Where the run is created (default: $SUPERNET_RUNS_DIR, or ./runs).
        progress: Whether to show what `supernet experiment` shows.
        observer: Sees every record of the trainings.

    Raises:
        SupernetError: As the command fails.
        KeyboardInterrupt: After Ctrl-C, once everything is saved.
    """
    from supernet_cli.workflows import experiment as workflow

    sees = _observer(progress, observer)
    if isinstance(preset, Run):
        if settings:
            raise UsageError("A run has its own preset.", "Give a preset to change its settings.")
        done = workflow.resume_experiment(_session(preset, workers, data_root, sees))
    else:
        changes = _settings(settings, {"data.root": data_root})
        loaded, folder = _load(preset, changes, sees), _folder(runs_dir)
        workflow.check_size(folder, loaded, loaded.name, changes)
        done = workflow.experiment(folder, loaded, _workplace(workers), sees)
    if done.error is not None:
        raise done.error
    if done.comparison is None:
        raise KeyboardInterrupt(f"Saved; resume with: {done.run.command('experiment')}")
    return done.comparison


def load(
    run: RunLike,
    path: str,
    *,
    weights: Weights = "scratch",
    seed: int | None = None,
    data_root: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> LoadedNetwork:
    """Load the network of a path: a `torch.nn.Module` in evaluation mode on the CPU, with `preprocess` and `classes`.

    Args:
        run: The run.
        path: The path.
        weights: Those of its own training from scratch, or those that it inherits from a supernet. With batch
            normalisation, inherited statistics are measured anew on training images.
        seed: Of its training, or of the supernet (default: the best training by accuracy on validation; the first
            finished supernet).
        data_root: Folder of the images, if not where the preset says; rarely needed.
        progress: Whether to show how far loading is.

    Raises:
        SupernetError: There is no such path, or it has no such weights.
    """
    from supernet_cli.workflows import load as workflow

    return workflow.load(_session(run, None, data_root, _observer(progress, None)), path, weights, seed)


def run(name: str | os.PathLike[str] = "latest", runs_dir: str | os.PathLike[str] | None = None) -> Run:
    """Return a run.

    Args:
        name: An id, a unique prefix of one, a folder, or "latest".
        runs_dir: Where runs are (default: $SUPERNET_RUNS_DIR, or ./runs).

    Raises:
        RunError: None, several or a damaged one are meant.
    """
    return find_run(_folder(runs_dir), os.fspath(name))


def runs(runs_dir: str | os.PathLike[str] | None = None) -> list[Run]:
    """Return all runs, newest first; damaged ones are skipped.

    Args:
        runs_dir: Where runs are (default: $SUPERNET_RUNS_DIR, or ./runs).

    Raises:
        RunError: The folder cannot be read.
    """
    return list_runs(_folder(runs_dir))


def top(count: int, by: Order = "one-shot") -> Wanted:
    """Choose the first paths of an order.

    Args:
        count: How many.
        by: The order: the best by one-shot score, or the largest.
    """
    from supernet_cli.workflows.selection import Wanted

    return Wanted.one_of([], False, _counted(count), None, Way.ALONE, by)


def sample(count: int) -> Wanted:
    """Choose random paths: a larger sample includes a smaller one.

    Args:
        count: How many.
    """
    from supernet_cli.workflows.selection import Wanted

    return Wanted.one_of([], False, None, _counted(count), Way.ALONE)


def _counted(count: int) -> int:
    if count < 1:
        raise UsageError(f"{count} paths: give a number from 1.")
    return count


def _wanted(paths: Paths, way: Way) -> Wanted:
    """Return a choice of paths, to be trained in a certain way."""
    from dataclasses import replace

    from supernet_cli.workflows.selection import Wanted

    if isinstance(paths, Wanted):
        return replace(paths, way=way)
    named = [] if paths == "all" else [paths] if isinstance(paths, str) else list(paths)
    return Wanted.one_of(named, paths == "all", None, None, way)


def _run(run: RunLike) -> Run:
    return run if isinstance(run, Run) else find_run(default_runs_dir(), os.fspath(run))


def _session(run: RunLike, workers: Workers, data_root: str | os.PathLike[str] | None, observer: Observer) -> Session:
    from supernet_cli.workflows.session import Session

    return Session(_run(run), _workplace(workers), observer, None if data_root is None else Path(data_root))


def _workplace(workers: Workers) -> Workplace:
    return workers if isinstance(workers, Workplace) else Workplace(workers=workers)


def _folder(runs_dir: str | os.PathLike[str] | None) -> Path:
    return default_runs_dir() if runs_dir is None else Path(runs_dir)


def _settings(settings: Settings, more: Mapping[str, Any]) -> list[str]:
    """Return changes to a preset as they are typed."""
    given = [as_setting(*pair) for pair in settings.items()] if isinstance(settings, Mapping) else list(settings)
    return [*given, *(as_setting(key, value) for key, value in more.items() if value is not None)]


def _epochs(settings: Settings) -> int | None:
    """Return the length that a finished training is extended to; None to keep it."""
    from supernet_cli.workflows.train import longer

    changes = _settings(settings, {})
    return longer(changes) if changes else None


def _load(preset: PresetLike, settings: Sequence[str], observer: Observer) -> LoadedPreset:
    if isinstance(preset, Mapping):
        return load_table(preset, settings)
    return load_preset(os.fspath(preset), settings, warn=observer.note)


def _observer(progress: bool, observer: Watcher | None) -> Observer:
    """Return who sees what happens."""
    given = [] if observer is None else [observer if isinstance(observer, Observer) else _Function(observer)]
    if not progress:
        return given[0] if given else Observer()
    from supernet_cli.cli.output import Output

    shown = Output(json=False, quiet=False, file=None)
    return Together(shown, *given) if given else shown


class _Function(Observer):
    """An observer that passes records to a function."""

    def __init__(self, function: Callable[[JobKey | None, Record], None]) -> None:
        self._function = function

    def record(self, key: JobKey | None, record: Record) -> None:
        self._function(key, record)
