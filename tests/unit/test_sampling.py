from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from helpers import TWO, context_of, space_of

from supernet_cli.config.catalog import entries
from supernet_cli.sampling import Adaptive, Context, Part, Reporting, Sampler, StepPlan, build_sampler
from supernet_cli.space import Architecture, Bundle, PathCosts, SearchSpace

SPACE = space_of(TWO, TWO)
THREE = space_of(*[["conv1x1", "conv3x3", "conv5x5"]] * 3)
FOUR = space_of(*[["conv1x1", "conv3x3", "conv5x5", "conv7x7"]] * 3)
NAMES = sorted(entries("sampler"))


def sampler(name: str, seed: int = 0, space: SearchSpace = SPACE, **parameters: Any) -> Sampler:
    return build_sampler(name, space, random.Random(seed), parameters, context_of(space))


def run(strategy: Sampler, steps: range) -> list[StepPlan]:
    """Return the plans of some steps, with feedback where it is heard, as a training would give it."""
    plans = []
    for step in steps:
        plans.append(strategy.plan(step, step // 10))
        path = plans[-1].passes[0].path
        if isinstance(strategy, Adaptive) and isinstance(path, Architecture) and step % strategy.feedback_every == 0:
            strategy.feedback(path, sum(path.choices) / 10)
    return plans


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_sampler_goes_on_as_if_it_had_never_stopped(name: str) -> None:
    whole = sampler(name, 3)
    plans = run(whole, range(60))
    first = sampler(name, 3)
    run(first, range(25))
    second = sampler(name, 99)
    second.restore(json.loads(json.dumps(first.state())))
    assert run(second, range(25, 60)) == plans[25:]
    assert second.state() == whole.state()
    if isinstance(second, Reporting) and isinstance(whole, Reporting):
        assert second.report() == whole.report()


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_runs_as_many_images_forward_as_its_sampler_says(name: str) -> None:
    strategy = sampler(name, space=THREE)
    for plan in run(strategy, range(20)):
        assert sum(each.images(64) for each in plan.passes) == 64 * strategy.passes_per_step


@pytest.mark.parametrize("name", NAMES)
def test_an_epoch_has_the_same_forward_images_whatever_the_strategy(name: str) -> None:
    strategy = sampler(name, space=THREE)
    steps = replace(context_of(THREE), images=6000, batch_size=10).steps(strategy.passes_per_step)
    assert steps * strategy.passes_per_step * 10 == 6000


@pytest.mark.parametrize("name", NAMES)
def test_plans_hold_what_the_space_has_and_a_teacher_before_its_students(name: str) -> None:
    for plan in run(sampler(name, space=THREE), range(30)):
        roles = [each.role for each in plan.passes]
        assert "student" not in roles or roles[0] == "teacher"
        for each in plan.passes:
            choices = each.path.choices if isinstance(each.path, Bundle) else [(c,) for c in each.path.choices]
            assert len(choices) == 3
            assert all(kept and set(kept) <= {0, 1, 2} and len(set(kept)) == len(kept) for kept in choices)


def test_uniform_draws_every_path_equally_often() -> None:
    counts = Counter(plan.passes[0].path for plan in run(sampler("uniform"), range(8000)))
    assert sum((count - 2000) ** 2 / 2000 for count in counts.values()) < 16.3  # 99.9 %, 3 degrees of freedom
    assert len(counts) == 4


def test_epoch_keeps_its_path_for_an_epoch_and_draws_a_new_one_for_the_next() -> None:
    strategy = sampler("epoch")
    epochs = [{strategy.plan(10 * epoch + step, epoch).passes for step in range(10)} for epoch in range(200)]
    assert all(len(paths) == 1 for paths in epochs)
    counts = Counter(next(iter(paths)) for paths in epochs)
    assert len(counts) == 4


def test_fair_trains_every_candidate_exactly_once_a_step_over_the_whole_mini_batch() -> None:
    drawn: Counter[object] = Counter()
    for plan in run(sampler("fair", space=THREE), range(300)):
        assert [each.part for each in plan.passes] == [None] * 3
        for block in range(3):
            assert sorted(each.path.choices[block] for each in plan.passes) == [0, 1, 2]
        drawn.update(each.path for each in plan.passes)
    assert len(drawn) == 27  # permutations are drawn for each block on its own
    assert min(drawn.values()) > 10


def test_fair_in_parts_trains_every_candidate_on_its_own_part_of_the_mini_batch() -> None:
    whole, parts = sampler("fair", space=THREE), sampler("fair", space=THREE, parts=True)
    assert parts.passes_per_step == 1
    for plan, same in zip(run(parts, range(50)), run(whole, range(50)), strict=True):
        assert [each.path for each in plan.passes] == [each.path for each in same.passes]
        bounds = [each.part.bounds(64) for each in plan.passes]
        assert bounds == [(0, 21), (21, 42), (42, 64)]


@pytest.mark.parametrize(
    ("parts", "batch_size", "message"), [(1, 64, "must be true or false"), (True, 5, "batch size of 6 or more")]
)
def test_fair_refuses_parts_that_cannot_be(parts: object, batch_size: int, message: str) -> None:
    context = replace(context_of(THREE), batch_size=batch_size)
    with pytest.raises(ValueError, match=message):
        build_sampler("fair", THREE, random.Random(0), {"parts": parts}, context)


def test_fair_refuses_blocks_of_unequal_size() -> None:
    with pytest.raises(ValueError, match="block 1 has 2, block 2 has 3"):
        sampler("fair", space=space_of(TWO, ["conv1x1", "conv3x3", "conv5x5"]))


def test_path_dropout_keeps_everything_at_first_and_ever_less_until_its_highest_rate() -> None:
    context = Context(1, 1_000_000, 100, PathCosts((), 0))
    for ghost, combine in ((1, "mean"), (4, "sum")):
        parameters = {"rate": 0.3, "ghost": ghost, "combine": combine}
        strategy = build_sampler("path-dropout", FOUR, random.Random(0), parameters, context)
        first = strategy.plan(0, 0)
        assert len(first.passes) == ghost
        assert first.passes[0].path == Bundle(((0, 1, 2, 3),) * 3, combine)  # type: ignore[arg-type]
        kept = Counter[int]()
        for _ in range(6000 // ghost):
            kept.update(map(_kept, strategy.plan(9_999, 0).passes))
        p = 0.3 ** (1 / 4)
        expected = 3 * 4 * (1 - (p - p**4) / (1 - p**4))  # candidates of three blocks that are not dropped
        assert sum(number * count for number, count in kept.items()) / 6000 == pytest.approx(expected, abs=0.05)


def _kept(each: Any) -> int:
    return sum(len(kept) for kept in each.path.choices) if isinstance(each.path, Bundle) else len(each.path.choices)


def test_path_dropout_tells_its_rates_and_how_often_it_trained_what_is_judged() -> None:
    strategy = build_sampler("path-dropout", FOUR, random.Random(0), {"rate": 0.05}, context_of(FOUR))
    plans = [strategy.plan(59, 0) for _ in range(5000)]
    assert isinstance(strategy, Reporting)
    figures = strategy.report()
    p = 0.05**0.25
    assert figures["nominal_rate"] == pytest.approx(p)
    assert figures["effective_rate"] == pytest.approx((p - 0.05) / 0.95)
    assert figures["single_paths_expected"] == pytest.approx(0.013, abs=0.0005)  # known for these numbers
    single = sum(isinstance(each.path, Architecture) for plan in plans for each in plan.passes)
    assert figures["single_paths"] == single / 20_000 == pytest.approx(0.013, abs=0.003)
    assert strategy.report()["single_paths"] == 0.0


def test_parts_are_the_whole_without_overlap_and_never_a_single_image() -> None:
    for size in range(1, 70):
        bounds = [Part(index, 8).bounds(size) for index in range(8)]
        parts = [(first, end) for first, end in bounds if end > first]
        assert [first for first, _ in parts] == [0, *(end for _, end in parts[:-1])]
        assert parts[-1][1] == size
        assert size == 1 or all(end - first >= 2 for first, end in parts)
    assert [Part(index, 3).bounds(9) for index in range(3)] == [(0, 3), (3, 6), (6, 9)]


def test_sandwich_takes_the_dearest_path_the_cheapest_and_two_random_ones() -> None:
    costs = PathCosts(((5, 1, 3), (1, 2, 9), (4, 4, 4)), 0)
    strategy = build_sampler("sandwich", THREE, random.Random(0), {}, Context(1, 600, 10, costs))
    plans = run(strategy, range(200))
    for plan in plans:
        assert [each.role for each in plan.passes] == ["teacher", "student", "student", "student"]
        assert [each.path.choices for each in plan.passes[:2]] == [(0, 2, 0), (1, 0, 2)]
    assert len({each.path for plan in plans for each in plan.passes[2:]}) == 27


def test_the_bandit_prefers_what_did_well_lately_and_forgets_the_rest() -> None:
    strategy = sampler("bandit", space=THREE, epsilon=0.1, window=20)
    assert isinstance(strategy, Adaptive)

    def taught(good: int) -> Counter[int]:
        for choice in (0, 1, 2) * 20:
            strategy.feedback(THREE.architecture([choice] * 3), 0.9 if choice == good else 0.1)
        return Counter(choice for step in range(500) for choice in strategy.plan(step, 0).passes[0].path.choices)

    assert taught(2)[2] > 0.85 * 1500
    assert taught(0)[0] > 0.85 * 1500
    fresh = sampler("bandit", space=THREE, epsilon=0.0)
    seen = Counter(choice for step in range(300) for choice in fresh.plan(step, 0).passes[0].path.choices)
    assert min(seen.values()) > 200  # as long as nothing was heard, everything is worth a try


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("path-dropout", {"rate": 1.0}, "rate = 1.0: must be a number from 0 to 0.99"),
        ("path-dropout", {"rate": "x"}, "rate = 'x'"),
        ("path-dropout", {"ghost": 0}, "ghost = 0: must be a whole number from 1 to 64"),
        ("path-dropout", {"combine": "max"}, 'must be "mean" or "sum"'),
        ("bandit", {"epsilon": -0.1}, "epsilon"),
        ("bandit", {"window": 2.5}, "window"),
        ("bandit", {"held_out": 301}, "held_out = 301: must be a whole number from 1 to 300"),
        ("bandit", {"every": True}, "every"),
    ],
)
def test_a_parameter_that_cannot_be_is_told(name: str, parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sampler(name, **parameters)


def test_a_bundle_costs_its_candidates_and_what_all_share_once() -> None:
    costs = PathCosts(((1, 2, 4), (10, 20, 40)), 100, 1000, (10_000, 20_000))
    assert costs.of_bundle(Bundle(((0, 2), (0, 1, 2)))) == 31_000 + 100 + 5 + 70
    path = space_of(*[["conv1x1", "conv3x3", "conv5x5"]] * 2).architecture([1, 2])
    assert costs.of_bundle(Bundle(((1,), (2,)))) == costs.of(path) == 31_000 + 100 + 2 + 40
