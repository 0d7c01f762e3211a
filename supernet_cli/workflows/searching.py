"""One command's part of a search: decide, write the decision down, carry it out, and look again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from supernet_cli.errors import DivergedError, UsageError
from supernet_cli.glyphs import counted
from supernet_cli.policies import Evidence, build_policy
from supernet_cli.policies.answer import Answer
from supernet_cli.policies.latency import read_latencies
from supernet_cli.policies.problem import Path, as_paths
from supernet_cli.reports.cost import macs_of_a_supernet
from supernet_cli.reports.next_step import gentler_step
from supernet_cli.reports.search.document import Searched
from supernet_cli.store.layout import Way
from supernet_cli.store.results import Selection, keep_finding
from supernet_cli.store.search import SearchJournal, keep_journal, search_journal
from supernet_cli.store.state import State
from supernet_cli.workflows.answer import answered, document_of
from supernet_cli.workflows.candidates import Candidates, Known
from supernet_cli.workflows.judge import judge
from supernet_cli.workflows.request import Request
from supernet_cli.workflows.retrain import TrainedAlone, train_selection
from supernet_cli.workflows.selection import candidates_for
from supernet_cli.workflows.session import Session

if TYPE_CHECKING:
    from supernet_cli.training.prepare import Prepared

_SURE = 3
"""Trainings before a search may stop because it is sure enough."""

_LOOKS = 4
"""How often promising paths are scored, and the decision is made again, before the next training."""

_MOST_LOOKS = 64
"""How often at most: where limits are on measured latencies, what promises most may turn out to be too slow."""

_SCORED_SHARE = 0.1
"""Share of a training's cost that is spent on scoring promising paths before it."""

_MOST_SCORED = 64
"""Promising paths that are scored at once."""

_PRICED = 256
"""Random paths that stand for those that a search may choose."""

_USUAL_TRAININGS = 8
"""For the number of paths that are scored first, where trainings are bounded in another way."""

_MOST = 10**6
"""Trainings of any search."""


