"""Evaluation as jobs: results are passed on in order, none twice, and those there are before an error or a stop."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from supernet_cli.errors import DataError, RunError
from supernet_cli.executors import Job, Report, Work
from supernet_cli.executors._judging import spread_over
from supernet_cli.store.records import JobEnded
from supernet_cli.store.state import State, Wish
from supernet_cli.training.driver import Outcome, Stop


class Backwards:
    """An executor of one process that does the last job first.

    Args:
        deadly: A part whose worker dies again and again, after what was found has been sent.
    """

    def __init__(self, deadly: int = -1) -> None:
        self.deadly = deadly

    def run(self, work: Work, jobs: Iterable[Job], report: Report, stop: Stop) -> Mapping[str, Outcome]:
        outcomes = {}
        for job in reversed(list(jobs)):
            if stop() is not None:
                break
            found: list[Any] = []
            recorder = type("Recorder", (), {"record": staticmethod(found.append)})
            sent = pickle.loads(pickle.dumps((work, job)))
            outcome = sent[0].run(sent[1], recorder, stop)
            for message in pickle.loads(pickle.dumps(found)):
                report(job.key, message)
            if job.key == f"evaluation {self.deadly}":
                report(job.key, JobEnded(step=0, state=State.INTERRUPTED, reason="it was hit"))
                outcome = Outcome(State.FAILED, "it was hit, even after 3 retries")
            report(job.key, JobEnded(step=0, state=outcome.state, reason=outcome.reason))
            outcomes[job.key] = outcome
        return outcomes


def square(number: int, between: Callable[[], None]) -> list[int]:
    between()
    if number == 13:
        raise DataError("image 13 is broken", "Delete it.")
    return [number, number * number]


def spread(parts: Iterable[int], executor: Backwards, stop: Stop = lambda: None) -> list[Any]:
    taken: list[Any] = []
    try:
        spread_over(executor, stop)(square, parts, taken.append)  # type: ignore[arg-type]
    except BaseException as error:
        error.args = (*error.args, taken)
        raise
    return taken


def test_results_come_in_the_order_of_the_parts() -> None:
    assert spread(range(9), Backwards()) == [[number, number * number] for number in range(9)]


def test_an_error_of_the_judge_is_raised_as_it_is_and_keeps_what_was_found() -> None:
    with pytest.raises(DataError, match="image 13 is broken") as caught:
        spread([1, 2, 13, 4, 5], Backwards())
    assert caught.value.hint == "Delete it."
    assert caught.value.args[-1] == [[4, 16], [5, 25]]


def test_a_worker_that_fails_is_an_error_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RunError, match="A worker that evaluates failed: it was hit, even after 3 retries") as caught:
        spread(range(3), Backwards(deadly=1))
    assert "--workers 1" in caught.value.hint
    assert caught.value.args[-1] == [[1, 1], [2, 4]]
    assert "evaluation 1 is repeated: it was hit" in caplog.text


def test_a_stop_keeps_what_was_found() -> None:
    asked: list[None] = []

    def stop() -> Any:
        asked.append(None)
        return Wish.INTERRUPT if len(asked) > 5 else None

    with pytest.raises(KeyboardInterrupt) as caught:
        spread(range(9), Backwards(), stop)
    assert caught.value.args[-1] == [[7, 49], [8, 64]]
