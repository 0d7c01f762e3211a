"""Scores of a run's networks, wherever they are stored: what judging wrote down, or what training saw in the end."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping

from supernet_cli.runs.job import JobFolder
from supernet_cli.runs.records import PathScore
from supernet_cli.runs.results import Evaluation, Kind, ScoreRow, Split
from supernet_cli.runs.store import Init, Run

_SAMPLE_SEED = 0

BySeed = Mapping[int, Mapping[str, ScoreRow]]
"""Scores by seed and path."""


def scores(run: Run, stored: Evaluation, split: Split, kind: Kind) -> dict[int, dict[str, ScoreRow]]:
    """Return the scores of one kind of networks, by seed and path.

    On validation, what a finished training saw in its last judgement counts where nothing else is stored: the weights
    are the same, and so is the number.

    Args:
        run: The run.
        stored: Its evaluation.json.
        split: Whose images.
        kind: Which networks.
    """
    found = stored.rows(split, kind)
    if split == "validation":
        for job in _jobs(run, kind):
            for score in last_judged(job):
                found.setdefault(job.seed, {}).setdefault(score.path, _row(score, kind, job.seed))
    return found


def last_judged(job: JobFolder) -> list[PathScore]:
    """Return the scores of a job's last judgement; none unless the job is finished."""
    if job.status().state != "finished":
        return []
    snapshot, _ = job.snapshot()
    return [view.score for view in snapshot.paths.values() if view.history.last_step == snapshot.steps]


def mean_losses(by_seed: Mapping[int, Mapping[str, ScoreRow]]) -> dict[str, float]:
    """Return the one-shot score of each path that every seed has judged: its mean loss, lower is better."""
    seeds = list(by_seed.values())
    common = set(seeds[0]).intersection(*seeds[1:]) if seeds else set()
    return {path: statistics.fmean(_loss(rows[path]) for rows in seeds) for path in sorted(common)}


def best(losses: Mapping[str, float], count: int) -> list[str]:
    """Return the paths with the lowest losses, best first."""
    return sorted(losses, key=lambda path: (losses[path], path))[:count]


def stratified(losses: Mapping[str, float], count: int) -> list[str]:
    """Return paths spread over the whole ranking: it is cut into `count` parts, and one drawn from each.

    The same ranking and count give the same paths.
    """
    ranked, rng = best(losses, len(losses)), random.Random(_SAMPLE_SEED)
    count = min(count, len(ranked))
    edges = [round(index * len(ranked) / count) for index in range(count + 1)] if count else []
    return [ranked[rng.randrange(low, high)] for low, high in zip(edges[:-1], edges[1:], strict=True)]


def _jobs(run: Run, kind: Kind) -> list[JobFolder]:
    if kind == "one-shot":
        return run.supernet_jobs()
    ways: dict[Kind, Init] = {"stand-alone": "scratch", "inherited": "inherit", "short": "short"}
    return run.alone_jobs(ways[kind])


def _row(score: PathScore, kind: Kind, seed: int) -> ScoreRow:
    return ScoreRow(
        path=score.path,
        kind=kind,
        seed=seed,
        accuracy=score.accuracy,
        loss=score.loss,
        accuracy_unrecalibrated=score.accuracy
        if score.accuracy_unrecalibrated is None
        else score.accuracy_unrecalibrated,
        divergence=score.divergence,
    )


def _loss(row: ScoreRow) -> float:
    return float("inf") if row.loss is None else row.loss
