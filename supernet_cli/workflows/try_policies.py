"""Try search policies on a table of known accuracies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supernet_cli.config.catalog import entries
from supernet_cli.errors import UsageError, did_you_mean
from supernet_cli.policies.lookup import Lookup
from supernet_cli.policies.table import read_table
from supernet_cli.policies.trial import Trial, document, try_policy
from supernet_cli.workflows.observer import Observer


@dataclass(frozen=True)
class Trials:
    """What came of trying policies on a table.

    Args:
        table: The table's name.
        paths: How many paths it has.
        within: How many of them meet the limits.
        repeats: How often each policy searched.
        policies: Each policy's name and trial.
    """

    table: str
    paths: int
    within: int
    repeats: int
    policies: tuple[tuple[str, Trial], ...]

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return document(self.table, self.repeats, self.policies)


def check_policy(name: str) -> None:
    """Make sure that there is a policy.

    Raises:
        UsageError: There is none with that name.
    """
    if name not in (known := entries("policy")):
        raise UsageError(f"There is no policy '{name}'.", did_you_mean(name, known))


def try_on_table(
    file: Path,
    names: Sequence[str] = (),
    trainings: int = 20,
    repeats: int = 20,
    limits: Mapping[str, float] | None = None,
    scores: Sequence[str] | None = None,
    observer: Observer | None = None,
) -> Trials:
    """Let policies search a table; each training is looked up.

    Args:
        file: The table.
        names: The policies; none for all.
        trainings: How many each may use.
        repeats: How often each searches.
        limits: The largest value of each limited figure.
        scores: Which of the table's scores policies may see; None for all.
        observer: Sees how far it is.

    Raises:
        DataError: The table is missing or damaged.
        UsageError: A policy or score is unknown, or no path meets the limits.
    """
    chosen = tuple(dict.fromkeys(names)) or tuple(entries("policy"))
    for name in chosen:
        check_policy(name)
    table = read_table(file)
    lookup, done, total = Lookup(table, limits or {}, scores), 0, len(chosen) * repeats
    results = []
    with (observer or Observer()).working("searching") as advance:
        for name in chosen:

            def tick(name: str = name) -> None:
                nonlocal done
                done += 1
                advance(f"searching: {name}", done, total)

            results.append((name, try_policy(lookup, name, trainings, repeats, tick)))
    return Trials(table.name, len(table.paths), len(lookup.rows), repeats, tuple(results))
