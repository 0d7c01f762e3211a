"""Which paths meet limits, how many do, and how near the nearest comes where none does."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from supernet_cli.config.limits import amount, exact
from supernet_cli.errors import UsageError
from supernet_cli.policies.additive import Additive, ceiling
from supernet_cli.policies.problem import MANY, Choices, Floats, Path

_WEIGHTINGS = 64
"""Weighted sums of limited figures by which paths near the limits are looked for."""

_RIDGE = 1e-3
"""Of the fit of an additive figure, so that candidates nobody measured count as average."""


@dataclass(frozen=True)
class Limit:
    """The largest value of one figure.

    Args:
        name: The figure: parameters, macs, latency or weights.
        most: Its largest value.
        figure: Its value along every path; an estimate where it has to be measured.
        measured: Its value for paths that were measured, where it has to be.
    """

    name: str
    most: float
    figure: Additive
    measured: Mapping[Path, float] | None = None

    def values(self, paths: Choices) -> Floats:
        """Return the figure of each path of a batch, (m,): as measured, otherwise as it adds up."""
        values = self.figure.along(paths)
        if self.measured:
            for row, path in enumerate(map(tuple, paths.tolist())):
                values[row] = self.measured.get(path, values[row])
        return values

    def is_met_by(self, paths: Choices) -> NDArray[np.bool_]:
        """Return whether each path of a batch meets it, (m,)."""
        return np.asarray(self.values(paths) <= ceiling(self.most))

    def text(self, value: float) -> str:
        """Return a value of the figure as it can be typed: exactly, but latencies in whole nanoseconds, rounded up."""
        return exact(self.name, math.ceil(value * 1e9 - 1e-3) / 1e9 if self.name == "latency" else value)

    def __str__(self) -> str:
        return f"{self.name} ≤ {amount(self.name, self.most)}"

    @property
    def count(self) -> int | None:
        """How many paths meet it; None if they cannot be counted, or the figure has to be measured."""
        return self.figure.count(self.most) if self.measured is None else None


@dataclass(frozen=True)
class Limits:
    """Limits on the paths of a space; without any, every path meets them.

    Args:
        decisions: Labels of the candidates of each decision.
        limits: The limits.
        refused: Paths that may not be chosen for other reasons.
    """

    decisions: tuple[tuple[str, ...], ...]
    limits: tuple[Limit, ...] = ()
    refused: frozenset[Path] = field(default=frozenset())

    def within(self, paths: Choices) -> NDArray[np.bool_]:
        """Return whether each path of a batch meets all limits, (m,)."""
        allowed = np.ones(len(paths), dtype=bool)
        for limit in self.limits:
            allowed &= limit.is_met_by(paths)
        if self.refused:
            allowed &= np.array([tuple(path) not in self.refused for path in paths.tolist()], dtype=bool)
        return allowed

    @property
    def examples(self) -> tuple[Path, ...]:
        """Some paths that meet the limits, found without looking at all; none if there are no limits."""
        found = self._near
        return tuple(map(tuple, found[self.within(found)].tolist()))

    def check(self) -> None:
        """Make sure that some path meets the limits.

        Raises:
            UsageError: None does; says how near the nearest comes.
        """
        for limit in self.limits:
            smallest = limit.figure.smallest if limit.measured is None else self._nearest((limit,))
            batch = np.array([smallest])
            if not limit.is_met_by(batch)[0]:
                raise UsageError(
                    f"No path has {limit.name} ≤ {limit.text(limit.most)}.",
                    f"The nearest is {self._name(smallest)}, with {limit.text(float(limit.values(batch)[0]))}.",
                )
        if len(self.limits) > 1:
            nearest = self._nearest(self.limits)
            batch = np.array([nearest])
            if not all(limit.is_met_by(batch)[0] for limit in self.limits):
                wanted = " and ".join(f"{limit.name} ≤ {limit.text(limit.most)}" for limit in self.limits)
                values = (f"{limit.name} {limit.text(float(limit.values(batch)[0]))}" for limit in self.limits)
                raise UsageError(
                    f"No path {'has' if self._all is not None else 'was found that has'} {wanted} at once.",
                    f"The nearest is {self._name(nearest)}, with {', '.join(values)}.",
                )

    @cached_property
    def _all(self) -> Choices | None:
        """All paths, (m, decisions); None in a space too large to enumerate."""
        widths = [len(labels) for labels in self.decisions]
        if math.prod(widths) > MANY:
            return None
        return np.array(list(itertools.product(*map(range, widths))), dtype=np.int64)

    def _nearest(self, limits: Sequence[Limit]) -> Path:
        """Return the path that exceeds limits least, or comes closest to doing so."""
        paths = self._near if self._all is None else self._all
        return tuple(paths[self._excess(paths, limits).argmin()].tolist())

    @cached_property
    def _near(self) -> Choices:
        """Paths that come near to meeting all limits, (m, decisions), found without looking at all.

        The smallest by several weighted sums of the limited figures, improved one decision at a time.
        """
        if not self.limits:
            return np.zeros((0, len(self.decisions)), dtype=np.int64)
        count = len(self.limits)
        weights = np.concatenate([np.eye(count), np.random.default_rng(0).dirichlet(np.ones(count), _WEIGHTINGS)])
        starts = set()
        for weighting in weights if count > 1 else weights[:1]:
            sums = [
                sum(
                    share / limit.most * np.array(limit.figure.candidates[place])
                    for share, limit in zip(weighting, self.limits, strict=True)
                )
                for place in range(len(self.decisions))
            ]
            starts.add(tuple(int(np.argmin(block)) for block in sums))
        return np.unique([self._descended(path) for path in sorted(starts)], axis=0)

    def _descended(self, path: Path) -> Path:
        """Return a path at which no other candidate of any single decision comes nearer to the limits."""
        best = float(self._excess(np.array([path]), self.limits)[0])
        improved = True
        while improved and best > 1:
            improved = False
            for place, labels in enumerate(self.decisions):
                others = np.array([(*path[:place], choice, *path[place + 1 :]) for choice in range(len(labels))])
                excess = self._excess(others, self.limits)
                if excess.min() < best - 1e-12:
                    best, path, improved = float(excess.min()), tuple(others[excess.argmin()].tolist()), True
        return path

    @staticmethod
    def _excess(paths: Choices, limits: Sequence[Limit]) -> Floats:
        """Return the largest share of a limit that each path uses, (m,): above 1, it exceeds one."""
        return np.asarray(np.max([limit.values(paths) / limit.most for limit in limits], axis=0))

    def _name(self, path: Path) -> str:
        return "_".join(labels[choice] for labels, choice in zip(self.decisions, path, strict=True))


def fitted(decisions: Sequence[Sequence[str]], measured: Mapping[Path, float]) -> Additive:
    """Return the additive figure that is closest to measurements of some paths, by least squares.

    Args:
        decisions: Labels of the candidates of each decision.
        measured: The figure of at least one path.
    """
    widths = [len(labels) for labels in decisions]
    starts = np.concatenate([[0], np.cumsum(widths)])
    paths, values = np.array(list(measured), dtype=np.int64), np.array(list(measured.values()))
    rows = np.zeros((len(paths), int(starts[-1])))
    for place, start in enumerate(starts[:-1]):
        rows[np.arange(len(paths)), start + paths[:, place]] = 1.0
    mean = float(values.mean())
    gram = rows.T @ rows + _RIDGE * np.eye(rows.shape[1])
    effects = np.linalg.solve(gram, rows.T @ (values - mean))
    candidates = tuple(
        tuple(effects[start : start + width].tolist()) for start, width in zip(starts[:-1], widths, strict=True)
    )
    return Additive(candidates, mean)
