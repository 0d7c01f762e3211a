"""The central figure of a report: each path's one-shot score against its stand-alone accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from supernet_cli.glyphs import number
from supernet_cli.reports.comparison import PathRow, RunComparison
from supernet_cli.reports.formats import over_supernets
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
from supernet_cli.reports.sheets import SCORE_AXIS, TRUTH_AXIS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW_NAMES = 8
_FEW_LABELS = 28
_LONGEST_NAME = 24
_FEW_PAIRS = 30
_FEW_BARS = 300
_ZOOM_FROM = 24


@dataclass(frozen=True)
class Point:
    """A path with both a score and a stand-alone accuracy.

    Args:
        path: Its name.
        loss: One-shot validation loss, nats per image.
        accuracy: Stand-alone test accuracy, a fraction.
        sd: Standard deviation of that over seeds; None for one.
        losses: The loss of each supernet.
    """

    path: str
    loss: float
    accuracy: float
    sd: float | None
    losses: tuple[float, ...]


def points(rows: Sequence[PathRow]) -> list[Point]:
    """Return the paths with both a score and a stand-alone accuracy."""
    return [
        Point(row.path, loss, accuracy, row.stand_alone_sd, row.losses)
        for row in rows
        if (loss := row.one_shot_validation_loss) is not None
        and (accuracy := row.stand_alone_test_accuracy) is not None
    ]


def scatter(run: RunComparison, name: str) -> Drawing | None:
    """Draw one-shot score against stand-alone accuracy; None if fewer than two paths have both.

    Args:
        run: The run's comparison.
        name: The figure's.
    """
    found = points(run.rows)
    if len(found) < 2:
        return None
    numbered = len(found) <= _FEW_LABELS and not _by_name(found)
    caption = [
        "Each point is a path: its stand-alone accuracy against its one-shot loss. Up and to the left is better.",
        _tau_sentence(run),
        _bars_sentence(run, found),
        _pairs_sentence(run, len(found)),
        "Numbers: rank by stand-alone accuracy." if numbered else "",
    ]
    tau = run.kendall_tau.mean
    alt = f"Scatter of {len(found)} paths, one-shot validation loss against stand-alone test accuracy"
    alt += f"; observed τ {number(tau)}." if tau is not None else "."
    return _scatter(run, found, name, "Scores against ground truth", " ".join(filter(None, caption)), alt)


def best_scatter(run: RunComparison, name: str) -> Drawing | None:
    """Draw the same for the best quarter only, from which a search chooses; None if it is too small."""
    found = points(run.rows)
    if len(found) < _ZOOM_FROM:
        return None
    best = sorted(found, key=lambda point: -point.accuracy)[: math.ceil(len(found) / 4)]
    tau = run.kendall_tau_top_quarter.mean
    agreement = "τ cannot be computed" if tau is None else f"τ = {number(tau)} among them"
    caption = f"The best {len(best)} paths by stand-alone accuracy, enlarged; {agreement}. These are what a search has "
    caption += "to choose between. Numbers: rank by stand-alone accuracy."
    alt = f"Scatter of the {len(best)} best paths; {agreement}."
    return _scatter(run, best, name, "The best quarter", caption, alt)


def ranks(values: Sequence[float], equals: Literal["average", "min", "ordinal"] = "average") -> list[float]:
    """Return ranks from 1, the smallest value first.

    Args:
        values: What to rank.
        equals: The rank of equal values: the mean of theirs, the first, or a separate one for each.
    """
    from scipy.stats import rankdata

    return [float(rank) for rank in rankdata(values, equals)]


def _scatter(run: RunComparison, found: Sequence[Point], name: str, title: str, caption: str, alt: str) -> Drawing:
    x = [point.loss for point in found]
    y = [100 * point.accuracy for point in found]
    figure, plot = axes(380)
    if len(found) > MANY_POINTS:
        plot.plot(dots(x), dots(y), color=ACCENT, lw=2.6, alpha=0.7)
    else:
        if len(found) <= _FEW_BARS:
            _bars(plot, found)
        _join_unresolved(plot, run, {point.path: place for point, *place in zip(found, x, y, strict=True)})
        _points(plot, x, y, _unclear(run, found))
    plot.margins(0.08)
    ticks(plot.xaxis, 5)
    ticks(plot.yaxis, 5)
    name_axes(plot, SCORE_AXIS, TRUTH_AXIS)
    if len(found) <= _FEW_LABELS:
        places = [f"{rank:g}" for rank in ranks([-value for value in y], "min")]
        label_points(plot, x, y, [printable(point.path) for point in found] if _by_name(found) else places)
    return Drawing(name, title, caption, alt, svg(figure, name, alt))


def _bars(plot: Axes, found: Sequence[Point]) -> None:
    """Draw ± the standard deviation of stand-alone seeds vertically, the range of supernet seeds horizontally."""
    thin: Any = {"color": MUTED, "lw": 1.0, "alpha": 0.6 if len(found) <= _FEW_LABELS else 0.4, "zorder": 1}
    for point in found:
        x, y = point.loss, 100 * point.accuracy
        if point.sd is not None:
            plot.plot([x, x], [y - 100 * point.sd, y + 100 * point.sd], **thin)
        if len(point.losses) > 1:
            plot.plot([min(point.losses), max(point.losses)], [y, y], **thin)


def _points(plot: Axes, x: Sequence[float], y: Sequence[float], unclear: Sequence[bool]) -> None:
    size = 7 if len(x) <= _FEW_LABELS else 5
    for hollow, face in ((True, PAPER), (False, ACCENT)):
        chosen = [index for index, value in enumerate(unclear) if value is hollow]
        right, up = [x[index] for index in chosen], [y[index] for index in chosen]
        plot.plot(right, up, "o", ms=size, mfc=face, mec=ACCENT, mew=1.4, zorder=3)


def _join_unresolved(plot: Axes, run: RunComparison, places: Mapping[str, Sequence[float]]) -> None:
    pairs = run.unresolved or ()
    if len(pairs) > _FEW_PAIRS:
        return
    for one, other in pairs:
        if one in places and other in places:
            (x0, y0), (x1, y1) = places[one], places[other]
            plot.plot([x0, x1], [y0, y1], color=SECOND, lw=1.1, ls=(0, (0.5, 3)), zorder=2, dash_capstyle="round")


def _unclear(run: RunComparison, found: Sequence[Point]) -> list[bool]:
    """Return which paths are indistinguishable from a neighbour in the stand-alone order."""
    pairs = {frozenset(pair) for pair in run.unresolved or ()}
    if len(pairs) <= _FEW_PAIRS:
        return [False] * len(found)
    order = [point.path for point in sorted(found, key=lambda point: -point.accuracy)]
    doubtful: set[str] = set()
    for neighbours in zip(order[:-1], order[1:], strict=True):
        if frozenset(neighbours) in pairs:
            doubtful.update(neighbours)
    return [point.path in doubtful for point in found]


def _tau_sentence(run: RunComparison) -> str:
    tau, ceiling = run.kendall_tau, run.tau_ceiling.value
    if tau.mean is None:
        return "τ cannot be computed."
    over = over_supernets(tau, len(run.supernet_seeds))
    return f"Observed τ = {number(tau.mean)} ({over}); ceiling {'unknown' if ceiling is None else number(ceiling)}."


def _bars_sentence(run: RunComparison, found: Sequence[Point]) -> str:
    if len(found) > _FEW_BARS:
        return ""
    bars = []
    if any(point.sd is not None for point in found):
        bars.append(f"vertical, ± one standard deviation over {len(run.stand_alone_seeds)} stand-alone seeds")
    if any(len(point.losses) > 1 for point in found):
        bars.append(f"horizontal, the range over {len(run.supernet_seeds)} supernets")
    return f"Bars: {'; '.join(bars)}." if bars else ""


def _pairs_sentence(run: RunComparison, count: int) -> str:
    pairs, share = run.unresolved, run.resolved_share.value
    if pairs is None:
        left = None if share is None else round(run.pairs * (1 - share))
        return "" if not left else f"Noise hides the order of {left:,} of {run.pairs:,} pairs; too many to mark."
    if not pairs:
        return "Every pair of paths differs by more than noise."
    hidden = f"noise hides the order of {len(pairs):,} of {run.pairs:,} pairs"
    if len(pairs) <= _FEW_PAIRS:
        return f"Dotted lines: {hidden}."
    if count > MANY_POINTS:
        return f"{hidden.capitalize()}."
    return f"Hollow: too close to a neighbour in the stand-alone order to tell them apart; {hidden}."


def _by_name(found: Sequence[Point]) -> bool:
    """Whether there is room for the paths' names next to the points; otherwise their ranks are shown."""
    return len(found) <= _FEW_NAMES and all(len(point.path) <= _LONGEST_NAME for point in found)
