"""The figures on training: losses, and validation accuracies of paths meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from supernet_cli.glyphs import counted
from supernet_cli.reports.page.canvas import (
    ACCENT,
    INK,
    MUTED,
    SECOND,
    SIZE,
    Drawing,
    apart,
    axes,
    name_axes,
    short,
    svg,
    ticks,
    width,
)
from supernet_cli.reports.page.curves import Curve, Training, mean_accuracies, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW_LINES = 12
_FEW_PATHS = 8
_LABEL = 26
_DASHES = ((None, None), (4, 2), (1, 2), (6, 2, 1, 2))


def losses(supernets: Sequence[Training], alone: Sequence[Training], of: int, name: str) -> Drawing | None:
    """Draw training loss against images; None if no metrics are left.

    Args:
        supernets: Trainings of supernets.
        alone: Stand-alone trainings, possibly a sample.
        of: How many of these there are in total.
        name: Name of the figure.
    """
    if not supernets and not alone:
        return None
    figure, plot = axes(330, left=52, right=96)
    ends = []
    sides = []
    for found, color, word, dash in (
        (alone, MUTED, "stand-alone", _DASHES[1]),
        (supernets, ACCENT, "supernet", _DASHES[0]),
    ):
        if found:
            ends.append((_lines(plot, found, color, dash), word, color))
            sides.append(_how(found, word))
    if any(value > 0 for training in (*supernets, *alone) for value in training.loss.values):
        _logarithmic(plot)
    _images(plot)
    _at_the_ends(plot, ends)
    name_axes(plot, "images processed in training", "training loss, nats per image")
    caption = f"Training loss. {' '.join(sides)}"
    if of > len(alone) > 0:
        caption += f" Based on {len(alone):,} of {of:,} stand-alone trainings."
    alt = f"Training loss of {counted(len(supernets), 'supernet')} and {counted(len(alone), 'stand-alone training')}."
    return Drawing(name, "Training loss", caption, alt, svg(figure, name, alt))


def accuracies(supernets: Sequence[Training], best: Sequence[str], name: str) -> Drawing | None:
    """Draw validation accuracy of paths inside the supernet during its training; None if measured once or never.

    Args:
        supernets: Trainings of supernets.
        best: Paths in the order of stand-alone accuracy.
        name: Name of the figure.
    """
    curves = {path: curve for path, curve in mean_accuracies(supernets).items() if len(curve.images) > 1}
    if not curves:
        return None
    few = len(curves) <= _FEW_PATHS
    shown = list(curves) if few else [path for path in best if path in curves][:3]
    named = few and max(map(len, curves)) <= _LABEL
    labels = {path: short(path, _LABEL) if named or path not in best else f"{best.index(path) + 1}" for path in shown}
    right = max([40.0, *(width(label) + 14 for label in labels.values())])
    figure, plot = axes(330, left=46, right=right)
    if not few:
        _band(plot, list(curves.values()), MUTED, 100)
    ends = []
    for index, path in enumerate(shown):
        curve, color = curves[path], (ACCENT, SECOND, INK)[index % 3]
        values = [100 * value for value in curve.values]
        dash = _DASHES[index % len(_DASHES)]
        plot.plot(curve.images, values, color=color, lw=1.5, dashes=dash, marker="o", ms=3)
        ends.append((values[-1], labels[path], color))
    _from_the_second(plot, list(curves.values()))
    _images(plot)
    _at_the_ends(plot, ends)
    name_axes(plot, "images processed in training", "one-shot validation accuracy, %")
    over = f", mean of {len(supernets)} supernets" if len(supernets) > 1 else ""
    caption = f"Accuracy of paths inside the supernet as it trains{over}."
    if not few:
        caption += f" Grey: median and middle 80 % of {len(curves):,} paths; lines: the best by stand-alone accuracy."
    if not named:
        caption += " Numbers: rank by stand-alone accuracy."
    alt = f"One-shot validation accuracy of {len(curves):,} paths over the supernet's training."
    return Drawing(name, "Paths during supernet training", caption, alt, svg(figure, name, alt))


def _lines(plot: Axes, found: Sequence[Training], color: str, dash: tuple[float | None, ...]) -> float:
    """Draw one line each, or median and band for many; return where they end."""
    if len(found) > _FEW_LINES:
        return _band(plot, [training.loss for training in whole(found)], color)
    for training in found:
        plot.plot(training.loss.images, training.loss.values, color=color, lw=1.1, dashes=dash, alpha=0.85)
    return sum(training.loss.values[-1] for training in found) / len(found)


def _band(plot: Axes, curves: Sequence[Curve], color: str, scale: float = 1) -> float:
    """Draw the median of curves and their middle 80 %; return where the median ends."""
    import numpy as np

    low, high = max(curve.images[0] for curve in curves), min(curve.images[-1] for curve in curves)
    images = np.linspace(low, high, 100) if len(curves[0].images) > 20 else np.array(curves[0].images)
    values = scale * np.array([np.interp(images, curve.images, curve.values) for curve in curves])
    bottom, middle, top = np.percentile(values, [10, 50, 90], axis=0)
    plot.fill_between(images, bottom, top, color=color, alpha=0.2, lw=0)
    plot.plot(images, middle, color=color, lw=1.6)
    return float(middle[-1])


def _how(found: Sequence[Training], word: str) -> str:
    if len(found) > _FEW_LINES:
        return f"{word.capitalize()}: median and middle 80 % of {len(whole(found))} trainings."
    style = "dashed" if word == "stand-alone" else "solid"
    return f"{word.capitalize()} ({style}): {counted(len(found), 'training')}."


def _at_the_ends(plot: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Label lines at their right end, one line of text apart."""
    heights = [float(plot.transData.transform((plot.get_xlim()[1], value))[1]) for value, _, _ in ends]
    placed = apart(heights, 1.3 * SIZE, plot.bbox.y0, plot.bbox.y1)
    for (_, label, color), height in zip(ends, placed, strict=True):
        shift = (8, height - plot.bbox.y0)
        plot.annotate(label, (1, 0), shift, "axes fraction", "offset pixels", va="center", color=color)


def _from_the_second(plot: Axes, curves: Sequence[Curve]) -> None:
    """Hide what comes before the second evaluation if there are many: there, curves are steep."""
    if min(len(curve.images) for curve in curves) > 4:
        seen = [100 * value for curve in curves for value in curve.values[1:]]
        margin = 0.05 * (max(seen) - min(seen)) or 0.5
        plot.set_ylim(min(seen) - margin, max(seen) + margin)


def _images(plot: Axes) -> None:
    from matplotlib.ticker import FuncFormatter

    ticks(plot.xaxis, 5)
    plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short_number(value)))


def _logarithmic(plot: Axes) -> None:
    """Make the y axis logarithmic, with plain numbers such as 0.2, not powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    plot.set_yscale("log")
    plot.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    plot.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    plot.yaxis.set_minor_formatter(NullFormatter())


def _short_number(value: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"
