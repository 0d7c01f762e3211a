"""What the supernets of a strategy are worth on a benchmark, beside the recorded ones and what needs no training.

The statistics are those of `supernet compare`. Shapes: n paths, S stand-alone seeds, R supernet seeds, D draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from supernet_cli.benchmarks import strategy
from supernet_cli.benchmarks.result import Catalogue, Estimate, Place, Repetition, Rival, Row, Standing, TruthTau
from supernet_cli.benchmarks.table import Table
from supernet_cli.config.parts import Named
from supernet_cli.policies.problem import SIZES
from supernet_cli.reports.beliefs import REGRESSORS, beliefs_of
from supernet_cli.reports.parts import BASELINES
from supernet_cli.reports.statistics import ranking
from supernet_cli.reports.statistics.ceiling import tau_ceiling
from supernet_cli.reports.statistics.intervals import FEWEST_SEEDS, prediction_interval, tau_interval, welch_against
from supernet_cli.reports.statistics.regret import regret

TRAINED = 3
"""Paths that are trained from scratch before one is taken: the k of regret@k."""


@dataclass(frozen=True)
class Supernets:
    """Supernets of one strategy and one length.

    Args:
        strategy: The strategy.
        epochs: Their length.
        seeds: One supernet for each.
        scores: (R, n) minus the one-shot loss on validation, paths in the order of the table.
        macs: Multiply-accumulates of training all of them and evaluating their paths.
    """

    strategy: Named
    epochs: int
    seeds: tuple[int, ...]
    scores: np.ndarray
    macs: float


class Yardstick:
    """A benchmark's ground truths, and what is measured with them.

    Args:
        table: The benchmark.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        paths = list(table.paths.values())
        self.test = [np.array(truth.test) for truth in table.truths]
        self.validation = np.array(table.truth.validation)
        self.orders: dict[str, np.ndarray] = {
            name: np.array([getattr(path, name) for path in paths], dtype=float) for name in SIZES
        } | {name: np.array([path.scores[name] for path in paths]) for name in table.proxies}

    @cached_property
    def expected(self) -> np.ndarray:
        """Draws of the expected accuracies, (D, n): from trainings and sizes, the same for every strategy."""
        known = [order for name, order in self.orders.items() if name in REGRESSORS]
        return beliefs_of(self.test[0], known, np.array(self.table.choices), np.random.default_rng(0))

    @property
    def ceiling(self) -> float | None:
        """τ that the exact expected accuracies would reach, on average."""
        test = self.test[0]
        return tau_ceiling(ranking.seed_agreement(test).value, test.shape[1], len(test)).value

    def recorded(self, epochs: int | None = None) -> list[Supernets]:
        """Return the recorded supernets, of one length or of all."""
        return [
            Supernets(
                strategy=each.strategy,
                epochs=each.epochs,
                seeds=each.seeds,
                scores=-np.array(each.loss),
                macs=each.training_macs + each.evaluation_macs,
            )
            for each in self.table.supernets
            if epochs in (None, each.epochs)
        ]

    def row(self, supernets: Supernets) -> Row:
        """Return what supernets are worth."""
        cost = supernets.macs / len(supernets.seeds) / self.table.macs_per_training
        name = strategy.label(supernets.strategy)
        return self._row(name, supernets.scores, cost, supernets.epochs, supernets.seeds)

    def baselines(self) -> tuple[Row, ...]:
        """Return what sizes and proxies are worth, the best first."""
        rows = [
            self._row(BASELINES.get(name, name), order[None, :], 0.0, None, ()) for name, order in self.orders.items()
        ]
        return tuple(_best_first(rows))

    def _row(self, label: str, scores: np.ndarray, cost: float, epochs: int | None, seeds: tuple[int, ...]) -> Row:
        first, *others = [ranking.agreement(scores, test) for test in self.test]
        macs = self.orders["macs"]
        lost = regret(scores, self.expected, self.validation, TRAINED, {}, macs / macs.mean()).supernet
        return Row(
            label=label,
            epochs=epochs,
            seeds=seeds,
            tau=_over_supernets(first.tau),
            per_seed=first.tau.per_seed,
            best_quarter=_over_supernets(first.best_tau),
            regret=Estimate(
                lost.mean.value, lost.interval.low.value, lost.interval.high.value, "interval", lost.mean.note
            ),
            other_truths=tuple(
                TruthTau(truth.epochs, _over_supernets(found.tau))
                for truth, found in zip(self.table.truths[1:], others, strict=True)
            ),
            between=ranking.supernet_agreement(scores).value,
            cost=cost,
        )


