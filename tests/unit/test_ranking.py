from __future__ import annotations

import functools
import math
import random

from hypothesis import given
from hypothesis import strategies as st

from supernet_cli.store.ranking import rank_key, ranked
from supernet_cli.store.records import PathScore, PathsEvaluated
from supernet_cli.store.snapshot import JobSnapshot, fold

LOSSES = st.one_of(st.none(), st.sampled_from([0.0, 0.1, 0.2, 0.3, math.nan, math.inf]))
SCORES = st.lists(
    st.builds(PathScore, path=st.text("abc", min_size=1), accuracy=st.sampled_from([0.0, 0.5, 0.9]), loss=LOSSES),
    unique_by=lambda score: score.path,
)


def compare(a: PathScore, b: PathScore) -> int:
    """Return -1 if `a` ranks before `b`, spelled out rule by rule."""
    a_lost, b_lost = (score.loss is None or not math.isfinite(score.loss) for score in (a, b))
    if a_lost != b_lost:
        return 1 if a_lost else -1
    if not a_lost and a.loss != b.loss:
        assert a.loss is not None
        assert b.loss is not None
        return -1 if a.loss < b.loss else 1
    if a.accuracy != b.accuracy:
        return -1 if a.accuracy > b.accuracy else 1
    return -1 if a.path < b.path else 1


def test_the_lower_loss_ranks_first_even_with_the_lower_accuracy() -> None:
    scores = [PathScore(path="accurate", accuracy=0.99, loss=0.2), PathScore(path="sure", accuracy=0.98, loss=0.1)]
    assert [score.path for score in ranked(scores)] == ["sure", "accurate"]


def test_a_missing_loss_ranks_last_and_ties_go_to_accuracy_and_then_to_the_name() -> None:
    scores = [
        PathScore(path="lost", accuracy=1.0, loss=None),
        PathScore(path="b", accuracy=0.9, loss=0.1),
        PathScore(path="a", accuracy=0.9, loss=0.1),
        PathScore(path="c", accuracy=0.95, loss=0.1),
    ]
    assert [score.path for score in ranked(scores)] == ["c", "a", "b", "lost"]


def test_a_missing_accuracy_breaks_a_tie_last() -> None:
    assert rank_key(0.1, 0.0, "b") < rank_key(0.1, None, "a")


@given(SCORES, st.randoms(use_true_random=False))
def test_the_order_follows_the_rules_whatever_the_order_before(scores: list[PathScore], rng: random.Random) -> None:
    expected = sorted(scores, key=functools.cmp_to_key(compare))
    rng.shuffle(scores)
    assert ranked(scores) == expected


@given(SCORES)
def test_a_job_ranks_its_paths_in_the_same_order(scores: list[PathScore]) -> None:
    record = PathsEvaluated(step=1, epoch=1, seconds=0.0, scores=tuple(scores))
    job = fold(JobSnapshot(), record)
    assert [view.score for view in job.ranked()] == ranked(scores)
