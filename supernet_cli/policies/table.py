"""Tables of known accuracies: what a training would show is looked up, so a policy is tried in seconds.

A table is a JSON document:

    {"name": "…", "decisions": [["conv3x3", "skip"], …],
     "paths": {"0-1-…": {"validation": [0.71, …], "test": [0.72, …], "macs": 1, "parameters": 1, "scores": {…}}, …}}

Paths are keyed by the positions of their candidates. Accuracies are fractions, one per seed. A path may be missing: it
is then not part of the search. Everything but the accuracies may be missing too, but from all paths at once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

import numpy as np

from supernet_cli.errors import DataError
from supernet_cli.policies.problem import SIZES, Choices, Floats, Path


@dataclass(frozen=True)
class Table:
    """Known accuracies of m paths.

    Args:
        name: What it is called.
        decisions: Labels of the candidates of each decision.
        paths: (m, decisions).
        validation: (m, seeds) accuracies that a policy sees, NaN where a path has fewer seeds.
        test: (m, seeds) accuracies that it is judged by.
        figures: Sizes, and whatever scores there are, by name, (m,); of a score, more is better.
    """

    name: str
    decisions: tuple[tuple[str, ...], ...]
    paths: Choices
    validation: Floats
    test: Floats
    figures: Mapping[str, Floats]


def read_table(file: File) -> Table:
    """Read a table.

    Raises:
        DataError: The file cannot be read, or is no such table; says where.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as wrong:
        raise DataError(f"{file} is no JSON document: {wrong}.", _HINT) from None
    except OSError as wrong:
        raise DataError(f"{file} cannot be read: {wrong.strerror}.", "Check the path after --table.") from None
    try:
        return as_table(document, file.stem)
    except ValueError as wrong:
        raise DataError(f"{file}: {wrong}.", _HINT) from None


_HINT = "The format is described in docs/search.md."


def as_table(document: Any, name: str) -> Table:
    """Return the table that a document holds.

    Args:
        document: What the JSON file holds.
        name: What the table is called if it does not say.

    Raises:
        ValueError: It is no table; says where.
    """
    if not isinstance(document, dict):
        raise ValueError("a table is an object with decisions and paths")
    decisions = _decisions(document.get("decisions"))
    rows = document.get("paths")
    if not isinstance(rows, dict) or not rows:
        raise ValueError("paths must be an object with at least one path")
    for key, row in rows.items():
        if not isinstance(row, dict):
            raise ValueError(f"path {key}: must be an object")
        if not isinstance(row.get("scores", {}), dict):
            raise ValueError(f"path {key}: scores must be an object")
    paths = [_path(key, decisions) for key in rows]
    if len(set(paths)) < len(paths):
        raise ValueError("a path stands in it twice")
    scores = {key: row.get("scores", {}) for key, row in rows.items()}
    names = dict.fromkeys(name for row in scores.values() for name in row if name not in SIZES)
    figures = {name: _figure(rows, name) for name in SIZES} | {name: _figure(scores, name) for name in names}
    for size in SIZES:
        if (figures[size] <= 0).any():
            raise ValueError(f"{size} must be positive")
    return Table(
        str(document.get("name", name)),
        decisions,
        np.array(paths, dtype=np.int64),
        _accuracies(rows, "validation"),
        _accuracies(rows, "test"),
        {name: values for name, values in figures.items() if len(values)},
    )


def _decisions(given: Any) -> tuple[tuple[str, ...], ...]:
    if not isinstance(given, list) or not given:
        raise ValueError("decisions must be a list with at least one decision")
    for place, labels in enumerate(given):
        if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
            raise ValueError(f"decision {place}: must be a list of labels")
        if len(set(labels)) < len(labels):
            raise ValueError(f"decision {place}: two candidates have the same label")
    return tuple(tuple(labels) for labels in given)


def _path(key: str, decisions: Sequence[Sequence[str]]) -> Path:
    words = key.split("-")
    if len(words) != len(decisions):
        raise ValueError(f"path {key}: has {len(words)} choices for {len(decisions)} decisions")
    for place, (word, labels) in enumerate(zip(words, decisions, strict=True)):
        if not (word.isascii() and word.isdigit()) or int(word) >= len(labels):
            raise ValueError(f"path {key}: decision {place} has no candidate '{word}'")
    return tuple(map(int, words))


def _accuracies(rows: Mapping[str, Mapping[str, Any]], split: str) -> Floats:
    """Return (paths, seeds) accuracies of a split; paths with fewer seeds end in NaN."""
    lists = []
    for key, row in rows.items():
        given = row.get(split)
        if not isinstance(given, list) or not given:
            raise ValueError(f"path {key}: {split} must be a list of accuracies")
        for value in given:
            if not _is_number(value) or not 0 <= value <= 1:
                raise ValueError(f"path {key}: {split} has {value!r}, which is no fraction between 0 and 1")
        lists.append(given)
    most = max(map(len, lists))
    return np.array([given + [math.nan] * (most - len(given)) for given in lists], dtype=np.float64)


def _figure(rows: Mapping[str, Mapping[str, Any]], name: str) -> Floats:
    """Return a figure of all paths, (m,), or nothing, (0,), if none has it."""
    values = {key: row.get(name) for key, row in rows.items()}
    missing = [key for key, value in values.items() if value is None]
    if len(missing) == len(values):
        return np.zeros(0)
    if missing:
        raise ValueError(f"path {missing[0]}: has no {name}, although others do")
    for key, value in values.items():
        if not _is_number(value):
            raise ValueError(f"path {key}: {name} is {value!r}, which is no finite number")
    return np.array(list(values.values()), dtype=np.float64)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
