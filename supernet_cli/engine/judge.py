"""The job that judges networks which are there: paths with inherited weights, and paths trained alone."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from supernet_cli.engine import checkpoint, device
from supernet_cli.engine.data.resident import ResidentImages
from supernet_cli.engine.evaluate import BATCH, Score, evaluate_paths, judging_macs
from supernet_cli.engine.prepare import Prepared, seeded_supernet
from supernet_cli.engine.profile import latency, path_costs, profile, synflow
from supernet_cli.runs.job import JobFolder
from supernet_cli.runs.results import (
    KINDS,
    JudgingCost,
    Kind,
    PathProfile,
    Profiles,
    ScoreRow,
    Split,
    keep_profiles,
    keep_scores,
    profiles,
)
from supernet_cli.runs.store import Run
from supernet_cli.sampling import Undropped
from supernet_cli.space import Architecture

_KEPT_TOGETHER = 16  # networks; each addition to the results writes their files anew

Advance = Callable[[str, int, int], None]
"""Told what is done now, how many networks are done, and of how many."""


@dataclass(frozen=True)
class Networks:
    """What there is to judge in a run.

    Args:
        supernets: Finished supernets.
        alone: Paths trained alone to their end, from scratch or from inherited weights.
    """

    supernets: Sequence[JobFolder]
    alone: Sequence[tuple[Kind, Architecture, JobFolder]]

    @classmethod
    def of(cls, run: Run, paths: Sequence[Architecture]) -> Networks:
        """Return those of some paths that have their weights."""
        wanted = {run.alone_job(path, 0).path.parent.name: path for path in paths}
        kinds: tuple[tuple[Kind, list[JobFolder]], ...] = (
            ("stand-alone", run.alone_jobs()),
            ("inherited", run.alone_jobs("inherit")),
        )
        alone = [
            (kind, wanted[job.path.parent.name], job)
            for kind, jobs in kinds
            for job in jobs
            if job.path.parent.name in wanted and job.weights.is_file()
        ]
        return cls([job for job in run.supernet_jobs() if job.weights.is_file()], alone)


def judge_run(
    prepared: Prepared,
    run: Run,
    networks: Networks,
    paths: Sequence[Architecture],
    split: Split,
    advance: Advance,
    between: Callable[[], None],
) -> list[ScoreRow]:
    """Judge a run's networks, measure its paths, and keep all of that in the run's results.

    Args:
        prepared: From `prepare`, with the run's preset.
        run: The run.
        networks: What to judge.
        paths: The paths; those not measured yet are.
        split: Whose images.
        advance: Told how far it is.
        between: Called again and again; what it raises ends the judging, and what was judged until then is kept.

    Raises:
        RunError: Weights are missing or damaged.
        OutOfMemoryError: No memory is left.
        DiskError: Results cannot be written.
    """
    rows: list[ScoreRow] = []
    total = len(networks.supernets) * len(paths) + len(networks.alone)
    with device.memory_errors():
        for group in _judge(prepared, networks, paths, split, between):
            found = [_row(group.kind, group.seed, path, score) for path, score in group.scores]
            answers = {str(path): _correct(score) for path, score in group.scores}
            keep_scores(run, split, found, {(group.kind, group.seed): answers}, group.cost)
            rows += found
            advance(f"judging on {split}", len(rows), total)
        _measure(prepared, run, paths, advance, between)
    return sorted(rows, key=lambda row: (KINDS.index(row.kind), row.seed))


@dataclass(frozen=True)
class _Judged:
    """Networks that were judged together: kept at once, whatever befalls the next ones."""

    kind: Kind
    seed: int
    scores: Sequence[tuple[Architecture, Score]]
    cost: JudgingCost | None = None


def _judge(
    prepared: Prepared,
    networks: Networks,
    paths: Sequence[Architecture],
    split: Split,
    between: Callable[[], None],
) -> Iterator[_Judged]:
    images, calibration = prepared.resident(split), prepared.calibration_images()
    sampler = prepared.sampler(0)
    undropped = sampler.undropped if isinstance(sampler, Undropped) else None
    for job in networks.supernets:
        supernet = prepared.supernet(0)
        checkpoint.load_weights(job.weights, supernet)
        begun = time.perf_counter()
        scores = evaluate_paths(supernet, paths, images, prepared.device, True, calibration, undropped, between=between)
        calibrated = None if calibration is None else len(calibration)
        costs = path_costs(supernet, images.shape, prepared.device)
        cost = JudgingCost(
            split=split,
            seed=job.seed,
            forward_images=len(images) * len(scores),
            macs=judging_macs(supernet, costs, paths, len(images), calibrated, undropped),
            seconds=time.perf_counter() - begun,
        )
        yield _Judged("one-shot", job.seed, list(scores.items()), cost)
    try:
        for start in range(0, len(networks.alone), _KEPT_TOGETHER):
            together: dict[tuple[Kind, int], list[tuple[Architecture, Score]]] = defaultdict(list)
            for kind, path, job in networks.alone[start : start + _KEPT_TOGETHER]:
                between()
                together[kind, job.seed].append((path, _judge_alone(prepared, path, job, images)))
            for (kind, seed), scored in together.items():
                yield _Judged(kind, seed, scored)
    finally:
        torch.set_num_threads(prepared.threads)


def _judge_alone(prepared: Prepared, path: Architecture, job: JobFolder, images: ResidentImages) -> Score:
    """Judge one network with the threads that trained it: they change last bits, and training saw a score too.

    Its batch normalisation has running statistics that are its own, and is judged with them.
    """
    torch.set_num_threads(job.status().threads or prepared.preset.retrain.threads)
    space = prepared.space.only(path)
    network = seeded_supernet(space, prepared.image_shape, prepared.num_classes, 0, prepared.device)
    checkpoint.load_weights(job.weights, network)
    (score,) = evaluate_paths(network, [space.at(0)], images, prepared.device, keep_correct=True).values()
    return score


def _correct(score: Score) -> np.ndarray:
    assert score.correct is not None
    return score.correct.numpy()


def _row(kind: Kind, seed: int, path: Architecture, score: Score) -> ScoreRow:
    return ScoreRow(
        path=str(path),
        kind=kind,
        seed=seed,
        accuracy=score.accuracy,
        loss=score.loss if math.isfinite(score.loss) else None,
        accuracy_unrecalibrated=score.accuracy
        if score.accuracy_unrecalibrated is None
        else score.accuracy_unrecalibrated,
        divergence=score.divergence,
    )


def _measure(
    prepared: Prepared, run: Run, paths: Sequence[Architecture], advance: Advance, between: Callable[[], None]
) -> None:
    """Measure the paths that were not yet, on this device."""
    empty = Profiles(device=prepared.device.name, threads=prepared.threads, batch=BATCH)
    known = profiles(run)
    if known.model_copy(update={"paths": {}}) != empty:
        known = empty
    missing = [path for path in paths if (there := known.paths.get(str(path))) is None or there.synflow is None]
    for start in range(0, len(missing), _KEPT_TOGETHER):
        between()
        group = missing[start : start + _KEPT_TOGETHER]
        found = {str(path): measured for path, measured in profile_paths(prepared, group)}
        keep_profiles(run, empty.model_copy(update={"paths": found}))
        advance("measuring paths", start + len(group), len(missing))


def profile_paths(prepared: Prepared, paths: Sequence[Architecture]) -> Iterator[tuple[Architecture, PathProfile]]:
    """Measure paths: their subnets' parameters, multiply-accumulates and latencies, and their synflow."""
    supernet = prepared.supernet(0).eval()
    for path in paths:
        network = supernet.extract(path)
        size = profile(network, prepared.image_shape, prepared.device)
        one = latency(network, prepared.image_shape, 1, prepared.device)
        batch = latency(network, prepared.image_shape, BATCH, prepared.device, warm_up=1, runs=5)
        yield (
            path,
            PathProfile(
                parameters=size.parameters,
                macs=size.macs,
                latency_seconds=one,
                latency_batch_seconds=batch,
                synflow=synflow(network, prepared.image_shape),
            ),
        )
