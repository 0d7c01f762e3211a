"""Accuracy of the paths: ranked bars, history, images trained, and accuracy when trained alone."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textual.content import Content

from supernet_cli.glyphs import bar, floor_below, short, sparkline
from supernet_cli.space.names import Blocks, short_names
from supernet_cli.store.ranking import RANKED_BY
from supernet_cli.store.snapshot import PathView
from supernet_cli.store.views import RunView, StandAlone
from supernet_cli.tui.draw import MUTED, Part, heading, line, lines
from supernet_cli.tui.panels.panel import Panel

_SHORTEST_BAR = 4
_LAYOUTS = ((10, True, 8), (8, True, 5), (6, True, 5), (6, True, 0), (4, True, 0), (4, False, 0), (0, False, 0))
"""Columns of the history, whether the images trained are shown, and columns kept for bars: the first that fits."""


class PathsPanel(Panel):
    """The paths evaluated so far, best first; the best and the worst if they do not all fit."""

    def draw(self, view: RunView, width: int, height: int) -> Content:
        """Return the ranking that fits."""
        ranked = view.job.snapshot.ranked()
        if not ranked:
            return lines([heading("Paths", width), *_nothing_yet(view, width)][:height])
        alone = view.stand_alone
        rows = height - 1
        two = 2 * len(ranked) <= rows and width < 60
        shown = _choose(ranked, len(ranked) if two else rows)
        paths = [path for _, path in shown]
        table = (
            Table.in_two_rows(paths, view.blocks, width, bool(alone))
            if two
            else Table.fitting(paths, view.blocks, width, bool(alone), len(ranked))
        )
        body: list[Content] = []
        for place, (rank, path) in enumerate(shown):
            if place and rank != shown[place - 1][0] + 1:
                hidden = len(ranked) - len(shown)
                body.append(line((f"… {hidden:,} more (m: all paths)"[:width], MUTED)))
            body += table.rows(rank, path, alone.get(path.score.path), two)
        left = rows - len(body) - 1
        means = candidate_means(view)
        if left > len(means) > 0:
            body += [line(""), *by_candidate(means, width, left - 1)]
        return lines([self._heading(view, ranked, width, table, bool(alone) and not two), *body][:height])

    def _heading(self, view: RunView, ranked: Sequence[PathView], width: int, table: Table, alone: bool) -> Content:
        size = view.num_paths
        count = f"{len(ranked):,} of {size:,}  " if size > len(ranked) else ""
        bars = f"bars from {100 * table.floor:g} %  "
        order = f"{'one-shot, alone; ' if alone else ''}by {RANKED_BY}"
        for info in ((count + bars, order), (count, order), (count, "by loss")):
            if sum(map(len, info)) < width - 8:
                break
        return heading("Paths", width, (info[0], MUTED), info[1])


@dataclass(frozen=True)
class Table:
    """Columns of the ranking.

    Args:
        names: The name that each path is shown with.
        name: Columns of the path's name.
        bar: Columns of its bar; 0 for none.
        spark: Columns of its history; 0 for none.
        trained: Whether the images it was trained with are shown.
        alone: Columns of its stand-alone accuracy; 0 for none.
        floor: The accuracy at which bars begin.
        width: Columns of the panel.
        rank: Columns of the rank.
    """

    names: Mapping[str, str]
    name: int
    bar: int
    spark: int
    trained: bool
    alone: int
    floor: float
    width: int
    rank: int = 2

    @classmethod
    def fitting(cls, paths: Sequence[PathView], blocks: Blocks, width: int, alone: bool, most: int = 0) -> Table:
        """Return the columns that fit, one row a path: the least important go first.

        Args:
            paths: The paths that are shown.
            blocks: The labels of each block, to abbreviate names.
            width: Columns of the panel.
            alone: Whether paths have stand-alone accuracies.
            most: The largest rank.
        """
        known = [path.score.path for path in paths]
        longest = max(map(len, known))
        columns = 7 if alone else 0
        rank = max(2, len(str(most)))
        fixed = rank + 1 + 7 + columns  # rank, accuracy
        for spark, trained, shortest in _LAYOUTS:
            room = width - fixed - (spark + 1) - (6 if trained else 0) - 1
            wanted = min(longest, max(9, room - shortest))
            names = short_names(known, wanted, blocks)
            name = max(map(len, names.values()))
            if name <= room and (wanted >= min(longest, 14) or spark <= 4):
                break
        left = room - name
        return cls(
            names, name, left if left >= _SHORTEST_BAR else 0, spark, trained, columns, _floor(paths), width, rank
        )

    @classmethod
    def in_two_rows(cls, paths: Sequence[PathView], blocks: Blocks, width: int, alone: bool) -> Table:
        """Return the columns of two rows a path, for a few paths in a narrow panel."""
        names = short_names([path.score.path for path in paths], width - 12, blocks)
        spark = 8 if width >= 40 else 6
        bars = max(2, width - spark - 14 - (14 if alone else 0))
        longest = max(map(len, names.values()))
        return cls(names, longest, bars, spark, True, 7 if alone else 0, _floor(paths), width)

    def rows(self, rank: int, path: PathView, alone: StandAlone | None, two: bool) -> list[Content]:
        """Return a path's row, or its two rows."""
        score, best = path.score, rank == 1
        share = (score.accuracy - self.floor) / max(1e-9, 1 - self.floor)
        accuracy: Part = (f"{100 * score.accuracy:6.2f}", "bold $success" if best else "bold")
        spark: Part = (sparkline(path.history.values, self.spark).ljust(self.spark), "$accent")
        trained: Part = (f"{short(score.trained_images):>5}", MUTED)
        number: Part = (f"{rank:>{self.rank}} ", MUTED)
        style = "$success" if best else "$success 60%"
        if two:
            name = self.names[score.path]
            gap = " " * (self.width - len(name) - 11)
            beside: list[Part] = [(f"  alone {100 * alone.accuracy:6.2f}" if alone else " " * 14, "$primary")]
            first = line(number, (name, "bold" if best else ""), gap, accuracy, " %")
            second = ["   ", (bar(share, self.bar), style), " ", spark, " ", trained, (" img", MUTED)]
            return [first, line(*second, *(beside if self.alone else []))]
        parts: list[Part] = [number, (self.names[score.path].ljust(self.name), "bold" if best else ""), " "]
        if self.bar:
            parts += [(bar(share, self.bar - 1), style), " "]
        parts += [accuracy, *self._beside(alone), " ", spark]
        if self.trained:
            parts += [" ", trained]
        return [line(*parts)]

    def _beside(self, alone: StandAlone | None) -> list[Part]:
        if not self.alone:
            return []
        return [(f" {100 * alone.accuracy:6.2f}" if alone else "      –", "$primary")]


