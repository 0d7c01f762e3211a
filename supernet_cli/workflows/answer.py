"""What a search has found, as its document."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from supernet_cli.errors import RunError
from supernet_cli.policies import Evidence
from supernet_cli.policies.answer import Answer, Estimate, answer
from supernet_cli.policies.problem import Choices, Floats, Path
from supernet_cli.reports.cost import macs_of_a_supernet, training_cost
from supernet_cli.reports.scores import scores
from supernet_cli.reports.search.document import (
    Axis,
    Limited,
    NextTraining,
    Pick,
    Rival,
    SearchCost,
    Searched,
    SearchedPath,
    Worth,
)
from supernet_cli.reports.search.words import sentence
from supernet_cli.store.job import JobFolder
from supernet_cli.store.layout import Way
from supernet_cli.store.results import evaluation
from supernet_cli.store.search import SearchJournal
from supernet_cli.workflows.candidates import Known

_SHOWN = 20
"""Leading paths in the document, besides those trained."""


def answered(known: Known, decided: Sequence[Path], against: Axis) -> Answer | None:
    """Return what the trainings of a run say; None before the first.

    Args:
        known: What is stored of its paths.
        decided: Paths that the search chose, in order.
        against: What accuracy is weighed against.
    """
    observations = known.observations(decided)
    if not observations:
        return None
    rng = np.random.default_rng(len(observations))
    return answer(Evidence(known.problem, observations), lambda paths: _costs(known, against, paths), _SHOWN, rng)


def _costs(known: Known, against: Axis, paths: Choices) -> Floats:
    """Return what accuracy is weighed against, (m,)."""
    if against != "latency":
        return known.candidates.figures[against].along(paths)
    return known.latencies(paths)


def document_of(known: Known, found: Answer, journal: SearchJournal, against: Axis, finished: bool) -> Searched:
    """Return the document of a search.

    Args:
        known: What is stored of the run's paths.
        found: What the trainings say.
        journal: What the search has decided.
        against: What accuracy is weighed against.
        finished: Whether it is done.
    """
    return _Document(known, found, journal, against).build(finished)


class _Document:
    def __init__(self, known: Known, found: Answer, journal: SearchJournal, against: Axis) -> None:
        self._known, self._found, self._journal, self._against = known, found, journal, against
        self._run, self._candidates = known.candidates.run, known.candidates
        self._front = {estimate.path for estimate in found.front}
        order = sorted(known.one_shot, key=lambda path: -known.one_shot[path])
        self._ranks = {path: rank for rank, path in enumerate(order, 1)}
        self._jobs = [job for job in self._run.alone_jobs() if job.key.path in journal.decided and job.is_done]

    def build(self, finished: bool) -> Searched:
        journal, found, known = self._journal, self._found, self._known
        document = Searched(
            run=self._run.id,
            policy=str(journal.policy.get("name", "")),
            seeds=journal.seeds,
            against=self._against,
            space_size=self._candidates.space.size,
            within_limits=known.within,
            pick=self._pick(),
            front=tuple(map(self._path, found.front)),
            paths=tuple(map(self._path, found.leading)),
            evidence=self._evidence(),
            rivals={name: Rival(accuracy=accuracy) for name, accuracy in found.rivals.items()},
            trainings=len(self._jobs),
            used=sum(map(len, known.accuracies.values())),
            cost=self._cost(),
            limits={limit.name: Limited(most=limit.most, paths=limit.count) for limit in known.limits.limits},
            latencies=journal.latencies,
            next=NextTraining(gain=found.next_gain, macs=self._next_macs()),
            finished=finished,
            verdict="",
            command=self._run.command("search", *journal.options),
        )
        return document.model_copy(update={"verdict": sentence(document)})

    def _path(self, estimate: Estimate) -> SearchedPath:
        path, known, figures = estimate.path, self._known, self._candidates.figures
        several = known.accuracies.get(path, ())
        batch = np.array([path], dtype=np.int64)
        return SearchedPath(
            path=self._candidates.name(path),
            macs=round(figures["macs"].of_path(path)),
            parameters=round(figures["parameters"].of_path(path)),
            weights_bytes=round(figures["weights"].of_path(path)),
            latency_seconds=known.latency_of(path),
            accuracy=estimate.mean,
            interval=estimate.interval,
            trained=len(several),
            observed=sum(several) / len(several) if several else None,
            one_shot_rank=self._ranks.get(path),
            within_limits=bool(known.limits.within(batch)[0]),
            on_front=path in self._front,
        )

    def _pick(self) -> Pick:
        choice = self._found.choice
        estimate = Estimate(choice.path, choice.mean, choice.interval, choice.path in self._known.accuracies)
        found = self._path(estimate)
        jobs = [job for job in self._run.alone_jobs() if job.key.path == found.path and job.weights.is_file()]
        tests = scores(self._run, evaluation(self._run), "test", Way.ALONE).values()
        test = [rows[found.path].accuracy for rows in tests if found.path in rows]
        return Pick(
            **dict(found),
            probability_best=choice.probability_best,
            expected_regret=choice.expected_regret,
            test_accuracy=sum(test) / len(test) if test else None,
            weights=str(max(jobs, key=_accuracy).weights) if jobs else "",
        )

    def _evidence(self) -> dict[str, Worth]:
        known, size = self._known, self._candidates.space.size
        paths = {"one-shot": len(known.one_shot), **{name: len(proxy) for name, proxy in known.proxies.items()}}
        return {
            name: Worth(explains=worth.share, interval=worth.interval, paths=paths.get(name, size))
            for name, worth in self._found.worth.items()
        }

    def _cost(self) -> SearchCost:
        spent = training_cost([job.snapshot()[0] for job in self._jobs])
        try:
            supernets = spent.macs / macs_of_a_supernet(self._run)
        except RunError:
            supernets = None
        return SearchCost(macs=spent.macs, seconds=spent.seconds, supernets=supernets)

    def _next_macs(self) -> int | None:
        untrained = [estimate for estimate in self._found.leading if not estimate.trained]
        return self._candidates.training_macs(untrained[0].path) if untrained else None


def _accuracy(job: JobFolder) -> float:
    """Return a training's last accuracy on validation."""
    return max((view.score.accuracy for view in job.snapshot()[0].paths.values()), default=0.0)
