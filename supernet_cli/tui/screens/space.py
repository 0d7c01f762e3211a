"""The map of a space: how accurate its paths are together, what each candidate is worth, the best and the worst."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from supernet_cli.runs.snapshot import PathView
from supernet_cli.runs.views import RunView
from supernet_cli.tui.draw import MUTED, Part, fit, heading, line, lines
from supernet_cli.tui.panels.paths import Table, candidate_means
from supernet_cli.tui.reader import ViewChanged

_SHADES = " ░▒▓█"
_MOST_BINS = 16


class SpaceScreen(Screen[None]):
    """Shows every path that was judged, at once."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,m,q", "dismiss", "Back"),
        Binding("left_square_bracket", "app.pass_on('job', -1)", "Job before", key_display="["),
        Binding("right_square_bracket", "app.pass_on('job', 1)", "Next job", key_display="]"),
    ]

    def __init__(self, view: RunView) -> None:
        super().__init__()
        self.view = view

    def compose(self) -> ComposeResult:
        """Yield one scrolled text."""
        yield Static(id="space-heading")
        with VerticalScroll(id="space-scroll"):
            yield Static(id="space-text")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Make the keys that scroll work."""
        self.query_one("#space-scroll").focus()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.redraw()

    @on(ViewChanged)
    def take(self, message: ViewChanged) -> None:
        """Show a new view where paths were judged anew."""
        changed = message.view.job.snapshot.paths is not self.view.job.snapshot.paths
        self.view = message.view
        if changed:
            self.redraw()

    def redraw(self) -> None:
        """Draw everything."""
        width = max(20, self.size.width - 4)
        ranked = self.view.job.snapshot.ranked()
        size = self.view.num_paths
        info = f"{len(ranked):,} of {size:,} paths judged on validation" if size else ""
        self.query_one("#space-heading", Static).update(heading("Space", width + 2, (info, MUTED)))
        self.query_one("#space-text", Static).update(draw(self.view, width))


def draw(view: RunView, width: int) -> Content:
    """Return the map in so many columns."""
    ranked = view.job.snapshot.ranked()
    if not ranked:
        return line(("No path was judged yet.", MUTED))
    accuracies = [path.score.accuracy for path in ranked]
    rows = [line(("How many paths reach which accuracy", "bold")), *histogram(accuracies, width), line("")]
    rows += [line(("Mean accuracy through each candidate", "bold")), *heat_map(view, width), line("")]
    rows += _ends(view, ranked, width)
    return lines(rows)


def histogram(values: Sequence[float], width: int) -> list[Content]:
    """Return a bar for each of some equal ranges of accuracy, the best on top."""
    low, high = min(values), max(values)
    bins = max(1, min(_MOST_BINS, round(len(values) ** 0.5) + 2)) if high > low else 1
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / (high - low) * bins)) if high > low else 0] += 1
    room = max(4, width - 28)
    found = []
    for place in reversed(range(bins)):
        begin, end = (low + (high - low) * edge / bins for edge in (place, place + 1))
        length = round(counts[place] / max(counts) * room)
        length = max(length, 1) if counts[place] else 0
        found.append(
            line(
                (f"{100 * begin:6.2f} to {100 * end:6.2f} % ", MUTED),
                ("━" * length, "$success 60%"),
                f" {counts[place]:,}" if counts[place] else "",
            )
        )
    return found


def heat_map(view: RunView, width: int) -> list[Content]:
    """Return a row for each block: its candidates with their mean accuracy, shaded from the worst to the best."""
    means = candidate_means(view)
    known = [mean for block in means for _, mean, _ in block if mean is not None]
    if not known:
        return [line(("The preset cannot be read, so its blocks are not known.", MUTED))]
    low, high = min(known), max(known)
    longest = min(12, max(len(label) for block in means for label, _, _ in block))
    cell = longest + 13
    across = max(1, (width - 10) // cell)
    found = []
    for number, block in enumerate(means, start=1):
        best = max((mean for _, mean, _ in block if mean is not None), default=None)
        for begin in range(0, len(block), across):
            parts: list[Part] = [(f"block {number:<3} " if begin == 0 else " " * 10, MUTED)]
            for label, mean, _ in block[begin : begin + across]:
                parts += _cell(label, mean, mean == best, low, high, longest)
            found.append(line(*parts))
    shades = f"{_SHADES[1]} {100 * low:.2f} %  to  {_SHADES[-1]} {100 * high:.2f} %"
    return [*found, line((f"{'':10}{shades}, over the paths judged", MUTED))]


def _cell(label: str, mean: float | None, best: bool, low: float, high: float, longest: int) -> list[Part]:
    name: Part = (fit(label, longest), "bold" if best and mean is not None else "")
    if mean is None:
        return [" ", name, ("     –      ", MUTED)]
    place = (mean - low) / (high - low) if high > low else 1.0
    shade = _SHADES[1 + min(3, int(place * 4))] * 3
    return [
        name,
        " ",
        (shade, f"$success {40 + round(60 * place)}%"),
        (f" {100 * mean:6.2f}  ", "bold" if best else ""),
    ]


def _ends(view: RunView, ranked: Sequence[PathView], width: int) -> list[Content]:
    """Return the best paths and the worst: all where they are few."""
    numbered = list(enumerate(ranked, start=1))
    shown = numbered if len(numbered) <= 40 else numbered[:20] + numbered[-20:]
    table = Table.fitting([path for _, path in shown], view.blocks, width, bool(view.stand_alone), len(ranked))
    alone = "one-shot, alone, " if view.stand_alone else ""
    title = "Ranked" if len(shown) == len(numbered) else "The best 20 and the worst 20"
    found = [line((title, "bold"), (f"  {alone}history, images trained; bars from {100 * table.floor:g} %", MUTED))]
    for place, (rank, path) in enumerate(shown):
        if place and rank != shown[place - 1][0] + 1:
            found.append(line((f"⋮  {len(numbered) - len(shown):,} between", MUTED)))
        found += table.rows(rank, path, view.stand_alone.get(path.score.path), False)
    return found
