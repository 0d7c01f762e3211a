"""What a search of a run has decided so far, in its results folder: enough to continue as if it had never stopped."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from supernet_cli.store.results import Stored, exclusively, read_document, write_document
from supernet_cli.store.run import Run

SEARCH_LOCK = "search.lock"
"""In a run's folder: held by whoever searches it."""

_NAME = "search-journal"


class SearchJournal(Stored):
    """search-journal.json: decisions are written before they are carried out.

    Args:
        policy: Who decides: a name, with parameters.
        seeds: Each path is trained once per seed.
        limits: The largest value of each limited figure, in numbers, seconds or bytes.
        latencies: Device of the latency table that latencies are looked up in; empty if they are measured here.
        decided: Paths that were chosen to be trained, in order.
        scoring: Paths that were chosen to be scored next.
        options: What was typed, but for the run; see `Run.command`.
        trainings: How many trainings it may choose; None if something else bounds them.
        state: Of the policy.
    """

    policy: dict[str, Any]
    seeds: tuple[int, ...]
    limits: dict[str, float] = {}
    latencies: str = ""
    decided: tuple[str, ...] = ()
    scoring: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    trainings: int | None = None
    state: dict[str, Any] = Field(default_factory=dict)

    def continues(self, other: SearchJournal) -> bool:
        """Return whether another search asks for the same, so that it continues this one."""
        same = {"policy", "seeds", "limits", "latencies"}
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
