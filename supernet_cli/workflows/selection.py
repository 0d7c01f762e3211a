"""Which paths to work on: named, all, sampled, or the best by one-shot score, which may have to be scored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from supernet_cli.errors import RunError, UsageError
from supernet_cli.glyphs import clock, counted
from supernet_cli.reports.next_step import SAMPLED, finish_first
from supernet_cli.reports.scores import MeanScore, known_paths, ranking, sampled, scores, seconds_per_path
from supernet_cli.space import Architecture, SearchSpace
from supernet_cli.store.layout import Way, path_folder
from supernet_cli.store.results import Final, Order, Selection, evaluation, selections
from supernet_cli.store.run import Run
from supernet_cli.workflows.judge import judge
from supernet_cli.workflows.session import Session

MOST_PATHS = 4096
"""Largest space of which every path is evaluated, or trained from scratch, unless paths are named."""

_WAYS = (
    "Name paths, or give one of --all, --top K (the best by one-shot score, or the largest), --sample N (at random)."
)
_FIRST = 3
"""Paths that are suggested to be trained of an order."""

_CANDIDATES_PER_PATH = 16
_FEWEST_CANDIDATES = 64
"""Scored paths that a choice by one-shot score is made from, at least: so many for each path that is chosen."""


def candidates_for(count: int) -> int:
    """Return how many scored paths a choice of so many is made from."""
    return max(_FEWEST_CANDIDATES, _CANDIDATES_PER_PATH * count)


@dataclass(frozen=True)
class Scorer:
    """Scores paths of a run on validation when a choice needs more of them than have a score.

    Args:
        session: The run, where its paths are evaluated, and who sees how many are scored and how long that takes.
    """

    session: Session

    def ranking(self) -> list[MeanScore]:
        """Return the paths that have a one-shot score, best first."""
        run = self.session.run
        return ranking(scores(run, evaluation(run), "validation", Way.ONE_SHOT))

    def unscored(self, candidates: int) -> list[Architecture]:
        """Return the random paths to score so that so many have a score; none if they already do.

        Raises:
            RunError: Some must be scored, and the run has no finished supernet.
        """
        run, space = self.session.run, self.session.space
        known = {score.path for score in self.ranking()}
        missing = min(candidates, space.size) - len(known)
        if missing <= 0:
            return []
        if not any(job.weights.is_file() for job in run.supernet_jobs()):
            raise finish_first(run, "one-shot scores to choose by")
        sample = space.sampled(candidates + len(known))
        return [path for path in sample if str(path) not in known][:missing]

    def largest(self, count: int) -> list[str]:
        """Return the paths with most multiply-accumulates, the largest first."""
        with self.session.observer.working("loading torch and the data, and measuring sizes") as advance:
            costs = self.session.prepare(advance).networks.costs
        return [str(self.session.space.architecture(choices)) for choices in costs.largest(count)]

    def most_expected(self, count: int) -> list[str]:
        """Return the paths of which most is expected, after all that is known, best first.

        Raises:
            RunError: No path has been trained from scratch yet.
        """
        with self.session.observer.working("loading torch and the data, and learning from all trainings") as advance:
            import numpy as np

            from supernet_cli.policies import Evidence
            from supernet_cli.policies.answer import most_expected
            from supernet_cli.workflows.candidates import Candidates

            run = self.session.run
            candidates = Candidates.of(run, self.session.prepare(advance), {}, None)
            known = candidates.known()
            if not (observations := known.observations([])):
                raise RunError(
                    f"No path of run {run.id} has been trained from scratch, so there is nothing to learn from.",
                    f"Let a search choose the first: `{run.command('search')}`.",
                )
            evidence, macs = Evidence(known.problem, observations), candidates.figures["macs"]
            return list(map(candidates.name, most_expected(evidence, macs.along, count, np.random.default_rng(0))))

    def note_if_fewer(self, wanted: int) -> None:
        """Say so if the space has fewer paths than are wanted."""
        size = self.session.space.size
        if wanted > size:
            self.session.observer.note(f"You asked for {wanted:,} paths; the space has {size:,}, which are all taken.")

    def describe(self, count: int) -> str:
        """Return how many paths are scored, and how long that takes where it is known."""
        seconds = seconds_per_path(self.session.run)
        time = f", about {clock(seconds * count)}" if seconds and seconds * count >= 1 else ""
        return f"{counted(count, 'more path')} on the validation images{time}"

    def ranking_of(self, candidates: int) -> list[MeanScore]:
        """Return the ranking after scoring random paths until so many have a score."""
        unscored = self.unscored(candidates)
        if unscored:
            known, size = len(self.ranking()), self.session.space.size
            self.session.observer.note(
                f"{known:,} of {size:,} paths have a one-shot score; scoring {self.describe(len(unscored))}"
            )
            judge(self.session, unscored, "validation")
        return self.ranking()


@dataclass(frozen=True)
class Wanted:
    """The paths to train that somebody asks for.

    Args:
        paths: Named ones.
        top: The first of an order.
        sample: Drawn at random from those that have a one-shot score.
        way: How they are trained. Where nothing else is given, all are.
        by: The order whose first are trained.
        final: How they are trained for use; None where they are trained to be ranked.
    """

    paths: Sequence[str]
    top: int | None
    sample: int | None
    way: Way
    by: Order = "one-shot"
    final: Final | None = None

    @classmethod
    def one_of(
        cls,
        paths: Sequence[str],
        every: bool,
        top: int | None,
        sample: int | None,
        way: Way,
        by: Order | None = None,
        final: Final | None = None,
    ) -> Wanted:
        """Return what is asked for.

        Raises:
            UsageError: Paths are chosen in no way, or in several, or an order is given for nothing.
        """
        if by is not None and top is None:
            raise UsageError(f"--by {by} orders the paths for --top.", f"Add --top {_FIRST}, or drop --by.")
        ways = {"PATH": bool(paths), "--all": every, "--top": top is not None, "--sample": sample is not None}
        given = [way for way, is_given in ways.items() if is_given]
        if not given:
            raise UsageError("You did not say which paths to train.", _WAYS)
        if len(given) > 1:
            raise UsageError(f"You chose paths in several ways: {' and '.join(given)}.", "Give one of them.")
        return cls(paths, top, sample, way if final is None else Way.FINAL, by or "one-shot", final)

    @property
    def count(self) -> int | None:
        """How many are chosen by their scores; None where they are not."""
        return self.top or self.sample

    @property
    def candidates(self) -> int:
        """How many paths must have a score for the choice; 0 where it is not made by scores."""
        return 0 if self.count is None or self.by != "one-shot" else candidates_for(self.count)

    def earlier(self, run: Run, space: SearchSpace) -> Selection | None:
        """Return a choice that does not need scores, or an earlier one: any sample, or first paths not all done.

        These are kept: scores may have been added meanwhile, and the same command must resume, or add seeds.

        Raises:
            UsageError: There is no such path, or there are too many.
        """
        if self.paths:
            names = dict.fromkeys(str(space.parse(path)) for path in self.paths)
            return Selection(how="named", init=self.way, paths=tuple(names))
        if self.count is None:
            sample = run.command("retrain", "--sample", str(SAMPLED))
            return everything(space, f"Train a sample of them: `{sample}`.", self.way)
        count = min(self.count, space.size)
        if self.way is not Way.ALONE:  # a baseline for the paths that were trained from scratch in the same way
            same = [
                each for each in selections(run) if (each.how, each.init, each.by) == (self.how, Way.ALONE, self.by)
            ]
            for known in same:
                if len(known.paths) == count:
                    return known.model_copy(update={"init": self.way})
        return _earlier(run, space, self, count)

    def select(self, session: Session) -> Selection:
        """Return the paths, after scoring as many as the choice needs.

        Raises:
            UsageError: There is no such path, or there are too many.
            RunError: There are no scores to choose by.
        """
        if (earlier := self.earlier(session.run, session.space)) is not None:
            return earlier
        assert self.count is not None
        scorer = Scorer(session)
        scorer.note_if_fewer(self.count)
        if self.by == "size":
            chosen = scorer.largest(self.count)
        elif self.by == "posterior":
            chosen = scorer.most_expected(self.count)
        else:
            ranked = scorer.ranking_of(self.candidates)
            best = [score.path for score in ranked[: self.count]]
            chosen = best if self.top else sampled(ranked, session.space, self.count)
        at_random = self.sample is not None
        return Selection(how=self.how, init=self.way, paths=tuple(chosen), by=self.by, at_random=at_random)

    @property
    def how(self) -> Literal["top", "sample"]:
        """How paths are chosen where they are not named."""
        return "top" if self.top is not None else "sample"


def paths_to_evaluate(
    session: Session, names: Sequence[str], sample: int | None, top: int | None
) -> list[Architecture]:
    """Return the paths that an evaluation is asked for: named, sampled, the best, or all.

    Raises:
        UsageError: Several ways to choose are given, or there is no such path.
    """
    given = [name for name, value in (("PATH", names), ("--sample", sample), ("--top", top)) if value]
    if len(given) > 1:
        raise UsageError(f"You chose paths in several ways: {' and '.join(given)}.", "Give one of them.")
    scorer, space = Scorer(session), session.space
    if names:
        return [space.parse(path) for path in dict.fromkeys(names)]
    scorer.note_if_fewer(sample or top or 0)
    if sample is not None:
        return space.sampled(sample)
    if top is not None:
        return [space.parse(score.path) for score in scorer.ranking_of(top)[:top]]
    if space.size <= MOST_PATHS:
        return list(space.enumerate())
    return [space.parse(path) for path in known_paths(session.run, evaluation(session.run))]


def everything(space: SearchSpace, instead: str, way: Way = Way.ALONE) -> Selection:
    """Return all paths of a space, to be trained.

    Args:
        space: The space.
        instead: What to do where it is too large, for a hint.
        way: How they are trained.

    Raises:
        UsageError: They are too many to train each.
    """
    if space.size > MOST_PATHS:
        raise UsageError(
            f"The space has {space.size:,} paths, too many to train each from scratch (the limit is {MOST_PATHS:,}).",
            instead,
        )
    return Selection(how="all", init=way, paths=tuple(map(str, space.enumerate())))


def _earlier(run: Run, space: SearchSpace, wanted: Wanted, count: int) -> Selection | None:
    """Return an earlier choice of the same kind and size: a sample, or one whose trainings are not all done."""
    done: dict[str, list[bool]] = defaultdict(list)
    for job in run.alone_jobs(wanted.way):
        done[job.key.folder].append(job.is_done)
    for known in selections(run):
        if (known.how, known.init, known.by, len(known.paths)) == (wanted.how, wanted.way, wanted.by, count):
            folders = [path_folder(str(space.parse(path))) for path in known.paths]
            if wanted.how == "sample" or not all(all(done[folder]) and done[folder] for folder in folders):
                return known
    return None
