"""The log of the job that is shown: its last lines."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from supernet_cli.store.follow import LOG_LINES
from supernet_cli.store.views import RunView
from supernet_cli.tui.draw import MUTED, heading, line, lines
from supernet_cli.tui.panels.log import log_line
from supernet_cli.tui.reader import ViewChanged


class LogScreen(Screen[None]):
    """Scrolls through the log; at its end, follows new lines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,l,q", "dismiss", "Back"),
        Binding("g,home", "top", "Start", key_display="g"),
        Binding("G,end", "bottom", "End", key_display="G"),
    ]

    def __init__(self, view: RunView) -> None:
        super().__init__()
        self.view = view

    def compose(self) -> ComposeResult:
        """Yield the lines."""
        yield Static(id="log-heading")
        with VerticalScroll(id="log-scroll"):
            yield Static(id="log-text")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Show the end."""
        self._show(True)
        self.query_one("#log-scroll").focus()

    @on(ViewChanged)
    def take(self, message: ViewChanged) -> None:
        """Show a new view; stay at the end if the end was in sight."""
        changed = message.view.log != self.view.log
        self.view = message.view
        scroll = self.query_one("#log-scroll", VerticalScroll)
        if changed:
            self._show(scroll.scroll_y >= scroll.max_scroll_y)

    def on_resize(self) -> None:
        """Draw the heading for the new width."""
        self.query_one("#log-heading", Static).update(self._heading())

    def _heading(self) -> Content:
        count = f"last {LOG_LINES} lines of " if len(self.view.log) >= LOG_LINES else ""
        return heading("Log", max(20, self.size.width - 2), (f"{count}{self.view.shown}/log.txt", MUTED))

    def _show(self, at_end: bool) -> None:
        self.query_one("#log-heading", Static).update(self._heading())
        body = [log_line(text) for text in self.view.log] or [line(("nothing logged yet", MUTED))]
        self.query_one("#log-text", Static).update(lines(body))
        if at_end:
            self.query_one("#log-scroll").scroll_end(animate=False)

    def action_top(self) -> None:
        """Go to the first line."""
        self.query_one("#log-scroll").scroll_home(animate=False)

    def action_bottom(self) -> None:
        """Go to the last line, and follow."""
        self.query_one("#log-scroll").scroll_end(animate=False)
