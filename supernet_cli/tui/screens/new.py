"""Start a training: choose a preset and change its keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from supernet_cli.config.load import load_preset
from supernet_cli.config.presets import PresetFile, list_presets
from supernet_cli.errors import SupernetError
from supernet_cli.tui.draw import MUTED, line


@dataclass(frozen=True)
class Order:
    """What to train.

    Args:
        preset: Its preset.
        settings: Keys to change, such as `train.epochs=4`.
    """

    preset: str
    settings: tuple[str, ...]


class NewScreen(ModalScreen[Order | None]):
    """Asks what to train, and checks it before anything starts."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back"),
        Binding("tab", "app.focus_next", "Edit changes"),
    ]

    def compose(self) -> ComposeResult:
        """Yield the presets and a line for changes."""
        # The default of the commands comes first.
        self._presets: Sequence[PresetFile] = sorted(list_presets(), key=lambda preset: preset.name != "default")
        longest = max((len(preset.name) for preset in self._presets), default=0)
        with Vertical(classes="dialog wide"):
            yield Label("Start a training", classes="title")
            yield OptionList(
                *(Option(_described(preset, longest), id=f"preset-{i}") for i, preset in enumerate(self._presets)),
                id="presets",
                compact=True,
            )
            yield Input(placeholder="Changes, such as train.epochs=4 runtime.threads=1", id="changes", compact=True)
            yield Label("Enter: start as a separate process. Tab: edit the changes.", classes="muted", id="message")

    def on_mount(self) -> None:
        """Start in the list of presets."""
        self.query_one(Input).cursor_blink = False
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    @on(Input.Submitted)
    def _order(self) -> None:
        place = self.query_one(OptionList).highlighted or 0
        if not self._presets:
            return
        order = Order(self._presets[place].name, tuple(self.query_one(Input).value.split()))
        try:
            load_preset(order.preset, list(order.settings))
        except SupernetError as error:
            message = self.query_one("#message", Label)
            message.update(line(f"{error.message} {error.hint}".strip()))
            message.add_class("wrong")
            return
        self.dismiss(order)


def _described(preset: PresetFile, longest: int) -> Content:
    return line(preset.name.ljust(longest + 2), (preset.summary(), MUTED))
