"""The end of the log of the job that is shown."""

from __future__ import annotations

from textual.content import Content

from supernet_cli.store.views import RunView
from supernet_cli.tui.draw import MUTED, heading, line, lines
from supernet_cli.tui.panels.panel import Panel


class LogPanel(Panel):
    """The last lines, newest at the bottom."""

    def draw(self, view: RunView, width: int, height: int) -> Content:
        """Return as many lines as fit."""
        title = heading("Log", width, (f"{view.shown}/log.txt" if view.shown else "", MUTED))
        newest = [log_line(text, width) for text in view.log[-(height - 1) :]] if height > 1 else []
        return lines([title, *(newest or [line(("nothing logged yet", MUTED))])][:height])


def log_line(text: str, width: int | None = None) -> Content:
    """Return a line of a log: without its date, with warnings and errors coloured, tabs as spaces."""
    shown = text.replace("\t", "    ")
    head, _, rest = shown.partition(" ")
    if width is not None and len(head) == 10 and head[:4].isdigit() and rest[2:3] == ":":
        shown = rest[:8] + rest[rest.find(" ") :] if rest[8:9] == "," else rest
    style = "$error" if " ERROR " in shown else "$warning" if " WARNING " in shown else MUTED
    return line((shown if width is None else shown[:width], style))
