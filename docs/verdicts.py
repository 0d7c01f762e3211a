"""How often each word of the verdict appears, and how often *trust* is wrong, in simulated worlds of known truth.

    python docs/verdicts.py           write the tables into comparison.md: about an hour on one core
    python docs/verdicts.py 20        the same from 20 worlds per setting, printed only

In each world every path has an exact expected accuracy: effects of its candidates that add up, and a part of its own.
Supernets, sizes and trainings see it through bias and noise. *Trust* is wrong if the supernets' exact τ is below the
level that the word promises, or if ordering by size is exactly as good or better.
"""

from __future__ import annotations

import itertools
import math
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from supernet_cli.glyphs import number
from supernet_cli.reports.beliefs import beliefs_of
from supernet_cli.reports.comparison import RunComparison
from supernet_cli.reports.figures import Spread
from supernet_cli.reports.measured import bounds, measure
from supernet_cli.reports.parts import Baseline, Relabelling
from supernet_cli.reports.statistics.chance import relabel_p
from supernet_cli.reports.statistics.choice import Bounds
from supernet_cli.reports.statistics.posterior import tau_of_draws
from supernet_cli.reports.statistics.ranking import kendall_tau
from supernet_cli.reports.verdict import GOOD, judge

PAGE = Path(__file__).with_name("comparison.md")
WORDS = ("trust", "use with care", "not enough evidence", "do not trust")
LEVELS = (0.0, 0.3, 0.55, 0.8, 0.92)
"""τ that supernets are made to have, about."""

LIMITS = ((0.65, 0.35), (0.7, 0.35), (0.8, 0.7), (0.85, 0.85))
"""τ of the supernets and of size, about, where the rules are hardest to keep."""

SPACES = (((4, 4), None), ((4, 4, 4), 16), ((4, 4, 4), None))
"""Candidates of each block, and how many paths are trained from scratch: None for all."""


@dataclass(frozen=True)
class World:
    """A space whose truth is known: m paths, R supernets, S seeds.

    Args:
        choices: (m, b) position of each path's candidate in each block.
        exact: (m,) expected accuracies.
        scores: (R, m) one-shot scores.
        size: (m,) sizes.
        accuracies: (m, S) of trainings from scratch.
        trained: (n,) indices of the paths trained.
    """

    choices: np.ndarray
    exact: np.ndarray
    scores: np.ndarray
    size: np.ndarray
    accuracies: np.ndarray
    trained: np.ndarray

    @property
    def tau(self) -> float:
        """The supernets' exact τ, mean over supernets."""
        return float(np.mean([kendall_tau(row, self.exact) for row in self.scores]))

    @property
    def tau_of_size(self) -> float:
        """The exact τ of ordering by size."""
        return float(kendall_tau(self.size, self.exact) or 0.0)


def world(
    rng: np.random.Generator,
    tau: float,
    blocks: Sequence[int] = (4, 4, 4),
    trained: int | None = None,
    supernets: int = 1,
    seeds: int = 3,
    size: float = 0.35,
    noise: float = 0.35,
    own: float = 0.4,
    skew: float = 0.0,
    unstable: float = 0.0,
) -> World:
    """Draw a world.

    Args:
        rng: Draws.
        tau: Of the supernets with the truth, about; worlds differ.
        blocks: Candidates of each block.
        trained: Paths trained from scratch, drawn at random (default: all).
        supernets: R.
        seeds: S.
        size: τ of size with the truth, about.
        noise: Standard deviation between seeds, relative to that between paths.
        own: Standard deviation of each path's own part, relative to the additive one.
        skew: 0 for symmetric accuracies; 1 for a long tail of poor paths.
        unstable: Share of paths with five times the noise.
    """
    choices = np.array(list(itertools.product(*map(range, blocks))))
    count = len(choices)

    def effects() -> np.ndarray:
        return _standardised(_standardised(_additive(rng, choices, blocks)) + own * rng.standard_normal(count))

    exact = effects()
    if skew:
        exact = _standardised(-np.exp(-skew * exact))
    seen = _mixed(tau, exact, effects())
    between = 0.3 * math.sqrt(1 - math.sin(math.pi * tau / 2) ** 2)
    scores = seen + between * rng.standard_normal((supernets, count))
    deviation = noise * np.where(rng.random(count) < unstable, 5.0, 1.0)
    accuracies = exact[:, None] + deviation[:, None] * rng.standard_normal((count, seeds))
    rows = np.arange(count) if trained is None else np.sort(rng.permutation(count)[:trained])
    return World(
        choices, _accuracy(exact), scores, _mixed(size, exact, effects()), np.round(_accuracy(accuracies), 4), rows
    )


