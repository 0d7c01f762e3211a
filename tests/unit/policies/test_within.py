"""Limits on paths are exact: counted, checked, and kept by every policy in spaces of every size."""

from __future__ import annotations

import itertools
import subprocess
import sys
from fractions import Fraction
from pathlib import Path as File

import numpy as np
import pytest

from supernet_cli.config.catalog import entries
from supernet_cli.config.limits import parse_limits
from supernet_cli.errors import UsageError
from supernet_cli.policies import Evidence, Observation, Path, Problem, build_policy
from supernet_cli.policies.additive import Additive
from supernet_cli.policies.problem import Choices
from supernet_cli.policies.within import Limit, Limits

WIDTHS = (3, 4, 1, 2, 3)
DECISIONS = tuple(tuple(f"op{choice}" for choice in range(width)) for width in WIDTHS)
ALL: list[Path] = list(itertools.product(*map(range, WIDTHS)))


def whole(rng: np.random.Generator, most: int = 50) -> Additive:
    """Return a figure in whole numbers, with candidates that cost nothing."""
    costs = tuple(tuple(float(value) for value in rng.integers(0, most, width)) for width in WIDTHS)
    return Additive(costs, float(rng.integers(0, most)))


def exactly(figure: Additive, path: Path) -> Fraction:
    """Return the figure of a path as people write it: tenths are tenths."""
    parts = [block[choice] for block, choice in zip(figure.candidates, path, strict=True)]
    return sum((Fraction(str(part)) for part in (*parts, figure.rest)), Fraction())


@pytest.mark.parametrize("seed", range(5))
def test_paths_are_counted_as_by_looking_at_each(seed: int) -> None:
    figure = whole(np.random.default_rng(seed))
    for most in range(0, 260, 3):
        assert figure.count(most) == sum(exactly(figure, path) <= most for path in ALL)


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e-9])
def test_fractions_at_the_limit_are_within_in_whatever_order_they_are_added(scale: float) -> None:
    rng = np.random.default_rng(0)
    costs = tuple(tuple(float(f"{value * scale / 10:.6g}") for value in rng.integers(0, 30, w)) for w in WIDTHS)
    figure = Additive(costs, float(f"{0.1 * scale:.6g}"))
    paths = np.array(ALL)
    for most in {float(exactly(figure, path)) for path in ALL}:
        wanted = [exactly(figure, path) <= Fraction(str(most)) for path in ALL]
        limits = Limits(DECISIONS, (Limit("latency", most, figure),))
        assert limits.within(paths).tolist() == wanted
        assert figure.count(most) == sum(wanted)
        limits.check()


def test_whole_numbers_next_to_a_large_limit_are_told_apart() -> None:
    figure = Additive(((0.0, 1.0),), 10.0**12)
    assert [figure.count(10.0**12 + more) for more in (-1, 0, 1)] == [0, 1, 2]
    within = Limits((("a", "b"),), (Limit("macs", 1e12, figure),)).within(np.array([[0], [1]]))
    assert within.tolist() == [True, False]


def test_a_thousand_million_paths_are_counted_exactly() -> None:
    figure = Additive((tuple(map(float, range(8))),) * 10, 5.0)
    ways = np.array([1], dtype=object)
    for _ in range(10):
        ways = np.convolve(ways, np.ones(8, dtype=object))
    for most in (4, 5, 20, 40, 74, 75, 99):
        assert figure.count(most) == int(ways[: max(0, most - 4)].sum())
    assert Additive((tuple(map(float, range(8))),) * 20, 0.0).count(9) is None


@pytest.mark.parametrize("seed", range(8))
def test_what_no_path_meets_is_reported_with_the_nearest_which_can_be_typed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = whole(rng), whole(rng)
    least = min(exactly(one, path) for path in ALL)
    Limits(DECISIONS, (Limit("macs", max(1.0, float(least)), one),)).check()
    if least > 1:
        with pytest.raises(UsageError, match="No path has macs") as raised:
            Limits(DECISIONS, (Limit("macs", float(least) - 1, one),)).check()
        nearest = raised.value.hint.rpartition("with ")[2].removesuffix(".")
        assert parse_limits([f"macs={nearest}"])["macs"] == least
    for most, room in itertools.product(range(20, 160, 20), repeat=2):
        limits = (Limit("macs", float(most), one), Limit("parameters", float(room), other))
        exists = any(exactly(one, path) <= most and exactly(other, path) <= room for path in ALL)
        if exists:
            Limits(DECISIONS, limits).check()
            assert len(Limits(DECISIONS, limits).examples) <= len(ALL)
            continue
        with pytest.raises(UsageError, match="No path has") as raised:
            Limits(DECISIONS, limits).check()
        if "at once" in raised.value.message:
            label = raised.value.hint.removeprefix("The nearest is ").partition(",")[0]
            path = tuple(int(word[2:]) for word in label.split("_"))
            excess = {p: max(exactly(one, p) / most, exactly(other, p) / room) for p in ALL}
            assert excess[path] == min(excess.values())


