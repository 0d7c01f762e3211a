"""Search a run's space: train the paths that promise most, until the best is known well enough.

Every decision is written down before it is carried out, and depends on nothing but what the run has stored: a search
that is interrupted, or killed, continues with the same decisions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from supernet_cli.errors import SupernetError
from supernet_cli.reports.next_step import finish_first
from supernet_cli.reports.search.document import Searched
from supernet_cli.store.lock import FileLock
from supernet_cli.store.run import SEARCH_LOCK, Run
from supernet_cli.store.runs import list_runs
from supernet_cli.store.state import Wish
from supernet_cli.workflows.observer import Observer
from supernet_cli.workflows.request import Request
from supernet_cli.workflows.session import Session
from supernet_cli.workflows.train import resume, train
from supernet_cli.workflows.workplace import Workplace

if TYPE_CHECKING:
    from supernet_cli.config.load import LoadedPreset


_PATIENCE_SECONDS = 1.0  # whoever looks whether the run is being searched takes the lock for a moment


@dataclass(frozen=True)
class Found:
    """How a search went.

    Args:
        run: The run.
        document: What it found; None where nothing was trained yet.
        error: The error to end with all the same, where trainings failed.
        stopped: What somebody asked for before it was done; None if nobody did.
    """

    run: Run
    document: Searched | None = None
    error: SupernetError | None = None
    stopped: Wish | None = None


def search_preset(
    runs_dir: Path, loaded: LoadedPreset, workplace: Workplace, observer: Observer, request: Request
) -> Found:
    """Search the newest run of a preset, after training its supernets if there is no such run or they are unfinished.

    Args:
        runs_dir: Where runs are.
        loaded: The preset.
        workplace: Where paths are trained and evaluated.
        observer: Sees what happens.
        request: What is searched for.

    Raises:
        SupernetError: As for `train` and `search`.
    """
    workplace.check()
    found = next((run for run in list_runs(runs_dir) if _is_of(run, loaded)), None)
    if found is None:
        _check_attainable(loaded, request, observer)
        trained = train(runs_dir, loaded, observer)
    elif not all(found.supernet_job(seed).is_done for seed in loaded.preset.train.seeds):
        trained = resume(found, observer)
    else:
        return search(Session(found, workplace, observer), request)
    if trained.failure is not None:
        raise trained.failure
    if trained.stopped is not None:
        return Found(trained.run, stopped=trained.stopped)
    return search(Session(trained.run, workplace, observer), request)


def _is_of(run: Run, loaded: LoadedPreset) -> bool:
    """Whether a run has a preset, whatever that says about searches."""
    try:
        return run.preset().model_copy(update={"search": loaded.preset.search}) == loaded.preset
    except SupernetError:
        return False


def _check_attainable(loaded: LoadedPreset, request: Request, observer: Observer) -> None:
    """Make sure, before hours of training, that a path meets the limits that need no measurement.

    Raises:
        UsageError: None does.
        DataError: The latency table, or the images, are missing or damaged.
    """
    if not request.limits and request.latencies is None:
        return
    with observer.working("loading torch and the data, and measuring sizes") as advance:
        from supernet_cli.training.prepare import prepare_loaded
        from supernet_cli.workflows.candidates import check_limits

        check_limits(prepare_loaded(loaded, advance).networks, request)


def search(session: Session, request: Request) -> Found:
    """Search a run's space.

    Args:
        session: The run, and where its paths are trained and evaluated.
        request: What is searched for, and for how long.

    Raises:
        UsageError: No path meets the limits, or the workplace does not suit the run's device.
        DataError: The images or the latency table are missing or damaged.
        RunError: The run has no finished supernet, is damaged, or is being searched.
        DiskError: A write failed.
    """
    run = session.run
    check_searchable(run)
    from supernet_cli.workflows.searching import Search, has_failed  # numpy, which errors above do without

    lock = FileLock(run.folder / SEARCH_LOCK, f"The search of run {run.id}")
    lock.acquire(patience=_PATIENCE_SECONDS)
    try:
        with session.observer.working("loading torch and the data") as advance:
            prepared = session.prepare(advance)
        document, trained = Search(session, request, prepared).run()
    except KeyboardInterrupt:
        return Found(run, stopped=Wish.INTERRUPT)
    finally:
        lock.release()
    if trained is None:
        return Found(run, document)
    return Found(run, document, trained.failure if has_failed(trained) else None, trained.stopped)


def check_searchable(run: Run) -> None:
    """Make sure that a run has a finished supernet.

    Raises:
        RunError: It has none.
    """
    if not any(job.weights.is_file() for job in run.supernet_jobs()):
        raise finish_first(run, "finished supernet to search with")
