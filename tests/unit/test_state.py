from __future__ import annotations

import pickle

import pytest

from supernet_cli.store.records import JobEnded, decode, encode
from supernet_cli.store.state import State, Wish

BY_ATTENTION = ["running", "paused", "failed", "diverged", "lost", "interrupted", "stopped", "created", "finished"]
"""States, the one that most needs attention first."""


def states(*words: str) -> set[State]:
    return {State(word) for word in words}


def test_a_run_is_in_the_state_of_the_job_that_most_needs_attention() -> None:
    assert sorted(State, key=lambda state: -state.severity) == BY_ATTENTION
    for place, word in enumerate(BY_ATTENTION):
        assert State.overall(map(State, reversed(BY_ATTENTION[place:]))) is State(word)
    assert State.overall([]) is State.CREATED


def test_every_question_about_a_state_has_one_answer() -> None:
    assert {state for state in State if state.is_alive} == states("running", "paused")
    assert {state for state in State if state.is_over} == states("finished", "diverged")
    assert {state for state in State if state.has_failed} == states("failed", "diverged")
    assert {state for state in State if state.is_by_request} == states("stopped", "interrupted")
    assert {state for state in State if state.can_resume} == states("created", "stopped", "interrupted", "lost")


@pytest.mark.parametrize("state", State)
def test_files_and_other_processes_get_a_state_back(state: State) -> None:
    record = JobEnded(time=1.0, step=1, state=state)
    assert f'"state":"{state}"' in encode(record)
    assert decode(encode(record)) == record
    assert pickle.loads(pickle.dumps(state)) is state
    assert f"{state}" == str(state) == state.value


def test_a_wish_knows_the_state_it_leads_to() -> None:
    led = {"pause": "paused", "resume": "running", "stop": "stopped", "interrupt": "interrupted"}
    assert {wish: wish.state for wish in Wish} == led
    behind = {state: Wish.behind(state) for state in State if Wish.behind(state) is not None}
    assert behind == {State.STOPPED: Wish.STOP, State.INTERRUPTED: Wish.INTERRUPT}