def test_refused_paths_and_measured_values_count() -> None:
    figure = whole(np.random.default_rng(1))
    measured = {ALL[0]: 1e9, ALL[5]: 0.0}
    limits = Limits(DECISIONS, (Limit("latency", 80.0, figure, measured),), frozenset({ALL[5], ALL[6]}))
    wanted = [path not in (ALL[5], ALL[6]) and measured.get(path, float(exactly(figure, path))) <= 80 for path in ALL]
    assert limits.within(np.array(ALL)).tolist() == wanted
    assert limits.within(np.zeros((0, 5), dtype=np.int64)).tolist() == []
    assert Limits(DECISIONS, (), frozenset({ALL[0]})).examples == ()


@pytest.mark.parametrize("name", sorted(entries("policy")))
@pytest.mark.parametrize("seed", range(2))
def test_no_policy_proposes_or_takes_a_path_over_a_limit(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = whole(rng), whole(rng)
    paths = np.array(ALL)
    most, room = (float(np.quantile(figure.along(paths), 0.5)) for figure in (one, other))
    refused = frozenset(tuple(path) for path in paths[:: 5 + seed].tolist())
    limits = Limits(DECISIONS, (Limit("macs", most, one), Limit("parameters", room, other)), refused)

    def known(batch: Choices) -> np.ndarray:
        return np.stack([one.along(batch), np.where(batch[:, 0] == 1, np.nan, -batch[:, 1].astype(float))], axis=1)

    problem = Problem(
        DECISIONS, ("macs", "one-shot"), known, limits.within, size="macs", score="one-shot", examples=limits.examples
    )
    allowed = {path for path in ALL if exactly(one, path) <= most and exactly(other, path) <= room} - refused
    assert len(allowed) >= 4
    over = [path for path in ALL if path not in allowed][:3]
    seen = Evidence(problem, tuple(Observation(path, (0.9 + 0.01 * place,)) for place, path in enumerate(over)))
    policy = build_policy(name)
    while proposed := policy.propose(seen, rng, 3):
        assert set(proposed) <= allowed
        new = tuple(Observation(path, (0.5 + 0.02 * path[0],)) for path in proposed)
        seen = Evidence(problem, (*seen.observations, *new))
    assert {observation.path for observation in seen.observations} == allowed | set(over)


MEMORY = """
import resource, sys, time
import numpy as np
from supernet_cli.policies import Evidence, Observation, Problem
from supernet_cli.policies.additive import Additive
from supernet_cli.policies.answer import answer
from supernet_cli.policies.posterior import PosteriorPolicy
from supernet_cli.policies.within import Limit, Limits

blocks, ops = map(int, sys.argv[1:])
decisions = (tuple(f"op{op}" for op in range(ops)),) * blocks
figure = Additive((tuple(float(op) for op in range(ops)),) * blocks, 1.0)
limits = Limits(decisions, (Limit("macs", 0.25 * ops * blocks, figure),))
problem = Problem(
    decisions, ("macs",), lambda paths: np.log(figure.along(paths))[:, None], limits.within, size="macs",
    examples=limits.examples,
)
paths = [tuple(row) for row in np.unique(problem.sample(np.random.default_rng(0), 12), axis=0).tolist()]
seen = Evidence(problem, tuple(Observation(path, (0.5 + 0.01 * sum(path),)) for path in paths))
proposed = PosteriorPolicy().propose(seen, np.random.default_rng(0), 1)
found = answer(seen, figure.along, 20, np.random.default_rng(0))
assert len(proposed) == 1 and limits.within(np.array([found.choice.path, *proposed])).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time())
"""


def test_memory_and_time_do_not_grow_with_the_space() -> None:
    """A space of 15,625 paths is enumerated, one of a thousand million is not."""
    figures = {}
    for blocks, ops in ((6, 5), (10, 8)):
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(blocks), str(ops)],
            capture_output=True,
            text=True,
            check=True,
            cwd=File(__file__).parents[3],
        )
        kilobytes, seconds = map(float, done.stdout.split())
        figures[ops**blocks] = kilobytes * (1 if sys.platform != "darwin" else 1 / 1024)
        assert seconds < 120
    assert figures[8**10] < figures[5**6] + 200_000
