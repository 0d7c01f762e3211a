"""Train a run's supernets, one after another: those of a new run, or those that are left of an earlier one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from supernet_cli.config.torchrun import Place
from supernet_cli.errors import DivergedError, RunError, SupernetError, UsageError
from supernet_cli.glyphs import counted
from supernet_cli.reports.next_step import gentler_step, next_step
from supernet_cli.store.data_report import DataReport, keep_data_report
from supernet_cli.store.job import JobFolder, JobWriter
from supernet_cli.store.records import Fanout, Recorder
from supernet_cli.store.run import DeviceLog, Run
from supernet_cli.store.runs import check_writable, create_run, name_for
from supernet_cli.store.state import State, Wish
from supernet_cli.workflows.interruption import Interruption
from supernet_cli.workflows.observer import JobRecorder, Observer
from supernet_cli.workflows.ranks import Orders

if TYPE_CHECKING:
    from supernet_cli.config.load import LoadedPreset
    from supernet_cli.training.prepare import Prepared
    from supernet_cli.training.ranks import Ranks

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """How the training of a run's supernets went.

    Args:
        run: The run.
        data: What its images are.
        stopped: What somebody asked for, even if the request came too late to stop anything; None if nobody did.
    """

    run: Run
    data: DataReport
    stopped: Wish | None

    @property
    def supernets(self) -> State:
        """The state of the supernets together."""
        return self.run.state(self.run.supernet_jobs())

    @property
    def failure(self) -> SupernetError | None:
        """The error to end with: where supernets diverged, and none is left to be resumed."""
        return failure_of(self.run)


def train(
    runs_dir: Path, loaded: LoadedPreset, observer: Observer, place: Place | None = None, tensorboard: bool = False
) -> Trained:
    """Train the supernets of a new run, after checking everything that its preset asks for.

    Args:
        runs_dir: Where the run is created.
        loaded: Its preset.
        observer: Sees what happens.
        place: This process among those that train together (default: a single process).
        tensorboard: Whether to write event files for TensorBoard, too.

    Raises:
        PresetError: Something that the preset asks for is impossible.
        DataError: The images are missing or damaged.
        UsageError: TensorBoard was requested but is not installed.
        DiskError: A write failed.
        OutOfMemoryError: No memory is left.
    """
    run, prepared = begin(runs_dir, loaded, observer, place, tensorboard)
    return Trained(run, prepared.images.splits.report, train_supernets(run, prepared, observer, place, tensorboard))


def begin(
    runs_dir: Path, loaded: LoadedPreset, observer: Observer, place: Place | None = None, tensorboard: bool = False
) -> tuple[Run, Prepared]:
    """Check everything that a preset asks for, then create the run; see `train`."""
    check_writable(runs_dir)
    with observer.working("loading torch and the data") as advance:
        _check_tensorboard(tensorboard)
        from supernet_cli.training.prepare import prepare_loaded

        prepared = prepare_loaded(loaded, advance, place)
        images = prepared.images
        run = create_run(runs_dir, name_for(loaded), loaded.preset, images=images.digest, network=images.signature)
        keep_data_report(run.folder, images.splits.report)
    return run, prepared


def resume(
    run: Run,
    observer: Observer,
    place: Place | None = None,
    tensorboard: bool = False,
    data_root: Path | None = None,
    epochs: int | None = None,
) -> Trained:
    """Train those of a run's supernets that are not done, from their checkpoints.

    Args:
        run: The run.
        observer: Sees what happens.
        place: This process among those that train together (default: a single process).
        tensorboard: Whether to write event files for TensorBoard, too.
        data_root: Folder of the images, if not where the preset says.
        epochs: A new, larger length of the training; None to keep it.

    Raises:
        UsageError: They are finished, or cannot be trained for so long.
        DivergedError: They diverged.
        RunError: They are being trained, or the run is damaged.
        DataError: The images are missing or damaged.
        DiskError: A write failed.
        OutOfMemoryError: No memory is left.
    """
    with observer.working("loading torch and the data") as advance:
        _check_tensorboard(tensorboard)
        run.preset()
        place = place or Place()
        if epochs is not None and place.is_first:
            from supernet_cli.training.extension import extend

            extend(run, epochs)
        _check_resumable(run)
        from supernet_cli.training.prepare import prepare_run

        statuses = [job.status() for job in run.supernet_jobs()]
        threads = max((status.threads for status in statuses if status.ranks == place.size), default=0)
        prepared = prepare_run(run, threads or None, advance, place, data_root)
    return Trained(run, prepared.images.splits.report, train_supernets(run, prepared, observer, place, tensorboard))


def longer(settings: Sequence[str]) -> int:
    """Return the length of training that the settings of a resumed run ask for.

    Raises:
        UsageError: Another key is changed, or the value is not a number of epochs.
    """
    key, _, value = settings[-1].partition("=")
    if any(setting.partition("=")[0].strip() != "train.epochs" for setting in settings):
        raise UsageError(
            "--resume uses the run's own preset; only train.epochs can be changed.",
            "Drop the other settings, or start a new run without --resume.",
        )
    if not value.strip().isdecimal() or not 0 < int(value) <= 1_000_000:
        raise UsageError(
            f"--set {settings[-1]}: expected a number of epochs, from 1 to 1000000.",
            f"For example --set {key.strip()}=20.",
        )
    return int(value)


def check_idle(run: Run) -> None:
    """Make sure that no process trains a run's supernets.

    Raises:
        RunError: One does.
    """
    if any(job.status().state.is_alive for job in run.supernet_jobs()):
        raise RunError(
            f"Another process is training run {run.id}.",
            f"Watch it with `{run.command('tui')}`, or stop it with `{run.command('runs stop')}`.",
        )


def failure_of(run: Run) -> SupernetError | None:
    """Return the error that the training of a run ends with: where supernets diverged, and none is left to resume."""
    states = [job.status().state for job in run.supernet_jobs()]
    is_left = any(state.can_resume for state in states)
    return divergence(run) if State.overall(states) is State.DIVERGED and not is_left else None


def divergence(run: Run) -> SupernetError:
    """Return the error of supernets that diverged."""
    diverged = [job for job in run.supernet_jobs() if job.status().state is State.DIVERGED]
    reasons = "; ".join(f"{job.key}: {job.status().reason}" for job in diverged)
    kept = ", ".join(str(job.path) for job in diverged if job.has_checkpoint)
    what = f"The last good checkpoint is kept in {kept}." if kept else "That was before the first checkpoint."
    return DivergedError(f"Training diverged: {reasons}. {what}", gentler_step(run).hint)


def warn_of_a_lost_checkpoint(job: JobFolder) -> None:
    """Warn that a job starts over although it had started: its checkpoints are gone, or it never wrote one."""
    status = job.status()
    done = max(status.step, job.snapshot()[0].step)
    if done and not job.has_checkpoint and not status.state.is_over:
        logger.warning("%s: none of its %d steps are in a checkpoint; it starts over", job.key, done)


def _check_tensorboard(wanted: bool) -> None:
    if wanted:
        from supernet_cli.training.tensorboard import check_installed

        check_installed()


def _check_resumable(run: Run) -> None:
    """Make sure that there are supernets of a run to resume.

    Raises:
        UsageError: They are finished.
        DivergedError: They diverged.
        RunError: They are being trained.
    """
    jobs = run.supernet_jobs()
    if jobs and all(job.is_done for job in jobs):
        if any(job.status().state is State.DIVERGED for job in jobs):
            raise DivergedError(f"Run {run.id} diverged, and would diverge again bit for bit.", gentler_step(run).hint)
        step = next_step(run)
        raise UsageError(f"Run {run.id} is already finished; nothing to resume.", step.hint if step else "")
    check_idle(run)


def train_supernets(
    run: Run, prepared: Prepared, observer: Observer, place: Place | None = None, tensorboard: bool = False
) -> Wish | None:
    """Train every supernet of a run that is not done, one after another; return what somebody asked for meanwhile."""
    from supernet_cli.telemetry import Sampling
    from supernet_cli.training.ranks import Ranks
    from supernet_cli.training.train import train_supernet

    jobs = [run.supernet_job(seed) for seed in prepared.plan.preset.train.seeds]
    _announce(run, prepared, jobs, observer, place)
    left = [job for job in jobs if not job.is_done]
    with observer.warnings(), Ranks(place) as ranks:
        _give_orders(ranks, prepared, left)
        with (
            DeviceLog(run) as devices,
            observer.watching(run.id, [(job.key, job.snapshot()[0]) for job in jobs]) as take,
            _event_files(run.folder / "tensorboard" / "devices", tensorboard) as device_events,
            Sampling(Fanout(devices, JobRecorder(take), *device_events)),
            Interruption(lasting=ranks.size > 1) as interruption,
        ):
            for job in left:
                event_files = _event_files(run.folder / "tensorboard" / str(job.key), tensorboard)
                with JobWriter(job) as writer, event_files as events:
                    recorder = Fanout(writer, JobRecorder(take, job.key), *events)
                    outcome = train_supernet(prepared, job, job.seed, recorder, _stop(interruption, writer), ranks)
                is_stopped = outcome.state.is_by_request or writer.stop_requested
                asked = interruption.wish or (Wish.STOP if is_stopped else None)
                if (wish := ranks.agree(asked)) is not None:
                    return wish  # also where the request came too late to stop the job that was just finished
    return None


def _announce(run: Run, prepared: Prepared, jobs: list[JobFolder], observer: Observer, place: Place | None) -> None:
    """Say what is trained, on what and where, with the warnings there are before it begins."""
    report = prepared.images.splits.report
    observer.note(report.line())
    with observer.warnings():
        for warning in report.warnings:
            logger.warning("%s", warning)
        for job in jobs:
            warn_of_a_lost_checkpoint(job)
    many = f", {place.size} ranks" if place is not None and place.size > 1 else ""
    where = f"{counted(prepared.plan.threads, 'thread')} on {prepared.networks.device.name}{many}"
    observer.announce(f"{run.id}  {counted(prepared.networks.space.size, 'path')}, {where}")


def _give_orders(ranks: Ranks, prepared: Prepared, jobs: list[JobFolder]) -> None:
    """Send the other ranks what to train, and wait until they are ready."""
    if ranks.size == 1:
        return
    seeds = tuple(job.seed for job in jobs)
    plan = prepared.plan
    orders = Orders(preset=plan.preset, images=prepared.images.digest, threads=plan.threads, seeds=seeds)
    ranks.tell(orders.model_dump_json())
    ranks.join(prepared.networks.device)


@contextmanager
def _event_files(folder: Path, wanted: bool) -> Iterator[list[Recorder]]:
    """Yield the recorder that writes TensorBoard's files into a folder, or none."""
    if not wanted:
        yield []
        return
    from supernet_cli.training.tensorboard import EventFiles

    with EventFiles(folder) as events:
        yield [events]


def _stop(interruption: Interruption, writer: JobWriter) -> Callable[[], Wish | None]:
    """Return what the loop asks after every step: a few attribute reads."""
    return lambda: interruption.wish or writer.wanted()
