"""Evaluates the networks of a run: paths with inherited weights, and paths trained from scratch."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import nn

from supernet_cli import device
from supernet_cli.data import Progress
from supernet_cli.data.resident import ResidentImages
from supernet_cli.networks import proxies
from supernet_cli.networks.profile import latency, profile
from supernet_cli.networks.scoring import BATCH, JudgingPlan, Score, in_order
from supernet_cli.networks.supernet import Supernet
from supernet_cli.sampling import Undropped
from supernet_cli.space import Architecture
from supernet_cli.store.job import JobFolder
from supernet_cli.store.layout import Way, path_folder
from supernet_cli.store.results import (
    LATENCIES,
    JudgingCost,
    PathProfile,
    Profiles,
    ScoreRow,
    Split,
    is_writable,
    keep_profiles,
    keep_scores,
    profiles,
)
from supernet_cli.store.run import Run
from supernet_cli.training import checkpoint
from supernet_cli.training.prepare import Prepared

_KEPT_TOGETHER = 16  # networks; each addition to the results rewrites their files
_JUDGED_TOGETHER = 256  # paths of a supernet; enough that prefixes are shared, and few enough to be spread


@dataclass(frozen=True)
class Networks:
    """The networks of a run that can be evaluated.

    Args:
        supernets: Finished supernets.
        alone: Finished networks of single paths, trained from scratch or from inherited weights.
    """

    supernets: Sequence[JobFolder]
    alone: Sequence[tuple[Way, Architecture, JobFolder]]

    @classmethod
    def of(cls, run: Run, paths: Sequence[Architecture]) -> Networks:
        """Return those networks of some paths that have weights."""
        wanted = {path_folder(str(path)): path for path in paths}
        kinds: tuple[tuple[Way, list[JobFolder]], ...] = (
            (Way.ALONE, run.alone_jobs()),
            (Way.INHERITED, run.alone_jobs(Way.INHERITED)),
            (Way.FINAL, run.alone_jobs(Way.FINAL)),
        )
        alone = [
            (kind, wanted[job.key.folder], job)
            for kind, jobs in kinds
            for job in jobs
            if job.key.folder in wanted and job.weights.is_file()
        ]
        return cls([job for job in run.supernet_jobs() if job.weights.is_file()], alone)


def judge_run(
    prepared: Prepared,
    run: Run,
    networks: Networks,
    paths: Sequence[Architecture],
    split: Split,
    advance: Progress,
    between: Callable[[], None],
    spread: Spread | None = None,
    figures: Collection[str] | None = None,
) -> list[ScoreRow]:
    """Evaluate a run's networks, measure its paths, and store all of that in the run's results.

    On a read-only disk, nothing is stored, and paths are not measured.

    Args:
        prepared: From `prepare`, with the run's preset.
        run: The run.
        networks: What to evaluate.
        paths: The paths; what was not measured of them yet is measured.
        split: Whose images.
        advance: Called with the progress.
        between: Called again and again; what it raises ends the evaluation, and what was done until then is stored.
        spread: Where to evaluate; in this process by default. Latencies are always measured in this process.
        figures: What to measure besides sizes; see `profile_paths`.

    Raises:
        RunError: Weights are missing or damaged.
        OutOfMemoryError: No memory is left.
        DiskError: Results cannot be written.
    """
    rows: list[ScoreRow] = []
    keep = is_writable(run)
    total = len(networks.supernets) * len(paths) + len(networks.alone)
    supernets = {job.seed: checkpoint.StoredWeights.read(job.weights) for job in networks.supernets}
    judge, parts = Judge(prepared, split, supernets), _parts(networks, paths, prepared.plan.preset.retrain.threads)

    def take(groups: Iterable[Judged]) -> None:
        for group in groups:
            new = [_row(group.kind, group.seed, path, score) for path, score in group.scores]
            answers = {str(path): _correct(score) for path, score in group.scores}
            if keep:
                keep_scores(run, split, new, {(group.kind, group.seed): answers}, group.cost)
            rows.extend(new)
            advance(f"evaluating on {split}", len(rows), total)

    with device.memory_errors():
        try:
            (spread or _here(between))(judge, parts, take)
        finally:
            torch.set_num_threads(prepared.plan.threads)
        if keep:
            _measure(prepared, run, paths, everything() if figures is None else frozenset(figures), advance, between)
    return sorted(rows, key=lambda row: (list(Way).index(row.kind), row.seed))


@dataclass(frozen=True)
class Judged:
    """Networks that were evaluated together, and are stored at once."""

    kind: Way
    seed: int
    scores: Sequence[tuple[Architecture, Score]]
    cost: JudgingCost | None = None


@dataclass(frozen=True)
class _InheritedPaths:
    """Some paths of a supernet."""

    seed: int
    paths: Sequence[Architecture]


@dataclass(frozen=True)
class _Alone:
    """A path that was trained from scratch, with so many threads."""

    kind: Way
    seed: int
    weights: checkpoint.StoredWeights
    path: Architecture
    threads: int


Part = _InheritedPaths | Sequence[_Alone]
"""What is evaluated together."""

Take = Callable[[Sequence[Judged]], None]
"""Called with the results of a part."""

Spread = Callable[["Judge", Iterable[Part], Take], None]
"""Applies a judge to parts, somewhere, and passes the results on in their order."""


def _here(between: Callable[[], None]) -> Spread:
    def spread(judge: Judge, parts: Iterable[Part], take: Take) -> None:
        for part in parts:
            take(judge(part, between))

    return spread


def _parts(networks: Networks, paths: Sequence[Architecture], threads: int) -> Iterator[Part]:
    """Yield what is evaluated together; weights of single paths are read when their turn comes.

    Raises:
        RunError: Weights are missing.
    """
    ordered = in_order(paths)
    for job in networks.supernets:
        for start in range(0, len(ordered), _JUDGED_TOGETHER):
            yield _InheritedPaths(job.seed, ordered[start : start + _JUDGED_TOGETHER])
    for start in range(0, len(networks.alone), _KEPT_TOGETHER):
        yield [
            _Alone(kind, job.seed, checkpoint.StoredWeights.read(job.weights), path, job.status().threads or threads)
            for kind, path, job in networks.alone[start : start + _KEPT_TOGETHER]
        ]


@dataclass
class Judge:
    """Evaluates networks on a split's images; it can be sent to another process.

    Args:
        prepared: From `prepare`, with the run's preset.
        split: Whose images.
        supernets: Their weights, by seed.
    """

    prepared: Prepared
    split: Split
    supernets: Mapping[int, checkpoint.StoredWeights]

    def __call__(self, part: Part, between: Callable[[], None] = lambda: None) -> list[Judged]:
        """Evaluate networks.

        Args:
            part: Which networks.
            between: Called again and again; what it raises ends the evaluation.

        Raises:
            RunError: Weights are damaged.
            OutOfMemoryError: No memory is left.
        """
        together: dict[tuple[Way, int], list[tuple[Architecture, Score]]] = defaultdict(list)
        with device.memory_errors():
            if isinstance(part, _InheritedPaths):
                return [self._judge_inherited(part, between)]
            for network in part:
                between()
                together[network.kind, network.seed].append((network.path, self._judge_alone(network)))
        return [Judged(kind, seed, scored) for (kind, seed), scored in together.items()]

    @cached_property
    def _images(self) -> ResidentImages:
        return self.prepared.images.resident(self.split)

    @cached_property
    def _calibration(self) -> ResidentImages | None:
        return self.prepared.images.calibration(self.prepared.plan.calibration)

    @cached_property
    def _supernet(self) -> Supernet:
        """A supernet, with the weights that were put in last."""
        return self.prepared.networks.supernet(0)

    def _judge_inherited(self, part: _InheritedPaths, between: Callable[[], None]) -> Judged:
        networks, plan, calibration = self.prepared.networks, self.prepared.plan, self._calibration
        device.prepare(networks.device, plan.threads)
        sampler = plan.sampler(0)
        judging = JudgingPlan(
            paths=part.paths,
            images=self._images,
            calibration=calibration,
            undropped=sampler.undropped if isinstance(sampler, Undropped) else None,
            both_ways=plan.preset.train.evaluate_unrecalibrated,
            keep_correct=True,
        )
        supernet = self._supernet
        self.supernets[part.seed].put_into(supernet)
        started = time.perf_counter()
        scores = judging.run(supernet, networks.device, between)
        priced = judging.cost(supernet, networks.costs)
        cost = JudgingCost(
            split=self.split,
            seed=part.seed,
            forward_images=priced.images,
            macs=priced.macs,
            seconds=time.perf_counter() - started,
        )
        if calibration is None or not supernet.space.has_batch_norm:
            scores = {path: _with_running_statistics(score) for path, score in scores.items()}
        return Judged(Way.ONE_SHOT, part.seed, list(scores.items()), cost)

    def _judge_alone(self, network: _Alone) -> Score:
        """Evaluate one network with the threads that trained it: they change last bits, and training saw a score too.

        Its batch normalisation has running statistics of its own, and is evaluated with them.
        """
        networks = self.prepared.networks
        device.prepare(networks.device, network.threads)
        module = networks.only(network.path).supernet(0)
        network.weights.put_into(module)
        judging = JudgingPlan([module.space.at(0)], self._images, keep_correct=True)
        (score,) = judging.run(module, networks.device).values()
        return _with_running_statistics(score)


def _with_running_statistics(score: Score) -> Score:
    """Return a score that was measured without recalibration as what it is."""
    return replace(score, accuracy_unrecalibrated=score.accuracy)


def _correct(score: Score) -> np.ndarray:
    assert score.correct is not None
    return score.correct.numpy()


def _row(kind: Way, seed: int, path: Architecture, score: Score) -> ScoreRow:
    return ScoreRow(
        path=str(path),
        kind=kind,
        seed=seed,
        accuracy=score.accuracy,
        loss=score.loss if math.isfinite(score.loss) else None,
        accuracy_unrecalibrated=score.accuracy_unrecalibrated,
        divergence=score.divergence,
    )


def everything() -> frozenset[str]:
    """Return the names of all that can be measured of a path besides its sizes: latencies and proxies."""
    return frozenset((*LATENCIES, *proxies.proxies()))


def _measure(
    prepared: Prepared,
    run: Run,
    paths: Sequence[Architecture],
    figures: frozenset[str],
    advance: Progress,
    between: Callable[[], None],
) -> None:
    """Measure what has not been measured of some paths yet, on this device."""
    empty = Profiles(device=prepared.networks.device.name, threads=prepared.plan.threads, batch=BATCH)
    known = profiles(run)
    if known.model_copy(update={"paths": {}}) != empty:
        known = empty
    missing: dict[frozenset[str], list[Architecture]] = defaultdict(list)
    for path in paths:
        profiled = known.paths.get(str(path))
        unknown = frozenset(name for name in figures if profiled is None or not profiled.has(name))
        if profiled is None or unknown:
            missing[unknown].append(path)
    done, total = 0, sum(map(len, missing.values()))
    for unknown, alike in missing.items():
        for start in range(0, len(alike), _KEPT_TOGETHER):
            between()
            group = alike[start : start + _KEPT_TOGETHER]
            found = {str(path): measured for path, measured in profile_paths(prepared, group, unknown)}
            keep_profiles(run, empty.model_copy(update={"paths": found}))
            done += len(group)
            advance("measuring paths", done, total)


def profile_paths(
    prepared: Prepared, paths: Sequence[Architecture], figures: Collection[str]
) -> Iterator[tuple[Architecture, PathProfile]]:
    """Measure paths: their subnets' parameters and multiply-accumulates, and what else is named.

    Proxies see the initial weights of the supernets of seeds 0, 1, …, which are drawn from the same distributions as
    those of a training from scratch, and training images without augmentation. Both are always the same, so a score
    does not depend on which paths are measured, nor on what else is.

    Args:
        prepared: From `prepare`, with the run's preset.
        paths: The paths.
        figures: Names of latencies and proxies, of those that `everything` returns. Most of them take far longer than
            sizes.
    """
    networks, on = prepared.networks, prepared.networks.device
    shape = networks.image_shape
    supernets = [networks.supernet(initial).eval() for initial in range(proxies.most_initialisations(figures))]
    images = prepared.images.calibration(proxies.BATCH)
    assert images is not None
    images_BCHW, labels_B = next(images.batches(proxies.BATCH))
    timings: Mapping[str, Callable[[nn.Module], float]] = {
        "latency_seconds": lambda network: latency(network, shape, 1, on),
        "latency_batch_seconds": lambda network: latency(network, shape, BATCH, on, warm_up=1, runs=5),
    }
    for path in paths:
        untrained = [supernet.extract(path) for supernet in supernets]
        size = profile(untrained[0], shape, on)
        measured = PathProfile(
            parameters=size.parameters,
            macs=size.macs,
            **{name: time_it(untrained[0]) if name in figures else None for name, time_it in timings.items()},
        )
        yield path, measured.model_copy(update=proxies.scores(figures, untrained, images_BCHW, labels_B))
