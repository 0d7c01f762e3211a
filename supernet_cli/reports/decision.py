"""Which path to take, and what trusting the supernet would cost: the fields people act on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from supernet_cli.reports.beliefs import Beliefs
from supernet_cli.reports.facts import Facts

if TYPE_CHECKING:
    from supernet_cli.reports.statistics.choice import Choice
    from supernet_cli.reports.statistics.regret import Loss, Regret


def decision(beliefs: Beliefs, losses: Regret, names: Sequence[str]) -> dict[str, Any]:
    """Return the best path, the cheapest within noise of it, and what trusting the supernet's first paths loses.

    Args:
        beliefs: About the paths.
        losses: Of training the first few.
        names: The paths trained from scratch.
    """
    from supernet_cli.reports.statistics.choice import choose

    facts = beliefs.facts
    found: Choice = choose(beliefs.trained, facts.sizes(names, "macs"))
    best = {**_path(facts, names[found.best]), **_accuracy(found.accuracy), "probability_best": found.probability}
    cheapest = None
    if found.cheapest is not None and found.loss is not None:
        loss = {"loss": found.loss.mean, "loss_low": found.loss.low, "loss_high": found.loss.high}
        expected = beliefs.expected(names[found.cheapest])
        cheapest = {**_path(facts, names[found.cheapest]), **_accuracy(expected), **loss}
    trusting = None
    if losses.supernet.mean.value is not None:
        interval = losses.supernet.interval
        trusting = {
            "paths": losses.k,
            "regret": losses.supernet.mean.value,
            "low": interval.low.value,
            "high": interval.high.value,
            **cost(facts, losses.supernet),
        }
    return {"best": best, "cheapest": cheapest, "trusting": trusting}


def cost(facts: Facts, loss: Loss) -> dict[str, Any]:
    """Return what training some paths from scratch costs, with all their seeds.

    Args:
        facts: The run's.
        loss: Of training them.

    Returns:
        `trainings`, each one seed of an average path, and `macs`; None if sizes are unknown.
    """
    paths, truth = loss.paths.value, facts.truth
    per_path = truth.trainings / len(truth.paths)
    return {
        "trainings": None if paths is None else paths * per_path,
        "macs": None if paths is None else round(paths * truth.cost.macs / len(truth.paths)),
    }


def _path(facts: Facts, name: str) -> dict[str, Any]:
    profile = facts.profiles.get(name)
    sizes = {what: getattr(profile, what, None) for what in ("parameters", "macs", "latency_seconds")}
    return {"path": name, **sizes}


def _accuracy(bounds: Any) -> dict[str, float]:
    return {"accuracy": bounds.mean, "low": bounds.low, "high": bounds.high}
