"""Every policy of the catalog keeps the contract."""

from __future__ import annotations

import json

import numpy as np
import pytest

from supernet_cli.config.catalog import entries
from supernet_cli.errors import UsageError
from supernet_cli.policies import Evidence, Observation, Path, Policy, Problem, build_policy
from supernet_cli.policies.answer import answer
from supernet_cli.policies.problem import Choices, as_paths

NAMES = sorted(entries("policy"))
DECISIONS = (("conv3x3", "conv5x5", "skip"),) * 3 + (("a", "b"), ("only",))
COSTS = (np.array([3.0, 5.0, 0.5]),) * 3 + (np.array([1.0, 2.0]), np.array([1.0]))


def sizes(paths: Choices) -> np.ndarray:
    return sum(cost[paths[:, place]] for place, cost in enumerate(COSTS))


def figures(paths: Choices) -> np.ndarray:
    return np.stack([np.log(sizes(paths)), np.where(paths[:, 0] == 1, np.nan, -paths[:, 1].astype(float))], axis=1)


def problem(limit: float = np.inf) -> Problem:
    return Problem(
        DECISIONS, ("macs", "one-shot"), figures, lambda paths: sizes(paths) <= limit, size="macs", score="one-shot"
    )


def accuracy(path: Path) -> float:
    return 0.9 - 0.05 * (path[0] - 1) ** 2 - 0.02 * path[1] - 0.01 * path[2] * path[3]


def search(policy: Policy, what: Problem, rng: np.random.Generator, counts: list[int], seen: Evidence) -> Evidence:
    """Train what the policy proposes, in batches of these sizes."""
    for count in counts:
        paths = policy.propose(seen, rng, count)
        new = tuple(Observation(path, (accuracy(path),)) for path in paths)
        seen = Evidence(what, (*seen.observations, *new))
    return seen


@pytest.mark.parametrize("name", NAMES)
def test_the_same_generator_gives_the_same_proposals(name: str) -> None:
    found = [
        search(build_policy(name), problem(), np.random.default_rng(5), [1, 1, 2, 1, 1, 3], Evidence(problem()))
        for _ in range(2)
    ]
    assert found[0].observations == found[1].observations


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_policy_goes_on_as_if_it_had_never_stopped(name: str) -> None:
    what, rng, whole = problem(), np.random.default_rng(7), build_policy(name)
    middle = search(whole, what, rng, [1] * 7, Evidence(what))
    state, numbers = json.loads(json.dumps(whole.state())), rng.bit_generator.state
    end = search(whole, what, rng, [1, 2, 1, 1], middle)
    again, later = build_policy(name), np.random.default_rng()
    again.restore(state)
    later.bit_generator.state = numbers
    assert search(again, what, later, [1, 2, 1, 1], middle).observations == end.observations
    assert again.state() == whole.state()
    assert again.pick(end, later) == whole.pick(end, rng)


@pytest.mark.parametrize("name", NAMES)
def test_limits_are_never_violated_and_no_path_is_repeated_before_all_are_trained(name: str) -> None:
    what = problem(9.0)
    assert what.paths is not None
    within = {path for path in as_paths(problem().paths) if sum(c[i] for c, i in zip(COSTS, path, strict=True)) <= 9}
    assert set(as_paths(what.paths)) == within
    assert 10 < len(within) < 54
    seen = search(build_policy(name), what, np.random.default_rng(1), [1, 4] * len(within), Evidence(what))
    trained = [observation.path for observation in seen.observations]
    assert len(trained) == len(set(trained)) == len(within)
    assert set(trained) == within
    assert build_policy(name).propose(seen, np.random.default_rng(1), 2) == []


@pytest.mark.parametrize("name", NAMES)
def test_paths_that_are_being_trained_are_not_proposed_again(name: str) -> None:
    what, policy, rng = problem(), build_policy(name), np.random.default_rng(3)
    pending: list[Path] = []
    for _ in range(5):
        pending += policy.propose(Evidence(what, (), tuple(pending)), rng, 2)
    assert len(set(pending)) == len(pending) == 10
    done = tuple(Observation(path, (accuracy(path),)) for path in pending[:6])
    fresh = policy.propose(Evidence(what, done, tuple(pending[6:])), rng, 4)
    assert len(set(fresh) - set(pending)) == 4


@pytest.mark.parametrize("name", NAMES)
def test_a_pick_is_a_trained_path(name: str) -> None:
    what, policy = problem(), build_policy(name)
    with pytest.raises(ValueError, match="no path is trained"):
        policy.pick(Evidence(what), np.random.default_rng(0))
    seen = search(policy, what, np.random.default_rng(0), [3, 1, 1], Evidence(what))
    assert policy.pick(seen, np.random.default_rng(0)) in {observation.path for observation in seen.observations}


@pytest.mark.parametrize("name", NAMES)
def test_a_space_of_a_thousand_million_paths_is_searched_within_narrow_limits(name: str) -> None:
    asked = []

    def known(paths: Choices) -> np.ndarray:
        asked.append(len(paths))
        return np.log(1.0 + paths.sum(axis=1))[:, None]

    def within(paths: Choices) -> np.ndarray:
        return paths.sum(axis=1) <= 12

    what = Problem(
        (tuple("abcdefgh"),) * 10, ("macs",), known, within, size="macs", score="macs", examples=((0,) * 10,)
    )
    assert what.count > 10**9
    assert what.paths is None
    policy, rng, seen = build_policy(name), np.random.default_rng(2), Evidence(what)
    for _ in range(5):
        paths = policy.propose(seen, rng, 2)
        assert len(set(paths)) == 2
        assert all(sum(path) <= 12 for path in paths)
        new = tuple(Observation(path, (0.5 + 0.01 * sum(path[:5]),)) for path in paths)
        seen = Evidence(what, (*seen.observations, *new))
    assert len(seen.taken) == 10
    assert max(asked, default=0) <= 20_000


