"""Drawing for reports: a quiet style for matplotlib, and SVG that fits into a page.

The SVG has no colours of its own, only the page's variables, so that one figure works on light and dark screens and on
paper. Its text is set in the page's font. It names no address, date or library, and its identifiers begin with the
figure's name, so that figures can share a page and the same figure is the same bytes.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from supernet_cli.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH = 440.0
"""Width of every figure, in its own units: narrow enough for its text to be legible on a phone."""

SIZE = 11.5
"""Size of text, in the same units."""

INK, MUTED, RULE, PAPER, ACCENT, SECOND = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05", "#0a0b06"
"""Placeholders for the page's colours, replaced by its variables."""

_VARIABLES = {INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper", ACCENT: "accent", SECOND: "second"}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "supernet",
    "text.parse_math": False,
    "path.simplify": False,  # it would drop lines of no length, and curves are thinned before
    "font.size": SIZE,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": SIZE,
    "ytick.labelsize": SIZE,
    "xtick.major.size": 4.0,
    "ytick.major.size": 4.0,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}
_CHARACTER = 0.62 * SIZE  # mean width of one, from above: system fonts are narrower than the one measured with
_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Drawing:
    """A figure, ready for a page.

    Args:
        name: Unique in the page; a word.
        title: What it shows.
        caption: How to read it, in sentences.
        alt: A description for people who cannot see it.
        svg: An <svg> element.
    """

    name: str
    title: str
    caption: str
    alt: str
    svg: str


@contextmanager
def style() -> Iterator[None]:
    """Draw in the report's style, regardless of the user's matplotlibrc.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise UsageError(
            "The HTML report needs matplotlib, which is not installed.",
            'Install it with `pip install "supernet-cli[report]"` or `pip install matplotlib`.',
        ) from error
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the reader's fonts draw it, not ours
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def axes(
    height: float, left: float = 48, right: float = 12, top: float = 30, bottom: float = 44
) -> tuple[Figure, Axes]:
    """Return a figure of a given height with one pair of axes and margins around it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)  # a unit is a pixel
    box = (left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH, (height - top - bottom) / height)
    return figure, figure.add_axes(box)


def name_axes(axes: Axes, x: str, y: str) -> None:
    """Label the axes horizontally: x below on the right, y above on the left."""
    figure: Any = axes.figure
    box, height = axes.get_position(), figure.get_size_inches()[1] * 72
    figure.text(box.x1, 6 / height, x, ha="right", va="bottom", color=MUTED)
    figure.text(0, 1 - 4 / height, y, ha="left", va="top", color=MUTED)


def ticks(axis: Axis, most: int) -> None:
    """Give an axis few ticks, at round numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most))


MANY_POINTS = 1000
"""Points from which a figure draws them as `dots`: one path takes a tenth of the room of as many marks."""


def dots(values: Sequence[float]) -> list[float]:
    """Return each value twice and then a gap: a line of no length, which a round cap turns into a dot."""
    return [part for value in values for part in (value, value, math.nan)]


def printable(text: str) -> str:
    """Return a text without characters that are invalid in a page or a figure."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def short(text: str, most: int) -> str:
    """Return a label of at most some characters, shortened in its middle."""
    text = printable(text)
    return text if len(text) <= most else f"{text[: (most - 1) // 2]}…{text[len(text) - most // 2 :]}"


def width(text: str) -> float:
    """Return the approximate width of a label."""
    return _CHARACTER * len(text)


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return positions near the wanted ones, at least a gap apart and within bounds if there is room."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed = [wanted[index] for index in order]
    for _ in range(2):
        for index in range(len(placed)):
            placed[index] = max(placed[index], placed[index - 1] + gap if index else low)
        for index in reversed(range(len(placed))):
            placed[index] = min(placed[index], placed[index + 1] - gap if index < len(placed) - 1 else high)
    return [position for _, position in sorted(zip(order, placed, strict=True))]


