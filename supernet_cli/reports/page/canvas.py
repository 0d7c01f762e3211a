"""Drawing for reports: a quiet style for matplotlib, and SVG that belongs into a page.

The SVG that leaves here has no colours of its own but the page's variables, so that one figure serves on light, on dark
and on paper. Its text is text in the page's font. Nothing in it names an address, a date or a library, and identifiers
begin with the figure's name: figures may stand side by side in one page, and the same figure is the same bytes.
"""

from __future__ import annotations

import io
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
"""Of every figure, in its own units: so narrow that its text is still legible on a phone."""

SIZE = 11.5
"""Of text, in the same units."""

INK, MUTED, RULE, PAPER, ACCENT, SECOND = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05", "#0a0b06"
"""Stand for the page's colours, and become its variables."""

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
        alt: What stands in it, for who does not see it.
        svg: An <svg> element.
    """

    name: str
    title: str
    caption: str
    alt: str
    svg: str


@contextmanager
def style() -> Iterator[None]:
    """Draw in the report's style, whatever the person's own matplotlibrc says.

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
    """Return a figure of some height with one pair of axes, and margins around it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)  # a unit is a pixel
    box = (left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH, (height - top - bottom) / height)
    return figure, figure.add_axes(box)


def name_axes(axes: Axes, x: str, y: str) -> None:
    """Name the axes where names are read without turning the head: below on the right, and above on the left."""
    figure: Any = axes.figure
    box, height = axes.get_position(), figure.get_size_inches()[1] * 72
    figure.text(box.x1, 6 / height, x, ha="right", va="bottom", color=MUTED)
    figure.text(0, 1 - 4 / height, y, ha="left", va="top", color=MUTED)


def ticks(axis: Axis, most: int) -> None:
    """Let an axis have few ticks, at round numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most))


def printable(text: str) -> str:
    """Return a text without characters that neither a page nor a figure may hold."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def short(text: str, most: int) -> str:
    """Return a label that is not longer than some characters, cut in its middle."""
    text = printable(text)
    return text if len(text) <= most else f"{text[: (most - 1) // 2]}…{text[len(text) - most // 2 :]}"


def width(text: str) -> float:
    """Return about how wide a label is."""
    return _CHARACTER * len(text)


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return positions near the wanted ones, but at least a gap apart and within bounds as far as there is room."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed = [wanted[index] for index in order]
    for _ in range(2):
        for index in range(len(placed)):
            placed[index] = max(placed[index], placed[index - 1] + gap if index else low)
        for index in reversed(range(len(placed))):
            placed[index] = min(placed[index], placed[index + 1] - gap if index < len(placed) - 1 else high)
    return [position for _, position in sorted(zip(order, placed, strict=True))]


def label_points(axes: Axes, x: Sequence[float], y: Sequence[float], labels: Sequence[str]) -> int:
    """Write labels beside points, none over another or over a point; what finds no room is left out.

    Returns:
        How many were written.
    """
    inside, points = axes.bbox, [tuple(point) for point in axes.transData.transform(list(zip(x, y, strict=True)))]
    taken = [(px - 5, py - 5, px + 5, py + 5) for px, py in points]
    limits = (inside.x0 - 4, inside.y0, inside.x1 + 8, inside.y1 + 8)
    written = 0
    for own, (point, label) in enumerate(zip(points, labels, strict=True)):
        others = taken[:own] + taken[own + 1 :]
        for shift, align in _PLACES:
            box = _box(point, shift, align, width(label))
            if _within(box, limits) and not any(_overlap(box, other) for other in others):
                axes.annotate(
                    label,
                    (x[own], y[own]),
                    xytext=shift,
                    textcoords="offset pixels",
                    ha=align,
                    va="center",
                    color=INK,
                )
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
        name: What its identifiers begin with.
        alt: What stands in it.
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
    """Take from an element what is matplotlib's own, and give it what is the page's."""
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
