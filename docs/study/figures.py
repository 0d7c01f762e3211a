"""Compute every figure of docs/study.md and docs/study-lab.md from the stored results, and draw their pictures.

    python docs/study/figures.py           write the tables into the pages, and the pictures
    python docs/study/figures.py --check   check that the tables in the pages match the results

It takes less than a minute. The statistics are those of `supernet compare`: supernet_cli/reports/statistics.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import rivals
import strategies
import truths
from picture import draw
from study import Study

PAGES = [Path(__file__).parent.parent / name for name in ("study.md", "study-lab.md")]

TABLES: dict[str, Callable[[Study], str]] = {
    make.__name__: make
    for make in (
        truths.truth,
        truths.anchor,
        truths.baselines,
        strategies.strategies,
        strategies.chosen,
        strategies.pooled,
        strategies.longer,
        strategies.corrected,
        strategies.averages,
        strategies.audits,
        strategies.scoring,
        strategies.variants,
        rivals.together,
        rivals.without,
        rivals.regrets,
        rivals.instead,
        rivals.combined,
        rivals.choices,
    )
}

_PLACE = re.compile(r"(<!-- table: (\w+) (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
"""Where the page has a table: its space, its name."""


def written(page: str) -> str:
    """Return a page with every table computed from the stored results.

    Args:
        page: The page, with places such as `<!-- table: iso truth -->`.
    """
    studies = cache(Study)

    def made(place: re.Match[str]) -> str:
        head, space, name, end = place.groups()
        return f"{head}{TABLES[name](studies(space))}\n{end}"

    return _PLACE.sub(made, page)


def main() -> None:
    """Write the pages and draw their pictures, or check them."""
    spaces = set()
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        spaces |= {place[2] for place in _PLACE.finditer(before)}
        if "--check" not in sys.argv:
            page.write_text(written(before), encoding="utf-8")
        elif written(before) != before:
            sys.exit(f"The tables in {page.name} do not match the results.")
    if "--check" not in sys.argv:
        for space in sorted(spaces):
            draw(Study(space))


if __name__ == "__main__":
    main()
