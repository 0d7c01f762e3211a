"""What the benchmark searches: published tables, recorded ones within limits, and simulated worlds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import worlds

from supernet_cli.policies.lookup import Lookup
from supernet_cli.policies.problem import SIZES
from supernet_cli.policies.table import Table, read_table

RECORDED = Path(__file__).parents[2] / "supernet_cli" / "benchmarks"
"""The tables that are part of the package."""

SCORE = "fair-4"
"""The one-shot score that policies see, where they see one; in tables without it, the first that a supernet gave."""


@dataclass(frozen=True)
class Setting:
    """A search problem.

    Args:
        name: What its stored results are called.
        lookup: The table of a repetition.
        exact: Whether test accuracies are the expected ones.
        scored: Whether policies see a one-shot score: without any, `one-shot` is another `random`.
    """

    name: str
    lookup: Callable[[int], Lookup]
    exact: bool = False
    scored: bool = False


def settings(folder: Path | None) -> dict[str, Setting]:
    """Return all settings whose tables are there, by name.

    Args:
        folder: Where published tables are, if anywhere.
    """
    found = [Setting("worlds", worlds.world, exact=True, scored=True)]
    for file in sorted(RECORDED.glob("*.json")):
        found += _recorded(file)
    for file in sorted(folder.glob("nas-bench-201-*.json")) if folder else ():
        found.append(Setting(file.stem, _fixed(file, False, False)))
    return {setting.name: setting for setting in found}


def _recorded(file: Path) -> list[Setting]:
    """Return a recorded table four times: with and without a limit, with and without a score."""
    name, found = file.stem, []
    for limited in (False, True):
        for scored in (False, True):
            label = "-".join([name, *["half"] * limited, *["scored"] * scored])
            found.append(Setting(label, _fixed(file, limited, scored), scored=scored))
    return found


def _fixed(file: Path, limited: bool, scored: bool) -> Callable[[int], Lookup]:
    @cache
    def lookup() -> Lookup:
        table = read_table(file)
        limits = {"macs": float(np.median(table.figures["macs"]))} if limited else {}
        return Lookup(table, limits, [_score(table)] if scored else [])

    return lambda repetition: lookup()


def _score(table: Table) -> str:
    names = [name for name in table.figures if name not in (*SIZES, "synflow")]
    return SCORE if SCORE in names else names[0]
