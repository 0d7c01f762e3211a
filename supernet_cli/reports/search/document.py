"""What `supernet search` finds, as typed objects: the JSON document, its schema and every screen come out of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError

from supernet_cli.reports.figures import Pair, Part, Whole
from supernet_cli.store.results import read_document
from supernet_cli.store.run import Run

Axis = Literal["macs", "parameters", "latency", "weights"]
"""What accuracy is weighed against."""

RIVALS = {"random": "random paths", "largest": "the largest paths", "one-shot": "the best one-shot scores"}
"""Other ways to choose what to train, with their words."""


class Sized(Part):
    """What a path costs.

    Args:
        macs: Multiply-accumulates of the forward pass of one image.
        parameters: Learned parameters.
        weights_bytes: Bytes of all tensors that are stored for it.
        latency_seconds: Of one image: measured on the run's machine, or from a latency table; None if unknown.
    """

    path: str
    macs: Whole
    parameters: Whole
    weights_bytes: Whole
    latency_seconds: float | None = None

    def along(self, axis: Axis) -> float | None:
        """Return one of the figures."""
        figures = {
            "macs": self.macs,
            "parameters": self.parameters,
            "weights": self.weights_bytes,
            "latency": self.latency_seconds,
        }
        return figures[axis]


class SearchedPath(Sized):
    """What is expected of a path.

    Args:
        accuracy: Its expected accuracy on validation, a fraction.
        interval: 90 % interval for that.
        trained: How often it was trained from scratch.
        observed: Mean accuracy on validation of these trainings.
        one_shot_rank: Its rank among the paths with a one-shot score; 1 is the best.
        within_limits: Whether it meets all limits.
        on_front: Whether no other path beats it in both expected accuracy and cost.
    """

    accuracy: float
    interval: Pair
    trained: Whole = 0
    observed: float | None = None
    one_shot_rank: Whole | None = None
    within_limits: bool = True
    on_front: bool = False


class Pick(SearchedPath):
    """The path to take.

    Args:
        probability_best: That no other path within the limits is better.
        expected_regret: Accuracy that the best path within the limits is expected to have above it.
        test_accuracy: Mean accuracy on test of its trainings: looked at once, after the last training.
        weights: File with the weights of its best training by accuracy on validation; empty if there is none.
    """

    probability_best: float
    expected_regret: float
    test_accuracy: float | None = None
    weights: str = ""


class Worth(Part):
    """How much one kind of evidence explains.

    Args:
        explains: Expected share of the variance of accuracies; of anything but size, of what size leaves open.
        interval: 90 % interval for it.
        paths: How many paths it is known of.
    """

    explains: float
    interval: Pair
    paths: Whole


class Rival(Part):
    """What another way to choose would have found for as many trainings.

    Args:
        accuracy: Expected accuracy of the path that it would have taken.
    """

    accuracy: float


class Limited(Part):
    """A limit.

    Args:
        most: The largest value: a number, seconds or bytes.
        paths: How many paths meet it; None in a space too large to count, or where it has to be measured.
    """

    most: float
    paths: Whole | None = None


class SearchCost(Part):
    """What the search's trainings cost.

    Args:
        macs: Multiply-accumulates.
        seconds: Summed over the processes that did it.
        supernets: In terms of one supernet of the run, evaluation included; None if there is none.
    """

    macs: Whole
    seconds: float
    supernets: float | None = None


class NextTraining(Part):
    """What the next training would buy.

    Args:
        gain: What it is expected to add to the accuracy of the pick.
        macs: What it would cost; None where no path is left.
    """

    gain: float
    macs: Whole | None = None


class Searched(Part):
    """What a search has found: the document of `supernet search`, and of results/search.json.

    Args:
        objective: What is maximised.
        against: What the front weighs it against.
        space_size: How many paths there are.
        within_limits: How many of them meet the limits; None in a space too large to count.
        trainings: Trainings that this search chose, finished ones.
        used: Trainings that it learned from, earlier ones of the run included.
        finished: Whether its budget is spent, or it stopped because it was sure enough.
        verdict: The answer in a sentence.
        command: The command that would continue the search.
    """

    run: str
    policy: str
    seeds: tuple[Whole, ...]
    objective: Literal["accuracy"] = "accuracy"
    against: Axis = "macs"
    space_size: Whole
    within_limits: Whole | None = None
    pick: Pick
    front: tuple[SearchedPath, ...]
    paths: tuple[SearchedPath, ...]
    evidence: Mapping[str, Worth] = {}
    rivals: Mapping[str, Rival] = {}
    trainings: Whole
    used: Whole
    cost: SearchCost
    limits: Mapping[str, Limited] = {}
    latencies: str = ""
    next: NextTraining
    finished: bool = False
    verdict: str
    command: str = ""

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return self.model_dump(mode="json")


def read_search(document: object) -> Searched | None:
    """Return a stored document; None if this version cannot read it.

    Args:
        document: What the JSON file holds.
    """
    try:
        return Searched.model_validate(document)
    except ValidationError:
        return None


def stored_search(run: Run) -> Searched | None:
    """Return what the latest search of a run has found, or None if it was never searched.

    Raises:
        RunError: The file is damaged.
    """
    return read_document(run, "search", Searched)