def _floor(paths: Sequence[PathView]) -> float:
    return floor_below(min(path.score.accuracy for path in paths))


def _choose(ranked: Sequence[PathView], rows: int) -> list[tuple[int, PathView]]:
    """Return rank and path of those that fit: all, or the best and the worst with a line in between."""
    numbered = list(enumerate(ranked, start=1))
    if len(numbered) <= rows:
        return numbered
    worst = max(1, (rows - 1) // 3)
    best = max(1, rows - 1 - worst)
    return numbered[:best] + numbered[len(numbered) - worst :]


def _nothing_yet(view: RunView, width: int) -> list[Content]:
    text = "Waiting for the first evaluation" if view.is_alive else "No path has been evaluated."
    size = view.num_paths
    space = f"The space has {size:,} paths." if size else ""
    return [line((part, MUTED)).truncate(width, ellipsis=True) for part in (text, space) if part]


def candidate_means(view: RunView) -> list[list[tuple[str, float | None, int]]]:
    """Return each block's candidates, with the mean accuracy and the number of the evaluated paths through each."""
    found: list[dict[str, list[float]]] = [{label: [] for label in labels} for labels in view.blocks]
    for path in view.job.snapshot.paths.values():
        labels = path.score.path.split("_")
        if len(labels) == len(found):
            for label, block in zip(labels, found, strict=True):
                block.setdefault(label, []).append(path.score.accuracy)
    return [
        [(label, statistics.fmean(values) if values else None, len(values)) for label, values in block.items()]
        for block in found
    ]


def by_candidate(means: list[list[tuple[str, float | None, int]]], width: int, rows: int) -> list[Content]:
    """Return a line for each block: the mean accuracy by candidate, the best in bold."""
    found = [line(("mean accuracy by block and candidate", MUTED))]
    for number, block in enumerate(means, start=1):
        best = max((mean for _, mean, _ in block if mean is not None), default=None)
        row: list[Part] = [(f"{number:>2} ", MUTED)]
        for label, mean, _ in block:
            value = "–" if mean is None else f"{100 * mean:.2f}"
            row.append((f"{label} {value}  ", "bold" if mean is not None and mean == best else ""))
        found.append(line(*row).truncate(width, ellipsis=True))
    return found[:rows]
