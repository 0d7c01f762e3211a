"""What to do after a comparison, whatever it found: the next command, or the path to take."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from supernet_cli.reports.comparison import RunComparison
from supernet_cli.reports.facts import Facts
from supernet_cli.reports.next_step import SAMPLED, TRAINED_WHOLE
from supernet_cli.reports.parts import Step
from supernet_cli.reports.scores import ranking
from supernet_cli.reports.verdict import Judgement

TRUSTED = 3
"""Paths to train from scratch where a ranking is trusted."""

CAREFUL = 10
"""The same where it needs care."""

_SEEDS = 3


def advice(facts: Facts, judgement: Judgement, found: RunComparison) -> Step:
    """Return what to do next.

    Args:
        facts: What is known of the run that was compared.
        judgement: Whether its ranking can be trusted.
        found: Its comparison, without an answer.
    """
    return _Advice(facts, judgement, found).next()


class _Advice:
    def __init__(self, facts: Facts, judgement: Judgement, found: RunComparison) -> None:
        self.run, self.facts, self.word, self.found = facts.run, facts, judgement.word, found
        self.trained = {str(path) for path in facts.truth.paths}
        self.seeds = facts.truth.seeds

    def next(self) -> Step:
        for missing in self.facts.missing:
            if missing.begun and missing.command:
                return _step(f"Complete the comparison ({missing.what})", missing.command)
        if self.facts.truth.run != self.run.id:
            return self._take()
        if len(self.trained) == self.facts.space.size:
            return self._more_seeds("--all") if len(self.seeds) == 1 else self._take()
        if self.word == "not enough evidence":
            return self._more_evidence()
        if self.word == "trust":
            return self._top(TRUSTED)
        if self.word == "use with care":
            return self._top(CAREFUL)
        return self._instead()

    def _more_evidence(self) -> Step:
        known = len(self.trained) if self.facts.truth.coverage in ("sample", "mixed", "part") else 0
        size = self.facts.space.size
        if known < SAMPLED:
            wanted = SAMPLED
        elif len(self.seeds) == 1:
            return self._more_seeds("--sample", str(known))
        else:
            wanted = 2 * known
        which = ["--all"] if size <= min(wanted, TRAINED_WHOLE) else ["--sample", str(wanted)]
        more = min(wanted, size) - known
        return self._retrain("Train more paths from scratch, to find out", which, more)

    def _more_seeds(self, *which: str) -> Step:
        unused = (seed for seed in itertools.count() if seed not in self.seeds)
        seeds = sorted([*self.seeds, *itertools.islice(unused, _SEEDS - len(self.seeds))])
        command = self.run.command("retrain", *which, "--seeds", ",".join(map(str, seeds)))
        seconds = self._seconds(len(self.trained) * (_SEEDS - len(self.seeds)))
        return _step("Train these paths with more seeds, to tell real differences from noise", command, seconds)

    def _top(self, count: int) -> Step:
        first = [score.path for score in ranking(self.facts.one_shot)[:count]]
        if self.trained.issuperset(first):
            return self._take()
        purpose = f"Train the supernet's first {count} paths from scratch, and take the best of them"
        return self._retrain(purpose, ["--top", str(count)], len(set(first) - self.trained))

    def _instead(self) -> Step:
        """Return what to do if the supernet's order is no good."""
        by_size = [each.difference for each in self.found.baselines if each.name in ("macs", "parameters")]
        if any(difference.high is not None and difference.high < 0 for difference in by_size):
            purpose = f"Train the {TRUSTED} largest paths from scratch, and take the best of them"
            largest = sorted(
                self.facts.profiles.items(), key=lambda item: (-item[1].macs, -item[1].parameters, item[0])
            )
            missing = {name for name, _ in largest[:TRUSTED]} - self.trained
            if not missing:
                return self._take()
            return self._retrain(purpose, ["--top", str(TRUSTED), "--by", "size"], len(missing))
        blocks = self.facts.space.blocks
        if self.facts.sampler != "fair" and len({len(block.candidates) for block in blocks}) == 1:  # all it trains
            return _step(
                "Try a strategy that trains all operations alike", self.run.repeated("--set train.sampler=fair")
            )
        epochs = 2 * self.run.preset().train.epochs
        return _step("Try a longer training", self.run.repeated(f"--set train.epochs={epochs}"))

    def _take(self) -> Step:
        assert self.found.decision is not None
        best = self.found.decision.best.path
        whole = len(self.trained) == self.facts.space.size
        why = "every path was trained from scratch, so no ranking is needed" if whole else "the best one trained so far"
        return _step(f"Take {best}: {why}", "", weights=self._weights(best))

    def _weights(self, name: str) -> str:
        """Return the file of a path's network with the best validation accuracy; empty if there is none."""
        truth = self.facts.truth
        row = [str(path) for path in truth.paths].index(name)
        jobs = [self.run.alone_job(truth.paths[row], seed) for seed in self.seeds]
        known = zip(truth.validation[row].tolist(), jobs, strict=True)
        there = [(accuracy, str(job.weights)) for accuracy, job in known if job.weights.is_file()]
        return max(there)[1] if there else ""

    def _retrain(self, purpose: str, which: Sequence[str], paths: int) -> Step:
        seeds = self.seeds
        preset = tuple(self.run.preset().retrain.seeds)
        more = [] if seeds == preset else ["--seeds", ",".join(map(str, seeds))]
        return _step(purpose, self.run.command("retrain", *which, *more), self._seconds(paths * len(seeds)))

    def _seconds(self, trainings: int) -> float | None:
        import numpy as np

        known = self.facts.truth.seconds[np.isfinite(self.facts.truth.seconds)]
        return float(known.mean()) * trainings if len(known) else None


def _step(purpose: str, command: str, seconds: float | None = None, weights: str = "") -> Step:
    return Step(purpose=purpose, command=command, seconds=seconds, weights=weights)