def test_limits_that_no_path_meets_are_an_error() -> None:
    with pytest.raises(UsageError, match="No path meets the limits"):
        _ = problem(0.1).paths
    unreachable = Problem((tuple("abcdefgh"),) * 10, within_limits=lambda paths: np.zeros(len(paths), dtype=bool))
    with pytest.raises(UsageError, match="No path was found"):
        unreachable.sample(np.random.default_rng(0), 4)


def test_the_largest_and_the_best_scored_come_first() -> None:
    what, rng = problem(), np.random.default_rng(0)
    first = build_policy("largest").propose(Evidence(what), rng, 3)
    assert first[0] == (1, 1, 1, 1, 0)
    assert [sum(c[i] for c, i in zip(COSTS, path, strict=True)) for path in first] == [18, 17, 16]
    scored = build_policy("one-shot").propose(Evidence(what), rng, 12)
    assert all(path[0] != 1 and path[1] == 0 for path in scored)


def test_evolution_changes_one_choice_of_a_living_path() -> None:
    what, policy, rng = problem(), build_policy("evolution", population=4, sample=4), np.random.default_rng(0)
    seen = search(policy, what, rng, [1] * 9, Evidence(what))
    for place in range(4, 9):
        alive = seen.observations[place - 4 : place]
        best = max(observation.mean for observation in alive)
        parents, child = [each.path for each in alive if each.mean == best], seen.observations[place].path
        assert 1 in [sum(one != other for one, other in zip(parent, child, strict=True)) for parent in parents]
    with pytest.raises(ValueError, match="population"):
        build_policy("evolution", population=1)


def test_local_search_ends_at_a_path_without_better_neighbours_before_it_starts_elsewhere() -> None:
    what, policy, rng = problem(), build_policy("local"), np.random.default_rng(4)
    seen = search(policy, what, rng, [1] * 40, Evidence(what))
    trained = {observation.path: observation.mean for observation in seen.observations}
    best = policy.pick(seen, rng)
    assert all(trained.get(path, 1.0) <= trained[best] for path in as_paths(what.neighbours(best)))


def test_the_model_tries_every_candidate_early() -> None:
    """Each training brings in untried ones: only that shows which few matter far more than others."""
    labels = tuple("abcde")
    what, rng, seen = Problem((labels,) * 4, ("macs",), figures_of_many, size="macs"), np.random.default_rng(0), ()
    policy = build_policy("posterior")
    for _ in range(10):
        (path,) = policy.propose(Evidence(what, seen), rng, 1)
        seen = (*seen, Observation(path, (0.5 + 0.02 * (path[0] == 0) + 0.01 * (path[1] == 1),)))
    tried = np.array([observation.path for observation in seen])
    assert [len(np.unique(column)) for column in tried.T] == [5] * 4


def figures_of_many(paths: Choices) -> np.ndarray:
    return np.log(1.0 + paths.sum(axis=1))[:, None]


def test_the_model_starts_with_paths_that_differ_in_every_decision() -> None:
    what = Problem((tuple("abc"),) * 6)
    for seed in range(5):
        policy = build_policy("posterior")
        seen = search(policy, what, np.random.default_rng(seed), [1, 1, 1], Evidence(what))
        paths = np.array([each.path for each in seen.observations])
        assert all(len(set(column)) == 3 for column in paths.T.tolist())


def test_a_size_that_hardly_differs_between_paths_does_not_lead_the_model() -> None:
    """Otherwise paths of equal cost would be tried by a size that is the same for all."""

    def starts(spread: float) -> set[Path]:
        def known(paths: Choices) -> np.ndarray:
            return spread * paths.sum(axis=1, keepdims=True).astype(float)

        what = Problem((tuple("abcd"),) * 3, ("macs",), known, size="macs")
        first = [build_policy("posterior").propose(Evidence(what), np.random.default_rng(seed), 1) for seed in range(8)]
        return {path for (path,) in first}

    assert starts(0.2) == {(3, 3, 3)}
    assert len(starts(0.01)) > 4


def test_an_answer_in_a_space_of_a_thousand_million_paths_of_which_a_few_have_scores() -> None:
    decisions = (tuple("abcd"),) * 15
    rng = np.random.default_rng(0)
    scored = {tuple(path): float(score) for score, path in enumerate(rng.integers(0, 4, (20, 15)).tolist())}

    def known(paths: Choices) -> np.ndarray:
        scores = [scored.get(path, np.nan) for path in as_paths(paths)]
        return np.stack([np.log(1.0 + paths.sum(axis=1)), scores], axis=1)

    what = Problem(decisions, ("macs", "one-shot"), known, size="macs", score="one-shot", measured=tuple(scored))
    best = max(scored, key=lambda path: scored[path])
    assert build_policy("one-shot").propose(Evidence(what), rng, 1) == [best]
    seen = tuple(Observation(path, (0.5 + 0.01 * place,)) for place, path in enumerate(list(scored)[:3]))
    found = answer(Evidence(what, seen), lambda paths: paths.sum(axis=1).astype(float), 5, rng)
    assert found.choice.path in scored
    assert set(found.rivals) == {"random", "largest", "one-shot"}
    unscored = Problem(decisions, ("macs", "one-shot"), known, size="macs", score="one-shot")
    assert set(answer(Evidence(unscored, seen), lambda paths: paths.sum(axis=1).astype(float), 5, rng).rivals) == {
        "random",
        "largest",
    }
