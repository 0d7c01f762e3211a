"""What a comparison lacks, each with the command that completes it, where one does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from supernet_cli.reports.scores import BySeed
from supernet_cli.runs.job import JobFolder
from supernet_cli.runs.results import Evaluation, Selection, selections
from supernet_cli.runs.store import Run
from supernet_cli.space import Architecture, SearchSpace

_WORTH_TRAINING_ALL = 256
_MOST_NAMED = 3


@dataclass(frozen=True)
class Missing:
    """Something that a judgement lacks.

    Args:
        what: In words.
        command: What completes it; empty where nothing does.
    """

    what: str
    command: str = ""


def missing_alone(
    run: Run, stored: Evaluation, space: SearchSpace, paths: Sequence[Architecture], seeds: Sequence[int]
) -> list[Missing]:
    """Return what the stand-alone side lacks.

    Args:
        run: The run they belong to.
        stored: Its scores.
        space: Its space.
        paths: Paths that enter the comparison.
        seeds: Their seeds.
    """
    chosen = [selection for selection in selections(run) if selection.init == "scratch"]
    names = _names(run, space, [*map(str, paths), *(path for selection in chosen for path in selection.paths)])
    jobs = [(names.get(job.path.parent.name, job.path.parent.name), job) for job in run.alone_jobs()]
    states = {job.key: job.status().state for _, job in jobs}
    diverged = [(name, job) for name, job in jobs if states[job.key] == "diverged"]
    open_jobs = [(name, job) for name, job in jobs if states[job.key] not in ("diverged", "finished")]
    rows = stored.rows("test", "stand-alone")
    unjudged = [job for name, job in jobs if states[job.key] == "finished" and name not in rows.get(job.seed, {})]
    used = {(str(path), seed) for path in paths for seed in seeds}
    judged = [(name, job.seed) for name, job in jobs if name in rows.get(job.seed, {})]
    unused = [key for key in judged if key not in used]
    found = []
    if diverged:
        told = _some([f"{name} seed {job.seed}" for name, job in diverged])
        found.append(Missing(f"{len(diverged)} stand-alone trainings diverged, and would again: {told}"))
    if open_jobs:
        what = f"{len(open_jobs)} of {len(jobs)} stand-alone trainings are not finished"
        found.append(Missing(what, _retrain(run, chosen, open_jobs)))
    if unjudged:
        what = f"{len(unjudged)} stand-alone networks are not judged"
        found.append(Missing(what, f"supernet evaluate --run {run.typed}"))
    if unused:
        told = _some([f"{path} seed {seed}" for path, seed in unused])
        found.append(Missing(f"{len(unused)} stand-alone results are left out, lacking the others' seeds: {told}"))
    if not open_jobs and len(paths) + len({name for name, _ in diverged}) < space.size <= _WORTH_TRAINING_ALL:
        what = f"{space.size - len(paths)} of {space.size} paths were not trained alone"
        found.append(Missing(what, f"supernet retrain --all --run {run.typed}"))
    return found


def missing_one_shot(
    run: Run, paths: Sequence[Architecture], seeds: Sequence[int], one_shot: BySeed, test: BySeed
) -> list[Missing]:
    """Return what the supernets' side lacks.

    Args:
        run: Their run.
        paths: Paths that enter the comparison.
        seeds: Supernet seeds that do.
        one_shot: All scores on validation.
        test: The same on test.
    """
    found = []
    states = {job.seed: job.status().state for job in run.supernet_jobs() if not job.weights.is_file()}
    diverged = [seed for seed, state in states.items() if state == "diverged"]
    if diverged:
        found.append(Missing(f"supernet seeds {_some(list(map(str, diverged)))} diverged, and would again"))
    if len(states) > len(diverged):
        what = f"{len(states) - len(diverged)} supernets are not finished"
        found.append(Missing(what, f"supernet train --resume {run.typed}"))
    left_out = [seed for seed in one_shot if seed not in seeds]
    if left_out:
        what = f"supernet seeds {_some(list(map(str, left_out)))} lack scores of some paths"
        found.append(Missing(what, f"supernet evaluate --split validation --run {run.typed}"))
    unknown = [path for path in paths if any(str(path) not in test.get(seed, {}) for seed in seeds)]
    if unknown:
        what = f"one-shot accuracies on test are not known of {len(unknown)} of {len(paths)} paths"
        found.append(Missing(what, f"supernet evaluate --run {run.typed}"))
    return found


def _names(run: Run, space: SearchSpace, paths: Sequence[str]) -> dict[str, str]:
    """Return paths by the folders that they have."""
    return {run.alone_job(space.parse(path), 0).path.parent.name: path for path in dict.fromkeys(paths)}


def _retrain(run: Run, chosen: Sequence[Selection], jobs: Sequence[tuple[str, JobFolder]]) -> str:
    """Return the command that goes on with some trainings: as they were chosen, or by name."""
    names = {name for name, _ in jobs}
    ways: dict[str, Callable[[Selection], str]] = {
        "all": lambda selection: "--all",
        "sample": lambda selection: f"--sample {len(selection.paths)}",
        "top": lambda selection: f"--top {len(selection.paths)}",
    }
    fitting = [selection for selection in chosen if selection.how in ways and names <= set(selection.paths)]
    which = ways[fitting[0].how](fitting[0]) if fitting else " ".join(sorted(names))
    seeds = ",".join(map(str, sorted({job.seed for _, job in jobs})))
    return f"supernet retrain {which} --seeds {seeds} --run {run.typed}"


def _some(words: Sequence[str]) -> str:
    more = len(words) - _MOST_NAMED
    return ", ".join(words[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
