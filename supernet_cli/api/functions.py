"""The Python interface: what the commands do, as functions; see the package's docstring and docs/python.md.

Where a run is worked on, it is given as a `Run`, or as the commands take it: an id, a unique prefix of one, a folder,
or "latest". Each function is silent unless it is given `progress=True`, which shows what the command shows, or an
`observer`: an `Observer`, or a function that is called with a job's key and each of its records. Ctrl-C saves what is
being trained and then raises KeyboardInterrupt; `train(run)`, `experiment(run)` and `bench(run)` resume, `retrain` and
`evaluate` continue when they are called again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from supernet_cli.api.arguments import (
    Paths,
    PresetLike,
    RunLike,
    Settings,
    Watcher,
    Workers,
    check_single,
    check_word,
    checked_count,
    folder_of,
    load_like,
    new_length,
    observer_of,
    run_of,
    saved,
    session_on,
    typed_settings,
    wanted_paths,
    workplace_of,
)
from supernet_cli.config.settings import as_setting
from supernet_cli.errors import RunError, UsageError
from supernet_cli.store.layout import Way
from supernet_cli.store.results import Order, Split
from supernet_cli.store.run import Run
from supernet_cli.store.runs import find_run, list_runs
from supernet_cli.store.state import Wish
from supernet_cli.workflows.workplace import Workplace

if TYPE_CHECKING:
    from supernet_cli.benchmarks.result import Standing
    from supernet_cli.networks.loaded import LoadedNetwork
    from supernet_cli.reports.comparison import Comparison
    from supernet_cli.store.exported import Weights
    from supernet_cli.workflows.evaluate import Evaluated
    from supernet_cli.workflows.retrain import TrainedAlone
    from supernet_cli.workflows.selection import Wanted


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

    check_single()
    sees = observer_of(progress, observer)
    if isinstance(preset, Run):
        epochs = new_length(settings)
        if seeds is not None:
            raise UsageError("A run has its own seeds.", "Give a preset to train others.")
        root = None if data_root is None else Path(data_root)
        trained = workflow.resume(preset, sees, tensorboard=tensorboard, data_root=root, epochs=epochs)
    else:
        changes = typed_settings(settings, {"train.seeds": seeds, "data.root": data_root})
        trained = workflow.train(folder_of(runs_dir), load_like(preset, changes, sees), sees, tensorboard=tensorboard)
    if trained.stopped is Wish.INTERRUPT:
        raise saved(trained.run, "train")
    if trained.failure is not None:
        raise trained.failure
    return trained.run


def retrain(
    run: RunLike,
    paths: Paths,
    *,
    seeds: Sequence[int] | None = None,
    init: Literal["scratch", "inherit", "short"] = "scratch",
    epochs: int | None = None,
    teacher: str | os.PathLike[str] | None = None,
    temperature: float | None = None,
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
        epochs: Train for use rather than for the ranking, for so long; such trainings are kept apart from every
            comparison.
        teacher: Train for use, and learn from another network, too: a path of the run, or an exported model.pt2.
        temperature: Of this distillation (default: 4).
        workers: Trainings side by side, or a `Workplace`.
        data_root: Folder of the images, if not where the preset says.
        progress: Whether to show what `supernet retrain` shows.
        observer: Sees every record of the trainings.

    Raises:
        SupernetError: As the command fails; a JobsError where trainings failed or diverged.
        KeyboardInterrupt: After Ctrl-C, once the checkpoints are written.
    """
    from dataclasses import replace

    from supernet_cli.workflows import retrain as workflow
    from supernet_cli.workflows.final import final_of

    check_word("init", init, [way.init for way in Way if way not in (Way.ONE_SHOT, Way.FINAL)])
    if init != "scratch" and (epochs is not None or teacher is not None):
        raise UsageError("A training for use starts from scratch.", "Drop init, or epochs and teacher.")
    session = session_on(run, workers, data_root, observer_of(progress, observer))
    chosen = None if seeds is None else tuple(map(int, seeds))
    final = final_of(session.run, epochs, None if teacher is None else os.fspath(teacher), temperature)
    wanted = wanted_paths(paths, Way.of_init(init))
    if final is not None:
        wanted = replace(wanted, way=Way.FINAL, final=final)
    trained = workflow.retrain(session, wanted, chosen)
    if trained.stopped is Wish.INTERRUPT:
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
        workers: Processes that evaluate side by side (default: 1), or a `Workplace`.
        data_root: Folder of the images, if not where the preset says.
        progress: Whether to show what `supernet evaluate` shows.
        observer: Sees how far the evaluation is.

    Raises:
        SupernetError: As the command fails.
        KeyboardInterrupt: After Ctrl-C; what was evaluated until then is stored.
    """
    from supernet_cli.workflows import evaluate as workflow

    place = workers if isinstance(workers, Workplace) else Workplace(workers=workers, judges=workers or 1)
    session = session_on(run, place, data_root, observer_of(progress, observer))
    check_word("split", split, get_args(Split))
    if isinstance(paths, str) and paths == "all":
        return workflow.evaluate(session, split=split)
    wanted = wanted_paths(paths, Way.ALONE)
    if wanted.by != "one-shot":
        raise UsageError("evaluate ranks paths by one-shot score only.", "Give top(k), sample(n) or names.")
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
    if not first:
        raise UsageError("There is no run to compare.", "Name at least one.")
    found = list({each.folder.resolve(): each for each in map(run_of, [*first, *more])}.values())
    return workflow.compare(found, None if truth is None else run_of(truth))


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

    check_single()
    sees = observer_of(progress, observer)
    if isinstance(preset, Run):
        if settings:
            raise UsageError("A run has its own preset.", "Give a preset to change its settings.")
        done = workflow.resume_experiment(session_on(preset, workers, data_root, sees))
    else:
        changes = typed_settings(settings, {"data.root": data_root})
        loaded, folder = load_like(preset, changes, sees), folder_of(runs_dir)
        workflow.check_size(folder, loaded, loaded.name, changes)
        done = workflow.experiment(folder, loaded, workplace_of(workers), sees)
    if done.error is not None:
        raise done.error
    if done.comparison is None:
        if done.stopped is Wish.INTERRUPT:
            raise saved(done.run, "experiment")
        raise RunError("The experiment was stopped.", f"Resume it: `{done.run.command('experiment')}`.")
    return done.comparison


def bench(
    strategy: str | Mapping[str, Any] | Run,
    on: str | None = None,
    *,
    epochs: int = 4,
    seeds: Sequence[int] = (0, 1),
    data_root: str | os.PathLike[str] | None = None,
    runs_dir: str | os.PathLike[str] | None = None,
    progress: bool = False,
    observer: Watcher | None = None,
) -> Standing:
    """Train a strategy's supernets on a benchmark, and compare how well they rank with recorded strategies.

    Args:
        strategy: A sampler's name, or a mapping of its `name` and parameters; or a run, to continue or compare it with
            the strategy, the length and the seeds that it has.
        on: The benchmark (default: `iso`, otherwise the first).
        epochs: Epochs of each supernet.
        seeds: One supernet is trained per seed.
        data_root: Folder of the images, if not where the preset says.
        runs_dir: Where the run is created (default: $SUPERNET_RUNS_DIR, or ./runs).
        progress: Whether to show what `supernet bench` shows.
        observer: Sees every record of the training.

    Raises:
        SupernetError: As the command fails.
        KeyboardInterrupt: After Ctrl-C, once the checkpoint is written.
    """
    from supernet_cli.benchmarks.table import default_name, find_table
    from supernet_cli.workflows import bench as workflow

    check_single()
    sees, root = observer_of(progress, observer), None if data_root is None else Path(data_root)
    if isinstance(strategy, Run):
        done = workflow.resume_bench(strategy, None if on is None else find_table(on), sees, root)
    else:
        table = find_table(default_name() if on is None else on)
        typed = strategy if isinstance(strategy, str) else as_setting("", strategy).removeprefix("=")
        loaded = workflow.load_bench(table, typed, epochs, list(map(int, seeds)), data_root=root)
        done = workflow.bench(folder_of(runs_dir), table, loaded, sees)
    if done.error is not None:
        raise done.error
    if done.standing is None:
        if done.stopped is Wish.INTERRUPT:
            raise saved(done.run, "bench")
        raise RunError("The benchmark was stopped.", f"Resume it: `{done.run.command('bench')}`.")
    return done.standing


def load(
    run: RunLike,
    path: str,
    *,
    weights: Weights | None = None,
    seed: int | None = None,
    data_root: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> LoadedNetwork:
    """Load the network of a path: a `torch.nn.Module` in evaluation mode on the CPU, with `preprocess` and `classes`.

    Args:
        run: The run.
        path: The path.
        weights: Those of its own training from scratch, of its training for use (the default if there is one), or
            those that it inherits from a supernet. With batch normalisation, inherited statistics are measured anew on
            training images.
        seed: Of its training, or of the supernet (default: the best training by accuracy on validation; the first
            finished supernet).
        data_root: Folder of the images, if not where the preset says; rarely needed.
        progress: Whether to show how far loading is.

    Raises:
        SupernetError: There is no such path, or it has no such weights.
    """
    from supernet_cli.workflows import load as workflow

    return workflow.load(session_on(run, None, data_root, observer_of(progress, None)), path, weights, seed)


def run(name: str | os.PathLike[str] = "latest", runs_dir: str | os.PathLike[str] | None = None) -> Run:
    """Return a run.

    Args:
        name: An id, a unique prefix of one, a folder, or "latest".
        runs_dir: Where runs are (default: $SUPERNET_RUNS_DIR, or ./runs).

    Raises:
        RunError: No run or several match, or the run is damaged.
    """
    return find_run(folder_of(runs_dir), os.fspath(name))


def runs(runs_dir: str | os.PathLike[str] | None = None) -> list[Run]:
    """Return all runs, newest first; damaged ones are skipped.

    Args:
        runs_dir: Where runs are (default: $SUPERNET_RUNS_DIR, or ./runs).

    Raises:
        RunError: The folder cannot be read.
    """
    return list_runs(folder_of(runs_dir))


def top(count: int, by: Order = "one-shot") -> Wanted:
    """Choose the first paths of an order.

    Args:
        count: How many.
        by: The order: the best by one-shot score, or the largest.
    """
    from supernet_cli.workflows.selection import Wanted

    check_word("by", by, get_args(Order))
    return Wanted.one_of([], False, checked_count(count), None, Way.ALONE, by)


def sample(count: int) -> Wanted:
    """Choose random paths: a larger sample includes a smaller one.

    Args:
        count: How many.
    """
    from supernet_cli.workflows.selection import Wanted

    return Wanted.one_of([], False, None, checked_count(count), Way.ALONE)
