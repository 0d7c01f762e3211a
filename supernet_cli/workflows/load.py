"""Load the network of one path from a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from supernet_cli.errors import RunError, UsageError
from supernet_cli.reports.next_step import finish_first
from supernet_cli.space import Architecture
from supernet_cli.store.exported import Weights
from supernet_cli.store.job import JobFolder
from supernet_cli.store.layout import Way, path_folder
from supernet_cli.workflows.session import Session

if TYPE_CHECKING:
    from supernet_cli.networks.loaded import LoadedNetwork
    from supernet_cli.store.network import NetworkSpec
    from supernet_cli.training.prepare import Prepared


_WAYS: Mapping[Weights, Way] = {"scratch": Way.ALONE, "final": Way.FINAL, "inherited": Way.ONE_SHOT}


@dataclass(frozen=True)
class Source:
    """Where a network's weights are.

    Args:
        path: The path.
        weights: Which weights.
        job: The training that they are from.
    """

    path: Architecture
    weights: Weights
    job: JobFolder

    @property
    def way(self) -> Way:
        """How the network got its weights."""
        return _WAYS[self.weights]


def load(session: Session, path: str, weights: Weights | None = None, seed: int | None = None) -> LoadedNetwork:
    """Return the network of a path in evaluation mode, on the CPU.

    With batch normalisation, the statistics of inherited weights are measured anew on training images, since those of
    a supernet belong to no path; nothing else needs the images.

    Args:
        session: The run.
        path: The path.
        weights: Which weights (default: those of a training for use, if there is one, otherwise those of a training
            from scratch).
        seed: Of its training, or of the supernet (default: the best training by accuracy on validation; the first
            finished supernet).

    Raises:
        UsageError: There is no such path, or there are no such weights.
        RunError: It has no such weights, or they are damaged.
        DataError: The images are needed, and missing or damaged.
    """
    source = find_source(session, path, weights, seed)
    prepared = None
    if needs_images(session, source):
        with session.observer.working("loading torch and the data") as advance:
            prepared = session.prepare(advance)
    return network_of(session, source, prepared)[0]


def find_source(session: Session, path: str, weights: Weights | None, seed: int | None) -> Source:
    """Return where the weights of a path are.

    Args:
        session: The run.
        path: The path.
        weights: As for `load`.
        seed: As for `load`.

    Raises:
        UsageError: There is no such path, or there are no such weights.
        RunError: It has no such weights.
    """
    if weights not in (None, *get_args(Weights)):
        raise UsageError(f"weights = {weights!r}: use {', '.join(map(repr, get_args(Weights)))}.")
    run, architecture = session.run, session.space.parse(path)
    if weights is None:
        folder = path_folder(str(architecture))
        finals = [job for job in run.alone_jobs(Way.FINAL) if job.key.folder == folder and job.weights.is_file()]
        weights = "final" if finals else "scratch"
    way = _WAYS[weights]
    seeds = sorted({job.seed for job in run.alone_jobs(way)}) if way is not Way.ONE_SHOT else []
    jobs = run.supernet_jobs() if way is Way.ONE_SHOT else [run.alone_job(architecture, s, way) for s in seeds]
    return Source(architecture, weights, _chosen(session, str(architecture), way, jobs, seed))


def needs_images(session: Session, source: Source) -> bool:
    """Whether batch normalisation must be measured for the path."""
    return source.way is Way.ONE_SHOT and session.space.has_batch_norm


def network_of(session: Session, source: Source, prepared: Prepared | None) -> tuple[LoadedNetwork, NetworkSpec]:
    """Return the network with its weights, in evaluation mode on the CPU, and what it is built from.

    Args:
        session: The run.
        source: Where the weights are.
        prepared: The run's images; needed only if `needs_images`.

    Raises:
        RunError: The weights are damaged.
    """
    import torch

    from supernet_cli.networks.loaded import LoadedNetwork
    from supernet_cli.training.stored import network_spec, stored_subnet

    calibration = None
    if needs_images(session, source):
        assert prepared is not None
        calibration = prepared.images.calibration(prepared.plan.calibration, torch.device("cpu"))
    spec = network_spec(session.run, session.data_root)
    subnet = stored_subnet(session.run, spec, source.path, source.way, source.job.seed, calibration)
    return LoadedNetwork(subnet, str(source.path), spec.classes, spec.normalisation).eval(), spec


def _chosen(session: Session, path: str, way: Way, jobs: list[JobFolder], seed: int | None) -> JobFolder:
    """Return the job whose weights to load.

    Raises:
        RunError: There is none.
    """
    run = session.run
    there = [job for job in jobs if job.weights.is_file() and seed in (None, job.seed)]
    if there:
        return there[0] if way is Way.ONE_SHOT else best_by_validation(there)
    which = "" if seed is None else f" with seed {seed}"
    if way is Way.ONE_SHOT:
        raise finish_first(run, f"finished supernet{which}")
    options = (path,) if seed is None else (path, "--seeds", str(seed))
    if way is Way.FINAL:
        longer = run.command("retrain", *options, "--epochs", str(2 * run.preset().standalone_recipe().epochs))
        raise RunError(f"{path} has not been trained for use{which} in run {run.id}.", f"Train it: `{longer}`.")
    raise RunError(
        f"{path} has not been trained from scratch{which} in run {run.id}.",
        f"Train it: `{run.command('retrain', *options)}`, or take the supernet's weights with --weights inherited.",
    )


def best_by_validation(jobs: Sequence[JobFolder]) -> JobFolder:
    """Return the training with the best last accuracy on validation; the first of equals."""
    return max(jobs, key=last_accuracy)


def last_accuracy(job: JobFolder) -> float:
    """Return a training's last accuracy on validation."""
    paths = job.snapshot()[0].paths.values()
    return max((view.score.accuracy for view in paths), default=0.0)
