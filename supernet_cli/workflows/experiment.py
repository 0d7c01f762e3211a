"""A whole experiment, from a preset to a comparison: train, retrain all, evaluate, compare."""

from __future__ import annotations

import contextlib
import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from supernet_cli.errors import RunError, SupernetError
from supernet_cli.reports.next_step import next_step
from supernet_cli.reports.scores import scores
from supernet_cli.space import SearchSpace
from supernet_cli.store.layout import Way
from supernet_cli.store.lock import FileLock
from supernet_cli.store.results import evaluation
from supernet_cli.store.run import EXPERIMENT_LOCK, Run, runs_dir_option
from supernet_cli.store.state import State, Wish
from supernet_cli.workflows.compare import compare
from supernet_cli.workflows.judge import judge
from supernet_cli.workflows.observer import Observer
from supernet_cli.workflows.retrain import train_selection
from supernet_cli.workflows.selection import everything
from supernet_cli.workflows.session import Session
from supernet_cli.workflows.train import begin, check_idle, divergence, resume, train_supernets
from supernet_cli.workflows.workplace import Workplace

if TYPE_CHECKING:
    from supernet_cli.config.load import LoadedPreset
    from supernet_cli.reports.comparison import Comparison


@dataclass(frozen=True)
class Experimented:
    """How an experiment went.

    Args:
        run: The run.
        comparison: Its result; None where the experiment was interrupted.
        error: The error to end with all the same, where some trainings failed or diverged.
    """

    run: Run
    comparison: Comparison | None = None
    error: SupernetError | None = None
    stopped: Wish | None = None


def check_size(runs_dir: Path, loaded: LoadedPreset, name: str, settings: Sequence[str]) -> None:
    """Make sure that an experiment could train every path of its space.

    Args:
        runs_dir: Where the run would be created.
        loaded: Its preset.
        name: The preset as it was named.
        settings: Changes to it, as typed.

    Raises:
        UsageError: There are too many.
        stopped: What somebody asked for before it was done; None if nobody did.
    """
    words = shlex.join(["supernet", "train", name, *(word for setting in settings for word in ("--set", setting))])
    instead = f"Train its supernet, then a sample of its paths: `{words}{runs_dir_option(runs_dir)}`."
    everything(SearchSpace.from_config(loaded.preset.space), instead)


def experiment(runs_dir: Path, loaded: LoadedPreset, workplace: Workplace, observer: Observer) -> Experimented:
    """Train a supernet and every path from scratch, evaluate them all, and compare.

    Args:
        runs_dir: Where the run is created.
        loaded: Its preset; see `check_size`.
        workplace: Where paths are trained and evaluated.
        observer: Sees what happens.

    Raises:
        DivergedError: All supernets diverged.
        SupernetError: As for `train`, `retrain`, `evaluate` and `compare`.
    """
    workplace.check()
    run, prepared = begin(runs_dir, loaded, observer)
    with _only_here(run, observer):
        return _finish(Session(run, workplace, observer), train_supernets(run, prepared, observer))


def resume_experiment(session: Session) -> Experimented:
    """Do what is left of a run's experiment, whatever state it is in; see `experiment`.

    Args:
        session: The run, where its paths are trained and evaluated, and who sees it.
    """
    session.workplace.check()
    run = session.run
    if not (run.folder / EXPERIMENT_LOCK).is_file():  # a run that is refused stays what it is: no experiment
        check_idle(run)
    with _only_here(run, session.observer):
        is_done = all(run.supernet_job(seed).is_done for seed in run.preset().train.seeds)
        stopped = None if is_done else resume(run, session.observer, data_root=session.data_root).stopped
        return _finish(session, stopped)


@contextlib.contextmanager
def _only_here(run: Run, observer: Observer) -> Iterator[None]:
    """Hold the experiment of a run; where another process does, wait until it is done or gone.

    What that one did is then not done again, and what it left open is done here.
    """
    lock = FileLock(run.folder / EXPERIMENT_LOCK, f"The experiment {run.id}")
    try:
        lock.acquire()
    except RunError:
        observer.note(f"Another process is working on {run.id}; waiting for it. Ctrl-C stops waiting, not the work.")
        lock.acquire(patience=math.inf)
    try:
        yield
    finally:
        lock.release()


def _finish(session: Session, stopped: Wish | None) -> Experimented:
    """Do what remains after the supernets are trained."""
    run, space = session.run, session.space
    _check_supernets(run)
    if stopped is not None:
        return Experimented(run, stopped=stopped)
    step = next_step(run)
    selection = everything(space, step.hint if step else "")
    trained = train_selection(session, selection, run.preset().retrain.seeds)
    if trained.stopped is not None:
        return Experimented(run, stopped=trained.stopped)
    try:
        if _lacks_scores(run, space):
            judge(session, list(space.enumerate()), "validation")
        judge(session, list(space.enumerate()), "test")
    except KeyboardInterrupt:
        return Experimented(run, stopped=Wish.INTERRUPT)
    try:
        return Experimented(run, compare([run], observer=session.observer), trained.failure)
    except RunError as error:
        raise trained.failure or error from None  # nothing can be compared because the trainings failed


def _check_supernets(run: Run) -> None:
    """Make sure that there is something to compare with.

    Raises:
        DivergedError: All supernets diverged.
    """
    jobs = run.supernet_jobs()
    if jobs and all(job.status().state is State.DIVERGED for job in jobs):
        raise divergence(run)


def _lacks_scores(run: Run, space: SearchSpace) -> bool:
    """Whether training has not evaluated every path on validation at its end: spaces may be too large for that."""
    by_seed = scores(run, evaluation(run), "validation", Way.ONE_SHOT)
    return any(len(rows) < space.size for rows in by_seed.values())
