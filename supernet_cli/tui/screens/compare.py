"""The comparison: do one-shot scores rank paths as training each from scratch does? Draws the stored result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from supernet_cli.reports import sheets
from supernet_cli.reports.comparison import PathRow, RunComparison, read_comparison
from supernet_cli.reports.next_step import SAMPLED, TRAINED_WHOLE
from supernet_cli.reports.parts import Word
from supernet_cli.reports.sheets import PATH_COLUMNS, SCORE_AXIS, TRUTH_AXIS, PathColumn, Sheet
from supernet_cli.reports.summary import MARKS, summary
from supernet_cli.space.names import short_names
from supernet_cli.store.ranking import RankKey, rank_key
from supernet_cli.store.views import RunView
from supernet_cli.ticks import linear
from supernet_cli.tui.curves import limits
from supernet_cli.tui.draw import MUTED, heading, line, lines, rich_colour
from supernet_cli.tui.panels.loss import LossChart
from supernet_cli.tui.reader import ViewChanged
from supernet_cli.tui.sheets import folded, sheet_lines

_COLOURS: Mapping[Word, str] = {
    "trust": "bold $success",
    "use with care": "bold $warning",
    "do not trust": "bold $error",
    "not enough evidence": "bold $primary",
}
_LABEL = 18
"""Columns of the labels of the answer's lines."""

_LEAST_NAME = 12
"""Columns of a path's name at least."""

_ORDERS = ("accuracy", "alone", "val. loss", "diff.", "MACs")
"""Columns that the table is sorted by, as far as there is something in them; then by name."""

_ASCENDING = ("MACs", "val. loss")


class ComparisonScreen(Screen[None]):
    """Renders results/comparison.json."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-normal"), (100, "-wide")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,c,q", "dismiss", "Back"),
        Binding("o", "sort", "Sort", tooltip="Sort the table by the next column"),
    ]

    def __init__(self, view: RunView) -> None:
        super().__init__()
        self.view = view
        self._run = _compared(view)
        self._order = 0

    def compose(self) -> ComposeResult:
        """Yield heading, answer, scatter plot, figures and table."""
        yield Static(id="compare-heading")
        with VerticalScroll(id="compare-scroll"):
            yield Static(id="compare-answer")
            with Horizontal(id="compare-upper"):
                with Vertical(id="compare-left"):
                    yield Static(line((TRUTH_AXIS, MUTED)), id="compare-up")
                    yield LossChart(id="compare-scatter")
                    yield Static(line((SCORE_AXIS, MUTED)), id="compare-across")
                yield Static(id="compare-figures")
            yield Static(id="compare-table")
            yield Static(id="compare-notes")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Prepare the axes, and focus the text so that the keys that scroll work."""
        self.query_one(LossChart).set_axes(linear, linear)
        self.query_one("#compare-scroll").focus()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self.redraw)

    @on(ViewChanged)
    def take(self, message: ViewChanged) -> None:
        """Show a new comparison."""
        changed = message.view.comparison != self.view.comparison
        self.view = message.view
        if changed:
            self._run = _compared(message.view)
            self.redraw()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._order += 1
        self.redraw()

    def redraw(self) -> None:
        """Draw everything, or explain how to make a comparison."""
        run = self._run
        self.query_one("#compare-upper").display = run is not None
        for name in ("#compare-table", "#compare-notes"):
            self.query_one(name).display = run is not None
        width = max(20, self.size.width - 2)
        if run is None:
            self.query_one("#compare-heading", Static).update(heading("Comparison", width))
            self.query_one("#compare-answer", Static).update(_nothing(self.view))
            return
        info = f"{run.run}  {run.n or len(run.rows):,} paths"
        self.query_one("#compare-heading", Static).update(heading("Comparison", width, (info, MUTED)))
        opening = answer(run, width - 1) or _old(self.view, run, width - 1)
        self.query_one("#compare-answer", Static).update(lines(opening))
        self._draw_scatter(run, self.size.height - len(opening) - 3)
        baselines = sheet_lines(sheets.baselines(run).without(("",)), _width_of_figures(width - 1))
        self.query_one("#compare-figures", Static).update(lines(baselines))
        self.query_one("#compare-table", Static).update(lines(tables(run, self.view.blocks, width - 2, self._order)))
        self.query_one("#compare-notes", Static).update(lines(reasons(run)))

    def _draw_scatter(self, run: RunComparison, room: int) -> None:
        """Draw scores against ground truth, as high as what fits on the screen."""
        chart, frame = self.query_one(LossChart), self.query_one("#compare-left")
        chart.clear()
        pairs = [
            (row.one_shot_validation_loss, 100 * row.stand_alone_test_accuracy)
            for row in run.rows
            if row.one_shot_validation_loss is not None and row.stand_alone_test_accuracy is not None
        ]
        frame.display = bool(pairs)
        if not pairs:
            return
        frame.styles.height = min(20, max(11, room))
        colours = self.app.theme_variables
        xs, ys = [p[0] for p in pairs], [p[1] for p in pairs]
        marker = "●" if len(pairs) <= 60 else "·"
        chart.scatter(xs, ys, marker=marker, marker_style=rich_colour(colours, "primary"))
        chart.set_xlimits(*limits(xs))
        chart.set_ylimits(*limits(ys))


