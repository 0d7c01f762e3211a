"""The search of a run: how far it is, the path it would take now, and the front as far as it is known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from textual.content import Content

from supernet_cli.config.limits import amount
from supernet_cli.glyphs import bar, counted, number
from supernet_cli.reports.formats import percent, points
from supernet_cli.reports.search.document import Searched, read_search
from supernet_cli.reports.search.front import MARKS, front_lines
from supernet_cli.reports.search.points import Kind
from supernet_cli.space.names import short_names
from supernet_cli.store.layout import Way
from supernet_cli.store.state import State
from supernet_cli.store.views import RunView
from supernet_cli.tui.draw import MUTED, Part, fit, heading, line, lines
from supernet_cli.tui.panels.panel import Panel

_TEXT, _GAP, _LABEL = 32, 2, 10
_BESIDE = 70
"""Columns from which text and drawing stand side by side."""

_COLOURS = {
    MARKS[Kind.PICK]: "bold $success",
    MARKS[Kind.TRAINED]: "bold",
    MARKS[Kind.PREDICTED]: "$accent",
    MARKS[Kind.OVER]: "$warning",
}
_PARTS = re.compile(f"([{''.join(_COLOURS)}]|[\u2800-\u28ff]+|[│┤└┬─]+)")


class Progress(NamedTuple):
    """How far a search is.

    Args:
        finished: Trainings that are finished.
        running: Trainings that run now.
        chosen: Trainings that it has chosen so far.
        most: How many it may choose; None if something else bounds them.
    """

    finished: int
    running: int
    chosen: int
    most: int | None


def is_searched(view: RunView) -> bool:
    """Whether the search is what matters about a run: there is one, and no supernet is being trained."""
    if view.search is None and view.searched is None:
        return False
    return not any(job.key.way is Way.ONE_SHOT and job.state.is_alive for job in view.jobs)


def progress(view: RunView) -> Progress:
    """Return how far the search of a run is."""
    journal = view.search
    if journal is None:
        return Progress(0, 0, 0, None)
    decided, seeds = {*journal.decided}, {*journal.seeds}
    states = [
        job.state for job in view.jobs if job.key.way is Way.ALONE and job.key.path in decided and job.key.seed in seeds
    ]
    finished, running = states.count(State.FINISHED), sum(state.is_alive for state in states)
    return Progress(finished, running, len(decided) * len(seeds), journal.trainings)


class SearchPanel(Panel):
    """Progress, pick and front of a search; the front is drawn again only after a change."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._read: tuple[Mapping[str, Any] | None, Searched | None] = (None, None)
        self._front: tuple[object, list[Content]] = (None, [])

    def draw(self, view: RunView, width: int, height: int) -> Content:
        """Return text and drawing, side by side where there is room."""
        found, rows = self._found(view), height - 1
        title = heading("Search", width, (_summary(view, found), MUTED), *self._hint())
        beside = width >= _BESIDE
        text = list(_text(view, found, _TEXT if beside else width))
        if found is None:
            return lines([title, *text][:height])
        if not beside:
            drawing = self._lines(view, found, width, rows - len(text) - 1)
            return lines([title, *text, line(""), *drawing][:height])
        drawing = self._lines(view, found, width - _TEXT - _GAP, rows)
        return lines([title, *_joined(text[:rows], drawing)][:height])

    def _hint(self) -> tuple[Part, ...]:
        """Return how to see what the panel hides."""
        is_alone = self.is_mounted and self.screen.has_class("-short") and not self.screen.has_class("-narrow")
        return (("  e: losses", "$warning"),) if is_alone else ()

    def _found(self, view: RunView) -> Searched | None:
        """Return what the search has found, read once for each document."""
        if self._read[0] is not view.searched:
            self._read = (view.searched, None if view.searched is None else read_search(view.searched))
        return self._read[1]

    def _lines(self, view: RunView, found: Searched, width: int, height: int) -> list[Content]:
        """Return the drawing of the front, made once for each document and size."""
        key = (id(found), view.blocks, width, height)
        if self._front[0] != key:
            self._front = (key, list(map(_coloured, front_lines(found, width, height, view.blocks))))
        return self._front[1]


def _summary(view: RunView, found: Searched | None) -> str:
    """Return the state of a search in a few words."""
    finished, running, chosen, most = progress(view)
    if found is not None and found.finished and not running and finished == chosen:
        return f"finished after {counted(finished, 'training')}"
    of = "" if most is None else f" of {most:,}"
    return f"{finished:,}{of} trainings finished{f', {running:,} running' if running else ''}"


def _text(view: RunView, found: Searched | None, width: int) -> Iterator[Content]:
    """Yield what is known, a label and a fact per line."""
    for label, fact, style in _facts(view, found, width - _LABEL):
        yield line((f"{label:<{_LABEL}}", MUTED), (fit(fact, width - _LABEL), style))


def _facts(view: RunView, found: Searched | None, room: int) -> Iterator[tuple[str, str, str]]:
    """Yield label, fact and style; the most important first."""
    finished, _, chosen, most = progress(view)
    if view.search is not None:
        whole = max(most or chosen, finished, 1)
        figures = f" {finished:,}/{whole:,}"
        yield "trainings", bar(finished / whole, max(1, room - len(figures))) + figures, ""
    if found is None:
        waiting = "none is finished yet" if view.searched is None else "results/search.json cannot be read"
        yield "pick", waiting, MUTED
        for path in view.search.decided[-1:] if view.search is not None else ():
            yield "chosen", short_names([path], room, view.blocks)[path], ""
        return
    pick, (low, high) = found.pick, found.pick.interval
    yield "pick", short_names([pick.path], room, view.blocks)[pick.path], "bold $success"
    yield "expected", f"{percent(pick.accuracy)}  {100 * low:.2f}–{100 * high:.2f}", "bold"
    yield "best with", f"probability {number(pick.probability_best)}", ""
    yield "regret", f"{number(100 * pick.expected_regret)} points expected", ""
    yield "measured", _measured(found), ""
    if found.next.macs is not None:
        yield "next", f"{points(found.next.gain)} points expected", ""
    for name, limit in found.limits.items():
        left = "" if limit.paths is None else f": {limit.paths:,} of {found.space_size:,}"
        yield "limit", f"{name} ≤ {amount(name, limit.most)}{left}", ""


def _measured(found: Searched) -> str:
    pick = found.pick
    measured = "never trained" if pick.observed is None else percent(pick.observed)
    return measured if pick.test_accuracy is None else f"{measured}, test {percent(pick.test_accuracy)}"


def _joined(text: list[Content], drawing: list[Content]) -> Iterator[Content]:
    """Yield lines of text with those of the drawing beside them."""
    for place in range(max(len(text), len(drawing))):
        left = text[place] if place < len(text) else line("")
        right = drawing[place] if place < len(drawing) else line("")
        yield line(left, " " * (_TEXT + _GAP - left.cell_length), right)


def _coloured(text: str) -> Content:
    """Return a line of the drawing with the colours of its marks."""
    parts: list[Part] = []
    for part in filter(None, _PARTS.split(text)):
        is_dots = "\u2800" <= part[0] <= "\u28ff"
        parts.append((part, _COLOURS.get(part) or ("$primary" if is_dots else MUTED if part[0] in "│┤└┬─" else "")))
    return line(*parts)
