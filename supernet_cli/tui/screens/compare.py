"""The comparison: do one-shot scores rank paths as training each from scratch does? Draws the stored result."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeGuard

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from supernet_cli.glyphs import clock, number
from supernet_cli.reports.labels import SCORE_AXIS, TRUTH_AXIS, label, unknowns
from supernet_cli.reports.next_step import SAMPLED, TRAINED_WHOLE
from supernet_cli.reports.sheets import ABSENT, OPTIONAL_COLUMNS, PATH_COLUMNS, PathColumn, baseline_name, probability
from supernet_cli.reports.summary import MARKS, summary
from supernet_cli.reports.verdict import Word
from supernet_cli.runs.ranking import RankKey, rank_key
from supernet_cli.runs.views import RunView
from supernet_cli.space.names import short_names
from supernet_cli.tui.curves import limits
from supernet_cli.tui.draw import MUTED, clean, heading, line, lines, rich_colour
from supernet_cli.tui.panels.loss import LossChart
from supernet_cli.tui.reader import ViewChanged
from supernet_cli.tui.ticks import linear

_COLOURS: Mapping[Word, str] = {
    "trust": "bold $success",
    "use with care": "bold $warning",
    "do not trust": "bold $error",
    "not enough evidence": "bold $primary",
}
_LARGEST = 1e15
_LABEL = 18
"""Columns of the labels of the answer's lines."""

_NAME, _VALUE = 28, 7
"""Columns of a figure's name and value."""

_WIDE = 66
"""Columns from which each figure has a remark beside its value."""

_ORDERS = ("expected_accuracy", "stand_alone_test_accuracy", "one_shot_validation_loss", "difference", "macs", "path")
"""Columns that the table is sorted by, as far as there is something in them."""

