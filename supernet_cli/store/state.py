"""What a job can be, and what its owner can be asked for."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class State(StrEnum):
    """The state of a job, in the order in which states need attention, least first; files and screens have the word."""

    FINISHED = "finished"
    CREATED = "created"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    LOST = "lost"
    DIVERGED = "diverged"
    FAILED = "failed"
    PAUSED = "paused"
    RUNNING = "running"

    @property
    def is_alive(self) -> bool:
        """Whether a process is working on the job."""
        return self in (State.RUNNING, State.PAUSED)

    @property
    def is_over(self) -> bool:
        """Whether the job ended by itself, so that running it again would give the same."""
        return self in (State.FINISHED, State.DIVERGED)

    @property
    def has_failed(self) -> bool:
        """Whether the job ended without a network, and not because anybody asked for it."""
        return self in (State.DIVERGED, State.FAILED)

    @property
    def is_by_request(self) -> bool:
        """Whether the job ended early because its owner was asked to end it, by a command or a signal."""
        return self in (State.STOPPED, State.INTERRUPTED)

    @property
    def can_resume(self) -> bool:
        """Whether the job is waiting to be started or resumed: nobody works on it, and nothing is wrong with it."""
        return self.is_by_request or self in (State.CREATED, State.LOST)

    @property
    def severity(self) -> int:
        """How much the job needs attention; the larger, the more."""
        return _SEVERITY[self]

    @classmethod
    def overall(cls, states: Iterable[State]) -> State:
        """Return the state of several jobs together: that of the one that most needs attention."""
        return max(states, key=lambda state: state.severity, default=cls.CREATED)


_SEVERITY = {state: position for position, state in enumerate(State)}


class Wish(StrEnum):
    """What a job's owner can be asked for: through the file `control` in the job's folder, or by a signal."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    INTERRUPT = "interrupt"

    @property
    def state(self) -> State:
        """The state in which a job is once the wish is fulfilled."""
        return _FULFILLED[self]

    @classmethod
    def behind(cls, state: State) -> Wish | None:
        """Return the wish that ended a job in a state; None if the job ended for another reason."""
        return next((wish for wish in cls if wish.state is state), None) if state.is_by_request else None


_FULFILLED = {
    Wish.PAUSE: State.PAUSED,
    Wish.RESUME: State.RUNNING,
    Wish.STOP: State.STOPPED,
    Wish.INTERRUPT: State.INTERRUPTED,
}
