"""Simulated worlds: tables whose expected accuracies are known, each drawn at random.

They are not drawn from the model. Accuracies come from sizes, effects of candidates (a few of which matter far more
than the others), interactions of pairs and a rest of each path's own, in shares that differ from world to world; the
best crowd below a limit; a one-shot score knows some of it, or nothing.
"""

from __future__ import annotations

import itertools

import numpy as np

from supernet_cli.policies.lookup import Lookup
from supernet_cli.policies.problem import Floats
from supernet_cli.policies.table import Table

_LABELS = ("conv3x3", "conv5x5", "sep3x3", "skip")
_DECISIONS = (_LABELS,) * 4
_PATHS = np.array(list(itertools.product(range(4), repeat=4)), dtype=np.int64)


def world(seed: int) -> Lookup:
    """Return a world of 256 paths: trainings show noisy accuracies of two seeds, test the expected ones."""
    rng = np.random.default_rng([seed, 201])
    cost = np.exp(rng.standard_normal(4))
    macs = cost[_PATHS].sum(axis=1) * 1e6
    parts = np.stack([_standard(part) for part in (np.log(macs), _alike(rng), _effects(rng), _pairs(rng), _own(rng))])
    shares = rng.dirichlet([1.0, 0.7, 1.0, 0.7, 0.2])
    latent = _standard(np.sqrt(shares) @ parts)
    known = rng.uniform(0, 0.95)
    score = known * latent + np.sqrt(1 - known**2) * rng.standard_normal(len(_PATHS))
    mean, skew = rng.uniform(0.4, 0.95), rng.uniform(0.05, 0.8)
    deviation = (1 - mean) * np.exp(rng.uniform(np.log(0.05), np.log(0.5)))
    expected = np.clip(mean + deviation * _standard(-np.exp(-skew * latent)), 0.01, 0.995)
    noise = deviation * rng.uniform(0.03, 0.25) * ((1 - expected) / (1 - mean))[:, None]  # the best vary least
    shown = np.clip(expected[:, None] + noise * rng.standard_normal((len(_PATHS), 2)), 0, 1)
    figures = {"macs": macs, "one-shot": score}
    return Lookup(Table("worlds", _DECISIONS, _PATHS, shown, expected[:, None], figures), {})


def _standard(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / values.std())


def _alike(rng: np.random.Generator) -> Floats:
    """Return smooth effects of how often a path takes each label."""
    counts = np.stack([(label == _PATHS).sum(axis=1) for label in range(4)], axis=1)
    return np.asarray(np.sqrt(counts) @ rng.standard_normal(4))


def _effects(rng: np.random.Generator) -> Floats:
    """Return heavy-tailed effects of each candidate in each decision."""
    effects = rng.standard_t(3, (4, 4))
    return np.asarray(sum(effects[place, _PATHS[:, place]] for place in range(4)))


def _pairs(rng: np.random.Generator) -> Floats:
    """Return effects of the candidates of each two decisions."""
    effects = rng.standard_normal((4, 4, 4, 4))
    pairs = itertools.combinations(range(4), 2)
    return np.asarray(sum(effects[one, other, _PATHS[:, one], _PATHS[:, other]] for one, other in pairs))


def _own(rng: np.random.Generator) -> Floats:
    return rng.standard_normal(len(_PATHS))
