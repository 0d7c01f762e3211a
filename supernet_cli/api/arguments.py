"""What the functions of the Python interface accept, and what it becomes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from supernet_cli.config.load import LoadedPreset, load_preset, load_table
from supernet_cli.config.settings import as_setting
from supernet_cli.config.torchrun import here
from supernet_cli.errors import UsageError
from supernet_cli.store.layout import Way
from supernet_cli.store.run import Run, default_runs_dir
from supernet_cli.store.runs import find_run
from supernet_cli.workflows.observer import Observer, Together
from supernet_cli.workflows.workplace import Workplace

if TYPE_CHECKING:
    from supernet_cli.store.layout import JobKey
    from supernet_cli.store.records import Record
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


def check_word(name: str, word: str, words: Sequence[str]) -> None:
    """Make sure that an argument is one of these words; raises UsageError."""
    if word not in words:
        raise UsageError(f"{name} = {word!r}: use {' or '.join(map(repr, words))}.")


def check_single() -> None:
    """Make sure that this is no rank of torchrun: each would train a run of its own.

    Raises:
        UsageError: It is one.
    """
    if (place := here()).size > 1:
        raise UsageError(
            f"The Python interface works in a single process; {place.size} were started.",
            "Under torchrun, use `supernet train`.",
        )


def saved(run: Run, function: str) -> KeyboardInterrupt:
    """Return what is raised after Ctrl-C, once everything is saved: how to resume."""
    return KeyboardInterrupt(f"Saved; resume with supernet.{function}(supernet.run({str(run.folder)!r}))")


def checked_count(count: int) -> int:
    """Return a number of paths; raises UsageError for one below 1."""
    if count < 1:
        raise UsageError(f"{count} paths: give a number from 1.")
    return count


def wanted_paths(paths: Paths, way: Way) -> Wanted:
    """Return a choice of paths, to be trained in a certain way."""
    from dataclasses import replace

    from supernet_cli.workflows.selection import Wanted

    if isinstance(paths, Wanted):
        return replace(paths, way=way)
    if isinstance(paths, str):
        return Wanted.one_of([] if paths == "all" else [paths], paths == "all", None, None, way)
    if not (named := list(map(str, paths))):
        raise UsageError("No paths were given.", 'Give names, "all", top(k) or sample(n).')
    return Wanted.one_of(named, False, None, None, way)


def run_of(run: RunLike) -> Run:
    """Return the run that is meant; raises RunError if no run or several match."""
    return run if isinstance(run, Run) else find_run(folder_of(None), os.fspath(run))


def session_on(run: RunLike, workers: Workers, data_root: str | os.PathLike[str] | None, observer: Observer) -> Session:
    """Return the session in which a run is worked on."""
    from supernet_cli.workflows.session import Session

    check_single()
    return Session(run_of(run), workplace_of(workers), observer, None if data_root is None else Path(data_root))


def workplace_of(workers: Workers) -> Workplace:
    """Return where jobs run."""
    return workers if isinstance(workers, Workplace) else Workplace(workers=workers)


def folder_of(runs_dir: str | os.PathLike[str] | None) -> Path:
    """Return the folder of runs, absolute: a script may change its working directory."""
    return (default_runs_dir() if runs_dir is None else Path(runs_dir)).absolute()


def typed_settings(settings: Settings, more: Mapping[str, Any]) -> list[str]:
    """Return changes to a preset as they are typed."""
    if isinstance(settings, str):
        settings = [settings]
    given = [as_setting(*pair) for pair in settings.items()] if isinstance(settings, Mapping) else list(settings)
    return [*given, *(as_setting(key, value) for key, value in more.items() if value is not None)]


def new_length(settings: Settings) -> int | None:
    """Return the length that a finished training is extended to; None to keep it."""
    from supernet_cli.workflows.train import longer

    changes = typed_settings(settings, {})
    return longer(changes) if changes else None


def load_like(preset: PresetLike, settings: Sequence[str], observer: Observer) -> LoadedPreset:
    """Load a preset by name, from a file or from a mapping; raises PresetError."""
    if isinstance(preset, Mapping):
        return load_table(preset, settings)
    return load_preset(os.fspath(preset), settings, warn=observer.note)


def observer_of(progress: bool, observer: Watcher | None) -> Observer:
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