_ASCENDING = ("macs", "one_shot_validation_loss")


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
            self.redraw()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._order += 1
        self.redraw()

    def redraw(self) -> None:
        """Draw everything, or explain how to make a comparison."""
        runs = compared_runs(self.view.comparison)
        self.query_one("#compare-upper").display = bool(runs)
        for name in ("#compare-table", "#compare-notes"):
            self.query_one(name).display = bool(runs)
        width = max(20, self.size.width - 2)
        if not runs:
            self.query_one("#compare-heading", Static).update(heading("Comparison", width))
            self.query_one("#compare-answer", Static).update(_nothing(self.view))
            return
        run = runs[0]
        info = f"{run.get('run') or ''}  {_count(run, 'n')} paths"
        self.query_one("#compare-heading", Static).update(heading("Comparison", width, (info, MUTED)))
        opening = answer(run, width - 1) or _old(self.view, run, width - 1)
        self.query_one("#compare-answer", Static).update(lines(opening))
        self._draw_scatter(run, self.size.height - len(opening) - 3)
        self.query_one("#compare-figures", Static).update(lines(figures(run, _width_of_figures(width - 1))))
        self.query_one("#compare-notes", Static).update(lines(reasons(run)))
        self.query_one("#compare-table", Static).update(lines(table(run, self.view.blocks, width - 2, self._order)))

    def _draw_scatter(self, run: Mapping[str, Any], room: int) -> None:
        """Draw scores against ground truth, as high as what fits on the screen."""
        chart, frame = self.query_one(LossChart), self.query_one("#compare-left")
        chart.clear()
        pairs = [
            (x, 100 * y)
            for row in _rows(run)
            if (x := _number(row, "one_shot_validation_loss")) is not None
            and (y := _number(row, "stand_alone_test_accuracy")) is not None
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


def compared_runs(document: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Return the runs of a comparison's document; malformed ones are skipped."""
    runs = document.get("runs") if document is not None else None
    return [run for run in runs if isinstance(run, dict)] if isinstance(runs, list) else []


def answer(run: Mapping[str, Any], width: int) -> list[Content]:
    """Return what a comparison opens with: word, reason, decision and next step; nothing if it was not stored.

    Args:
        run: Its entry of the document.
        width: Columns available.
    """
    try:
        found = summary(dict(run))
        if found is None:
            return []
        word = f"{MARKS[found.word]} {found.word.upper()}"
        first, *more = _folded(f"{word}  {found.reason}", width)
        rows = [line((word, _COLOURS[found.word]), first.removeprefix(word)), *map(line, more), line("")]
        for each in found.lines:
            rows += _labelled(each.label, each.text, width)
        rows += _labelled("next", f"{found.purpose}:" if found.command else found.purpose, width)
        rows += [line((part, "bold $primary")) for part in _command(found.command, width)]
        if found.weights:
            rows += _labelled("its weights", found.weights, width)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):  # damaged, or of another version
        return []
    return rows


def figures(run: Mapping[str, Any], width: int) -> list[Content]:
    """Return the figures of a comparison, each with a remark; a dash means that it could not be computed.

    Args:
        run: Its entry of the document.
        width: Columns available.
    """
    found = [_figure(label(key), value, remark, width) for key, value, remark in _measures(run, width >= _WIDE)]
    known = [each for each in _list(run, "baselines") if isinstance(each, dict)]
    if known:
        found += [line(""), _heading_of_baselines(width)]
    for each in known:
        remark = _bounds(_mapping(each, "difference")) if width >= _WIDE else ""
        found.append(_figure(baseline_name(str(each.get("name"))), _plain(each, "kendall_tau"), remark, width))
    spent = _mapping(run, "cost")
    costs = [(key, _number(_mapping(spent, key), "seconds")) for key in ("training", "evaluation", "stand_alone")]
    if any(seconds is not None for _, seconds in costs):
        found += [line(""), line(("Cost", "bold"))]
        found += [_figure(label(f"cost.{key}"), clock(seconds), "", width) for key, seconds in costs]
    return found


def reasons(run: Mapping[str, Any]) -> list[Content]:
    """Return why figures are missing or limited: each reason once, with the names of those it concerns."""
    notes = {key: why for key, why in _mapping(run, "notes").items() if isinstance(why, str)}
    return [line((f"{', '.join(names)}: ", "bold"), (why, MUTED)) for why, names in unknowns({"notes": notes})]


def table(run: Mapping[str, Any], blocks: tuple[tuple[str, ...], ...], width: int, order: int) -> list[Content]:
    """Return the table of paths, sorted by a column; columns that are empty or do not fit are dropped.

    Args:
        run: The entry of the document.
        blocks: Labels of each block's candidates.
        width: Columns available.
        order: How many times the order was changed.
    """
    rows = _rows(run)
    known = [key for key in _ORDERS if key == "path" or any(_number(row, key) is not None for row in rows)]
    key = known[order % len(known)]
    rows = sorted(rows, key=lambda row: _sort_key(row, key))
    columns = {
        column.heading: [_cell(column, row) for row in rows] for column in PATH_COLUMNS if column.field != "path"
    }
    columns = {name: cells for name, cells in columns.items() if set(cells) != {ABSENT}}
    sizes = {name: 2 + max(map(len, (name, *cells))) for name, cells in columns.items()}
    paths = [str(row.get("path", "?")) for row in rows]
    kept = sum(size for name, size in sizes.items() if name not in OPTIONAL_COLUMNS)
    names = short_names(list(dict.fromkeys(paths)), max(12, width - kept - 4), blocks)
    wide = max(map(len, names.values()), default=4)
    for name in (*OPTIONAL_COLUMNS, *reversed(list(columns))):
        if 4 + wide + sum(sizes.values()) > width:
            sizes.pop(name, None)
    heads = "".join(f"{name:>{size}}" for name, size in sizes.items())
    by = next(column.heading for column in PATH_COLUMNS if column.field == key)
    found = [line(("Paths", "bold"), " by ", (by, "bold"), ("  o: next order", MUTED))]
    found.append(line((f"    {'path':<{wide}}{heads}", MUTED)))
    for place, path in enumerate(paths):
        cells = "".join(f"{columns[name][place]:>{size}}" for name, size in sizes.items())
        found.append(line((f"{place + 1:>3} ", MUTED), f"{names[path]:<{wide}}{cells}"))
    return found


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


def _old(view: RunView, run: Mapping[str, Any], width: int) -> list[Content]:
    """Return what a comparison without an answer opens with: its verdict, and how to make a new one."""
    rows = [line((part, "bold")) for part in _folded(str(run.get("verdict") or ""), width)]
    if view.run is not None:
        rows += [line(""), line(("An earlier version stored this comparison. Compare again, in seconds:", MUTED))]
        rows += [line((part, "bold $primary")) for part in _command(view.run.command("compare"), width)]
    return rows


def _labelled(name: str, text: str, width: int) -> list[Content]:
    """Return a line of the answer, folded beside its label; on a narrow screen, below it."""
    if width < 3 * _LABEL:
        return [line((name, MUTED)), *(line(f"  {part}") for part in _folded(text, width - 2))]
    parts = _folded(text, width - _LABEL)
    return [line((f"{'' if place else name:<{_LABEL}}", MUTED), part) for place, part in enumerate(parts)]


def _folded(text: str, width: int) -> list[str]:
    """Return a text in lines, none of which ends within an equation, before a unit or in a file's name."""
    glued = re.sub(r" (?=[=%])|(?<==) |(?<=\d) (?=(?:ms|[MGTP])\b)", "\N{NO-BREAK SPACE}", clean(text))
    return [part.replace("\N{NO-BREAK SPACE}", " ") for part in textwrap.wrap(glued, width, break_on_hyphens=False)]


def _command(command: str, width: int) -> list[str]:
    return ["  " + part for part in _folded(command, width - 2)]


def _width_of_figures(width: int) -> int:
    """Return the columns of the figures: all, half or three fifths, as in app.tcss."""
    return width if width < 77 else (width - 2) // 2 if width < 97 else 3 * (width - 2) // 5


def _heading_of_baselines(width: int) -> Content:
    order, tau = "Baselines", f"  {label('kendall_tau')}"
    ahead = "  supernet ahead by (95 %)" if width >= _WIDE else ""
    return line((order, "bold"), (f"{tau:>{_NAME + _VALUE - len(order)}}{ahead}" if ahead else tau, MUTED))


def _figure(name: str, value: str, remark: str, width: int) -> Content:
    """Return a figure: name, value and remark; where there is little room, the remark comes before the value."""
    remark = "" if value == ABSENT else remark
    if width >= _WIDE:
        return line((f"{name:<{_NAME}}", MUTED), (f"{value:>{_VALUE}}", "bold"), (f"  {remark}", MUTED))
    room = width - _VALUE - 1
    shown = f"{name}  {remark}" if remark and len(name) + len(remark) + 2 <= room else name
    return line((f"{shown:<{room}}", MUTED), (f"{value:>{_VALUE + 1}}", "bold"))


def _measures(run: Mapping[str, Any], wide: bool) -> Iterator[tuple[str, str, str]]:
    """Yield the field, value and remark of each figure.

    Args:
        run: The entry of the document.
        wide: Whether there is room for long remarks.
    """

    def long(remark: str) -> str:
        return remark if wide else ""

    expected = _mapping(run, "kendall_tau_expected")
    yield "kendall_tau_expected", _plain(expected, "mean"), f"{_range(expected)}{long(', 95 % interval')}"
    for key in ("kendall_tau", "spearman_rho", "kendall_tau_top_quarter"):
        spread = _mapping(run, key)
        each = [value for value in _list(spread, "per_seed") if _is_number(value)]
        over = f"{number(min(each))} to {number(max(each))}" if len(each) > 1 else ""
        seeds = long(f" over {len(each)} supernets") if over else long("one supernet") if each else ""
        yield key, _plain(spread, "mean"), over + seeds
    beyond = _mapping(run, "at_equal_macs")
    chance = [value for value in _list(beyond, "null") if _is_number(value)]
    without = long(f"{number(chance[0])} to {number(chance[1])} with size alone") if len(chance) == 2 else ""
    yield "at_equal_macs", _plain(_mapping(beyond, "correlation"), "mean"), without
    yield "tau_ceiling", _plain(run, "tau_ceiling"), long("what a perfect ranking reaches")
    yield "tau_corrected.both", _plain(_mapping(run, "tau_corrected"), "both"), ""
    yield "seed_agreement", _plain(run, "seed_agreement"), long("mean τ between pairs of seeds")
    yield "supernet_agreement", _plain(run, "supernet_agreement"), ""
    yield "relabel_p", probability(_number(run, "relabel_p")), long("of relabellings do as well")
    pairs, resolved = _number(run, "pairs"), _number(run, "resolved_pairs")
    counts = "" if pairs is None or resolved is None else f"{resolved:,.0f} of {pairs:,.0f}"
    yield "resolved_share", _percent(run, "resolved_share"), counts
    yield "resolved_gamma", _plain(run, "resolved_gamma"), ""
    for key in ("regret_at_1", "regret_at_3"):
        interval = [100 * value for value in _list(run, f"{key}_interval") if _is_number(value)]
        within = f"{number(interval[0], 'z.3f')} to {number(interval[1], 'z.3f')}" if len(interval) == 2 else ""
        lost = _number(run, key)
        yield (
            key,
            ABSENT if lost is None else number(100 * lost, "z.3f"),
            f"{within} points".strip() if wide else within,
        )


def _rows(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = run.get("rows")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _cell(column: PathColumn, row: Mapping[str, Any]) -> str:
    return column.form(_number(row, column.field))


def _sort_key(row: Mapping[str, Any], key: str) -> RankKey:
    """Return what sorts rows: ascending by size and loss, descending by all else; missing values last."""
    value, sign = _number(row, key), 1.0 if key in _ASCENDING else -1.0
    lesser = _number(row, "one_shot_validation_accuracy") if key == "one_shot_validation_loss" else None
    return rank_key(None if value is None else sign * value, lesser, str(row.get("path", "")))


def _mapping(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key)
    if _is_number(value):
        return {"mean": value}
    return value if isinstance(value, dict) else {}


def _number(table: Mapping[str, Any], key: str) -> float | None:
    value = table.get(key)
    return float(value) if _is_number(value) else None


def _is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number that can be shown; NaN, infinities and huge integers cannot."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _list(table: Mapping[str, Any], key: str) -> list[Any]:
    value = table.get(key)
    return value if isinstance(value, list) else []


def _count(run: Mapping[str, Any], key: str) -> str:
    value = _number(run, key)
    return f"{len(_rows(run)) if value is None else round(value):,}"


def _range(part: Mapping[str, Any]) -> str:
    """Return the 95 % interval of a coefficient; empty if it has none."""
    low, high = _number(part, "low"), _number(part, "high")
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def _bounds(part: Mapping[str, Any]) -> str:
    """Return a coefficient and its 95 % interval; empty if it has none."""
    within = _range(part)
    return f"{_plain(part, 'mean')} ({within})" if within else ""


def _plain(table: Mapping[str, Any], key: str) -> str:
    value = _number(table, key)
    return ABSENT if value is None else number(value)


def _percent(table: Mapping[str, Any], key: str) -> str:
    value = _number(table, key)
    return ABSENT if value is None else f"{100 * value:.0f} %"
