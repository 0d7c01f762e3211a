"""What a search of a run has decided so far, in its results folder: enough to continue as if it had never stopped."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from supernet_cli.store.results import Stored, exclusively, read_document, write_document
from supernet_cli.store.run import Run

_NAME = "search-journal"


class SearchJournal(Stored):
    """search-journal.json: decisions are written before they are carried out.

    Args:
        policy: Who decides: a name, with parameters.
        seeds: Each path is trained once per seed.
        limits: The largest value of each limited figure, in numbers, seconds or bytes.
        latencies: Device of the latency table that latencies are looked up in; empty if they are measured here.
        table: Digest of that table; empty if there is none.
        sampled: How many random paths were asked to have scores before the first training.
        decided: Paths that were chosen to be trained, in order.
        look: How often the next decision was made already, each time with more paths scored.
        scoring: Paths that were chosen to be scored next.
        proposed: Paths to be trained once these are scored, those that are then found to be within the limits.
        options: What was typed, but for the run; see `Run.command`.
        trainings: How many trainings it may choose; None if something else bounds them.
        state: Of the policy.
        finished: Whether the budget is spent, or the search stopped because it was sure enough.
    """

    policy: dict[str, Any]
    seeds: tuple[int, ...]
    limits: dict[str, float] = {}
    latencies: str = ""
    table: str = ""
    sampled: int = 0
    decided: tuple[str, ...] = ()
    look: int = 0
    scoring: tuple[str, ...] = ()
    proposed: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    trainings: int | None = None
    state: dict[str, Any] = Field(default_factory=dict)
    finished: bool = False

    def continues(self, other: SearchJournal) -> bool:
        """Return whether another search asks for the same, so that it continues this one."""
        same = {"policy", "seeds", "limits", "latencies", "table"}
        return self.model_dump(include=same) == other.model_dump(include=same)


def search_journal(run: Run) -> SearchJournal | None:
    """Return the journal of a run's latest search, or None if it was never searched.

    Raises:
        RunError: The file is damaged.
    """
    return read_document(run, _NAME, SearchJournal)


def keep_journal(run: Run, journal: SearchJournal) -> None:
    """Replace the journal of a run.

    Raises:
        DiskError: A write failed.
    """
    with exclusively(run):
        write_document(run, _NAME, journal)