def label_points(axes: Axes, x: Sequence[float], y: Sequence[float], labels: Sequence[str]) -> int:
    """Label points without covering a point or another label; labels that do not fit are omitted.

    Args:
        axes: Where the points are.
        x: Of the points, the most important first.
        y: Likewise.
        labels: Of the points; empty for a point without one.

    Returns:
        How many were written.
    """
    axes.autoscale_view()  # otherwise the limits are not known before it is drawn
    inside, points = axes.bbox, [tuple(point) for point in axes.transData.transform(list(zip(x, y, strict=True)))]
    taken = [(px - 5, py - 5, px + 5, py + 5) for px, py in points]
    limits = (inside.x0 - 4, inside.y0, inside.x1 + 8, inside.y1 + 8)
    written = 0
    for own, (point, label) in enumerate(zip(points, labels, strict=True)):
        if not label:
            continue
        others = taken[:own] + taken[own + 1 :]
        for shift, align in _PLACES:
            box = _box(point, shift, align, width(label))
            if _within(box, limits) and not any(_overlap(box, other) for other in others):
                place = (x[own], y[own])
                axes.annotate(label, place, shift, "data", "offset pixels", ha=align, va="center", color=INK)
                taken.append(box)
                written += 1
                break
    return written


_PLACES = tuple(
    (shift, align)
    for distance in (1.0, 1.7)
    for shift, align in (
        ((9 * distance, 9 * distance), "left"),
        ((-9 * distance, 9 * distance), "right"),
        ((9 * distance, -9 * distance), "left"),
        ((-9 * distance, -9 * distance), "right"),
        ((0.0, 13 * distance), "center"),
        ((0.0, -13 * distance), "center"),
    )
)

_Box = tuple[float, float, float, float]


def _box(point: tuple[float, ...], shift: tuple[float, float], align: str, wide: float) -> _Box:
    left = point[0] + shift[0] - {"left": 0.0, "center": wide / 2, "right": wide}[align]
    middle = point[1] + shift[1]
    return left, middle - 0.55 * SIZE, left + wide, middle + 0.55 * SIZE


def _within(box: _Box, limits: _Box) -> bool:
    return box[0] >= limits[0] and box[1] >= limits[1] and box[2] <= limits[2] and box[3] <= limits[3]


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def svg(figure: Figure, name: str, alt: str) -> str:
    """Return a figure as an <svg> element for a page.

    Args:
        figure: The figure.
        name: Prefix of its identifiers.
        alt: Its description.
    """
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    root = ET.fromstring(stream.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        _into_page(element, name)
    box = root.get("viewBox", "")
    root.attrib = {"viewBox": box, "role": "img", "aria-label": printable(alt)}
    return ET.tostring(root, encoding="unicode", short_empty_elements=True)


def _into_page(element: ET.Element, name: str) -> None:
    """Replace what is matplotlib's in an element with what is the page's."""
    element.tag = element.tag.rpartition("}")[2]
    if element.tag != "text":
        element.text = None
    element.tail = None
    found: dict[str, Any] = {}
    for key, value in element.attrib.items():
        key = key.rpartition("}")[2]
        if key == "id":
            if element.tag not in ("g", "svg"):  # groups are never referred to
                found[key] = f"{name}-{value}"
        elif key == "href":
            found[key] = f"#{name}-{value.removeprefix('#')}"
        elif key == "clip-path":
            found[key] = value.replace("url(#", f"url(#{name}-")
        elif not (key == "transform" and value.startswith("rotate(-0")):
            found[key] = _plain(key, value)
    element.attrib = found


def _plain(key: str, value: str) -> str:
    if key == "style":
        parts = [part for part in value.split("; ") if not part.startswith(("font-family:", "font:"))]
        value = ";".join(part.replace(": ", ":", 1) for part in parts)
        for colour, variable in _VARIABLES.items():
            value = value.replace(colour, f"var(--{variable})")
    return _NUMBER.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), value.replace(" \n", ""))
