"""The rows of a comparison: what is known of each path."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from supernet_cli.reports.beliefs import Beliefs
from supernet_cli.reports.comparison import PathRow
from supernet_cli.reports.facts import Facts, mean
from supernet_cli.reports.scores import BySeed
from supernet_cli.store.results import ScoreRow


def rows(facts: Facts, beliefs: Beliefs) -> tuple[PathRow, ...]:
    """Return one row per path: first those trained from scratch, by index, then the others that have scores."""
    trained = {str(path): index for index, path in enumerate(facts.truth.paths)}
    scored = dict.fromkeys(name for seed in facts.seeds for name in facts.one_shot[seed])
    others = (name for name in scored if name not in trained)
    return tuple(_row(facts, beliefs, name, trained.get(name)) for name in [*trained, *others])


def _row(facts: Facts, beliefs: Beliefs, name: str, index: int | None) -> PathRow:
    import numpy as np

    truth = facts.truth
    seeds = [] if index is None else np.flatnonzero(np.isfinite(truth.test[index])).tolist()
    alone, loss, validation = (
        figures[index, seeds].tolist() if seeds else [] for figures in (truth.test, truth.test_loss, truth.validation)
    )
    one_shot = _known(facts.one_shot_test, facts.seeds, name)
    test = _mean_of(facts.one_shot_test, facts.seeds, name, lambda row: row.accuracy)
    accuracy = _mean(alone)
    expected = None if index is None else beliefs.expected(name)
    return PathRow(
        path=name,
        one_shot_validation_loss=_mean_of(facts.one_shot, facts.seeds, name, lambda row: row.loss),
        one_shot_validation_accuracy=_mean_of(facts.one_shot, facts.seeds, name, lambda row: row.accuracy),
        one_shot_test_accuracy=test,
        one_shot_test_sd=_sd([row.accuracy for row in one_shot]),
        stand_alone_test_accuracy=accuracy,
        stand_alone_sd=_sd(alone),
        stand_alone_test_loss=_mean(loss),
        stand_alone_validation_accuracy=_mean(validation),
        stand_alone_seeds=len(seeds),
        expected_accuracy=None if expected is None else expected.mean,
        expected_error=None if expected is None else (expected.high - expected.low) / 2,
        expected_low=None if expected is None else expected.low,
        expected_high=None if expected is None else expected.high,
        difference=None if test is None or accuracy is None else test - accuracy,
        **dict(facts.profiles.get(name) or ()),
        seconds=None if index is None else _finite(float(truth.seconds[index])),
        losses=tuple(row.loss for row in _known(facts.one_shot, facts.seeds, name) if row.loss is not None),
    )


def _known(scores: BySeed, seeds: Sequence[int], name: str) -> list[ScoreRow]:
    return [row for seed in seeds if (row := scores.get(seed, {}).get(name)) is not None]


def _mean_of(
    scores: BySeed, seeds: Sequence[int], name: str, figure: Callable[[ScoreRow], float | None]
) -> float | None:
    """Return the mean over seeds; None if a seed lacks the path or has no finite number for it."""
    values = [figure(row) for row in _known(scores, seeds, name)]
    return None if None in values or len(values) < len(seeds) else mean(values)


def _mean(values: Sequence[float]) -> float | None:
    """Return the mean as numpy computes it; None if it is not finite, or there are no values."""
    import numpy as np

    return _finite(float(np.mean(values))) if values else None


def _sd(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
