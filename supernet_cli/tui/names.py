"""Names of paths in little room: `conv5x5_conv3x3_identity` as `c5_c3_i`, as long as candidates stay apart."""

from __future__ import annotations

import re
from functools import lru_cache

from supernet_cli.tui.draw import fit


def path_name(path: str, blocks: tuple[tuple[str, ...], ...], width: int) -> str:
    """Return a path's name in at most `width` columns: whole, abbreviated, or with its middle left out."""
    if len(path) <= width:
        return path
    labels = path.split("_")
    if len(labels) == len(blocks):
        brief = [_brief(block).get(label, label) for label, block in zip(labels, blocks, strict=True)]
        for separator in ("_", ""):
            if len(separator.join(brief)) <= width:
                return separator.join(brief)
        path = "_".join(brief)
    return fit(path, width)


@lru_cache(maxsize=256)
def _brief(labels: tuple[str, ...]) -> dict[str, str]:
    """Return an abbreviation for each label of a block; the labels themselves where those would not stay apart."""
    brief = [_abbreviated(label) for label in labels]
    return dict(zip(labels, brief if len(set(brief)) == len(brief) else labels, strict=True))


def _abbreviated(label: str) -> str:
    square = re.fullmatch(r"([a-z])[a-z]*?(\d+)x\2(x\d+)?", label)
    if square:
        return f"{square[1]}{square[2]}{square[3] or ''}"
    head = re.match(r"([a-z])[a-z]*(\d*)", label)
    return f"{head[1]}{head[2]}{label[head.end() :]}" if head else label
