"""Promising paths of a space that is too large to be enumerated, grown by evolution on what a model expects."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from supernet_cli.policies.problem import Choices, Floats, Path, Problem

_RANDOM = 1024
_KEPT = 256
_ROUNDS = 12


def grown(
    problem: Problem, value: Callable[[Choices], Floats], rng: np.random.Generator, trained: Sequence[Path]
) -> Choices:
    """Return paths within the limits that are worth much, (m, decisions): m stays the same however large the space.

    Random paths and those trained are the first generation. Of each, the best survive, and the next is they, crossed
    and changed at random.

    Args:
        problem: The space and its limits.
        value: What each path of a batch is worth.
        rng: Draws.
        trained: Paths known to be worth a look at what surrounds them.
    """
    population = problem.sample(rng, _RANDOM)
    if trained:
        population = np.concatenate([population, np.array(trained, dtype=np.int64)])
    population = _best(population, value)
    for _ in range(_ROUNDS):
        children = np.concatenate([problem.mutated(population, rng), problem.mutated(_crossed(population, rng), rng)])
        children = np.concatenate([children, _crossed(population, rng)])
        children = children[problem.within_limits(children)]
        population = _best(np.concatenate([population, children]), value)
    return population


def _best(paths: Choices, value: Callable[[Choices], Floats]) -> Choices:
    paths = np.unique(paths, axis=0)
    return paths[np.argsort(-value(paths), kind="stable")[:_KEPT]]


def _crossed(paths: Choices, rng: np.random.Generator) -> Choices:
    """Return each path with about half of its choices from another."""
    partners = paths[rng.permutation(len(paths))]
    return np.where(rng.random(paths.shape) < 0.5, paths, partners)
