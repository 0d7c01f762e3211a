"""The parts of a run's comparison, beside its plain figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, model_validator

from supernet_cli.reports.figures import Bounds, Figure, Label, Measure, Number, Pair, Part, Sparse, Spread, Whole

Word = Literal["trust", "use with care", "do not trust", "not enough evidence"]
"""Whether a ranking can be trusted."""

Coverage = Literal["all", "part", "sample", "mixed", "top", "named"]
"""How the paths trained from scratch were chosen: all; all, some still unfinished; a random sample; such a sample and
others; the first of an order; by name."""

BASELINES = {
    "random": "random order",
    "parameters": "parameters",
    "macs": "multiply-accumulates",
    "synflow": "synflow",
    "naswot": "NASWOT",
    "gradient_norm": "gradient norm",
    "short_training": "short training",
}
"""Orders that need no supernet: their names in the document, and their labels."""


class Divergence(Figure):
    """How well closeness to the network with nothing dropped ranks paths.

    Args:
        nats: The mean distance.
        kendall_tau: Of the ranking by closeness.
    """

    nats: float | None = None
    kendall_tau: Spread = Spread()

    @property
    def is_known(self) -> bool:
        """Whether the strategy trains the network with nothing dropped."""
        return self.nats is not None


class EqualMacs(Figure):
    """What the supernets know beyond size.

    Args:
        correlation: Among paths of equal size, over supernet seeds.
        null: Central 95 % of what rankings without knowledge beyond size reach.
        p: Share of these that reach as much.
    """

    correlation: Spread = Spread()
    null: Pair | None = None
    p: Annotated[Measure, Label("correlation at equal MACs")] = Measure()

    @property
    def is_known(self) -> bool:
        """Whether it could be computed."""
        return self.p.is_known


class Corrected(Figure):
    """τ without noise."""

    stand_alone: Annotated[Measure, Label("τ without stand-alone noise")] = Measure()
    both: Annotated[Measure, Label("τ without any noise")] = Measure()

    @property
    def is_known(self) -> bool:
        """Whether one of them is known."""
        return self.stand_alone.is_known or self.both.is_known


class Relabelling(Part):
    """How the ranking was tested against relabelled candidates."""

    smallest_p: float | None = None
    relabellings: Whole = 0
    exhaustive: bool = False


class McNemar(Sparse):
    """Pairs of networks of the same seed that differ by McNemar's test."""

    pairs: Whole | None = None
    differing: Annotated[Measure, Label("networks that differ")] = Measure()


class Trainings(Part):
    """What training some paths from scratch costs, with all their seeds.

    Args:
        trainings: Each one seed of an average path.
        macs: Multiply-accumulates; None if sizes are unknown.
    """

    trainings: float | None = None
    macs: Whole | None = None


class ChosenPath(Part):
    """A path to take, its sizes and its expected accuracy."""

    path: str
    parameters: Whole | None = None
    macs: Whole | None = None
    latency_seconds: float | None = None
    accuracy: float
    low: float
    high: float


class BestPath(ChosenPath):
    """The path with the highest expected accuracy."""

    probability_best: float | None = None


class CheapestPath(ChosenPath):
    """The cheapest path within noise of the best, and what it loses in expected accuracy."""

    loss: float
    loss_low: float
    loss_high: float


class Trust(Part):
    """What is lost by training only the supernet's first paths, and what that costs."""

    paths: Whole
    regret: float
    low: float
    high: float
    trainings: float | None = None
    macs: Whole | None = None


class Decision(Part):
    """Which path to take, and what trusting the supernet would cost."""

    best: BestPath
    cheapest: CheapestPath | None = None
    trusting: Trust | None = None


