"""The central figure of a report: each path's one-shot score against its stand-alone accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from supernet_cli.glyphs import number
from supernet_cli.reports.labels import SCORE_AXIS, TRUTH_AXIS
from supernet_cli.reports.page.canvas import (
    ACCENT,
    MANY_POINTS,
    MUTED,
    PAPER,
    SECOND,
    Drawing,
    axes,
    dots,
    label_points,
    name_axes,
    printable,
    svg,
    ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW_NAMES = 8
_FEW_LABELS = 28
_LONGEST_NAME = 24
_FEW_PAIRS = 30
_FEW_BARS = 300
_ZOOM_FROM = 24

Row = dict[str, Any]
"""A row of the document."""


def scatter(entry: dict[str, Any], losses: Mapping[str, Sequence[float]], name: str) -> Drawing | None:
    """Draw one-shot score against stand-alone accuracy; None if fewer than two paths have both.

    Args:
        entry: Of the document.
        losses: By path, its loss of each supernet seed, as far as known.
        name: The figure's.
    """
    rows = judged(entry)
    if len(rows) < 2:
        return None
    numbered = len(rows) <= _FEW_LABELS and not _by_name(rows)
    caption = [
        "Each point is a path: its stand-alone accuracy against its one-shot loss. Up and to the left is better.",
        _tau_sentence(entry),
        _bars_sentence(entry, rows, losses),
        _pairs_sentence(entry, len(rows)),
        "Numbers: rank by stand-alone accuracy." if numbered else "",
    ]
    tau = entry["kendall_tau"]["mean"]
    alt = f"Scatter of {len(rows)} paths, one-shot validation loss against stand-alone test accuracy"
    alt += f"; observed τ {number(tau)}." if tau is not None else "."
    return _scatter(entry, rows, losses, name, "Scores against ground truth", " ".join(filter(None, caption)), alt)


def best_scatter(entry: dict[str, Any], losses: Mapping[str, Sequence[float]], name: str) -> Drawing | None:
    """Draw the same for the best quarter only, from which a search chooses; None if it is too small."""
    rows = judged(entry)
    if len(rows) < _ZOOM_FROM:
        return None
    best = sorted(rows, key=lambda row: -row["stand_alone_test_accuracy"])[: math.ceil(len(rows) / 4)]
    tau = entry["kendall_tau_top_quarter"]["mean"]
    agreement = "τ cannot be computed" if tau is None else f"τ = {number(tau)} among them"
    caption = f"The best {len(best)} paths by stand-alone accuracy, enlarged; {agreement}. These are what a search has "
    caption += "to choose between. Numbers: rank by stand-alone accuracy."
    alt = f"Scatter of the {len(best)} best paths; {agreement}."
    return _scatter(entry, best, losses, name, "The best quarter", caption, alt)


def judged(entry: dict[str, Any]) -> list[Row]:
    """Return the rows with both a score and a stand-alone accuracy."""
    fields = ("one_shot_validation_loss", "stand_alone_test_accuracy")
    return [row for row in entry["rows"] if all(row[field] is not None for field in fields)]


def ranks(values: Sequence[float], equals: Literal["average", "min", "ordinal"] = "average") -> list[float]:
    """Return ranks from 1, the smallest value first.

    Args:
        values: What to rank.
        equals: The rank of equal values: the mean of theirs, the first, or a separate one for each.
    """
    from scipy.stats import rankdata

    return [float(rank) for rank in rankdata(values, equals)]


def _scatter(
    entry: dict[str, Any],
    rows: Sequence[Row],
    losses: Mapping[str, Sequence[float]],
    name: str,
    title: str,
    caption: str,
    alt: str,
) -> Drawing:
    names = [row["path"] for row in rows]
    x = [row["one_shot_validation_loss"] for row in rows]
    y = [100 * row["stand_alone_test_accuracy"] for row in rows]
    figure, plot = axes(380)
    if len(rows) > MANY_POINTS:
        plot.plot(dots(x), dots(y), color=ACCENT, lw=2.6, alpha=0.7)
    else:
        if len(rows) <= _FEW_BARS:
            _bars(plot, rows, losses)
        _join_unresolved(plot, entry, dict(zip(names, zip(x, y, strict=True), strict=True)))
        _points(plot, x, y, _unclear(entry, rows))
    plot.margins(0.08)
    ticks(plot.xaxis, 5)
    ticks(plot.yaxis, 5)
    name_axes(plot, SCORE_AXIS, TRUTH_AXIS)
    if len(rows) <= _FEW_LABELS:
        places = [f"{rank:g}" for rank in ranks([-value for value in y], "min")]
        label_points(plot, x, y, [printable(name) for name in names] if _by_name(rows) else places)
    return Drawing(name, title, caption, alt, svg(figure, name, alt))


def _bars(plot: Axes, rows: Sequence[Row], losses: Mapping[str, Sequence[float]]) -> None:
    """Draw ± the standard deviation of stand-alone seeds vertically, the range of supernet seeds horizontally."""
    thin: Any = {"color": MUTED, "lw": 1.0, "alpha": 0.6 if len(rows) <= _FEW_LABELS else 0.4, "zorder": 1}
    for row in rows:
        x, y, sd = row["one_shot_validation_loss"], 100 * row["stand_alone_test_accuracy"], row["stand_alone_sd"]
        if sd is not None:
            plot.plot([x, x], [y - 100 * sd, y + 100 * sd], **thin)
        each = losses.get(row["path"], ())
        if len(each) > 1:
            plot.plot([min(each), max(each)], [y, y], **thin)


def _points(plot: Axes, x: Sequence[float], y: Sequence[float], unclear: Sequence[bool]) -> None:
    size = 7 if len(x) <= _FEW_LABELS else 5
    for hollow, face in ((True, PAPER), (False, ACCENT)):
        chosen = [index for index, value in enumerate(unclear) if value is hollow]
        plot.plot(
            [x[index] for index in chosen],
            [y[index] for index in chosen],
            "o",
            ms=size,
            mfc=face,
            mec=ACCENT,
            mew=1.4,
            zorder=3,
        )


def _join_unresolved(plot: Axes, entry: dict[str, Any], points: Mapping[str, tuple[float, float]]) -> None:
    pairs = entry["unresolved"] or []
    if len(pairs) > _FEW_PAIRS:
        return
    for one, other in pairs:
        if one in points and other in points:
            (x0, y0), (x1, y1) = points[one], points[other]
            plot.plot([x0, x1], [y0, y1], color=SECOND, lw=1.1, ls=(0, (0.5, 3)), zorder=2, dash_capstyle="round")


def _unclear(entry: dict[str, Any], rows: Sequence[Row]) -> list[bool]:
    """Return which paths are indistinguishable from a neighbour in the stand-alone order."""
    pairs = {frozenset(pair) for pair in entry["unresolved"] or ()}
    if len(pairs) <= _FEW_PAIRS:
        return [False] * len(rows)
    order = sorted(rows, key=lambda row: -row["stand_alone_test_accuracy"])
    doubtful = set()
    for one, other in zip(order[:-1], order[1:], strict=True):
        if frozenset((one["path"], other["path"])) in pairs:
            doubtful |= {one["path"], other["path"]}
    return [row["path"] in doubtful for row in rows]


def _tau_sentence(entry: dict[str, Any]) -> str:
    tau, ceiling = entry["kendall_tau"], entry["tau_ceiling"]
    if tau["mean"] is None:
        return "τ cannot be computed."
    seeds = len(entry["supernet_seeds"])
    over = f"{number(tau['low'])} to {number(tau['high'])} over {seeds} supernets" if seeds > 1 else "one supernet"
    return f"Observed τ = {number(tau['mean'])} ({over}); ceiling {'unknown' if ceiling is None else number(ceiling)}."


def _bars_sentence(entry: dict[str, Any], rows: Sequence[Row], losses: Mapping[str, Sequence[float]]) -> str:
    if len(rows) > _FEW_BARS:
        return ""
    bars = []
    if any(row["stand_alone_sd"] is not None for row in rows):
        bars.append(f"vertical, ± one standard deviation over {len(entry['stand_alone_seeds'])} stand-alone seeds")
    if any(len(losses.get(row["path"], ())) > 1 for row in rows):
        bars.append(f"horizontal, the range over {len(entry['supernet_seeds'])} supernets")
    return f"Bars: {'; '.join(bars)}." if bars else ""


def _pairs_sentence(entry: dict[str, Any], count: int) -> str:
    pairs, share = entry["unresolved"], entry["resolved_share"]
    if pairs is None:
        left = None if share is None else round(entry["pairs"] * (1 - share))
        return "" if not left else f"Noise hides the order of {left:,} of {entry['pairs']:,} pairs; too many to mark."
    if not pairs:
        return "Every pair of paths differs by more than noise."
    hidden = f"noise hides the order of {len(pairs):,} of {entry['pairs']:,} pairs"
    if len(pairs) <= _FEW_PAIRS:
        return f"Dotted lines: {hidden}."
    if count > MANY_POINTS:
        return f"{hidden.capitalize()}."
    return f"Hollow: too close to a neighbour in the stand-alone order to tell them apart; {hidden}."


def _by_name(rows: Sequence[Row]) -> bool:
    """Whether there is room for the paths' names next to the points; otherwise their ranks are shown."""
    return len(rows) <= _FEW_NAMES and all(len(row["path"]) <= _LONGEST_NAME for row in rows)
