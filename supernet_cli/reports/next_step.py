"""What to do next with a run, given the state it is in: never resume what is running, nor repeat what is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from supernet_cli.errors import RunError
from supernet_cli.reports.scores import scores
from supernet_cli.space import SearchSpace
from supernet_cli.store.activity import is_searched, is_worked_on
from supernet_cli.store.files import file_stamp
from supernet_cli.store.job import JobFolder
from supernet_cli.store.layout import Way, path_folder
from supernet_cli.store.results import Evaluation, Selection, evaluation, selections
from supernet_cli.store.run import EXPERIMENT_LOCK, Run
from supernet_cli.store.search import search_journal

TRAINED_WHOLE = 256
"""Largest space of which every path is suggested to be trained from scratch."""

SAMPLED = 16
"""Paths that are suggested to be trained from scratch where the space is larger."""


_WAYS: dict[str, Callable[[Selection], list[str]]] = {
    "all": lambda selection: ["--all"],
    "sample": lambda selection: ["--sample", str(len(selection.paths))],
    "top": lambda selection: [
        "--top",
        str(len(selection.paths)),
        *(["--by", selection.by] if selection.by != "one-shot" else []),
    ],
}
"""How a selection is typed again."""


@dataclass(frozen=True)
class NextStep:
    """What to do next.

    Args:
        purpose: What the command is for, as the beginning of a sentence.
        command: What to type.
    """

    purpose: str
    command: str

    def __str__(self) -> str:
        return f"{self.purpose}: {self.command}"

    @property
    def hint(self) -> str:
        """The step as the last line of an error."""
        return f"{self.purpose}: `{self.command}`."


def next_step(run: Run) -> NextStep | None:
    """Return what to do next with a run, or None where its comparison was made with all that it has.

    Raises:
        RunError: What it stores is damaged.
    """
    if (supernets := supernets_step(run)) is not None:
        return supernets
    if (search := search_step(run)) is not None:
        return search
    space, stored = SearchSpace.from_config(run.preset().space), evaluation(run)
    if not _is_evaluated(run, stored):
        return _evaluate(run)
    if any(_unevaluated(run.alone_jobs(way), stored, way) for way in (Way.INHERITED, Way.FINAL)):
        return _evaluate(run)
    alone = run.alone_jobs()
    if not alone:
        return NextStep("Find out whether this ranking can be trusted", run.command("retrain", *_truth(space)))
    if unfinished := [job for job in alone if not job.is_done]:
        return retrain_step(run, space, unfinished)
    if _unevaluated(alone, stored, Way.ALONE):
        return _evaluate(run)
    if not any(job.weights.is_file() for job in alone):
        return NextStep("Every stand-alone training diverged; see why", run.command("runs show"))
    if is_compared(run):
        return None
    return NextStep("See whether the ranking can be trusted", run.command("compare"))


def is_compared(run: Run) -> bool:
    """Return whether a run's comparison is stored, and newer than its scores."""
    results = run.folder / "results"
    stamps = [file_stamp(results / name) for name in ("comparison.json", "evaluation.json")]
    compared, evaluated = (stamp and stamp[2] for stamp in stamps)
    return bool(compared and evaluated and compared >= evaluated)


def supernets_step(run: Run) -> NextStep | None:
    """Return the step that finishes a run's supernets, or None if they are finished."""
    jobs = run.supernet_jobs()
    statuses = [job.status() for job in jobs]
    if is_searched(run.folder):
        return _watch(run, "It is being searched; watch it")
    if any(status.state.is_alive for status in statuses) or is_worked_on(run.folder, statuses):
        return _watch(run, "It is being trained; watch it")
    if not jobs or not all(job.is_done for job in jobs):
        return NextStep("Resume with", run.command("experiment" if _is_experiment(run) else "train"))
    if not any(job.weights.is_file() for job in jobs):
        return gentler_step(run)
    return None