class Baseline(Sparse, Figure):
    """How well an order that needs no supernet agrees with the ground truth.

    Args:
        name: One of `BASELINES`.
        kendall_tau: Mean over seeds, where it has some.
        range: Of the random order: where 95 % of such orders lie.
        per_seed: τ of each seed.
        low: The smallest.
        high: The largest.
        difference: τ of the supernets minus this one's.
    """

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    name: str
    kendall_tau: float | None = None
    range: Pair | None = None
    per_seed: tuple[float | None, ...] = ()
    low: float | None = None
    high: float | None = None
    difference: Bounds = Bounds()

    @property
    def order(self) -> str:
        """What every screen calls the order."""
        return BASELINES.get(self.name, self.name)

    @model_validator(mode="before")
    @classmethod
    def _lifted(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
            return data
        return {**data, "label": f"{BASELINES.get(data['name'], data['name'])} as a baseline"}


class Shares(Part):
    """Shares of the sources in the variance of the differences; they sum to 1."""

    stand_alone: float | None = None
    supernet: float | None = None
    images: float | None = None
    sharing: float | None = None


class Candidate(Part):
    """How the supernet rates one candidate, in accuracy points.

    Args:
        block: Number of its block, from 0.
        label: Its name.
        paths: How many contain it.
        bias: By how much it is over-rated.
        error: The standard error of that.
    """

    block: Whole
    label: str
    paths: Whole = 0
    bias: Annotated[Measure, Label("over- or under-rating of candidates")] = Measure()
    error: Annotated[Measure, Label("standard error of that rating")] = Measure()


class Audit(Part):
    """Where scores and accuracies differ: variances over paths, in squared accuracy points."""

    total: Annotated[Measure, Label("total")] = Measure()
    stand_alone: Annotated[Measure, Label("stand-alone noise")] = Measure()
    supernet: Annotated[Measure, Label("supernet noise")] = Measure()
    images: Annotated[Measure, Label("image noise")] = Measure()
    sharing: Annotated[Measure, Label("weight-sharing bias, at most")] = Measure()
    shares: Shares = Shares()
    differences: dict[str, float] | None = None
    candidates: tuple[Candidate, ...] = ()

    @property
    def sources(self) -> tuple[tuple[Measure, float | None], ...]:
        """Each source of disagreement, and its share."""
        shares = self.shares
        return (
            (self.stand_alone, shares.stand_alone),
            (self.supernet, shares.supernet),
            (self.images, shares.images),
            (self.sharing, shares.sharing),
        )


class Spent(Figure):
    """What some work cost: images run forward, multiply-accumulates, and seconds of all processes."""

    model_config = ConfigDict(from_attributes=True)

    forward_images: Number | None = None
    macs: Number | None = None
    seconds: Number | None = None


class Costs(Part):
    """What the experiment cost, by kind of work."""

    training: Annotated[Spent, Label("training supernets")] = Spent()
    evaluation: Annotated[Spent, Label("evaluating their paths")] = Spent()
    stand_alone: Annotated[Spent, Label("training paths from scratch")] = Spent()
    short_training: Annotated[Spent, Label("short trainings")] = Spent()


class GroundTruth(Part):
    """Where the stand-alone results come from."""

    run: str
    split: str = "test"


class Missing(Part):
    """Something that a comparison lacks.

    Args:
        what: In words.
        command: What adds it; empty where nothing does.
        begun: Whether it was asked for before; otherwise it would only add to a complete comparison.
    """

    what: str
    command: str = ""
    begun: bool = True


class Step(Part):
    """What to do next.

    Args:
        purpose: The beginning of a sentence.
        command: What to type; empty if there is nothing to type.
        seconds: About how long that takes on one worker; None if unknown.
        weights: The file of the path to take, if it is there.
    """

    purpose: str
    command: str = ""
    seconds: float | None = None
    weights: str = ""


class Answer(Part):
    """Whether the ranking can be trusted, why, and what to do next."""

    word: Word
    reason: str
    next: Step


@dataclass(frozen=True)
class Lost:
    """What is lost by training only the first k paths of an order, and what training them costs.

    Args:
        value: Expected loss of accuracy, a fraction.
        bounds: Its 95 % interval.
        cost: Of the trainings.
    """

    value: int | float | None
    bounds: Pair | None
    cost: Trainings
