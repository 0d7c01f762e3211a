"""The other figures of a comparison: τ against the baselines, ranks, sources of disagreement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from supernet_cli.glyphs import number
from supernet_cli.reports.comparison import Comparison, RunComparison
from supernet_cli.reports.page.canvas import (
    ACCENT,
    INK,
    MUTED,
    PAPER,
    RULE,
    SECOND,
    Drawing,
    axes,
    name_axes,
    printable,
    short,
    svg,
    ticks,
    width,
)
from supernet_cli.reports.page.scatter import Point, points, ranks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW_SLOPES = 28
_MANY_SLOPES = 160


def against_baselines(run: RunComparison, name: str) -> Drawing | None:
    """Draw τ of the supernets beside what chance, size and a perfect ranking reach; None if there is no τ."""
    tau, ceiling = run.kendall_tau, run.tau_ceiling.value
    if tau.mean is None:
        return None
    lines = [_Line("this supernet", tau.mean, tau.known, ceiling)]
    for baseline in run.baselines:
        if baseline.kendall_tau is not None:
            lines.append(_Line(baseline.order, baseline.kendall_tau, band=baseline.range))
    seeds = len(tau.known)
    caption = ["How well each order agrees with stand-alone training: 1 is the same, 0 unrelated, −1 the reverse."]
    caption += [f"Small rings: the {seeds} supernets; diamond: their mean."] if seeds > 1 else []
    caption += ["Vertical line: the ceiling set by training noise."] if ceiling else []
    caption += ["Grey bar: 95 % of random orders."] if any(line.band for line in lines) else []
    return _dots(lines, tau.label, name, "τ against the baselines", " ".join(caption))


def runs(comparison: Comparison, name: str) -> Drawing | None:
    """Draw τ of several runs; None if none has one."""
    lines = [
        _Line(short(run.run, 32), mean, run.kendall_tau.known, run.tau_ceiling.value)
        for run in comparison.runs
        if (mean := run.kendall_tau.mean) is not None
    ]
    if not lines:
        return None
    caption = (
        "τ as observed: the rank correlation (Kendall) with stand-alone training. Small rings: single supernets; "
        "diamond: their mean; vertical line: ceiling."
    )
    return _dots(lines, comparison.runs[0].kendall_tau.label, name, "τ of each run", caption)


def ranking(run: RunComparison, name: str) -> Drawing | None:
    """Draw the rank of each path in both rankings; None if fewer than two paths are in both."""
    rows = points(run.rows)
    if len(rows) < 2:
        return None
    if len(rows) > _MANY_SLOPES:
        return _rank_grid(rows, name)
    losses, errors = [row.loss for row in rows], [-row.accuracy for row in rows]
    few, best = len(rows) <= _FEW_SLOPES, math.ceil(len(rows) / 4)
    labels = [short(row.path, 36) for row in rows]
    figure, plot = axes(
        max(150, 17 * len(rows) + 50) if few else 420,
        left=58,
        right=max(map(width, labels)) + 44 if few else 60,
        bottom=12,
    )
    ends = zip(ranks(losses, "ordinal"), ranks(errors, "ordinal"), strict=True)
    shown = zip(ranks(losses, "min"), ranks(errors, "min"), labels, strict=True)
    for (left, right), (score, truth, label) in zip(ends, shown, strict=True):
        thick: Any = {"color": ACCENT, "lw": 1.8, "marker": "o", "ms": 4, "zorder": 3}
        thin: Any = {"color": MUTED, "lw": 0.8, "alpha": 1 if few else 0.6}
        plot.plot([0, 1], [left, right], **(thick if right <= best else thin), clip_on=False)
        if few:
            plot.annotate(f"{truth:g}  {label}", (1, right), (8, 0), textcoords="offset pixels", va="center")
            plot.annotate(f"{score:g}", (0, left), (-8, 0), textcoords="offset pixels", va="center", ha="right")
    plot.set(xlim=(0, 1), ylim=(len(rows) + 0.5, 0.5))
    _slope_axes(plot, [] if few else [1, *range(10, len(rows) + 1, 10)])
    moved = [abs(score - truth) for score, truth in zip(ranks(losses), ranks(errors), strict=True)]
    moves = f"path moves {sum(moved) / len(moved):.1f} places on average, {max(moved):g} at most."
    caption = "Left: order by one-shot loss. Right: order by stand-alone accuracy. Blue: the best quarter. "
    caption += f"A {moves}"
    alt = f"Slope chart of {len(rows)} ranks; a {moves}"
    return Drawing(name, "Ranks, one-shot and alone", caption, alt, svg(figure, name, alt))


def disagreement(run: RunComparison, name: str) -> Drawing | None:
    """Draw the sources of disagreement as shares of its variance; None if unknown."""
    audit = run.audit
    if not audit.total.value:
        return None
    shares = {source.label: None if share is None else 100 * share for source, share in audit.sources}
    figure, plot = axes(40 + 28 * len(shares) + 14, left=176, right=64, top=8)
    for place, share in enumerate(shares.values()):
        plot.barh(place, share or 0, 0.62, color=SECOND if place == len(shares) - 1 else ACCENT)
        label = "unknown" if share is None else f"{share:.0f} %"
        tone = MUTED if share is None else INK
        plot.annotate(label, (share or 0, place), (6, 0), textcoords="offset pixels", va="center", color=tone)
    plot.axvline(100, color=RULE, lw=1, zorder=0)
    plot.set(xlim=(0, 100), ylim=(len(shares) - 0.5, -0.5), yticks=range(len(shares)))
    plot.set_yticklabels(list(shares), color=INK)
    plot.tick_params(axis="y", length=0)
    plot.spines["left"].set_color(MUTED)
    ticks(plot.xaxis, 5)
    name_axes(plot, "share of the variance of the differences, %", "")
    caption = (
        "How much of the difference between scores and truth comes from each source. Noise is what other seeds or "
        "other images would change; what remains is weight sharing, or something else."
    )
    alt = "Shares of variance: " + "; ".join(
        f"{word} {'unknown' if share is None else f'{share:.0f} %'}" for word, share in shares.items()
    )
    return Drawing(name, "Sources of disagreement", caption, f"{alt}.", svg(figure, name, f"{alt}."))


def rated(run: RunComparison, name: str) -> Drawing | None:
    """Draw the rating of each candidate with its standard error; None if none is known."""
    candidates = [(bias, each) for each in run.audit.candidates if (bias := each.bias.value) is not None]
    if not candidates or len(candidates) > 80:
        return None
    labels = [f"{each.block + 1} · {short(each.label, 24)}" for _, each in candidates]
    places = [index + 0.7 * each.block for index, (_, each) in enumerate(candidates)]
    height = 18 * (places[-1] + 1) + 56
    figure, plot = axes(height, left=max(map(width, labels)) + 14, right=20, top=12)
    plot.axvline(0, color=MUTED, lw=1)
    for place, (bias, candidate) in zip(places, candidates, strict=True):
        error = candidate.error.value or 0.0
        clear = candidate.error.is_known and abs(bias) > 2 * error
        plot.plot([bias - error, bias + error], [place, place], color=SECOND if clear else MUTED, lw=1.6)
        face = SECOND if clear else PAPER
        plot.plot(bias, place, "o", ms=6.5, mfc=face, mec=SECOND if clear else MUTED, mew=1.4)
    plot.set(ylim=(places[-1] + 0.7, -0.7), yticks=places)
    plot.set_yticklabels(labels, color=INK)
    plot.tick_params(axis="y", length=0)
    plot.spines["left"].set_visible(False)
    ticks(plot.xaxis, 5)
    name_axes(plot, "← under-rated · points · over-rated →", "")
    caption = (
        "How much the supernet's scores favour each operation, by block, in accuracy points, ± one standard error. "
    )
    caption += "Filled: more than two standard errors from zero."
    alt = "Rating of candidates, in points: " + "; ".join(
        f"block {label.replace(' ·', '')} {number(bias, '+z.3f')}"
        for label, (bias, _) in zip(labels, candidates, strict=True)
    )
    return Drawing(name, "Over- and under-rated operations", caption, f"{alt}.", svg(figure, name, f"{alt}."))


@dataclass(frozen=True)
class _Line:
    label: str
    mean: float
    singles: Sequence[float] = ()
    ceiling: float | None = None
    band: Sequence[float] | None = None


def _dots(lines: Sequence[_Line], axis: str, name: str, title: str, caption: str) -> Drawing:
    """Draw a row of dots for each order, on one scale of τ."""
    left = max(width(printable(line.label)) for line in lines) + 12
    figure, plot = axes(30 * len(lines) + 52, left=left, right=46, top=8)
    known = [value for line in lines for value in (line.mean, *line.singles, *(line.band or ()))]
    plot.axvline(0, color=RULE, lw=1, zorder=0)
    for place, line in enumerate(lines):
        own = place == 0 or bool(line.singles)
        if line.band:
            plot.plot(line.band, [place, place], color=RULE, lw=7, solid_capstyle="butt")
        plot.plot(line.singles, [place] * len(line.singles), "o", ms=5, mfc="none", mec=ACCENT, mew=1)
        plot.plot(line.mean, place, "D" if own else "o", ms=7, color=ACCENT if own else MUTED)
        tone = INK if own else MUTED
        plot.text(1.03, place, number(line.mean), transform=plot.get_yaxis_transform(), va="center", color=tone)
        if line.ceiling is not None:
            plot.plot([line.ceiling, line.ceiling], [place - 0.38, place + 0.38], color=SECOND, lw=2)
    plot.set(xlim=(min(0.0, *known) - 0.03, 1.03), ylim=(len(lines) - 0.4, -0.6), yticks=range(len(lines)))
    plot.set_yticklabels([printable(line.label) for line in lines], color=INK)
    plot.tick_params(axis="y", length=0)
    plot.spines["left"].set_visible(False)
    ticks(plot.xaxis, 6)
    name_axes(plot, axis, "")
    alt = "τ as observed: " + "; ".join(f"{line.label} {number(line.mean)}" for line in lines) + "."
    return Drawing(name, title, caption, alt, svg(figure, name, alt))


def _rank_grid(rows: Sequence[Point], name: str) -> Drawing:
    """Draw tenths of one ranking against tenths of the other, if there are too many paths to draw lines."""
    by_score, by_truth = ranks([row.loss for row in rows]), ranks([-row.accuracy for row in rows])
    counts = [[0] * 10 for _ in range(10)]
    for score, truth in zip(by_score, by_truth, strict=True):
        counts[_tenth(score, len(rows))][_tenth(truth, len(rows))] += 1
    figure, plot = axes(444)
    most = max(map(max, counts))
    for row, line in enumerate(counts):
        for column, count in enumerate(line):
            if count:
                plot.add_patch(_square(column, row, math.sqrt(count / most)))
    plot.plot([0.5, 10.5], [0.5, 10.5], color=RULE, lw=1, zorder=0)
    plot.set(xlim=(0.4, 10.6), ylim=(10.6, 0.4), xticks=range(1, 11), yticks=range(1, 11))
    name_axes(plot, "tenth by stand-alone accuracy (1 is best)", "tenth by one-shot loss (1 is best)")
    found = 10 * counts[0][0] / len(rows)
    caption = (
        f"{len(rows):,} paths, in tenths of each ranking; a square's area shows how many paths it holds. "
        f"Agreement lies on the diagonal. Of the best tenth by stand-alone accuracy, {100 * found:.0f} % are also "
        "in the supernet's best tenth."
    )
    alt = f"Grid of rank tenths of {len(rows):,} paths; {100 * found:.0f} % of the best tenth are in both."
    return Drawing(name, "Ranks, one-shot and alone", caption, alt, svg(figure, name, alt))


def _square(column: int, row: int, side: float) -> Any:
    from matplotlib.patches import Rectangle

    side *= 0.92
    return Rectangle((column + 1 - side / 2, row + 1 - side / 2), side, side, color=ACCENT, lw=0)


def _tenth(rank: float, count: int) -> int:
    return min(9, int(10 * (rank - 0.5) / count))


def _slope_axes(plot: Axes, marks: Sequence[int]) -> None:
    """Keep two vertical lines, with the names of the orders above them."""
    for side in ("bottom", "right"):
        plot.spines[side].set_visible(side == "right")
    plot.set_xticks([])
    plot.set_yticks(marks)
    for place, label in ((0, "one-shot"), (1, "alone")):
        align = "right" if place == 0 else "left"
        shift = (12, 8) if place == 0 else (-12, 8)
        plot.annotate(
            label, (place, 1), shift, xycoords="axes fraction", textcoords="offset pixels", ha=align, color=MUTED
        )
