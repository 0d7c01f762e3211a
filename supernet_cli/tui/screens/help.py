"""Help, generated from the keys that work on the screen below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from supernet_cli.glyphs import MARKS
from supernet_cli.tui.draw import LOOKS, MUTED, line, lines


class HelpScreen(ModalScreen[None]):
    """Lists keys and states.

    Args:
        bindings: The keys that work on the screen below.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "Back")]

    def __init__(self, bindings: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._listed_keys = bindings

    def compose(self) -> ComposeResult:
        """Yield the text."""
        with VerticalScroll(classes="dialog wide"):
            yield Static(self._text())

    def _text(self) -> Content:
        width = max((len(keys) for keys, _ in self._listed_keys), default=0)
        rows = [line(("Keys", "bold")), line("")]
        rows += [line(("  " + keys.ljust(width), "bold $primary"), "  ", what) for keys, what in self._listed_keys]
        rows += [line(""), line(("States", "bold")), line("")]
        rows += [
            line("  ", (f"{MARKS[state]} {look.word:<12}", look.style), (f" {look.meaning}", MUTED))
            for state, look in LOOKS.items()
        ]
        rows += [line(""), line(("Esc: back", MUTED))]
        return lines(rows)
