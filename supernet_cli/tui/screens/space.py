"""The map of a space: the distribution of accuracies, the mean through each candidate, the best and the worst paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from supernet_cli.space.names import short_names
from supernet_cli.store.ranking import RANKED_BY
from supernet_cli.store.snapshot import PathView
from supernet_cli.store.views import RunView
from supernet_cli.tui.draw import MUTED, Part, heading, line, lines
from supernet_cli.tui.panels.paths import Table, candidate_means
from supernet_cli.tui.reader import ViewChanged

_SHADES = " ░▒▓█"
_MOST_BINS = 16
_LONGEST_LABEL = 12  # columns of a candidate's name
_CELL = 10  # columns of a mean and its shade


class SpaceScreen(Screen[None]):
    """Shows all evaluated paths at a glance."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,m,q", "dismiss", "Back"),
        Binding("left_square_bracket", "app.pass_on('job', -1)", "Previous job", key_display="["),
        Binding("right_square_bracket", "app.pass_on('job', 1)", "Next job", key_display="]"),
    ]

    def __init__(self, view: RunView) -> None:
        super().__init__()
        self.view = view

    def compose(self) -> ComposeResult:
        """Yield one text to scroll."""
        yield Static(id="space-heading")
        with VerticalScroll(id="space-scroll"):
            yield Static(id="space-text")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Focus the text, so that the keys that scroll work."""
        self.query_one("#space-scroll").focus()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.redraw()

    @on(ViewChanged)
    def take(self, message: ViewChanged) -> None:
        """Show a new view if paths have been evaluated since."""
        changed = message.view.job.snapshot.paths is not self.view.job.snapshot.paths
        self.view = message.view
        if changed:
            self.redraw()

    def redraw(self) -> None:
        """Draw everything."""
        width = max(20, self.size.width - 4)
        ranked = self.view.job.snapshot.ranked()
        size = self.view.num_paths
        info = f"{len(ranked):,} of {size:,} paths evaluated on validation" if size else ""
        self.query_one("#space-heading", Static).update(heading("Space", width + 2, (info, MUTED)))
        self.query_one("#space-text", Static).update(draw(self.view, width))


def draw(view: RunView, width: int) -> Content:
    """Return the map, `width` columns wide."""
    ranked = view.job.snapshot.ranked()
    if not ranked:
        return line(("No path has been evaluated yet.", MUTED))
    accuracies = [path.score.accuracy for path in ranked]
    rows = [line(("Paths by accuracy", "bold")), *histogram(accuracies, width), line("")]
    rows += [line(("Mean accuracy by candidate", "bold")), *heat_map(view, width), line("")]
    rows += _ends(view, ranked, width)
    return lines(rows)


def histogram(values: Sequence[float], width: int) -> list[Content]:
    """Return a bar for each of several equal ranges of accuracy, the best on top."""
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
    """Return a table of blocks by candidates: mean accuracies, shaded from the worst to the best."""
    blocks = [{label: mean for label, mean, _ in block} for block in candidate_means(view)]
    known = [mean for block in blocks for mean in block.values() if mean is not None]
    if not known:
        return [line(("The preset cannot be read, so its blocks are unknown.", MUTED))]
    scale = min(known), max(known)
    labels = list(dict.fromkeys(label for block in blocks for label in block))
    names = short_names(labels, _LONGEST_LABEL)
    cell = max(_CELL, *map(len, names.values())) + 2
    across = max(1, (width - len(_block(0))) // cell)
    found = []
    for begin in range(0, len(labels), across):
        columns = labels[begin : begin + across]
        heads = "".join(names[label].ljust(cell) for label in columns).rstrip()
        found.append(line((" " * len(_block(0)) + heads, MUTED)))
        found += [
            line((_block(number), MUTED), *(part for label in columns for part in _cell(block, label, cell, scale)))
            for number, block in enumerate(blocks, start=1)
            if not block.keys().isdisjoint(columns)
        ]
    low, high = (f"{100 * value:.2f} %" for value in scale)
    return [
        *found,
        line((f"{' ' * len(_block(0))}{_SHADES[1]} {low}  to  {_SHADES[-1]} {high}, evaluated paths", MUTED)),
    ]


def _block(number: int) -> str:
    return f"block {number:<3} "


def _cell(block: Mapping[str, float | None], label: str, width: int, scale: tuple[float, float]) -> list[Part]:
    """Return the cell of a block and a candidate: empty where the block lacks it, a dash where no path has it yet."""
    mean = block.get(label)
    if mean is None:
        return [("     –" if label in block else "").ljust(width)]
    low, high = scale
    place = (mean - low) / (high - low) if high > low else 1.0
    best = mean == max(value for value in block.values() if value is not None)
    shade = _SHADES[1 + min(3, int(place * 4))] * 3
    number = f"{100 * mean:7.2f}".ljust(width - len(shade))
    return [(shade, f"$success {40 + round(60 * place)}%"), (number, "bold" if best else "")]


def _ends(view: RunView, ranked: Sequence[PathView], width: int) -> list[Content]:
    """Return the best and the worst paths, or all if they are few."""
    numbered = list(enumerate(ranked, start=1))
    shown = numbered if len(numbered) <= 40 else numbered[:20] + numbered[-20:]
    table = Table.fitting([path for _, path in shown], view.blocks, width, bool(view.stand_alone), len(ranked))
    alone = "one-shot, alone, " if view.stand_alone else ""
    title = "All paths" if len(shown) == len(numbered) else "The best 20 and the worst 20"
    info = f"  by {RANKED_BY}; {alone}history, images trained; bars from {100 * table.floor:g} %"
    found = [line((title, "bold"), (info, MUTED))]
    for place, (rank, path) in enumerate(shown):
        if place and rank != shown[place - 1][0] + 1:
            found.append(line((f"… {len(numbered) - len(shown):,} more", MUTED)))
        found += table.rows(rank, path, view.stand_alone.get(path.score.path), False)
    return found