class Search:
    """A search, with the budget of one command.

    Args:
        session: The run, and where its paths are trained and evaluated.
        request: What is searched for.
        prepared: From `prepare`, with the run's preset.

    Raises:
        DataError: The latency table is missing or damaged.
        RunError: What the run has stored is damaged.
    """

    def __init__(self, session: Session, request: Request, prepared: Prepared) -> None:
        self._session, self._request, self._run = session, request, session.run
        self._started = time.monotonic()
        self._side_by_side = session.workplace.side_by_side(prepared)
        self._validation = prepared.plan.preset.data.validation
        decisions = tuple(block.labels for block in session.space.blocks)
        device, table = ("", None) if request.latencies is None else read_latencies(request.latencies, decisions)
        self._candidates = Candidates.of(session.run, prepared, request.limits, table, request.against)
        self.journal = self._begun(device, "" if table is None else table.digest)

    def _begun(self, latencies: str, table: str) -> SearchJournal:
        """Return the journal: the stored one, if this command continues its search."""
        request = self._request
        fresh = SearchJournal(
            policy=request.policy.model_dump(),
            seeds=request.seeds,
            limits=dict(request.limits),
            latencies=latencies,
            table=table,
            options=request.options,
            trainings=request.trainings,
        )
        stored = search_journal(self._run)
        if stored is None or not stored.continues(fresh):
            return fresh
        changes = {"options": request.options, "trainings": request.trainings, "finished": False}
        return stored.model_copy(update=changes)

    def known(self) -> Known:
        """Return what the run has stored of its paths now."""
        return self._candidates.known()

    @property
    def decided(self) -> list[Path]:
        """The paths that were chosen to be trained, in order."""
        return list(map(self._candidates.path, self.journal.decided))

    def run(self) -> tuple[Searched | None, TrainedAlone | None]:
        """Train until the budget is spent or the answer is sure enough.

        Returns:
            What was found, None if it was stopped before the first training was done; and how the last trainings went,
            None if there were none.

        Raises:
            UsageError: No path meets the limits, or the budget allows no training.
            DivergedError: All paths that do diverged.
            KeyboardInterrupt: A signal came while paths were scored.
        """
        self.known().limits.check()
        self._write()
        try:
            trained = self._search()
            return self._finish(trained), trained
        except (UsageError, DivergedError):  # to be started anew, with something else
            self._write(finished=True)
            raise

    def _search(self) -> TrainedAlone | None:
        """Make decisions and carry them out; return how the last trainings went."""
        self._carry_out()
        names = tuple(map(self._candidates.name, self.scored_first(self.known())))
        self._write(scoring=names, sampled=max(self._sampled, self.journal.sampled))
        self._carry_out()
        self.known().limits.check()  # that on latencies, which are measured now
        trained = self._train() if self.journal.decided else None
        while trained is None or (trained.stopped is None and not has_failed(trained)):
            known = self.known()
            self._check_left(known)
            answer = self._answer(known)
            if answer is not None and self.journal.look == 0:  # before anything is scored for the next decision
                self._keep(known, answer, finished=False)
                if self._is_sure(known, answer):
                    break
            left = self.left(known)
            side_by_side = max(1, self._side_by_side // len(self._request.seeds))
            if not self._decide(side_by_side if left is None else min(left, side_by_side)):
                break
            trained = self._train()
        return trained

    def _check_left(self, known: Known) -> None:
        """Make sure that a path within the limits is left that did not diverge.

        Raises:
            UsageError: No path is within the limits, now that more latencies are measured.
            DivergedError: All paths that are diverged.
        """
        known.limits.check()
        try:
            known.problem.paths  # noqa: B018 - enumerated when they are first looked at
        except UsageError as error:
            among = " within the limits" if known.limits.limits else ""
            raise DivergedError(
                f"Every path{among} diverged when it was trained from scratch.", gentler_step(self._run).hint
            ) from error

    def _finish(self, trained: TrainedAlone | None) -> Searched | None:
        """Evaluate the pick on the test images, unless the search was stopped, and store what was found.

        Raises:
            UsageError: The budget allowed no training, and the run has none.
        """
        known = self.known()
        answer = self._answer(known)
        is_finished = trained is None or (trained.stopped is None and not has_failed(trained))
        if answer is None:
            if is_finished and trained is None:
                raise UsageError("The budget does not allow a single training.", "Allow more: --trainings 1, at least.")
            return None
        if is_finished and answer.choice.path in known.accuracies and not known.is_tested(answer.choice.path):
            figures = self._candidates.figures_needed | (
                {"latency_seconds"} if self._candidates.table is None else set()
            )
            judge(self._session, [self._session.space.architecture(answer.choice.path)], "test", figures)
            known = self.known()
        document = self._keep(known, answer, is_finished)
        self._write(finished=is_finished)
        return document

    def _keep(self, known: Known, answer: Answer, finished: bool) -> Searched:
        document = document_of(known, answer, self.journal, self._request.against, finished)
        keep_finding(self._run, "search", document.document())
        return document

    def _write(self, **changes: object) -> None:
        self.journal = self.journal.model_copy(update=changes)
        keep_journal(self._run, self.journal)

    def _answer(self, known: Known) -> Answer | None:
        """Return what the trainings so far say; None before the first."""
        return answered(known, self.decided, self._request.against)

    def _is_sure(self, known: Known, answer: Answer) -> bool:
        request, choice = self._request, answer.choice
        if len(known.accuracies) < _SURE:
            return False
        if request.until is not None and choice.probability_best >= request.until:
            return True
        return request.tolerance is not None and 100 * choice.expected_regret <= request.tolerance

    def left(self, known: Known) -> int | None:
        """Return how many further paths the budget allows to be trained; None if nothing bounds them."""
        request, seeds = self._request, len(self._request.seeds)
        bounds = []
        if request.trainings is not None:
            bounds.append(request.trainings // seeds - len(self.journal.decided))
        if request.minutes is not None and time.monotonic() - self._started >= 60 * request.minutes:
            bounds.append(0)
        if request.supernets is not None:
            budget = request.supernets * macs_of_a_supernet(self._run, scored_later=False)
            spent = seeds * sum(map(self._candidates.training_macs, self.decided))
            sample = as_paths(known.problem.sample(np.random.default_rng(0), _PRICED))
            each = seeds * float(np.mean(list(map(self._candidates.training_macs, sample))))
            bounds.append(int(min((budget - spent) / max(each, 1.0), _MOST)))
        if known.problem.paths is not None:
            bounds.append(sum(path not in known.accuracies for path in as_paths(known.problem.paths)))
        return max(0, min(bounds)) if bounds else None

    def _decide(self, room: int) -> bool:
        """Choose the paths to train next, after scoring those that promise most; return whether there are any."""
        while room > 0 and self.journal.look < _MOST_LOOKS:
            known, policy = self.known(), build_policy(self._request.policy.name, **self._request.policy.parameters)
            self._check_left(known)
            policy.restore(self.journal.state)
            is_last = self.journal.look >= _LOOKS - 1
            wanted = policy.propose(
                Evidence(known.problem, known.observations(self.decided)),
                np.random.default_rng([len(self.journal.decided), self.journal.look]),
                room if is_last else max(room, self._looked_at),
            )
            if not wanted:
                return False
            chosen = wanted[:room]
            changes: dict[str, object] = {"look": self.journal.look + 1}
            if is_scored := all(map(known.is_scored, chosen)):
                wanted = chosen
            unscored = [path for path in wanted if not known.is_scored(path)]
            if is_scored or is_last:
                changes |= {"proposed": tuple(map(self._candidates.name, chosen)), "state": policy.state()}
            self._write(scoring=tuple(map(self._candidates.name, unscored)), **changes)
            self._carry_out()
            if self.journal.look == 0:
                return True
        return False

    def _carry_out(self) -> None:
        """Score what was chosen to be scored; then decide for the proposed paths, as far as they meet the limits.

        Whether they meet one on latency may only be known now.
        """
        journal = self.journal
        if journal.scoring:
            self._session.observer.note(f"scoring {counted(len(journal.scoring), 'path')} with inherited weights")
            paths = [self._session.space.parse(name) for name in journal.scoring]
            judge(self._session, paths, "validation", self._candidates.figures_needed)
            self._write(scoring=())
        if journal.proposed:
            batch = np.array(list(map(self._candidates.path, journal.proposed)), dtype=np.int64)
            chosen = map(self._candidates.name, as_paths(batch[self.known().limits.within(batch)]))
            decided = (*journal.decided, *chosen)
            look = journal.look if decided == journal.decided else 0
            self._write(decided=decided, proposed=(), look=look)

    @property
    def _looked_at(self) -> int:
        """How many promising paths are scored before the next training: for a small part of its cost."""
        macs = self._candidates.figures["macs"]
        scoring = self._validation * len(self._run.supernet_jobs()) * macs.of_path(macs.largest)
        return max(1, min(_MOST_SCORED, int(_SCORED_SHARE * self._candidates.training_macs(macs.largest) / scoring)))

    @property
    def _sampled(self) -> int:
        """How many paths within the limits should have a score before the first training."""
        return candidates_for(self._request.trainings or _USUAL_TRAININGS)

    def scored_first(self, known: Known) -> list[Path]:
        """Return the paths to score before any decision.

        These are trained ones, as the model learns most from paths with a score and a training; and random ones within
        the limits, until there are enough to choose from.
        """
        trained = [path for path in known.accuracies if not known.is_scored(path)]
        is_sampled = self._sampled <= self.journal.sampled
        return list(dict.fromkeys([*trained, *([] if is_sampled else self._unscored(known))]))

    def _unscored(self, known: Known) -> list[Path]:
        problem, wanted = known.problem, self._sampled
        if problem.paths is not None and len(problem.paths) <= wanted:
            sample = as_paths(problem.paths)
        else:
            sample = list(dict.fromkeys(as_paths(problem.sample(np.random.default_rng(0), 2 * wanted))))
        is_timed = self._candidates.is_timed
        enough = [path for path in known.one_shot if not is_timed or path in known.measured]
        scored = np.array(enough, dtype=np.int64).reshape(-1, len(known.candidates.decisions))
        missing = min(wanted, len(sample)) - int(known.limits.within(scored).sum())
        return [path for path in sample if not known.is_scored(path)][: max(0, missing)]

    def _train(self) -> TrainedAlone:
        """Train what was decided and is not done."""
        journal, most = self.journal, self._request.trainings
        total = f" of {most // len(journal.seeds)}" if most is not None else ""
        self._session.observer.note(f"search: {len(journal.decided)}{total} paths chosen")
        selection = Selection(how="search", init=Way.ALONE, paths=journal.decided)
        return train_selection(self._session, selection, journal.seeds)


def has_failed(trained: TrainedAlone) -> bool:
    """Return whether a training failed, other than by diverging: that says something about its path."""
    return any(trained.ending(job)[0] is State.FAILED for job in trained.jobs)
