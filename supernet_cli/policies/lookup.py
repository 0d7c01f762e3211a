"""A table as a problem to search: figures and trainings are looked up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from supernet_cli.errors import UsageError, did_you_mean
from supernet_cli.policies.problem import MANY, SIZES, Choices, Floats, Path, Problem
from supernet_cli.policies.table import Table


class Lookup:
    """A table within limits.

    Args:
        table: The table.
        limits: The largest value of each limited figure.
        scores: Which of the table's scores are known, and the first is what `one-shot` goes by; None for all.

    Raises:
        UsageError: A limit or a score is on a figure that the table lacks, no path meets the limits, or the space is
            too large.
    """

    def __init__(self, table: Table, limits: Mapping[str, float], scores: Sequence[str] | None = None) -> None:
        self.table = table
        self._widths = tuple(len(labels) for labels in table.decisions)
        if np.prod(self._widths, dtype=float) > MANY:
            raise UsageError(
                f"The table's decisions make more than {MANY:,} paths.", "Try policies on a smaller table."
            )
        self._places = np.full(int(np.prod(self._widths)), -1, dtype=np.int64)
        self._places[self._index(table.paths)] = np.arange(len(table.paths))
        within = _within(table, limits)
        self.rows = np.flatnonzero(within)
        scores = _scores(table, scores)
        names = [name for name in table.figures if name in SIZES] + scores
        figures = [np.log(table.figures[name]) if name in SIZES else table.figures[name] for name in names]
        known = np.stack(figures, axis=1) if figures else np.zeros((len(table.paths), 0))
        self.problem = Problem(
            table.decisions,
            tuple(names),
            lambda paths: known[self.rows_of(paths)],
            lambda paths: self._is_known(paths) & within[self.rows_of(paths)],
            size=next((name for name in ("macs", "parameters") if name in table.figures), None),
            score=scores[0] if scores else None,
        )

    def _index(self, paths: Choices) -> NDArray[np.int64]:
        return np.asarray(np.ravel_multi_index(tuple(paths.T), self._widths))

    def rows_of(self, paths: Choices) -> NDArray[np.int64]:
        """Return the rows of a batch of paths in the table."""
        return self._places[self._index(paths)]

    def _is_known(self, paths: Choices) -> NDArray[np.bool_]:
        return self.rows_of(paths) >= 0

    def row(self, path: Path) -> int:
        """Return the row of one path."""
        return int(self.rows_of(np.array([path]))[0])

    @property
    def best(self) -> int:
        """Row of the path within the limits with the largest mean test accuracy over all seeds."""
        return int(self.rows[np.nanmean(self.table.test[self.rows], axis=1).argmax()])

    @cached_property
    def reference(self) -> float:
        """Test accuracy of the best path within the limits, without the luck of being called the best.

        The largest of many noisy accuracies is mostly luck, so one part of the accuracies chooses the best path, and
        another judges it. With several seeds, the test of each seed judges the path that is best by all accuracies of
        the others; the mean over the seeds. With a single one, test judges the path that is best by validation. What is
        best by the one need not be the best: the figure is a little too small, as the largest is too large.
        """
        validation, test = self.table.validation[self.rows], self.table.test[self.rows]
        seeds = test.shape[1]
        if validation.shape != test.shape or seeds < 2 or not np.isfinite(validation + test).all():
            return float(np.nanmean(test[np.nanmean(validation, axis=1).argmax()]))
        both = validation + test
        best = [(both.sum(axis=1) - both[:, seed]).argmax() for seed in range(seeds)]
        return float(np.mean([test[row, seed] for seed, row in enumerate(best)]))


def _scores(table: Table, wanted: Sequence[str] | None) -> list[str]:
    """Return the scores that are known: all of the table's, or those wanted."""
    scores = [name for name in table.figures if name not in SIZES]
    for name in wanted or ():
        if name not in scores:
            close = did_you_mean(name, scores, otherwise=" ") + " " if scores else ""
            known = f"Its scores: {', '.join(scores)}." if scores else "It has no scores at all."
            raise UsageError(f"The table has no score '{name}'.", (close + known).strip())
    return scores if wanted is None else list(dict.fromkeys(wanted))


def _within(table: Table, limits: Mapping[str, float]) -> NDArray[np.bool_]:
    within = np.ones(len(table.paths), dtype=bool)
    for name, most in limits.items():
        if name not in table.figures:
            raise UsageError(f"The table has no {name} to limit.", did_you_mean(name, table.figures))
        values = table.figures[name]
        if not (values <= most).any():
            raise UsageError(f"No path has {name} of {most:,.0f} or less.", f"The smallest has {values.min():,.0f}.")
        within &= values <= most
    if not within.any():
        raise UsageError("No path meets all limits at once.", "Loosen one of them.")
    return within


@dataclass(frozen=True)
class Draw:
    """One repetition's luck: which seed of each of m paths a training shows, and what is left to judge by.

    Args:
        shown: (m,) validation accuracy that a training shows.
        judged: (m,) mean test accuracy over the other seeds; over all where validation and test have different seeds,
            or a path has only one.
        further: (m,) mean validation accuracy over the other seeds; the one shown where there is only one.
        seeds: (m,) how many seeds that mean is over.
    """

    shown: Floats
    judged: Floats
    further: Floats
    seeds: Floats

    @classmethod
    def of(cls, table: Table, rng: np.random.Generator) -> Draw:
        """Draw one seed of each path."""
        seeds = np.isfinite(table.validation).sum(axis=1)
        drawn = rng.integers(seeds)
        shown = table.validation[np.arange(len(seeds)), drawn]
        same = (np.isfinite(table.test).sum(axis=1) == seeds).all()
        judged = _without(table.test, drawn) if same else np.nanmean(table.test, axis=1)
        return cls(shown, judged, _without(table.validation, drawn), np.maximum(seeds - 1, 1).astype(np.float64))


def _without(values: Floats, drawn: NDArray[np.int64]) -> Floats:
    """Return the mean of each row without one of its values; that value where it is the only one."""
    chosen, count = values[np.arange(len(values)), drawn], np.isfinite(values).sum(axis=1)
    return np.where(count > 1, (np.nansum(values, axis=1) - chosen) / np.maximum(count - 1, 1), chosen)
