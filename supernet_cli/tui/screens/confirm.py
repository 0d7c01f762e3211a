"""A question to confirm."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Label


class ConfirmScreen(ModalScreen[bool]):
    """Asks before something is done that cannot be undone at once.

    Args:
        question: The question.
        consequence: What happens on yes.
        yes: The label of the button that confirms.
        no: The label of the button that cancels.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,q", "answer(False)", "No"),
        Binding("left,right", "app.focus_next", "Other button", show=False),
    ]

    def __init__(self, question: str, consequence: str, yes: str, no: str) -> None:
        super().__init__()
        self._words = question, consequence, yes, no

    def compose(self) -> ComposeResult:
        """Yield the question and two buttons."""
        question, consequence, yes, no = self._words
        with Vertical(classes="dialog"):
            yield Label(question, classes="title", markup=False)
            yield Label(consequence, classes="muted", markup=False)
            with Horizontal(classes="buttons"):
                yield Button(f"{yes} (y)", id="yes", variant="warning", compact=True)
                yield Button(f"{no} (n)", id="no", compact=True)

    def on_mount(self) -> None:
        """Make the harmless answer the default for Enter."""
        self.query_one("#no", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Answer."""
        self.dismiss(yes)
