"""The result of a benchmark, and what a benchmark has recorded: frozen, and documents as they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

ALPHA = 0.05
"""Two kinds of supernets are told apart if the corrected p-value is below this."""


@dataclass(frozen=True)
class Estimate:
    """A figure and how sure it is.

    Args:
        mean: The figure; None if unknown.
        low: Lower bound; None if there is none.
        high: Upper bound.
        bounds: What the bounds are: a 95 % interval, or the range of few supernets.
        note: Why something is unknown, or what limits it.
    """

    mean: float | None
    low: float | None = None
    high: float | None = None
    bounds: Literal["interval", "range"] | None = None
    note: str = ""


@dataclass(frozen=True)
class TruthTau:
    """τ with a further ground truth.

    Args:
        epochs: Length of its trainings.
        tau: Kendall's τ.
    """

    epochs: int
    tau: Estimate


@dataclass(frozen=True)
class Row:
    """What some order of the paths is worth.

    Args:
        label: The strategy, or the baseline.
        epochs: Length of the supernets; None for a baseline.
        seeds: Supernets.
        tau: Kendall's τ over all paths, mean over supernets.
        per_seed: τ of each supernet.
        best_quarter: τ in the best quarter, which some stand-alone seeds choose and the others judge.
        regret: Test accuracy lost by taking the best of the first three, trained from scratch; a fraction.
        other_truths: τ with the benchmark's other ground truths.
        between: Mean τ between pairs of supernets; None with fewer than two.
        cost: Of one supernet, evaluation included, in stand-alone trainings of one epoch.
        place: Among the kinds of supernet of this length by mean τ; None if it takes no part.
    """

    label: str
    epochs: int | None
    seeds: tuple[int, ...]
    tau: Estimate
    per_seed: tuple[float | None, ...]
    best_quarter: Estimate
    regret: Estimate
    other_truths: tuple[TruthTau, ...]
    between: float | None
    cost: float
    place: int | None = None


@dataclass(frozen=True)
class Rival:
    """A recorded kind of supernet compared with this one.

    Args:
        label: Its strategy.
        difference: Mean τ of this one minus its own; None if unknown.
        p: Two-sided, by Welch's test on artanh τ.
        p_adjusted: After Holm's correction over all rivals.
        note: Why they cannot be tested.
    """

    label: str
    difference: float | None
    p: float | None
    p_adjusted: float | None
    note: str = ""

    @property
    def is_resolved(self) -> bool:
        """Whether the two can be told apart."""
        return self.p_adjusted is not None and self.p_adjusted < ALPHA


@dataclass(frozen=True)
class Place:
    """A place among kinds of supernet of one length, by mean τ.

    Args:
        place: The place, from 1.
        of: How many kinds there are, this one included.
        best: The best place that cannot be excluded.
        worst: The worst.
        rivals: The recorded kinds, the best first.
    """

    place: int
    of: int
    best: int
    worst: int
    rivals: tuple[Rival, ...]

    @property
    def is_certain(self) -> bool:
        """Whether every other kind can be told apart from this one."""
        return self.best == self.worst


@dataclass(frozen=True)
class Repetition:
    """Supernets of a recorded kind, trained again.

    Args:
        recorded: The recorded row.
        difference: Mean τ of the new ones minus the recorded.
        low: Where the mean of so many new supernets falls with a probability of 95 %; None if unknown.
        high: The upper bound.
        reproduced: Whether it does; None if unknown.
        note: Why it is unknown.
    """

    recorded: Row
    difference: float | None
    low: float | None
    high: float | None
    reproduced: bool | None
    note: str = ""


@dataclass(frozen=True)
class Standing:
    """The result of a benchmark.

    Args:
        benchmark: Its name.
        paths: How many paths are ranked.
        truth_epochs: Length of the stand-alone trainings that τ is measured with.
        truth_seeds: How many there are of each path.
        ceiling: τ that the exact expected accuracies would reach with this ground truth; None if unknown.
        row: The new supernets.
        recorded: Recorded supernets of the same length, the best first; without those of the same strategy.
        baselines: What ranks without a supernet.
        place: The place; None where no other kind of this length is recorded, or τ is unknown.
        repetition: How the result agrees with recorded supernets of the same strategy and length, if there are some.
        lengths: Lengths for which supernets are recorded.
    """

    benchmark: str
    paths: int
    truth_epochs: int
    truth_seeds: int
    ceiling: float | None
    row: Row
    recorded: tuple[Row, ...]
    baselines: tuple[Row, ...]
    place: Place | None
    repetition: Repetition | None
    lengths: tuple[int, ...]

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return asdict(self)


@dataclass(frozen=True)
class Catalogue:
    """What a benchmark has recorded.

    Args:
        benchmark: Its name.
        preset: The preset that it belongs to.
        paths: How many paths are ranked.
        truth_epochs: Lengths of its stand-alone trainings; τ is measured with the first.
        ceiling: τ that the exact expected accuracies would reach with this ground truth; None if unknown.
        recorded: Its supernets, by length, then the best first; places are among those of the same length.
        baselines: What ranks without a supernet.
    """

    benchmark: str
    preset: str
    paths: int
    truth_epochs: tuple[int, ...]
    ceiling: float | None
    recorded: tuple[Row, ...]
    baselines: tuple[Row, ...]

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return asdict(self)
