"""Which path to take, and what trusting the supernet would cost: the fields people act on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from supernet_cli.reports.beliefs import Beliefs
from supernet_cli.reports.facts import Facts
from supernet_cli.reports.parts import BestPath, CheapestPath, ChosenPath, Decision, Trainings, Trust

if TYPE_CHECKING:
    from supernet_cli.reports.statistics.choice import Bounds
    from supernet_cli.reports.statistics.regret import Loss, Regret


def decision(beliefs: Beliefs, losses: Regret, names: Sequence[str]) -> Decision:
    """Return the best path, the cheapest within noise of it, and what trusting the supernet's first paths loses.

    Args:
        beliefs: About the paths.
        losses: Of training the first few.
        names: The paths trained from scratch.
    """
    from supernet_cli.reports.statistics.choice import choose

    facts = beliefs.facts
    found = choose(beliefs.trained, facts.profiled(names, "macs"))
    best = BestPath(**dict(_chosen(facts, names[found.best], found.accuracy)), probability_best=found.probability)
    cheapest = None
    if found.cheapest is not None and found.loss is not None:
        name, loss = names[found.cheapest], found.loss
        chosen = _chosen(facts, name, beliefs.expected(name))
        cheapest = CheapestPath(**dict(chosen), loss=loss.mean, loss_low=loss.low, loss_high=loss.high)
    return Decision(best=best, cheapest=cheapest, trusting=_trusting(facts, losses))


def cost(facts: Facts, loss: Loss) -> Trainings:
    """Return what training some paths from scratch costs, with all their seeds.

    Args:
        facts: The run's.
        loss: Of training them.
    """
    paths, truth = loss.paths.value, facts.truth
    if paths is None:
        return Trainings(trainings=None, macs=None)
    count = len(truth.paths)
    return Trainings(trainings=paths * (truth.trainings / count), macs=round(paths * truth.cost.macs / count))


def _trusting(facts: Facts, losses: Regret) -> Trust | None:
    """Return what trusting the supernet's first paths loses; None if it is unknown."""
    loss, spent = losses.supernet, cost(facts, losses.supernet)
    regret, low, high = loss.mean.value, loss.interval.low.value, loss.interval.high.value
    if regret is None or low is None or high is None:
        return None
    return Trust(paths=losses.k, regret=regret, low=low, high=high, trainings=spent.trainings, macs=spent.macs)


def _chosen(facts: Facts, name: str, accuracy: Bounds) -> ChosenPath:
    sizes = dict(facts.profiles.get(name) or ())
    return ChosenPath(path=name, **sizes, accuracy=accuracy.mean, low=accuracy.low, high=accuracy.high)
