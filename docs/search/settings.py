"""What the benchmark searches: published tables, recorded ones within limits, and simulated worlds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import worlds

from supernet_cli.policies.lookup import Lookup
from supernet_cli.policies.problem import SIZES
from supernet_cli.policies.table import read_table

RECORDED = Path(__file__).parents[2] / "supernet_cli" / "benchmarks"
"""The tables that are part of the package."""

SUPERNETS = {"iso": "summed-4", "lab": "dropout-summed-4"}
"""The supernets that give the one-shot scores of a table, where policies see any: each repetition those of another one.

They are of the kind that ranks best for its cost: `path-dropout` with the sum, four epochs.
"""


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
    """Return a recorded table four times: with and without a limit, with and without a supernet's scores."""
    name, found = file.stem, []
    for limited in (False, True):
        for scored in (False, True):
            label = "-".join([name, *["half"] * limited, *["scored"] * scored])
            found.append(Setting(label, _fixed(file, limited, scored), scored=scored))
    return found


def _fixed(file: Path, limited: bool, scored: bool) -> Callable[[int], Lookup]:
    @cache
    def of_supernet(place: int) -> Lookup:
        table = read_table(file)
        limits = {"macs": float(np.median(table.figures["macs"]))} if limited else {}
        sizes = {name: values for name, values in table.figures.items() if name in SIZES}
        scores = {SUPERNETS[file.stem]: -np.array(_losses(file)[place])} if scored else {}
        return Lookup(replace(table, figures=sizes | scores), limits)

    return lambda repetition: of_supernet(repetition % len(_losses(file)) if scored else 0)


@cache
def _losses(file: Path) -> list[list[float]]:
    """Return what each of the supernets loses on each path, in the order of the table."""
    supernets = json.loads(file.read_text(encoding="utf-8"))["supernets"]
    return next(each["loss"] for each in supernets if each["name"] == SUPERNETS[file.stem])
