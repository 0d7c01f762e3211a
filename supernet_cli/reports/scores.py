"""Scores of a run's networks, wherever they are stored: by `supernet evaluate`, or at the end of training."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from supernet_cli.space import SearchSpace
from supernet_cli.store.job import JobFolder
from supernet_cli.store.layout import Way
from supernet_cli.store.ranking import ranked
from supernet_cli.store.records import PathScore
from supernet_cli.store.results import Evaluation, ScoreRow, Split
from supernet_cli.store.run import Run
from supernet_cli.store.state import State

_SAMPLE_SEED = 0
_LOOKED_THROUGH = 4
"""How many paths of the space's sample are looked through for scored ones, for each of these."""

BySeed = Mapping[int, Mapping[str, ScoreRow]]
"""Scores by seed and path."""


def scores(run: Run, stored: Evaluation, split: Split, way: Way) -> dict[int, dict[str, ScoreRow]]:
    """Return the scores of the networks of one way, by seed and path.

    On validation, the last evaluation of a finished training counts if nothing else is stored: its weights are the
    same, and so is the score.

    Args:
        run: The run.
        stored: Its evaluation.json.
        split: The images.
        way: How they got their weights.
    """
    found = stored.rows(split, way)
    if split == "validation":
        is_recalibrated = way in (Way.ONE_SHOT, Way.SHORT) and _recalibrates(run)
        for job in run.jobs(way):
            for score in last_judged(job):
                found.setdefault(job.seed, {}).setdefault(score.path, _row(score, way, job.seed, is_recalibrated))
    return found


def last_judged(job: JobFolder) -> list[PathScore]:
    """Return the scores of a job's last evaluation; none unless the job is finished."""
    if job.status().state is not State.FINISHED:
        return []
    snapshot, _ = job.snapshot()
    return [view.score for view in snapshot.paths.values() if view.history.last_step == snapshot.steps]


@dataclass(frozen=True)
class MeanScore:
    """A path's one-shot score: means over the run's supernets.

    Args:
        path: The path.
        loss: Mean cross-entropy on validation, nats an image; None where a supernet's is not finite.
        accuracy: Top-1, a fraction.
    """

    path: str
    loss: float | None
    accuracy: float


def ranking(by_seed: Mapping[int, Mapping[str, ScoreRow]]) -> list[MeanScore]:
    """Return the paths that every supernet has scored, best first."""
    seeds = list(by_seed.values())
    common = set(seeds[0]).intersection(*seeds[1:]) if seeds else set()
    return ranked(_mean(path, [rows[path] for rows in seeds]) for path in common)


def sampled(ranking: Sequence[MeanScore], space: SearchSpace, count: int) -> list[str]:
    """Return random paths that have a score: the first in the order in which the space is sampled.

    More paths are scored in that order, so a larger sample holds the smaller one even if it needs more scores. A sample
    spread evenly over the ranking would leave out close pairs, and overstate τ: by 0.03 to 0.07 with 8 paths, 0.01 to
    0.04 with 16 (simulated).

    Args:
        ranking: Paths with a score.
        space: Their space.
        count: How many.
    """
    scored = {score.path for score in ranking}
    early = [name for name in map(str, space.sampled(_LOOKED_THROUGH * len(scored))) if name in scored]
    late = sorted(scored.difference(early))  # of a large space, scored for other reasons than a sample
    random.Random(_SAMPLE_SEED).shuffle(late)
    return [*early, *late][:count]


def known_paths(run: Run, stored: Evaluation) -> list[str]:
    """Return the paths that something is known of: watched in training, scored, or trained from scratch."""
    known = {row.path for rows in stored.splits.values() for row in rows}
    known.update(path for way in Way for rows in scores(run, stored, "validation", way).values() for path in rows)
    return sorted(known)


def seconds_per_path(run: Run) -> float | None:
    """Return how long evaluating one path on validation took while the run's supernets were trained, if known."""
    snapshots, preset = [job.snapshot()[0] for job in run.supernet_jobs()], run.preset()
    images = sum(snapshot.evaluation_images for snapshot in snapshots)
    seconds = sum(snapshot.evaluation_seconds for snapshot in snapshots)
    per_path = preset.data.validation + (preset.train.calibration if _recalibrates(run) else 0)
    return seconds / images * per_path * len(snapshots) if images else None


def _recalibrates(run: Run) -> bool:
    """Return whether paths with shared or unsettled statistics are recalibrated before they are evaluated."""
    preset = run.preset()
    return bool(preset.train.calibration) and SearchSpace.from_config(preset.space).has_batch_norm


def _row(score: PathScore, way: Way, seed: int, is_recalibrated: bool) -> ScoreRow:
    figures = dict(score) if is_recalibrated else dict(score) | {"accuracy_unrecalibrated": score.accuracy}
    return ScoreRow(**figures, kind=way, seed=seed)


def _mean(path: str, rows: Sequence[ScoreRow]) -> MeanScore:
    losses = [row.loss for row in rows if row.loss is not None]
    loss = statistics.fmean(losses) if len(losses) == len(rows) else None
    return MeanScore(path, loss, statistics.fmean(row.accuracy for row in rows))
