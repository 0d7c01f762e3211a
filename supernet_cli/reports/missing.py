"""What a comparison lacks, each with the command that adds it, where one does."""

from __future__ import annotations

from collections.abc import Sequence

from supernet_cli.glyphs import counted
from supernet_cli.reports.next_step import TRAINED_WHOLE, retrain_step, supernets_step, trained_names
from supernet_cli.reports.parts import Missing
from supernet_cli.reports.scores import BySeed
from supernet_cli.space import Architecture, SearchSpace
from supernet_cli.store.layout import Way
from supernet_cli.store.results import Evaluation
from supernet_cli.store.run import Run
from supernet_cli.store.state import State

_MOST_NAMED = 3


def missing_alone(run: Run, stored: Evaluation, space: SearchSpace, paths: Sequence[Architecture]) -> list[Missing]:
    """Return what the stand-alone side lacks.

    Args:
        run: The run they belong to.
        stored: Its scores.
        space: Its space.
        paths: Paths that enter the comparison.
    """
    names = trained_names(run, space, map(str, paths))
    jobs = [(names.get(job.key.folder, job.key.path), job) for job in run.alone_jobs()]
    states = {job.key: job.status().state for _, job in jobs}
    diverged = [(name, job) for name, job in jobs if states[job.key] is State.DIVERGED]
    open_jobs = [(name, job) for name, job in jobs if not states[job.key].is_over]
    rows = stored.rows("test", Way.ALONE)
    finished = [(name, job) for name, job in jobs if states[job.key] is State.FINISHED]
    unevaluated = [job for name, job in finished if name not in rows.get(job.seed, {})]
    used = {str(path) for path in paths}
    unused = [(name, job.seed) for name, job in jobs if name in rows.get(job.seed, {}) and name not in used]
    found = []
    if diverged:
        which = _some([f"{name} seed {job.seed}" for name, job in diverged])
        found.append(
            Missing(what=f"{counted(len(diverged), 'stand-alone training')} diverged and would diverge again: {which}")
        )
    if open_jobs:
        what = f"{len(open_jobs):,} of {counted(len(jobs), 'stand-alone training')} not finished"
        found.append(Missing(what=what, command=retrain_step(run, space, [job for _, job in open_jobs]).command))
    if unevaluated:
        what = f"{counted(len(unevaluated), 'stand-alone network')} not evaluated on the test images"
        found.append(Missing(what=what, command=run.command("evaluate")))
    if unused:
        which = _some([f"{path} seed {seed}" for path, seed in unused])
        what = (
            f"{counted(len(unused), 'stand-alone result')} not used, because another seed of the path diverged: {which}"
        )
        found.append(Missing(what=what))
    if not open_jobs and len(paths) + len({name for name, _ in diverged}) < space.size <= TRAINED_WHOLE:
        what = f"{space.size - len(paths):,} of {counted(space.size, 'path')} not trained from scratch"
        found.append(Missing(what=what, command=run.command("retrain", "--all"), begun=False))
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
    diverged = [seed for seed, state in states.items() if state is State.DIVERGED]
    if diverged:
        found.append(Missing(what=f"{_seeds(diverged)} diverged and would diverge again"))
    if len(states) > len(diverged) and (step := supernets_step(run)) is not None:
        found.append(
            Missing(what=f"{counted(len(states) - len(diverged), 'supernet')} not finished", command=step.command)
        )
    unscored = [seed for seed in one_shot if seed not in seeds]
    if unscored:
        what = f"{_seeds(unscored)} without scores of some paths"
        found.append(Missing(what=what, command=run.command("evaluate", "--split", "validation")))
    unknown = [path for path in paths if any(str(path) not in test.get(seed, {}) for seed in seeds)]
    if unknown:
        what = f"{len(unknown):,} of {counted(len(paths), 'path')} without one-shot accuracy on the test images"
        found.append(Missing(what=what, command=run.command("evaluate")))
    return found


def _seeds(seeds: Sequence[int]) -> str:
    return f"supernet seed{'' if len(seeds) == 1 else 's'} {_some(list(map(str, seeds)))}"


def _some(words: Sequence[str]) -> str:
    more = len(words) - _MOST_NAMED
    return ", ".join(words[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