def comparison_of(world: World, rng: np.random.Generator) -> RunComparison:
    """Return what the rules of the verdict read, computed as `supernet compare` does."""
    n, size = len(world.trained), len(world.choices)
    order = np.concatenate([world.trained, np.setdiff1d(np.arange(size), world.trained)])
    draws = beliefs_of(
        world.accuracies[world.trained], [world.scores[:, order], world.size[order]], world.choices[order], rng
    )[::4]
    tau, other = (tau_of_draws(each, draws) for each in (world.scores[:, order], world.size[order]))
    blocks = [len(np.unique(column)) for column in world.choices.T]
    tested = relabel_p(
        world.choices, world.scores, world.accuracies[world.trained], world.trained, blocks, rng, draws=500
    )
    assert tau is not None
    assert other is not None
    return RunComparison(
        n=n,
        space_size=size,
        coverage="all" if n == size else "sample",
        relabelling=Relabelling(smallest_p=tested.smallest.value, relabellings=tested.relabellings),
        relabel_p=measure(tested.p),
        kendall_tau=Spread(mean=float(tau.mean())),
        kendall_tau_expected=bounds(Bounds.of(tau)),
        baselines=(
            Baseline(name="random", kendall_tau=0.0),
            Baseline(name="macs", kendall_tau=float(other.mean()), difference=bounds(Bounds.of(tau - other))),
        ),
    )


def is_wrong(word: str, world: World) -> bool:
    """Whether a world does not keep what *trust* promises."""
    return word == "trust" and (world.tau < GOOD or world.tau <= world.tau_of_size)


def words(worlds: int) -> str:
    """Return how often each word appears, and how often *trust* is wrong, by evidence and exact τ."""
    rows = []
    for (blocks, trained), seeds, supernets in itertools.product(SPACES, (1, 3), (1, 3)):
        for level in LEVELS:
            rng = np.random.default_rng([len(blocks), trained or 0, seeds, supernets, round(100 * level)])
            drawn = _Drawn.of(rng, worlds, level, blocks, trained, supernets, seeds)
            rows.append((_paths(blocks, trained), str(seeds), str(supernets), number(drawn.tau), *drawn.cells))
    return _table(("paths trained", "S", "R", "exact τ"), rows)


def limits(worlds: int) -> str:
    """Return the same where *trust* is hard to earn: τ near the level it promises, or size nearly as good or better."""
    rows = []
    for seeds, (blocks, trained), (level, size) in itertools.product((1, 3), SPACES, LIMITS):
        seed = [seeds, len(blocks), trained or 0, int(100 * level), int(100 * size)]
        drawn = _Drawn.of(np.random.default_rng(seed), worlds, level, blocks, trained, 1, seeds, size=size)
        taus = (number(drawn.tau), number(drawn.tau_of_size))
        rows.append((_paths(blocks, trained), str(seeds), *taus, *drawn.cells))
    return _table(("paths trained", "S", "exact τ", "exact τ of size"), rows)


@dataclass(frozen=True)
class _Drawn:
    """What came out of the worlds of one setting: mean exact τ of the supernets and of size, and the cells of a row."""

    tau: float
    tau_of_size: float
    cells: tuple[str, ...]

    @classmethod
    def of(cls, rng: np.random.Generator, worlds: int, *setting: Any, **more: Any) -> _Drawn:
        found: Counter[str] = Counter()
        wrong, taus, sizes = 0, [], []
        for _ in range(worlds):
            drawn = world(rng, *setting, **more)
            word = judge(comparison_of(drawn, rng)).word
            found[word] += 1
            wrong += is_wrong(word, drawn)
            taus.append(drawn.tau)
            sizes.append(drawn.tau_of_size)
        shares = [f"{100 * found[word] / worlds:.0f} %" if found[word] else "" for word in WORDS]
        cells = (*shares, f"{100 * wrong / worlds:.1f} %")
        return cls(float(np.mean(taus)), float(np.mean(sizes)), cells)


def _paths(blocks: Sequence[int], trained: int | None) -> str:
    size = math.prod(blocks)
    return f"{size}" if trained is None else f"{trained} of {size}"


def _table(setting: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = (*setting, *(f"*{word}*" for word in WORDS), "*trust* is wrong")
    lines = [head, [":--", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _additive(rng: np.random.Generator, choices: np.ndarray, blocks: Sequence[int]) -> np.ndarray:
    return np.asarray(sum(rng.standard_normal(count)[choices[:, block]] for block, count in enumerate(blocks)))


def _standardised(values: np.ndarray) -> np.ndarray:
    return np.asarray((values - values.mean()) / values.std())


def _mixed(tau: float, exact: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return an order that agrees with the truth at about τ."""
    share = math.sin(math.pi * tau / 2)
    return share * exact + math.sqrt(1 - share**2) * other


def _accuracy(values: np.ndarray) -> np.ndarray:
    return np.clip(0.85 + 0.02 * values, 0.0, 1.0)


if __name__ == "__main__":
    page = PAGE.read_text()
    for make in (words, limits):
        text = make(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
        if len(sys.argv) > 1:
            print(text, end="\n\n")
            continue
        place = re.compile(rf"(<!-- table: {make.__name__} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, count = place.subn(rf"\g<1>{text}\n\g<2>", page)
        assert count == 1
    PAGE.write_text(page)
