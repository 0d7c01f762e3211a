"""The facts behind a comparison, gathered from a run's files into arrays; no network is run.

Shapes: n paths with stand-alone results, R supernet seeds, S stand-alone seeds, N test images.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from supernet_cli.errors import RunError, UsageError
from supernet_cli.glyphs import counted
from supernet_cli.reports.cost import Cost, evaluation_cost, training_cost
from supernet_cli.reports.missing import missing_alone, missing_one_shot
from supernet_cli.reports.next_step import finish_first, next_step
from supernet_cli.reports.parts import Coverage, Missing
from supernet_cli.reports.scores import BySeed, scores
from supernet_cli.space import Architecture, SearchSpace
from supernet_cli.store.layout import Way, path_folder
from supernet_cli.store.results import (
    Evaluation,
    PathProfile,
    ScoreRow,
    correct,
    evaluation,
    profiles,
    selections,
)
from supernet_cli.store.run import Run
from supernet_cli.store.snapshot import JobSnapshot
from supernet_cli.store.state import State

if TYPE_CHECKING:
    import numpy as np

FEWEST_SAMPLED = 10
"""Sampled paths from which a space can be spoken of."""


@dataclass(frozen=True)
class Truth:
    """Stand-alone results: n paths, each with at least one of S seeds.

    Args:
        run: The run they come from.
        paths: The paths, in order of index.
        seeds: All their seeds.
        test: (n, S) accuracy on test, NaN where a path lacks a seed.
        test_loss: (n, S) mean cross-entropy on test, NaN also where it is not finite.
        validation: (n, S) accuracy on validation, NaN also where unknown.
        correct: (n, N) share of a path's seeds that got each test image right; None if not stored.
        correct_first: (n, N) whether the network of its first seed got it right; None if not stored.
        coverage: How the paths were chosen.
        caution: What that does to τ as observed; empty if nothing.
        seconds: (n,) mean time of one training.
        cost: Cost of all their trainings.
    """

    run: str
    paths: tuple[Architecture, ...]
    seeds: tuple[int, ...]
    test: np.ndarray
    test_loss: np.ndarray
    validation: np.ndarray
    correct: np.ndarray | None
    correct_first: np.ndarray | None
    coverage: Coverage
    caution: str
    seconds: np.ndarray
    cost: Cost

    @property
    def trainings(self) -> int:
        """How many trainings there are."""
        import numpy as np

        return int(np.isfinite(self.test).sum())


@dataclass(frozen=True)
class Facts:
    """Everything known about a run that a comparison needs.

    Args:
        run: The run.
        sampler: The strategy that trained its supernets.
        space: Its search space.
        seeds: Supernet seeds whose scores cover all paths of the ground truth.
        one_shot: By supernet seed and path, scores on validation.
        one_shot_test: The same on test, where known.
        short: By seed and path, scores on validation of short trainings; only seeds that cover all paths.
        short_cost: Cost of these trainings.
        short_diverged: How many of the run's short trainings diverged.
        truth: Stand-alone results, its own or borrowed.
        profiles: Sizes of paths.
        forward_images: Images each supernet was trained with, mean over seeds.
        training: Cost of all supernets used.
        evaluation: Cost of evaluating their paths on validation.
        missing: What would make the comparison more complete.
    """

    run: Run
    sampler: str
    space: SearchSpace
    seeds: tuple[int, ...]
    one_shot: BySeed
    one_shot_test: BySeed
    short: BySeed
    short_cost: Cost
    short_diverged: int
    truth: Truth
    profiles: Mapping[str, PathProfile]
    forward_images: float
    training: Cost
    evaluation: Cost
    missing: tuple[Missing, ...] = field(default=())

    def scores(self, paths: Sequence[str]) -> np.ndarray:
        """Return the one-shot scores of paths, (R, n): the negative mean loss on validation; NaN where unknown."""
        import numpy as np

        return np.array([[_score(self.one_shot[seed].get(path)) for path in paths] for seed in self.seeds])

    def short_scores(self, paths: Sequence[str]) -> np.ndarray:
        """Return the scores of paths after short trainings, (seeds, n): the negative mean loss; NaN where unknown."""
        import numpy as np

        return np.array([[_score(rows.get(path)) for path in paths] for rows in self.short.values()])

    def profiled(self, paths: Sequence[str], what: str) -> np.ndarray | None:
        """Return a figure of the profiles of paths, (n,); None if that of some is unknown.

        Args:
            paths: The paths.
            what: A field of `PathProfile`.
        """
        import numpy as np

        known = [getattr(self.profiles[path], what) for path in paths if path in self.profiles]
        return np.array(known, dtype=float) if len(known) == len(paths) and None not in known else None

    def nearness(self, paths: Sequence[str]) -> np.ndarray | None:
        """Return how close paths are to the network with nothing dropped, (R, n): the negative divergence, or None."""
        import numpy as np

        rows = [[self.one_shot[seed][path].divergence for path in paths] for seed in self.seeds]
        known = [[value for value in row if value is not None] for row in rows]
        return -np.array(known) if all(len(row) == len(paths) for row in known) else None


def gather(run: Run, truth_run: Run | None = None) -> Facts:
    """Gather the facts from a run's files.

    Args:
        run: The run with the supernets.
        truth_run: Another run to borrow stand-alone results from.

    Raises:
        RunError: There are no one-shot scores or no stand-alone results, or a file is damaged.
        UsageError: The other run belongs to another experiment.
    """
    if truth_run is not None:
        check_same(run, truth_run)
    source = truth_run or run
    stored = evaluation(run)
    space = SearchSpace.from_config(run.preset().space)
    one_shot = scores(run, stored, "validation", Way.ONE_SHOT)
    if not one_shot:
        raise finish_first(run, "one-shot scores yet")
    stored_truth = evaluation(source)
    truth = _truth(source, stored_truth, space)
    names = [str(path) for path in truth.paths]
    seeds = tuple(seed for seed in sorted(one_shot) if all(name in one_shot[seed] for name in names))
    if not seeds:
        raise RunError(
            f"Run {run.id} has no supernet that scored all {counted(len(names), 'path')} trained from scratch.",
            f"Score them: `{run.command('evaluate', '--split', 'validation')}`.",
        )
    snapshots = [job.snapshot()[0] for job in run.supernet_jobs() if job.seed in seeds]
    judged_later = [cost for cost in stored.costs if cost.split == "validation" and cost.seed in seeds]
    training, judging = training_cost(snapshots), evaluation_cost(snapshots, judged_later)
    test = scores(run, stored, "test", Way.ONE_SHOT)
    briefly = scores(run, stored, "validation", Way.SHORT)
    short = {seed: rows for seed, rows in sorted(briefly.items()) if all(name in rows for name in names)}
    short_jobs = [job.snapshot()[0] for job in run.alone_jobs(Way.SHORT) if job.seed in short]
    return Facts(
        run=run,
        sampler=run.preset().train.sampler.name,
        space=space,
        seeds=seeds,
        one_shot={seed: one_shot[seed] for seed in seeds},
        one_shot_test={seed: rows for seed, rows in test.items() if seed in seeds},
        short=short,
        short_diverged=sum(job.status().state is State.DIVERGED for job in run.alone_jobs(Way.SHORT)),
        short_cost=training_cost(short_jobs) + evaluation_cost(short_jobs),
        truth=truth,
        profiles=profiles(run).paths or profiles(source).paths,
        forward_images=training.forward_images / len(seeds),
        training=training,
        evaluation=judging,
        missing=(
            *missing_alone(source, stored_truth, space, truth.paths),
            *missing_one_shot(run, truth.paths, seeds, one_shot, test),
        ),
    )


def check_same(run: Run, other: Run) -> None:
    """Check that stand-alone results of another run can serve as ground truth for this run.

    Raises:
        UsageError: Space, retraining recipe, split or images differ.
    """
    mine, theirs = run.fingerprints(), other.fingerprints()
    words = {"space": "search spaces", "split": "data or splits", "retrain": "retraining recipes", "images": "images"}
    differing = [word for key, word in words.items() if mine.get(key) != theirs.get(key)]
    if differing:
        raise UsageError(
            f"The stand-alone results of {other.id} cannot serve as ground truth for {run.id}: "
            f"the {' and '.join(differing)} differ.",
            f"Use its own stand-alone trainings: `{run.command('compare')}` without --truth.",
        )


def _truth(run: Run, stored: Evaluation, space: SearchSpace) -> Truth:
    """Return the stand-alone results of all paths that have some; of none that diverged, unless nothing else is left.

    A path with a seed that diverged would enter with its lucky seeds only.
    """
    import numpy as np

    known = {str(path): path for path in space.enumerate()} if space.size <= 100_000 else {}
    test = stored.rows("test", Way.ALONE)
    jobs = {(job.key.folder, job.seed): job for job in run.alone_jobs()}
    folders = {name: path_folder(str(known.get(name) or space.parse(name))) for name in _all(test)}
    there = {(name, seed) for seed, rows in test.items() for name in rows if (folders[name], seed) in jobs}
    if not there:  # a deleted training does not count
        raise RunError(*_no_truth(run))
    diverged = {folder for (folder, _), job in jobs.items() if job.status().state is State.DIVERGED}
    there = {(name, seed) for name, seed in there if folders[name] not in diverged} or there
    paths = sorted((known.get(name) or space.parse(name) for name in {name for name, _ in there}), key=space.index)
    order, seeds = [str(path) for path in paths], sorted({seed for _, seed in there})
    seeds_of = {name: [seed for seed in seeds if (name, seed) in there] for name in order}

    def table(figure: Callable[[str, int], float]) -> np.ndarray:
        return np.array([[figure(name, s) if s in seeds_of[name] else float("nan") for s in seeds] for name in order])

    validation = scores(run, stored, "validation", Way.ALONE)
    answers = {seed: correct(run, "test", Way.ALONE, seed) for seed in seeds}
    whole = all(name in answers[seed] for name, seed in there)
    shares = [np.mean([answers[seed][name] for seed in seeds_of[name]], axis=0) for name in order] if whole else []
    snapshots = [[run.alone_job(path, s).snapshot()[0] for s in seeds_of[str(path)]] for path in paths]
    return Truth(
        run=run.id,
        paths=tuple(paths),
        seeds=tuple(seeds),
        test=table(lambda name, seed: test[seed][name].accuracy),
        test_loss=table(lambda name, seed: _or_nan(test[seed][name].loss)),
        validation=table(lambda name, seed: _accuracy(validation, seed, name)),
        correct=np.array(shares, np.float32) if whole else None,
        correct_first=np.array([answers[seeds_of[name][0]][name] for name in order]) if whole else None,
        coverage=(coverage := _coverage(run, set(order), space)),
        caution=_caution(run, set(order), coverage),
        seconds=np.array([statistics.fmean(map(_seconds, row)) for row in snapshots]),
        cost=training_cost([snapshot for row in snapshots for snapshot in row]),
    )


def _coverage(run: Run, names: set[str], space: SearchSpace) -> Coverage:
    """Return how paths were chosen, even if some of the chosen ones are unfinished or diverged."""
    if len(names) == space.size:
        return "all"
    chosen = [selection for selection in selections(run) if selection.init is Way.ALONE]
    if any(selection.how == "top" and names <= set(selection.paths) for selection in chosen):
        return "top"
    if any(selection.how == "sample" and names <= set(selection.paths) for selection in chosen):
        return "sample"
    samples = [selection for selection in chosen if selection.how == "sample"]
    if any(len(names.intersection(selection.paths)) >= FEWEST_SAMPLED for selection in samples):
        return "mixed"
    hows = {selection.how for selection in chosen if names & set(selection.paths)}
    return "part" if "all" in hows else "top" if "top" in hows else "named"


def _caution(run: Run, names: set[str], coverage: Coverage) -> str:
    """Return what the choice of paths does to τ as observed; empty if nothing."""
    chosen = [each for each in selections(run) if each.init is Way.ALONE and names.intersection(each.paths)]
    if coverage == "top":
        orders = {"one-shot": "one-shot score", "size": "size", "posterior": "expected accuracy"}
        by = " or ".join(dict.fromkeys(orders[each.by] for each in chosen if each.how == "top"))
        return f"Range-restricted: only the first paths by {by} were trained from scratch."
    if coverage == "named" and any(each.how == "search" for each in chosen):
        return "Range-restricted: a search chose paths that promised to be good."
    samples = [each for each in chosen if each.how == "sample"]
    if coverage == "mixed":
        drawn = len(names & {path for each in samples for path in each.paths})
        return f"{drawn:,} paths are a random sample; the other {len(names) - drawn:,} were chosen, which changes τ."
    if coverage == "sample" and not any(each.at_random for each in samples):
        return "Earlier versions spread samples over the ranking, which makes τ too high by about 0.02 to 0.07."
    return ""


def _no_truth(run: Run) -> tuple[str, str]:
    step = next_step(run)
    hint = step.hint if step else ""
    if any(job.weights.is_file() for job in run.alone_jobs()):
        return f"The stand-alone networks of run {run.id} have not been evaluated on the test images yet.", hint
    return f"Run {run.id} has no stand-alone results to compare its one-shot scores with.", hint


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the known values, or None if there are none."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _all(rows: BySeed) -> set[str]:
    return {name for by_path in rows.values() for name in by_path}


def _seconds(snapshot: JobSnapshot) -> float:
    return snapshot.train_seconds if snapshot.steps else float("nan")  # its records may be gone


def _score(row: ScoreRow | None) -> float:
    if row is None:
        return float("nan")
    return float("-inf") if row.loss is None else -row.loss


def _accuracy(rows: BySeed, seed: int, name: str) -> float:
    row = rows.get(seed, {}).get(name)
    return float("nan") if row is None else row.accuracy


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
