"""Which path to take, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from supernet_cli.policies.model import Posterior
from supernet_cli.policies.problem import Choices, Floats, Path, as_paths

LEVEL = 0.9
"""Of the intervals."""

_LEADING = 256
"""Paths that are compared with each other; what any other has to gain is next to nothing."""

_DRAWS = 2400


@dataclass(frozen=True)
class Choice:
    """The path to take.

    Args:
        path: The path.
        mean: Its expected validation accuracy.
        interval: 90 % interval for its expected accuracy.
        probability_best: That no other path within the limits is better.
        expected_regret: Accuracy that the best path is expected to have above it.
    """

    path: Path
    mean: float
    interval: tuple[float, float]
    probability_best: float
    expected_regret: float


def choose(posterior: Posterior, pool: Choices, rng: np.random.Generator, trained_only: bool = True) -> Choice:
    """Choose the path with the best expected accuracy.

    Args:
        posterior: What the trainings say.
        pool: (m, decisions) paths within the limits that it is compared with: all of a small space, the promising ones
            of a large one.
        rng: Draws accuracies.
        trained_only: Whether to choose among trained paths only, as long as one of them is within the limits.
    """
    trained, everything = posterior.trained.paths, posterior.predict(pool)
    trained = trained[posterior.model.problem.within_limits(trained)]
    best = trained[[int(posterior.predict(trained).mean.argmax())]] if len(trained) else trained
    if not len(best) or (not trained_only and everything.mean.max() > posterior.predict(best).mean[0]):
        best = pool[[int(everything.mean.argmax())]]
    gains = everything.improvement(float(posterior.predict(best).mean[0]))
    leading = pool[np.argsort(-gains, kind="stable")[:_LEADING]]
    leading = np.concatenate([best, leading[(leading != best).any(axis=1)]])
    drawn = posterior.draw(leading, _DRAWS, rng)
    prediction = posterior.predict(best)
    low, high = (float(prediction.quantile(level)[0]) for level in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Choice(
        as_paths(best)[0],
        float(prediction.mean[0]),
        (low, high),
        float((drawn.argmax(axis=1) == 0).mean()),
        _regret(drawn),
    )


def _regret(drawn: Floats) -> float:
    return float((drawn.max(axis=1) - drawn[:, 0]).mean())
