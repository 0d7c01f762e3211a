"""Train a strategy's supernets on a benchmark, and compare their ranking with what is recorded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from supernet_cli.benchmarks.table import Table, find_table, names
from supernet_cli.config.load import LoadedPreset, load_preset
from supernet_cli.config.presets import shipped_folder
from supernet_cli.errors import PresetError, RunError, SupernetError, UsageError
from supernet_cli.store.fingerprints import conditions
from supernet_cli.store.state import Wish
from supernet_cli.workflows.train import Trained, failure_of, resume, train

if TYPE_CHECKING:
    from supernet_cli.benchmarks.result import Standing
    from supernet_cli.store.run import Run
    from supernet_cli.workflows.observer import Observer

_FREE = "runtime."
"""How settings begin that change where a benchmark runs, not what it measures."""


@dataclass(frozen=True)
class Benched:
    """How a benchmark went.

    Args:
        run: The run of its supernets.
        standing: Its result; None where it was interrupted.
        error: The error to end with all the same, where some supernets diverged.
        stopped: What somebody asked for before it was done; None if nobody did.
    """

    run: Run
    standing: Standing | None = None
    error: SupernetError | None = None
    stopped: Wish | None = None


def check_strategy(strategy: str, benchmark: str) -> None:
    """Make sure that there is a strategy, and that it takes its parameters, before any table is read.

    Args:
        strategy: A sampler's name, or an inline table with its parameters, as after `--set train.sampler=`.
        benchmark: The benchmark's name, which is usually that of its preset.

    Raises:
        PresetError: There is none, or a parameter is wrong.
    """
    path = shipped_folder() / f"{benchmark}.toml"
    if path.is_file():
        _load(path, strategy, [])


def _load(path: Path, strategy: str, changes: Sequence[str]) -> LoadedPreset:
    """Load a preset with a strategy and other changes; an error of the strategy says so."""
    chosen = f"train.sampler={strategy}"
    try:
        return load_preset(str(path), [chosen, *changes])
    except PresetError as error:
        raise PresetError(error.message.replace(f"--set {chosen}: ", "STRATEGY: "), error.hint) from error


def load_bench(
    table: Table,
    strategy: str,
    epochs: int,
    seeds: Sequence[int],
    settings: Sequence[str] = (),
    data_root: Path | None = None,
) -> LoadedPreset:
    """Return what a benchmark trains: the shipped preset with a strategy, a length and seeds.

    Args:
        table: The benchmark.
        strategy: A sampler's name, or an inline table with its parameters, as after `--set train.sampler=`.
        epochs: Length of the supernets' training.
        seeds: One supernet for each.
        settings: Changes to `runtime`, as typed.
        data_root: Folder of the images, if not where the preset says.

    Raises:
        PresetError: There is no such strategy, a parameter of it is wrong, or a setting is.
        UsageError: A setting would change what is measured.
        DataError: The shipped preset is not the one that the table was recorded with.
    """
    for setting in settings:
        _check_free(setting)
    fixed = [f"{key}={json.dumps(value)}" for key, value in table.settings.items()]
    changes = [*fixed, f"train.epochs={epochs}", f"train.seeds={list(seeds)}", *settings]
    changes += [f"data.root={json.dumps(str(data_root))}"] if data_root is not None else []
    path = shipped_folder() / f"{table.preset}.toml"
    loaded = _load(path, strategy, changes)
    table.check(loaded.preset, f"The preset {path}")
    return replace(loaded, name=f"bench-{table.name}")


def bench(runs_dir: Path, table: Table, loaded: LoadedPreset, observer: Observer) -> Benched:
    """Train a strategy's supernets in a new run, and compare their ranking with the recorded truth.

    Args:
        runs_dir: Where the run is created.
        table: The benchmark.
        loaded: From `load_bench`.
        observer: Sees what happens.

    Raises:
        SupernetError: As for `train`; a DivergedError where no supernet is left.
    """
    return _finish(train(runs_dir, loaded, observer), table)


def resume_bench(run: Run, table: Table | None, observer: Observer, data_root: Path | None = None) -> Benched:
    """Train what is left of a run's supernets, if anything is, and compare; see `bench`.

    The run may come from `supernet train` just as well, as long as it was trained under the benchmark's conditions.

    Args:
        run: The run.
        table: The benchmark; None for the one whose conditions the run has.
        observer: Sees what happens.
        data_root: Folder of the images, if not where the run's preset says.

    Raises:
        DataError: The run was trained under other conditions.
        UsageError: They are those of no benchmark.
        SupernetError: As for `bench`.
    """
    table = table or table_of(run)
    table.check(run.preset(), f"The preset of run {run.id}")
    if all(run.supernet_job(seed).is_done for seed in run.preset().train.seeds):
        return _compared(run, table)
    return _finish(resume(run, observer, data_root=data_root), table)


def table_of(run: Run) -> Table:
    """Return the benchmark that a run was trained for.

    Raises:
        UsageError: There is none.
    """
    under = conditions(run.preset())
    for table in map(find_table, names()):
        if table.conditions == under:
            return table
    known = ", ".join(names())
    raise UsageError(
        f"Run {run.id} was not trained under the conditions of a benchmark.",
        f"`supernet bench STRATEGY` trains a run that is. Benchmarks: {known}.",
    )


def _check_free(setting: str) -> None:
    key = setting.partition("=")[0].strip()
    if not key.startswith(_FREE):
        instead = {
            "train.epochs": "Use --epochs.",
            "train.seeds": "Use --seeds.",
            "train.sampler": "Name the strategy by position, or as an inline table.",
            "data.root": "Use --data-root.",
        }
        raise UsageError(
            f"--set {setting}: a benchmark compares strategies under equal conditions, so only runtime can be changed.",
            instead.get(key, "For other conditions, use `supernet train` and `supernet compare`."),
        )


def _finish(trained: Trained, table: Table) -> Benched:
    """Compare, unless supernets are left to be trained."""
    run = trained.run
    if any(job.status().state.can_resume for job in run.supernet_jobs()):
        return Benched(run, stopped=trained.stopped)
    return _compared(run, table)


def _compared(run: Run, table: Table) -> Benched:
    """Compare the supernets of a run that scored every path of the table.

    Raises:
        DivergedError: All of them diverged.
        RunError: Finished ones have not scored every path.
    """
    import numpy as np

    from supernet_cli.benchmarks.standing import Supernets, stand
    from supernet_cli.reports.cost import evaluation_cost, training_cost
    from supernet_cli.reports.scores import scores
    from supernet_cli.store.layout import Way
    from supernet_cli.store.results import evaluation

    by_seed, paths = scores(run, evaluation(run), "validation", Way.ONE_SHOT), table.path_names
    seeds = tuple(seed for seed in sorted(by_seed) if all(path in by_seed[seed] for path in paths))
    failure = failure_of(run)
    if not seeds:
        raise failure or RunError(
            f"Run {run.id} has no supernet that scored all {len(paths)} paths of the benchmark.",
            f"Score them: `{run.command('evaluate', '--split', 'validation')}`.",
        )
    losses = [[by_seed[seed][path].loss for path in paths] for seed in seeds]
    snapshots = [run.supernet_job(seed).snapshot()[0] for seed in seeds]
    train_preset = run.preset().train
    supernets = Supernets(
        strategy=train_preset.sampler,
        epochs=train_preset.epochs,
        seeds=seeds,
        scores=-np.array([[np.inf if loss is None else loss for loss in row] for row in losses]),
        macs=(training_cost(snapshots) + evaluation_cost(snapshots)).macs,
    )
    return Benched(run, stand(table, supernets), failure)