def stand(table: Table, supernets: Supernets) -> Standing:
    """Compare supernets with the recorded ones of their length.

    Args:
        table: The benchmark.
        supernets: The new supernets.
    """
    yardstick = Yardstick(table)
    row, peers = yardstick.row(supernets), yardstick.recorded(supernets.epochs)
    recorded = [yardstick.row(each) for each in peers if not strategy.same(each.strategy, supernets.strategy)]
    twins = [yardstick.row(each) for each in peers if strategy.same(each.strategy, supernets.strategy)]
    place = _place(row, _best_first(recorded)) if row.tau.mean is not None else None
    ranked = _placed([row, *recorded])
    return Standing(
        benchmark=table.name,
        paths=len(table.paths),
        truth_epochs=table.truth.epochs,
        truth_seeds=len(table.truth.seeds),
        ceiling=yardstick.ceiling,
        row=ranked[0],
        recorded=tuple(_best_first(ranked[1:])),
        baselines=yardstick.baselines(),
        place=place if recorded else None,
        repetition=_repetition(row, twins[0]) if twins else None,
        lengths=tuple(sorted({each.epochs for each in table.supernets})),
    )


def catalogue(table: Table) -> Catalogue:
    """Return what a benchmark has recorded."""
    yardstick = Yardstick(table)
    lengths = sorted({each.epochs for each in table.supernets})
    of_lengths = [_placed([yardstick.row(each) for each in yardstick.recorded(epochs)]) for epochs in lengths]
    return Catalogue(
        benchmark=table.name,
        preset=table.preset,
        paths=len(table.paths),
        truth_epochs=tuple(truth.epochs for truth in table.truths),
        ceiling=yardstick.ceiling,
        recorded=tuple(row for rows in of_lengths for row in _best_first(rows)),
        baselines=yardstick.baselines(),
    )


def _placed(rows: Sequence[Row]) -> list[Row]:
    """Return rows of one length in their order, each with its place by mean τ; equal ones share the better place."""
    taus = [row.tau.mean for row in rows if row.tau.mean is not None]
    return [
        row if row.tau.mean is None else replace(row, place=1 + sum(tau > row.tau.mean for tau in taus)) for row in rows
    ]


def _place(row: Row, recorded: Sequence[Row]) -> Place:
    contrasts = welch_against(row.per_seed, {str(index): each.per_seed for index, each in enumerate(recorded)})
    rivals = tuple(
        Rival(
            label=each.label,
            difference=None if found.difference.value is None else -found.difference.value,
            p=found.p.value,
            p_adjusted=found.adjusted.value,
            note=found.p.note,
        )
        for each, found in zip(recorded, contrasts.values(), strict=True)
    )
    differences = [rival.difference or 0.0 for rival in rivals]
    ahead = sum(rival.is_resolved and found < 0 for rival, found in zip(rivals, differences, strict=True))
    behind = sum(rival.is_resolved and found > 0 for rival, found in zip(rivals, differences, strict=True))
    return Place(
        place=1 + sum(found < 0 for found in differences),
        of=1 + len(recorded),
        best=1 + ahead,
        worst=1 + len(recorded) - behind,
        rivals=rivals,
    )


def _repetition(row: Row, recorded: Row) -> Repetition:
    expected = prediction_interval(recorded.per_seed, sum(tau is not None for tau in row.per_seed) or 1)
    low, high, mean = expected.low.value, expected.high.value, row.tau.mean
    known = low is not None and high is not None and mean is not None
    return Repetition(
        recorded=recorded,
        difference=None if mean is None or recorded.tau.mean is None else mean - recorded.tau.mean,
        low=low,
        high=high,
        reproduced=low <= mean <= high if low is not None and high is not None and mean is not None else None,
        note="" if known else expected.low.note or row.tau.note,
    )


def _over_supernets(found: ranking.Spread) -> Estimate:
    """Return a coefficient with its 95 % interval over supernets, or their range where they are fewer than five."""
    known = [value for value in found.per_seed if value is not None]
    mean, note = found.mean.value, found.mean.note
    if len(known) < 2:
        return Estimate(mean, note=note)
    bounds = tau_interval(known) if len(known) >= FEWEST_SEEDS else None
    if bounds is not None and bounds.low.value is not None:
        return Estimate(mean, bounds.low.value, bounds.high.value, "interval", note)
    return Estimate(mean, found.low.value, found.high.value, "range", note)


def _best_first(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.tau.mean is None, -(row.tau.mean or 0.0), row.label))
