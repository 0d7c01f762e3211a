"""Short names of paths: `conv5x5_conv3x3_identity` as `c5_c3_i`, never the same name for two paths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

_LABEL = re.compile(r"(?P<word>[a-z]*)(?:(?P<size>\d+)x(?P=size)(?!\d))?(?P<rest>.*)", re.DOTALL)
_LEAST = 5  # columns of a name that is cut

Blocks = Sequence[Sequence[str]]
"""The labels of each choice block's candidates."""


def short_names(paths: Sequence[str], width: int, blocks: Blocks = ()) -> dict[str, str]:
    """Return a name for each of the paths that are shown together.

    Names are whole, abbreviated, or without their middle: the first form that fits. No two names are the same; if that
    takes more than `width` columns, names are longer.

    Args:
        paths: The paths, without duplicates.
        width: Columns available for a name.
        blocks: The labels of each block, so that abbreviations stay the same whichever paths are shown; without them,
            the labels of these paths.

    Returns:
        The name of each path.
    """
    return _first_distinct(paths, _forms(paths, width, blocks))


def legend(paths: Sequence[str], blocks: Blocks) -> str:
    """Return what the abbreviations of candidates mean, such as `c3 = conv3x3, i = identity`; empty if there are none.

    Args:
        paths: The paths that are shown under short names.
        blocks: The labels of each block.
    """
    if any(len(path.split("_")) != len(blocks) for path in paths):
        return ""
    meanings: dict[str, dict[str, list[str]]] = {}
    for number, block in enumerate(blocks, 1):
        for label, brief in _briefs(tuple(block)).items():
            meanings.setdefault(brief, {}).setdefault(label, []).append(str(number))
    return ", ".join(f"{brief} = {_meant(labels)}" for brief, labels in meanings.items() if list(labels) != [brief])


def _meant(labels: Mapping[str, Sequence[str]]) -> str:
    """Return what an abbreviation stands for, given the blocks in which it stands for each label."""
    first, *others = labels
    remarks = (f"{other} in block {' and '.join(labels[other])}" for other in others)
    return f"{first} ({', '.join(remarks)})" if others else first


def cut_names(names: Sequence[str], width: int) -> dict[str, str]:
    """Return names that are shown together without their middle, as much of it as keeps them apart.

    Args:
        names: The names, without duplicates.
        width: Columns available for a name; exceeded if that takes more.

    Returns:
        What each name is shown as.
    """
    return _first_distinct(names, _cut(names, width))


def _first_distinct(names: Sequence[str], forms: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return the first form in which no two names are the same; the names themselves are the last resort."""
    distinct = (form for form in forms if len(set(form)) == len(form))
    return dict(zip(names, next(distinct, names), strict=True))


def _cut(names: Sequence[str], width: int) -> Iterator[list[str]]:
    """Yield names without their middle, in more and more columns."""
    for columns in range(max(width, _LEAST), max(map(len, names), default=0)):
        yield [elided(name, columns) for name in names]


def _forms(paths: Sequence[str], width: int, blocks: Blocks) -> Iterator[Sequence[str]]:
    """Yield the names of all paths in each form that fits, then cut ones that grow."""
    whole = list(paths)
    labels = [path.split("_") for path in paths]
    blocks = blocks or [tuple(dict.fromkeys(column)) for column in zip(*labels, strict=False)]
    can_abbreviate = all(len(own) == len(blocks) for own in labels)
    brief = [_abbreviated(own, blocks) for own in labels] if can_abbreviate else []
    abbreviated = ["_".join(parts) for parts in brief] or whole
    for names in (whole, abbreviated, ["".join(parts) for parts in brief]):
        if names and max(map(len, names)) <= width:
            yield names
    yield from _cut(abbreviated, width)
    yield abbreviated


def elided(text: str, width: int) -> str:
    """Return a text in at most `width` characters; one that is too long loses its middle, where names differ least."""
    if len(text) <= width:
        return text
    if width < _LEAST:
        return text[:width]
    kept = width - 1
    return text[: (kept + 1) // 2] + "…" + text[len(text) - kept // 2 :]


def _abbreviated(labels: Sequence[str], blocks: Blocks) -> list[str]:
    return [_briefs(tuple(block)).get(label, label) for label, block in zip(labels, blocks, strict=True)]


@lru_cache(maxsize=256)
def _briefs(labels: tuple[str, ...]) -> dict[str, str]:
    """Return an abbreviation for each label of a block, with as many letters as it takes to keep them apart."""
    for letters in range(1, max(map(len, labels), default=1) + 1):
        briefs = [_brief(label, letters) for label in labels]
        if len(set(briefs)) == len(briefs):
            return dict(zip(labels, briefs, strict=True))
    return {label: label for label in labels}


def _brief(label: str, letters: int) -> str:
    """Return a label with so many letters of its word: `conv5x5` as `c5`, `sep3x3x2` as `s3x2`."""
    match = _LABEL.fullmatch(label)
    return f"{match['word'][:letters]}{match['size'] or ''}{match['rest']}" if match else label
