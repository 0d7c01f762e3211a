"""How well orders that need no supernet agree with the ground truth."""

from __future__ import annotations

from collections.abc import Sequence

from supernet_cli.glyphs import counted
from supernet_cli.reports.beliefs import UNTRAINED, Beliefs
from supernet_cli.reports.facts import Facts
from supernet_cli.reports.measured import bounds, pair, spread
from supernet_cli.reports.parts import Baseline
from supernet_cli.store.alone import FEWEST_STEPS, SHORT_CALIBRATION, short_steps


def baselines(facts: Facts, beliefs: Beliefs, seed: int) -> tuple[Baseline, ...]:
    """Return the agreement of each order: a random one, those by size and zero-cost proxies, and after short trainings.

    Args:
        facts: What is known of the run.
        beliefs: About its paths.
        seed: Of the random orders.
    """
    import numpy as np

    from supernet_cli.reports.statistics.chance import random_order_range
    from supernet_cli.reports.statistics.ranking import mean_accuracy

    drawn = random_order_range(mean_accuracy(facts.truth.test), np.random.default_rng(seed))
    at_random = Baseline(name="random", kendall_tau=0.0, range=pair(drawn))
    return (
        at_random,
        *(_without_training(facts, beliefs, name) for name in UNTRAINED),
        _by_short_training(facts, beliefs),
    )


def _without_training(facts: Facts, beliefs: Beliefs, name: str) -> Baseline:
    """Return how well a size or a zero-cost proxy agrees with the ground truth."""
    from supernet_cli.reports.statistics.ranking import kendall_tau, mean_accuracy

    paths = [str(path) for path in facts.truth.paths]
    order = facts.profiled(paths, name)
    tau = None if order is None else kendall_tau(order, mean_accuracy(facts.truth.test))
    note = ""
    if order is None:
        note = _unknown(facts, paths, name)
    elif tau is None:
        note = "Needs at least 3 paths whose figures and accuracies differ."
    return Baseline(name=name, kendall_tau=tau, difference=bounds(beliefs.difference(name)), note=note)


def _unknown(facts: Facts, paths: Sequence[str], name: str) -> str:
    """Return why the order by a figure is unknown."""
    profiles = [facts.profiles.get(path) for path in paths]
    if not all(profile and profile.has(name) for profile in profiles):
        return f"Not measured yet: `{facts.run.command('evaluate')}`."
    return f"Not finite for {counted(sum(getattr(profile, name) is None for profile in profiles), 'path')}."


def _by_short_training(facts: Facts, beliefs: Beliefs) -> Baseline:
    """Return how well short trainings, at the cost of a supernet, agree with the ground truth."""
    from supernet_cli.reports.statistics.ranking import agreement

    name = "short_training"
    difference = bounds(beliefs.difference(name))
    if not facts.short:
        return Baseline(name=name, kendall_tau=None, difference=difference, note=_no_short_training(facts))
    found = spread(agreement(facts.short_scores([str(path) for path in facts.truth.paths]), facts.truth.test).tau)
    return Baseline(
        name=name,
        kendall_tau=found.mean,
        per_seed=found.per_seed,
        low=found.low,
        high=found.high,
        difference=difference,
        note=found.note,
    )


def _no_short_training(facts: Facts) -> str:
    """Return why there are no short trainings to compare with, and the command that runs them."""
    if facts.short_diverged:
        return f"{counted(facts.short_diverged, 'short training')} diverged, so no seed covers all paths."
    count = len(facts.truth.paths)
    if (steps := _short_steps(facts)) < FEWEST_STEPS:
        return (
            f"Not possible: the cost of one supernet pays for {counted(steps, 'step')} of each of "
            f"{counted(count, 'path')}; a training needs at least {FEWEST_STEPS}."
        )
    which = {"all": "--all", "part": "--all", "sample": f"--sample {count}", "top": f"--top {count}"}
    if facts.truth.run != facts.run.id or facts.truth.coverage not in which:
        these = "this path" if count == 1 else f"these {count:,} paths"
        return f"Not done yet: `{facts.run.command('retrain', '--short')}` with the names of {these}."
    return f"Not done yet: `{facts.run.command('retrain', which[facts.truth.coverage], '--short')}`."


def _short_steps(facts: Facts) -> int:
    """Return how long the short training of each path would be; as long as it must be where sizes are not known."""
    preset = facts.run.preset()
    sizes = [facts.profiles[str(path)].macs for path in facts.truth.paths if str(path) in facts.profiles]
    if len(sizes) < len(facts.truth.paths) or not sum(sizes):
        return FEWEST_STEPS
    calibration = min(SHORT_CALIBRATION, preset.train.calibration) if facts.space.has_batch_norm else 0
    budget = (facts.training + facts.evaluation).macs // len(facts.seeds)
    batch_size = preset.standalone_recipe().batch_size
    return short_steps(budget, sum(sizes), preset.data.validation + calibration, batch_size)
