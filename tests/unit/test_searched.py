"""What `supernet search` prints in spaces of many blocks: every row a line, and the pick's name to copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

import pytest
from rich.console import Console
from searches import KERNELS, searched

from supernet_cli.cli.output import Output
from supernet_cli.cli.searched import _rendered
from supernet_cli.reports.search import words
from supernet_cli.reports.search.document import Searched, SearchedPath

BLOCKS = 15
LEGEND = "c1 = conv1x1, c3 = conv3x3, c5 = conv5x5, c7 = conv7x7"


def many_blocks() -> Searched:
    """Return a search of a space with names of 119 characters."""
    found = searched()

    def longer(path: SearchedPath) -> SearchedPath:
        return path.model_copy(update={"path": "_".join(path.path.split("_") * (BLOCKS // 3))})

    renamed = {
        "pick": longer(found.pick),
        "front": tuple(map(longer, found.front)),
        "paths": tuple(map(longer, found.paths)),
    }
    found = found.model_copy(update=renamed)
    return found.model_copy(update={"verdict": words.sentence(found)})


@pytest.fixture
def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Searched, int], list[str]]:
    """Return a function that prints an answer on a terminal of some width: its lines."""

    def prints(found: Searched, width: int) -> list[str]:
        def terminal(stream: TextIO) -> Console:
            return Console(file=stream, width=width, highlight=False, color_system=None)

        for module in ("console", "output"):
            monkeypatch.setattr(f"supernet_cli.cli.{module}.console", terminal)
        blocks = (KERNELS,) * len(found.pick.path.split("_"))
        Output(json=False, quiet=False, file=None).result({}, *_rendered(found, blocks))
        return capsys.readouterr().out.splitlines()

    return prints


@pytest.mark.parametrize("width", [80, 100])
def test_a_name_that_fits_no_line_is_short_everywhere_but_once_alone(
    printed: Callable[[Searched, int], list[str]], width: int
) -> None:
    found = many_blocks()
    assert len(found.pick.path) > width
    lines = printed(found, width)
    assert [line for line in lines if "conv" in line and "=" not in line] == [found.pick.path]
    assert lines[0].startswith(f"Take {'_'.join(['c7', 'c7', 'c7'] * 5)}"[:8])
    assert sum(LEGEND in line for line in lines) == 1
    assert all(len(line) <= width for line in lines if line != found.pick.path)


def test_the_table_has_a_line_for_each_path_and_the_sentence_the_whole_name_where_it_fits(
    printed: Callable[[Searched, int], list[str]],
) -> None:
    found = many_blocks()
    lines = printed(found, 120)
    assert sum(found.pick.path in line for line in lines) == 1
    start = next(number for number, line in enumerate(lines) if line.startswith("path"))
    rows = lines[start + 1 : start + 13]
    assert all("%" in row for row in rows)
    assert len({row.split()[0] for row in rows}) == 12
    assert lines[start + 13].strip() == LEGEND


def test_names_that_fit_are_whole_and_need_no_legend(printed: Callable[[Searched, int], list[str]]) -> None:
    found = searched()
    lines = printed(found, 80)
    assert not any("c1 =" in line for line in lines)
    start = next(number for number, line in enumerate(lines) if line.startswith("path"))
    assert [line.split()[0] for line in lines[start + 1 : start + 13]] == [path.path for path in found.paths[:12]]
