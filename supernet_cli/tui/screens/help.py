"""Help, made from the keys that the screen below has now."""

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
from supernet_cli.runs.records import State
from supernet_cli.tui.draw import MUTED, STYLES, WORDS, line, lines

_STATES: tuple[tuple[State, str], ...] = (
    ("created", "its folder is there, its turn has not come"),
    ("running", "a living process trains it"),
    ("paused", "its trainer waits, after a checkpoint"),
    ("finished", "done"),
    ("stopped", "somebody asked it to stop; it can go on"),
    ("interrupted", "a signal, or its process is gone; it can go on"),
    ("diverged", "the loss was no longer a number"),
    ("failed", "an error; the log has it"),
    ("lost", "another host's, silent for a minute or more"),
)


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
        rows += [line(("  " + keys.ljust(width), "bold $primary"), "  ", told) for keys, told in self._listed_keys]
        rows += [line(""), line(("States", "bold")), line("")]
        rows += [
            line("  ", (f"{MARKS[state]} {WORDS[state]:<12}", STYLES[state]), (f" {told}", MUTED))
            for state, told in _STATES
        ]
        rows += [line(""), line(("Esc goes back", MUTED))]
        return lines(rows)