def answer(run: RunComparison, width: int) -> list[Content]:
    """Return what a comparison opens with: word, reason, decision and next step; nothing if it was not stored.

    Args:
        run: The run's comparison.
        width: Columns available.
    """
    found = summary(run)
    if found is None:
        return []
    word = f"{MARKS[found.word]} {found.word.upper()}"
    first, *more = folded(f"{word}  {found.reason}", width)
    rows = [line((word, _COLOURS[found.word]), first.removeprefix(word)), *map(line, more), line("")]
    for label, text in found.lines:
        rows += _labelled(label, text, width)
    rows += _labelled("next", f"{found.purpose}:" if found.command else found.purpose, width)
    rows += [line((part, "bold $primary")) for part in _command(found.command, width)]
    if found.weights:
        rows += _labelled("its weights", found.weights, width)
    return rows


def tables(run: RunComparison, blocks: Sequence[Sequence[str]], width: int, order: int) -> list[Content]:
    """Return all tables but that of the baselines, which stands beside the figure.

    Args:
        run: The run's comparison.
        blocks: Labels of each block's candidates.
        width: Columns available.
        order: How many times the order of the paths was changed.
    """
    found = [sheet_lines(sheet(run), width) for sheet in (sheets.measures, sheets.regrets, sheets.cost)]
    found.append(path_table(run.rows, blocks, width, order))
    found += [sheet_lines(sheet(run), width) for sheet in (sheets.disagreement, sheets.candidates)]
    return [row for rows in found for row in (*rows, line(""))][:-1]


def path_table(rows: Sequence[PathRow], blocks: Sequence[Sequence[str]], width: int, order: int) -> list[Content]:
    """Return the table of paths, sorted by a column; columns that are empty or do not fit are dropped.

    Args:
        rows: The paths.
        blocks: Labels of each block's candidates.
        width: Columns available.
        order: How many times the order was changed.
    """
    known = [column for column in PATH_COLUMNS if any(column.value(row) is not None for row in rows)]
    orders = [column for heading in _ORDERS for column in known if column.heading == heading]
    by = [*orders, None][order % (len(orders) + 1)]
    empty = [column.heading for column in PATH_COLUMNS if column not in known]
    sheet = sheets.paths(_ordered(rows, by)).without(empty)
    names = [row[0] for row in sheet.rows]
    needed = [column.heading for column in known if column.heading not in sheet.optional]
    kept = sum(2 + len(max([heading, *cells], key=len)) for heading, *cells in _columns(sheet) if heading in needed)
    short = short_names(list(dict.fromkeys(names)), max(_LEAST_NAME, width - kept - 4), blocks)
    numbered = tuple((f"{place:>3} {short[row[0]]}", *row[1:]) for place, row in enumerate(sheet.rows, 1))
    title = f"Paths by {by.heading if by else 'path'}"
    headings = ("    path", *sheet.headings[1:])
    optional = (*sheet.optional, *reversed(needed[1:]))  # the first figure stays
    sheet = replace(sheet, title=title, headings=headings, rows=numbered, words=headings[:1], optional=optional)
    return sheet_lines(sheet, width, "  o: next order")


def _columns(sheet: Sheet) -> list[tuple[str, ...]]:
    return list(zip(sheet.headings, *sheet.rows, strict=True))


def _ordered(rows: Sequence[PathRow], by: PathColumn | None) -> list[PathRow]:
    """Return rows, best first: ascending by size and loss, descending by all else; missing values last."""

    def key(row: PathRow) -> RankKey:
        value, is_loss = by.value(row) if by else None, by is not None and by.heading == "val. loss"
        sign = 1.0 if by is not None and by.heading in _ASCENDING else -1.0
        lesser = row.one_shot_validation_accuracy if is_loss else None
        return rank_key(None if value is None else sign * value, lesser, row.path)

    return sorted(rows, key=key)


def reasons(run: RunComparison) -> list[Content]:
    """Return why figures are missing or limited: each reason once, with the names of those it concerns."""
    return [line((f"{', '.join(names)}: ", "bold"), (why, MUTED)) for why, names in run.unknowns]


def _compared(view: RunView) -> RunComparison | None:
    """Return the stored comparison as far as it can be understood; None if there is none."""
    found = read_comparison(view.comparison)
    return found.runs[0] if found is not None and found.runs else None


def _nothing(view: RunView) -> Content:
    rows = [line(""), line("This run has not been compared with stand-alone trainings yet.")]
    if view.run is not None:
        paths = ("--all",) if view.num_paths <= TRAINED_WHOLE else ("--sample", str(SAMPLED))
        for purpose, command in (
            ("First train paths from scratch:", view.run.command("retrain", *paths)),
            ("Then compare:", view.run.command("compare")),
        ):
            rows += [line(""), line((purpose, MUTED)), line(("    " + command, "bold $primary"))]
    return lines(rows)


def _old(view: RunView, run: RunComparison, width: int) -> list[Content]:
    """Return what a comparison without an answer opens with: its verdict, and how to make a new one."""
    rows = [line((part, "bold")) for part in folded(run.verdict, width)]
    if view.run is not None:
        rows += [line(""), line(("An earlier version stored this comparison. Compare again, in seconds:", MUTED))]
        rows += [line((part, "bold $primary")) for part in _command(view.run.command("compare"), width)]
    return rows


def _labelled(name: str, text: str, width: int) -> list[Content]:
    """Return a line of the answer, folded beside its label; on a narrow screen, below it."""
    if width < 3 * _LABEL:
        return [line((name, MUTED)), *(line(f"  {part}") for part in folded(text, width - 2))]
    parts = folded(text, width - _LABEL)
    return [line((f"{'' if place else name:<{_LABEL}}", MUTED), part) for place, part in enumerate(parts)]


def _command(command: str, width: int) -> list[str]:
    return ["  " + part for part in folded(command, width - 2)]


def _width_of_figures(width: int) -> int:
    """Return the columns of the figures: all, half or three fifths, as in app.tcss."""
    return width if width < 77 else (width - 2) // 2 if width < 97 else 3 * (width - 2) // 5
