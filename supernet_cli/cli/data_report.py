"""The data report on a terminal: images per class and split, and what was found, converted and skipped."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import TYPE_CHECKING

from supernet_cli.glyphs import counted
from supernet_cli.store.data_report import ClassCount, DataReport, Sizes

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_MOST_ROWS = 12  # classes; more are summarised
_FEWEST_SHOWN = 5
_SKIPPED_SHOWN = 5
_MODES = {
    "L": "greyscale",
    "1": "black and white",
    "RGB": "colour",
    "P": "palette",
    "RGBA": "colour with transparency",
    "LA": "greyscale with transparency",
    "CMYK": "print colours",
    "I;16": "16-bit greyscale",
    "I": "32-bit greyscale",
    "F": "floating-point greyscale",
}


def drawn_report(report: DataReport) -> list[RenderableType]:
    """Return a report as what a terminal prints, part by part; many classes are folded into a summary."""
    from supernet_cli.cli.render import facts

    pairs = list(_pairs(report))
    if len(report.classes) > _MOST_ROWS:
        return [facts([*_summary(report.classes), *pairs])]
    return [_table(report.classes), "", facts(pairs)]


def _table(classes: list[ClassCount]) -> Table:
    """Return a row per class with its images in each split."""
    from rich.table import Table
    from rich.text import Text

    from supernet_cli.cli.console import printable

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("class", overflow="fold")
    for split in ("train", "validation", "test"):
        table.add_column(split, justify="right", no_wrap=True)
    for each in classes:
        name = Text(printable(each.name.replace("\n", "\\n")))
        table.add_row(name, *(f"{count:,}" for count in (each.train, each.validation, each.test)))
    return table


def _summary(classes: list[ClassCount]) -> Iterator[tuple[str, str]]:
    counts = [each.train for each in classes]
    median = statistics.median_low(counts)
    fewest = sorted(classes, key=lambda each: each.train)[:_FEWEST_SHOWN]
    yield "classes", f"{len(classes):,}"
    yield "training images", f"{min(counts):,} to {max(counts):,} per class, median {median:,}"
    if min(counts) < max(counts):
        yield "fewest", ", ".join(f"{each.name} ({each.train:,})" for each in fewest)


def _pairs(report: DataReport) -> Iterator[tuple[str, str]]:
    """Yield names and values of everything but the classes."""
    if report.folder:
        yield "folder", report.folder + (" (given splits)" if report.layout == "splits" else "")
    if report.sizes is not None:
        yield "sizes", _sizes(report.sizes, sum(report.modes.values()))
    modes = (f"{_MODES[mode]} ({mode})" if mode in _MODES else mode for mode in report.modes)
    yield "modes", ", ".join(f"{number:,} {mode}" for number, mode in zip(report.modes.values(), modes, strict=True))
    if report.conversions:
        yield "conversions", "\n".join(f"{what} ({number:,})" for what, number in report.conversions.items())
    if report.links.followed or report.links.dangling:
        yield "links", f"{report.links.followed:,} followed, {report.links.dangling:,} dangling"
    if report.skipped_count:
        lines = [
            f"{each.file.removeprefix(f'{report.folder}/')}: {each.reason}" for each in report.skipped[:_SKIPPED_SHOWN]
        ]
        more = report.skipped_count - len(lines)
        yield (
            "skipped",
            "\n".join([counted(report.skipped_count, "file"), *lines, *([f"and {more:,} more"] * (more > 0))]),
        )
    for name, sentences in (("notes", report.notes), ("warnings", report.warnings)):
        if sentences:
            yield name, "\n".join(sentences)


def _sizes(sizes: Sizes, total: int) -> str:
    width, height = sizes.most_common
    if sizes.most_common_images == total:
        return f"{width}×{height}"
    wide, high = _span(sizes.min_width, sizes.max_width), _span(sizes.min_height, sizes.max_height)
    often = f"most often {width}×{height} ({sizes.most_common_images:,} of {total:,})"
    return f"{wide} wide, {high} high; {often}"


def _span(least: int, most: int) -> str:
    return f"{least}" if least == most else f"{least} to {most}"
