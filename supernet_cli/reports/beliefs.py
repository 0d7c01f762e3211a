"""What a comparison's facts say about every path: one posterior, from which τ, the choice and its regret are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from supernet_cli.reports.facts import Facts
from supernet_cli.reports.parts import BASELINES
from supernet_cli.store.results import PathProfile

if TYPE_CHECKING:
    import numpy as np

    from supernet_cli.reports.statistics.choice import Bounds

UNTRAINED = tuple(name for name in BASELINES if name in PathProfile.model_fields)
"""Baselines that need no training, by their field of a path's profile: sizes and zero-cost proxies."""

REGRESSORS = ("parameters", "macs", "synflow", "short_training")
"""Baselines that expected accuracies are also predicted from; any other would change those of every run."""

_MOST_PATHS = 300
"""Paths of a large space that beliefs are formed about: the trained ones, and a random sample of the others."""

_TAU_DRAWS = 1000


@dataclass(frozen=True)
class Beliefs:
    """The posterior of the expected accuracies of a run's paths.

    Args:
        facts: What is known.
        seed: Of the draws.
    """

    facts: Facts
    seed: int

    @cached_property
    def names(self) -> list[str]:
        """The paths: those trained from scratch, then others that every supernet scored."""
        import numpy as np

        facts = self.facts
        trained = [str(path) for path in facts.truth.paths]
        scored = set(facts.one_shot[facts.seeds[0]]).intersection(*(facts.one_shot[seed] for seed in facts.seeds))
        others = sorted(scored.difference(trained))
        room = max(0, _MOST_PATHS - len(trained))
        if len(others) > room:
            others = np.random.default_rng(self.seed).choice(np.array(others), room, replace=False).tolist()
        return [*trained, *others]

    @cached_property
    def draws(self) -> np.ndarray:
        """Expected test accuracies, (D, m): fractions."""
        import numpy as np

        known = [order for name in REGRESSORS if (order := self.orders[name]) is not None]
        choices = np.array([self.facts.space.parse(name).choices for name in self.names])
        return beliefs_of(self.facts.truth.test, [self.scores, *known], choices, np.random.default_rng(self.seed))

    @property
    def trained(self) -> np.ndarray:
        """The draws of the paths trained from scratch, (D, n)."""
        return self.draws[:, : len(self.facts.truth.paths)]

    def expected(self, name: str) -> Bounds:
        """Return the expected accuracy of a path."""
        from supernet_cli.reports.statistics.choice import Bounds

        return Bounds.of(self.draws[:, self.names.index(name)])

    @cached_property
    def scores(self) -> np.ndarray:
        """One-shot scores, (R, m)."""
        return self.facts.scores(self.names)

    @cached_property
    def orders(self) -> dict[str, np.ndarray | None]:
        """Orders that need no supernet, by the names of baselines: (m,), or (seeds, m); None if unknown."""
        found = {name: self.facts.profiled(self.names, name) for name in UNTRAINED}
        short = self.facts.short_scores(self.names) if self.facts.short else None
        return {**found, "short_training": short}

    @cached_property
    def tau(self) -> np.ndarray | None:
        """τ of the supernets with the expected accuracies, mean over supernets: (draws,); None if they rank nothing."""
        return self._tau_of(self.scores)

    def difference(self, order: str) -> Bounds | None:
        """Return τ of the supernets minus that of another order, with the same draws; None if it is unknown."""
        from supernet_cli.reports.statistics.choice import Bounds

        known = self.orders.get(order)
        other = None if known is None else self._tau_of(known)
        return None if other is None or self.tau is None else Bounds.of(self.tau - other)

    def _tau_of(self, order: np.ndarray) -> np.ndarray | None:
        from supernet_cli.reports.statistics.posterior import tau_of_draws

        return tau_of_draws(order, self.draws[:: max(1, len(self.draws) // _TAU_DRAWS)])


def beliefs_of(
    accuracies: np.ndarray, orders: Sequence[np.ndarray], choices: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw the expected accuracies of m paths, n of them trained from scratch with up to S seeds.

    Args:
        accuracies: (n, S) of trainings from scratch, NaN where a path lacks a seed; of the first n paths.
        orders: What else is known of all paths: (m,) or (R, m) figures each, such as one-shot scores and sizes.
        choices: (m, b) position of the candidate that each path takes in each block.
        rng: Draws.

    Returns:
        (D, m), fractions.
    """
    import numpy as np

    from supernet_cli.reports.statistics.posterior import Evidence, draw, normal_scores
    from supernet_cli.reports.statistics.variances import seed_variances

    known = np.stack([normal_scores(order) for order in orders], axis=1)
    variances = seed_variances(accuracies)
    noise = None if isinstance(variances, str) else variances.of_means
    return draw(Evidence(known, choices, np.nanmean(accuracies, axis=1), noise), rng)
