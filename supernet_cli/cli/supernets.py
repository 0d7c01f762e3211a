"""Trains the supernets of a run, one after another: of a new run, or of one that is resumed."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supernet_cli.config.torchrun import Place
from supernet_cli.glyphs import counted

if TYPE_CHECKING:
    from supernet_cli.cli.output import Output
    from supernet_cli.config.load import LoadedPreset
    from supernet_cli.data import Progress
    from supernet_cli.errors import SupernetError
    from supernet_cli.runs.job import JobFolder, JobWriter
    from supernet_cli.runs.records import Recorder, State
    from supernet_cli.runs.store import Run
    from supernet_cli.training.prepare import Prepared
    from supernet_cli.training.ranks import Ranks

logger = logging.getLogger(__name__)


def begin(runs_dir: Path, loaded: LoadedPreset, progress: Progress, place: Place | None = None) -> tuple[Run, Prepared]:
    """Check everything that a preset asks for, then make the run."""
    from supernet_cli.runs.store import check_writable, create_run, name_for

    check_writable(runs_dir)
    from supernet_cli.runs.data_report import keep_data_report
    from supernet_cli.training.prepare import prepare_loaded

    prepared = prepare_loaded(loaded, progress, place)
    run = create_run(
        runs_dir, name_for(loaded), prepared.preset, images=prepared.images_digest, network=prepared.signature
    )
    keep_data_report(run.folder, prepared.splits.report)
    return run, prepared


def check_idle(run: Run) -> None:
    """Make sure that no process trains a run's supernets.

    Raises:
        RunError: One does.
    """
    from supernet_cli.errors import RunError
    from supernet_cli.runs.records import ALIVE

    if any(job.status().state in ALIVE for job in run.supernet_jobs()):
        raise RunError(
            f"Another process is training run {run.id}.",
            f"Watch it with `{run.command('tui')}`, or stop it with `{run.command('runs stop')}`.",
        )


def reopen(
    run: Run,
    progress: Progress,
    place: Place | None = None,
    data_root: Path | None = None,
    epochs: int | None = None,
) -> tuple[Run, Prepared]:
    """Make sure that a run's supernets can be resumed, and prepare what they need.

    Args:
        run: The run.
        progress: Called while the data are loaded.
        place: This process among those that train together.
        data_root: Folder of the images, if not where the preset says.
        epochs: A new, larger length of the training; None to keep it.

    Raises:
        UsageError: They are finished.
        DivergedError: They diverged.
        RunError: They are being trained, or the run is damaged.
    """
    from supernet_cli.errors import DivergedError, UsageError
    from supernet_cli.reports.next_step import gentler_step, next_step

    run.preset()
    place = place or Place()
    if epochs is not None and place.is_first:
        from supernet_cli.training.extension import extend

        extend(run, epochs)
    states = [job.status().state for job in run.supernet_jobs()]
    if states and "diverged" not in states and all(job.is_done for job in run.supernet_jobs()):
        step = next_step(run)
        raise UsageError(f"Run {run.id} is already finished; nothing to resume.", step.hint if step else "")
    if states and all(job.is_done for job in run.supernet_jobs()):
        raise DivergedError(f"Run {run.id} diverged, and would diverge again bit for bit.", gentler_step(run).hint)
    check_idle(run)
    from supernet_cli.training.prepare import prepare_run

    statuses = [job.status() for job in run.supernet_jobs()]
    threads = max((status.threads for status in statuses if status.ranks == place.size), default=0)
    return run, prepare_run(run, threads or None, progress, place, data_root)


def train_supernets(
    run: Run, prepared: Prepared, voice: Output, tensorboard: bool = False, place: Place | None = None
) -> bool:
    """Train every supernet of a run that is not done, one after another.

    Returns:
        Whether somebody asked to stop, even if the request came too late to stop anything.
    """
    from supernet_cli.cli.signals import Interruption
    from supernet_cli.cli.watch import watching
    from supernet_cli.runs.job import JobWriter
    from supernet_cli.runs.records import Fanout
    from supernet_cli.runs.store import DeviceLog
    from supernet_cli.telemetry import Sampling
    from supernet_cli.training.ranks import Ranks
    from supernet_cli.training.train import train_supernet

    jobs = [run.supernet_job(seed) for seed in prepared.preset.train.seeds]
    voice.note(prepared.splits.report.line())
    with voice.warnings():
        for warning in prepared.splits.report.warnings:
            logger.warning("%s", warning)
        for job in jobs:
            warn_of_a_lost_checkpoint(job)
    if not voice.is_live:
        many = f", {place.size} ranks" if place is not None and place.size > 1 else ""
        where = f"{counted(prepared.threads, 'thread')} on {prepared.device.name}{many}"
        voice.note(f"{run.id}  {counted(prepared.space.size, 'path')}, {where}")
    left = [job for job in jobs if not job.is_done]
    with voice.warnings(), Ranks(place) as ranks:
        _give_orders(ranks, prepared, left)
        with (
            DeviceLog(run) as devices,
            watching(voice, sys.stderr, run.id, [(job.key, job.snapshot()[0]) for job in jobs]) as watch,
            _event_files(run.folder / "tensorboard" / "devices", tensorboard) as device_events,
            Sampling(Fanout(devices, watch, *device_events)),
            Interruption(lasting=ranks.size > 1) as interruption,
        ):
            for job in left:
                event_files = _event_files(run.folder / "tensorboard" / job.key, tensorboard)
                with JobWriter(job) as writer, event_files as events:
                    recorder = Fanout(writer, watch.of(job.key), *events)
                    outcome = train_supernet(prepared, job, job.seed, recorder, _stop(interruption, writer), ranks)
                asked = outcome.state in ("interrupted", "stopped") or interruption.requested or writer.stop_requested
                if ranks.agree("stopped" if asked else None):
                    return True  # also where the request came too late to stop the job that was just finished
    return False


def _give_orders(ranks: Ranks, prepared: Prepared, jobs: list[JobFolder]) -> None:
    """Send the other ranks what to train, and wait until they are ready."""
    if ranks.size == 1:
        return
    from supernet_cli.cli.ranks import Orders

    seeds = tuple(job.seed for job in jobs)
    orders = Orders(preset=prepared.preset, images=prepared.images_digest, threads=prepared.threads, seeds=seeds)
    ranks.tell(orders.model_dump_json())
    ranks.join(prepared.device)


def warn_of_a_lost_checkpoint(job: JobFolder) -> None:
    """Warn that a job starts over although it had started: its checkpoints are gone, or it never wrote one."""
    status = job.status()
    done = max(status.step, job.snapshot()[0].step)
    if done and not job.has_checkpoint and status.state not in ("finished", "diverged"):
        logger.warning("%s: none of its %d steps are in a checkpoint; it starts over", job.key, done)


@contextmanager
def _event_files(folder: Path, wanted: bool) -> Iterator[list[Recorder]]:
    """Yield the recorder that writes TensorBoard's files into a folder, or none."""
    if not wanted:
        yield []
        return
    from supernet_cli.training.tensorboard import EventFiles

    with EventFiles(folder) as events:
        yield [events]


def _stop(interruption: Any, writer: JobWriter) -> Callable[[], State | None]:
    """Return what the loop asks after every step: a few attribute reads."""

    def stop() -> State | None:
        return "interrupted" if interruption.requested else writer.wanted()

    return stop


def divergence(run: Run) -> SupernetError:
    """Return what to say of supernets that diverged."""
    from supernet_cli.errors import DivergedError
    from supernet_cli.reports.next_step import gentler_step

    diverged: list[JobFolder] = [job for job in run.supernet_jobs() if job.status().state == "diverged"]
    reasons = "; ".join(f"{job.key}: {job.status().reason}" for job in diverged)
    kept = ", ".join(str(job.path) for job in diverged if job.has_checkpoint)
    what = f"The last good checkpoint is kept in {kept}." if kept else "That was before the first checkpoint."
    return DivergedError(
        f"Training diverged: {reasons}. {what}",
        gentler_step(run).hint,
    )
