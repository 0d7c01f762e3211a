"""Train paths alone, many side by side: from scratch, from inherited weights, briefly, or for use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from supernet_cli.errors import JobsError, RunError, SupernetError, UsageError
from supernet_cli.reports.cost import macs_of_a_supernet
from supernet_cli.reports.next_step import finish_first
from supernet_cli.space import SearchSpace
from supernet_cli.store.alone import AloneJob
from supernet_cli.store.job import JobFolder, create_job
from supernet_cli.store.layout import JobKey, Way
from supernet_cli.store.records import Fanout
from supernet_cli.store.results import Selection, keep_selection, selections
from supernet_cli.store.run import DeviceLog, Run
from supernet_cli.store.snapshot import JobSnapshot
from supernet_cli.store.state import State, Wish
from supernet_cli.workflows.final import settled, teacher
from supernet_cli.workflows.interruption import Interruption
from supernet_cli.workflows.observer import JobRecorder
from supernet_cli.workflows.request import check_seeds
from supernet_cli.workflows.selection import Wanted
from supernet_cli.workflows.session import Session
from supernet_cli.workflows.train import warn_of_a_lost_checkpoint

if TYPE_CHECKING:
    from supernet_cli.executors import Executor
    from supernet_cli.training.driver import Outcome
    from supernet_cli.training.prepare import Prepared
    from supernet_cli.training.retrain import AloneTraining


@dataclass(frozen=True)
class TrainedAlone:
    """How trainings of single paths went.

    Args:
        run: The run they belong to.
        jobs: All that were asked for, done earlier or now.
        outcomes: By key, how those that ran ended.
        stopped: What somebody asked for before all were done; None if nobody did.
    """

    run: Run
    jobs: Sequence[AloneJob]
    outcomes: Mapping[JobKey, Outcome] = field(default_factory=dict, repr=False)
    stopped: Wish | None = None

    def ending(self, job: AloneJob) -> tuple[State, str]:
        """Return the state that a training is in, and why: as it ended now, or else as it is stored."""
        ended = self.outcomes.get(job.folder.key) or job.folder.status()
        return ended.state, ended.reason

    @property
    def failure(self) -> SupernetError | None:
        """The error to end with where some trainings failed or diverged, with the places of their logs."""
        failures = []
        for job in self.jobs:
            state, reason = self.ending(job)
            if state.has_failed:
                failures.append(f"{job.folder.key}: {state}: {reason}\n    {job.folder.path / 'log.txt'}")
        if not failures:
            return None
        more = [f"… and {len(failures) - 10} more"] if len(failures) > 10 else []
        return JobsError(
            "\n".join([f"{len(failures)} of {len(self.jobs)} trainings failed:", *failures[:10], *more]),
            "Look at the logs. The same command repeats those that failed; one that diverged would diverge again.",
        )


def retrain(session: Session, wanted: Wanted, seeds: Sequence[int] | None = None) -> TrainedAlone:
    """Choose paths, scoring more if the choice needs that, and train each alone with each seed.

    Finished trainings are not repeated, interrupted ones are resumed.

    Args:
        session: The run, and where its paths are trained.
        wanted: Which paths, and how.
        seeds: Trainings of each (default: those of the run's preset).

    Raises:
        UsageError: There is no such path, or the workplace does not suit the run's device.
        RunError: There are no scores to choose by, no supernet to inherit from, or other processes train these paths.
        DataError: The images are missing or damaged.
        DiskError: A write failed.
    """
    selection = wanted.select(session)
    if wanted.final is not None:
        selection = settled(session, selection, wanted.final)
    return train_selection(session, selection, session.run.preset().retrain.seeds if seeds is None else seeds)


def train_selection(session: Session, selection: Selection, seeds: Sequence[int]) -> TrainedAlone:
    """Train selected paths alone, each with each seed; see `retrain`."""
    run, observer = session.run, session.observer
    check_seeds(seeds)
    jobs = trainings(run, selection, seeds, session.space)
    waiting = [job for job in jobs if not job.folder.is_done]
    if not waiting:
        if selection.init is not Way.SHORT:  # that is kept with its length
            keep_selection(run, selection)
        return TrainedAlone(run, jobs)
    _check_free(run, waiting)
    with observer.working("loading torch and the data") as advance:
        prepared = session.prepare(advance)
    executor, where = session.workplace.for_trainings(prepared, len(waiting))
    if selection.init is Way.SHORT:
        selection = selection.model_copy(update={"steps": short_steps(run, selection, prepared, session.space)})
        jobs, waiting = ([replace(job, steps=selection.steps) for job in several] for several in (jobs, waiting))
    work = _work(session, prepared, selection)
    keep_selection(run, selection)
    with observer.warnings():
        for job in waiting:
            if job.folder.path.exists():
                warn_of_a_lost_checkpoint(job.folder)
            else:
                create_job(job.folder)
        observer.announce(f"{run.id}  {len(waiting)} of {len(jobs)} trainings to do, {where}")
        return _run(session, work, jobs, waiting, executor)


def trainings(run: Run, selection: Selection, seeds: Sequence[int], space: SearchSpace) -> list[AloneJob]:
    """Return the trainings, seed by seed: wherever they are stopped, the ranking is as whole as it can be."""
    if selection.init is Way.INHERITED:
        _inherited(run)
    paths = [space.parse(path) for path in selection.paths]
    return [AloneJob(run.alone_job(path, seed, selection.init), path, seed) for seed in seeds for path in paths]


def _inherited(run: Run) -> Path:
    """Return the weights that paths of a run inherit: those of its first supernet.

    Raises:
        RunError: None is finished.
    """
    found = next((job.weights for job in run.supernet_jobs() if job.weights.is_file()), None)
    if found is None:
        raise finish_first(run, "finished supernet to inherit from")
    return found


def short_steps(run: Run, selection: Selection, prepared: Prepared, space: SearchSpace) -> int:
    """Return how long each short training is: decided once for a run, and the same for all its seeds.

    Raises:
        RunError: No supernet is finished.
        UsageError: Short trainings of other paths were started, or the budget is too small.
        PresetError: The schedule cannot be so short.
    """
    from supernet_cli.training.retrain import short_steps as affordable_steps

    for known in selections(run):
        if known.init is Way.SHORT and known.steps is not None and run.alone_jobs(Way.SHORT):
            if set(known.paths) != set(selection.paths):
                raise UsageError(
                    f"{len(known.paths):,} other paths already share the budget of this run's short trainings.",
                    f"Train those, or delete {run.folder / 'short'} to start over.",
                )
            return known.steps
    return affordable_steps(prepared, [space.parse(path) for path in selection.paths], macs_of_a_supernet(run))


def _check_free(run: Run, waiting: Sequence[AloneJob]) -> None:
    """Make sure that no other process trains what is to be trained.

    Raises:
        RunError: One does.
    """
    busy = [job for job in waiting if job.folder.status().state.is_alive]
    if busy:
        raise RunError(
            f"Another process is running {len(busy)} of these trainings, {busy[0].folder.key} among them.",
            f"Watch it with `{run.command('tui')}`, or stop it with `{run.command('runs stop')}`.",
        )


def _work(session: Session, prepared: Prepared, selection: Selection) -> AloneTraining:
    """Return what all trainings of a selection share."""
    from supernet_cli.training.retrain import AloneTraining

    inherited = _inherited(session.run) if selection.init is Way.INHERITED else None
    teaching = None if selection.final is None else teacher(session, selection.final)
    return AloneTraining.of(prepared, inherited, selection.final, teaching)


def _run(
    session: Session, work: AloneTraining, jobs: Sequence[AloneJob], waiting: Sequence[AloneJob], executor: Executor
) -> TrainedAlone:
    from supernet_cli.telemetry import Sampling

    run = session.run
    views = [(job.folder.key, _view(job.folder)) for job in jobs]
    with (
        DeviceLog(run) as devices,
        session.observer.watching(run.id, views, side_by_side=True) as take,
        Sampling(Fanout(devices, JobRecorder(take))),
        Interruption() as interruption,
    ):
        outcomes = executor.run(work, waiting, take, lambda: interruption.wish)
    wishes = (Wish.behind(outcome.state) for outcome in outcomes.values())
    return TrainedAlone(run, jobs, outcomes, interruption.wish or next(filter(None, wishes), None))


def _view(folder: JobFolder) -> JobSnapshot:
    """Return what a job's records say, with the state it truly has: an owner that was killed recorded no end."""
    snapshot, _ = folder.snapshot()
    return replace(snapshot, state=folder.status().state)