def search_step(run: Run) -> NextStep | None:
    """Return what resumes a search that was interrupted, or None if there is none; see `retrain_step` for its owner.

    Args:
        run: A run with finished supernets.
    """
    journal = search_journal(run)
    if journal is None or journal.finished or any(job.status().state.is_alive for job in run.alone_jobs()):
        return None
    return NextStep("Resume the search with", run.command("search", *journal.options))


def retrain_step(run: Run, space: SearchSpace, jobs: Sequence[JobFolder]) -> NextStep:
    """Return what brings some stand-alone trainings to their end: as they were chosen, or by name.

    Args:
        run: Their run.
        space: Its space.
        jobs: Trainings that are not done.
    """
    statuses = [job.status() for job in run.alone_jobs()]
    if any(status.state.is_alive for status in statuses) or is_worked_on(run.folder, statuses):
        return _watch(run, "Its paths are being trained from scratch; watch it")
    if _is_experiment(run) and all(job.seed in run.preset().retrain.seeds for job in jobs):
        return NextStep("Resume with", run.command("experiment"))
    known = trained_names(run, space)
    journal = search_journal(run)
    if journal is not None and {job.key.folder for job in jobs} <= set(map(path_folder, journal.decided)):
        return NextStep("Resume the search with", run.command("search", *journal.options))
    names = {known.get(job.key.folder, job.key.path) for job in jobs}
    chosen = [selection for selection in selections(run) if selection.init is Way.ALONE]
    fitting = [selection for selection in chosen if selection.how in _WAYS and names <= set(selection.paths)]
    which = _WAYS[fitting[0].how](fitting[0]) if fitting else sorted(names)
    seeds = ",".join(map(str, sorted({job.seed for job in jobs})))
    return NextStep("Resume with", run.command("retrain", *which, "--seeds", seeds))


def trained_names(run: Run, space: SearchSpace, more: Iterable[str] = ()) -> dict[str, str]:
    """Return the paths that were chosen to be trained from scratch, and more, by the names of their folders."""
    chosen = (path for selection in selections(run) if selection.init is Way.ALONE for path in selection.paths)
    return {path_folder(str(space.parse(path))): path for path in dict.fromkeys([*more, *chosen])}


def gentler_step(run: Run) -> NextStep:
    """Return what to try after a run whose supernets diverged: the same with a tenth of the learning rate."""
    rate = run.preset().train.optimizer.parameters.get("lr")
    lower = f"{rate / 10:g}" if isinstance(rate, float) and rate > 0 else "0.001"
    return NextStep("Start a new run with a lower learning rate", run.repeated(f"--set train.optimizer.lr={lower}"))


def finish_first(run: Run, what: str) -> RunError:
    """Return the error of a command that needs a finished supernet, with what to do about it.

    Args:
        run: The run.
        what: What it lacks, after "has no".
    """
    step = supernets_step(run) or next_step(run)
    return RunError(f"Run {run.id} has no {what} (status: {run.state()}).", step.hint if step else "")


def _is_experiment(run: Run) -> bool:
    return (run.folder / EXPERIMENT_LOCK).is_file()


def _watch(run: Run, purpose: str) -> NextStep:
    return NextStep(purpose, run.command("tui"))


def _evaluate(run: Run) -> NextStep:
    return NextStep("Evaluate its networks on the test images", run.command("evaluate"))


def _truth(space: SearchSpace) -> tuple[str, ...]:
    return ("--all",) if space.size <= TRAINED_WHOLE else ("--sample", str(SAMPLED))


def _is_evaluated(run: Run, stored: Evaluation) -> bool:
    """Whether every path with a one-shot score on validation has one on test, for every finished supernet."""
    test = stored.rows("test", Way.ONE_SHOT)
    known = scores(run, stored, "validation", Way.ONE_SHOT)
    return bool(test) and all(set(rows) <= set(test.get(seed, {})) for seed, rows in known.items())


def _unevaluated(jobs: Sequence[JobFolder], stored: Evaluation, way: Way) -> bool:
    """Whether finished networks of single paths lack a score on test."""
    known = sum(len(by_path) for by_path in stored.rows("test", way).values())
    return known < sum(job.weights.is_file() for job in jobs)
