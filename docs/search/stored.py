"""Stored results of the benchmark: sums over repetitions, so that it can be run in several sittings and stays small.

One JSON file for each setting and policy:

    repeats      repetitions so far: their seeds are 0, 1, …
    seconds      processor time of them
    regret       sum of the regrets after each training, points
    squares      sum of their squares
    claims       what the model said, after each of `counts` trainings: sums over repetitions (`Claimed`)
    reliability  for each class of stated probabilities: cases, the sum of the probabilities, and how often it was true
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from supernet_cli.policies.trial import Trial

RESULTS = Path(__file__).parent / "results"

COUNTS = (3, 5, 10, 20, 50)
"""Trainings after which the page shows results."""

EDGES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Classes of stated probabilities."""

_DIGITS = 5


@dataclass
class Claimed:
    """Sums over the repetitions in which a number of trainings was reached."""

    repeats: int = 0
    coverage: float = 0.0
    expected: float = 0.0
    realised: float = 0.0


@dataclass
class Result:
    """What is stored of one policy in one setting."""

    repeats: int = 0
    seconds: float = 0.0
    regret: list[float] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)
    claims: dict[str, Claimed] = field(default_factory=dict)
    reliability: list[list[float]] = field(default_factory=lambda: [[0, 0.0, 0] for _ in EDGES[1:]])

    def mean(self, trainings: int) -> float:
        """Return the mean regret after so many trainings; after the last, where there were fewer."""
        return self.regret[min(trainings, len(self.regret)) - 1] / self.repeats

    def error(self, trainings: int) -> float:
        """Return the standard error of that mean."""
        place = min(trainings, len(self.regret)) - 1
        spread = self.squares[place] / self.repeats - self.mean(trainings) ** 2
        return float(np.sqrt(max(0.0, spread) / max(1, self.repeats - 1)))

    def first_within(self, regret: float) -> int | None:
        """Return the first number of trainings with at most this mean regret."""
        return next((count for count in range(1, len(self.regret) + 1) if self.mean(count) <= regret), None)

    def add(self, trial: Trial, seconds: float, exact: bool) -> None:
        """Add the next repetition.

        Args:
            trial: One repetition.
            seconds: What it took.
            exact: Whether its regret is that of expected accuracies.
        """
        regret = trial.regret[0]
        before = (self.regret or [0.0] * len(regret), self.squares or [0.0] * len(regret))
        self.regret = np.round(np.add(before[0], regret), _DIGITS).tolist()
        self.squares = np.round(np.add(before[1], regret**2), _DIGITS).tolist()
        self.repeats, self.seconds = self.repeats + 1, round(self.seconds + seconds, 2)
        if trial.claims is not None:
            self._add_claims(trial, exact)

    def _add_claims(self, trial: Trial, exact: bool) -> None:
        claims = trial.claims
        assert claims is not None
        realised = trial.regret if exact else claims.realised_regret
        for place in np.flatnonzero(np.isfinite(claims.expected_regret[0])).tolist():
            sums = self.claims.setdefault(str(place + 1), Claimed())
            sums.repeats += 1
            sums.coverage = round(sums.coverage + float(np.nan_to_num(claims.coverage[0, place])), _DIGITS)
            sums.expected = round(sums.expected + float(claims.expected_regret[0, place]), _DIGITS)
            sums.realised = round(sums.realised + float(realised[0, place]), _DIGITS)
            stated = float(claims.probability_best[0, place])
            row = self.reliability[min(int(np.searchsorted(EDGES, stated, side="right")), len(EDGES) - 1) - 1]
            row[0] += 1
            row[1] = round(row[1] + stated, _DIGITS)
            row[2] += int(claims.is_best[0, place])


def load(file: Path) -> Result:
    """Return a stored result, or an empty one."""
    if not file.exists():
        return Result()
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    claims = {count: Claimed(**sums) for count, sums in document.pop("claims").items()}
    return Result(**document, claims=claims)


def save(result: Result, file: Path) -> None:
    """Store a result; an interruption leaves the one before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".part")
    beside.write_text(json.dumps(asdict(result), separators=(",", ":")) + "\n", encoding="utf-8")
    beside.replace(file)
