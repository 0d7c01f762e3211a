"""The comparison: do one-shot scores rank paths as training each from scratch does? Draws the stored result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeGuard

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from supernet_cli.glyphs import clock, number, short
from supernet_cli.reports.next_step import SAMPLED, TRAINED_WHOLE
from supernet_cli.runs.ranking import RANKED_BY, RankKey, rank_key
from supernet_cli.runs.views import RunView
from supernet_cli.space.names import short_names
from supernet_cli.tui.curves import limits
from supernet_cli.tui.draw import MUTED, heading, line, lines, rich_colour
from supernet_cli.tui.panels.loss import LossChart
from supernet_cli.tui.reader import ViewChanged
from supernet_cli.tui.ticks import linear

_SHORT = {"parameters": "params", "short_training": "short", "macs": "MACs"}
_LARGEST = 1e15
_ORDERS = (
    ("stand_alone_test_accuracy", "stand-alone accuracy"),
    ("one_shot_validation_loss", f"one-shot {RANKED_BY}"),
    ("difference", "difference"),
    ("parameters", "parameters"),
    ("path", "name"),
)
"""What the table is sorted by: a key of its rows, and its name."""


class ComparisonScreen(Screen[None]):
    """Renders results/comparison.json."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-normal")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,c,q", "dismiss", "Back"),
        Binding("o", "sort", "Sort", tooltip="Sort the table by the next column"),
    ]

    def __init__(self, view: RunView) -> None:
        super().__init__()
        self.view = view
        self._order = 0

    def compose(self) -> ComposeResult:
        """Yield heading, verdict, scatter plot, figures and table."""
        yield Static(id="compare-heading")
        with VerticalScroll(id="compare-scroll"):
            yield Static(id="compare-verdict")
            with Horizontal(id="compare-upper"):
                with Vertical(id="compare-left"):
                    yield Static(id="compare-axes")
                    yield LossChart(id="compare-scatter")
                yield Static(id="compare-figures")
            yield Static(id="compare-table")
            yield Static(id="compare-notes")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Label the axes, and focus the text so that the keys that scroll work."""
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
        self._order = (self._order + 1) % len(_ORDERS)
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
            self.query_one("#compare-verdict", Static).update(_nothing(self.view))
            return
        run = runs[0]
        info = f"{run.get('run') or ''}  {_count(run, 'n')} paths"
        self.query_one("#compare-heading", Static).update(heading("Comparison", width, (info, MUTED)))
        self.query_one("#compare-verdict", Static).update(line((str(run.get("verdict") or ""), "bold")))
        self._draw_scatter(run)
        self.query_one("#compare-figures", Static).update(lines(figures(run)))
        self.query_one("#compare-notes", Static).update(lines(reasons(run)))
        self.query_one("#compare-table", Static).update(lines(table(run, self.view.blocks, width - 2, self._order)))

    def _draw_scatter(self, run: Mapping[str, Any]) -> None:
        chart = self.query_one(LossChart)
        chart.clear()
        pairs = [
            (100 * x, 100 * y)
            for row in _rows(run)
            if (x := _one_shot(row)) is not None and (y := _number(row, "stand_alone_test_accuracy")) is not None
        ]
        chart.display = bool(pairs)
        if not pairs:
            return
        axes = line(("↑ alone, → one-shot: test accuracy, %", MUTED))
        self.query_one("#compare-axes", Static).update(axes)
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


def figures(run: Mapping[str, Any]) -> list[Content]:
    """Return the figures of a comparison, each with a remark; a dash means that it could not be computed."""
    tau, rho = _mapping(run, "kendall_tau"), _mapping(run, "spearman_rho")
    rows: list[tuple[str, str, str]] = [
        ("Kendall τ", _signed(tau, "mean"), _range(tau)),
        ("its ceiling", _signed(run, "tau_ceiling"), "limit from noise"),
        ("corrected τ", _signed(_mapping(run, "tau_corrected"), "both"), "without noise"),
        ("p by chance", _plain(run, "relabel_p"), "of random orders"),
        ("Spearman ρ", _signed(rho, "mean"), _range(rho)),
        ("seeds agree", _signed(run, "seed_agreement"), "stand-alone seeds"),
        ("", _signed(run, "supernet_agreement"), "supernet seeds"),
        ("top quarter", _signed(_mapping(run, "kendall_tau_top_quarter"), "mean"), "τ among the best"),
        ("resolved", _percent(run, "resolved_share"), "of pairs differ"),
        ("their γ", _signed(run, "resolved_gamma"), ""),
        ("regret", _points(run, "regret_at_1"), f"best of 3: {_points(run, 'regret_at_3')}"),
    ]
    found = [
        line((f"{name:<12}", MUTED), (f"{value:>7}", "bold"), (f"  {remark}", MUTED)) for name, value, remark in rows
    ]
    for baseline in _list(run, "baselines"):
        if isinstance(baseline, dict):
            name = f"τ {_SHORT.get(str(baseline.get('name')), baseline.get('name'))}"
            found.append(line((f"{name[:12]:<12}", MUTED), (f"{_signed(baseline, 'kendall_tau'):>7}", "bold")))
    return found + _costs(_mapping(run, "cost"))


def reasons(run: Mapping[str, Any]) -> list[Content]:
    """Return the reasons for missing figures, each once."""
    notes = run.get("notes")
    found = notes.values() if isinstance(notes, dict) else notes if isinstance(notes, list) else []
    return [line((f"– {note}", MUTED)) for note in dict.fromkeys(note for note in found if isinstance(note, str))]


def table(run: Mapping[str, Any], blocks: tuple[tuple[str, ...], ...], width: int, order: int) -> list[Content]:
    """Return the table of paths, sorted by a column; columns that do not fit are dropped, the last one first."""
    key, name_of_order = _ORDERS[order]
    rows = sorted(_rows(run), key=lambda row: _sort_key(row, key))
    columns: list[tuple[str, int, Callable[[Mapping[str, Any]], str]]] = [
        ("one-shot", 9, lambda row: _percent_of(_one_shot(row))),
        ("alone", 9, lambda row: _percent_of(_number(row, "stand_alone_test_accuracy"))),
        ("± sd", 7, lambda row: _plain_of(_times(_number(row, "stand_alone_sd"), 100))),
        ("diff", 8, lambda row: _signed_of(_times(_number(row, "difference"), 100))),
        ("params", 8, lambda row: _short_of(_number(row, "parameters"))),
        ("MACs", 8, lambda row: _short_of(_number(row, "macs"))),
        ("ms", 8, lambda row: _plain_of(_times(_number(row, "latency_seconds"), 1000))),
        ("trained", 9, lambda row: clock(_number(row, "seconds"))),
    ]
    paths = [str(row.get("path", "?")) for row in rows]
    names = short_names(
        list(dict.fromkeys(paths)), max(12, width - sum(size for _, size, _ in columns[:4]) - 4), blocks
    )
    name = max(map(len, names.values()), default=4)
    while columns and 4 + name + sum(size for _, size, _ in columns) > width:
        columns.pop()
    heads = "".join(f"{head:>{size}}" for head, size, _ in columns)
    found = [line("Paths by ", (name_of_order, "bold"), ("  o: next order", MUTED))]
    found.append(line((f"    {'path':<{name}}{heads}", MUTED)))
    for rank, (row, path) in enumerate(zip(rows, paths, strict=True), start=1):
        cells = "".join(f"{value(row):>{size}}" for _, size, value in columns)
        found.append(line((f"{rank:>3} ", MUTED), f"{names[path]:<{name}}{cells}"))
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


def _costs(cost: Mapping[str, Any]) -> list[Content]:
    parts = [(name, _mapping(cost, key)) for name, key in (("one-shot", "training"), ("alone", "stand_alone"))]
    costs = [
        f"{name} {clock(_number(part, 'seconds'))}" for name, part in parts if _number(part, "seconds") is not None
    ]
    return [line((f"{'cost':<12}", MUTED), "  ", ", ".join(costs))] if costs else []


def _rows(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = run.get("rows")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _one_shot(row: Mapping[str, Any]) -> float | None:
    test = _number(row, "one_shot_test_accuracy")
    return _number(row, "one_shot_validation_accuracy") if test is None else test


def _sort_key(row: Mapping[str, Any], key: str) -> RankKey:
    """Return what sorts rows: ascending by parameters and loss, descending by all else; missing values last."""
    value, sign = _number(row, key), 1.0 if key in ("parameters", "one_shot_validation_loss") else -1.0
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


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _count(run: Mapping[str, Any], key: str) -> str:
    value = _number(run, key)
    return f"{len(_rows(run)) if value is None else round(value):,}"


def _range(part: Mapping[str, Any]) -> str:
    values = [v for v in _list(part, "per_seed") if _is_number(v)]
    return f"{_signed_of(min(values))} to {_signed_of(max(values))}" if len(values) > 1 else "one seed"


def _signed(table: Mapping[str, Any], key: str) -> str:
    return _signed_of(_number(table, key))


def _plain(table: Mapping[str, Any], key: str) -> str:
    return _plain_of(_number(table, key))


def _percent(table: Mapping[str, Any], key: str) -> str:
    value = _number(table, key)
    return "–" if value is None else f"{100 * value:.0f} %"


def _points(table: Mapping[str, Any], key: str) -> str:
    value = _number(table, key)
    return "–" if value is None else number(100 * value)


def _percent_of(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"


def _signed_of(value: float | None) -> str:
    return "–" if value is None else number(value, "+z.2f")


def _plain_of(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _short_of(value: float | None) -> str:
    return "–" if value is None else short(value)
