"""The application: which screen is shown, what all screens have in common, and trainings that it starts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import Screen
from textual.theme import Theme

from supernet_cli.errors import SupernetError
from supernet_cli.runs.launch import Launched, start_training
from supernet_cli.runs.views import RunView
from supernet_cli.tui.draw import clean
from supernet_cli.tui.plain import EverySegmentStyled, PlainCharacters
from supernet_cli.tui.reader import ViewChanged
from supernet_cli.tui.screens.monitor import MonitorScreen
from supernet_cli.tui.screens.runs import Choice, RunsScreen
from supernet_cli.tui.screens.waiting import WaitingScreen

DARK = Theme(
    name="supernet-dark",
    primary="#6cb6ff",
    secondary="#c297ff",
    accent="#56c2c6",
    success="#7bc275",
    warning="#e3b341",
    error="#f47067",
    foreground="#d5dbe3",
    background="#14181d",
    surface="#14181d",
    panel="#1f262e",
    dark=True,
)
LIGHT = Theme(
    name="supernet-light",
    primary="#0a63c9",
    secondary="#7d3fc8",
    accent="#0a7d83",
    success="#1f7a33",
    warning="#8f5f00",
    error="#c4262e",
    foreground="#1f2733",
    background="#fbfcfd",
    surface="#fbfcfd",
    panel="#e9edf2",
    dark=False,
)


_NOT_OURS = ("screen.copy_text", "app.help_quit", "app.focus_next", "app.focus_previous", "screen.minimize")


class MonitorApp(App[None]):
    """Watches runs.

    Args:
        runs_dir: Where runs live.
        run: The folder of the run to show; None for the run picker.
        ascii_only: Draw with ASCII alone, for fonts that lack the rest.
        launched: A training that was just started, whose run is not there yet.
        now: The time, for ages.
    """

    CSS_PATH = "app.tcss"
    TITLE = "supernet"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit", tooltip="Leave the monitor; trainings go on"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("ctrl+p", "command_palette", "Palette", show=False),
        Binding("ctrl+e", "export", "Export the screen as SVG", show=False),
    ]

    def __init__(
        self,
        runs_dir: Path,
        run: Path | None = None,
        *,
        ascii_only: bool = False,
        launched: Launched | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.runs_dir = runs_dir
        self.now = now
        self._first = run
        self._launched = launched
        self._shown: Choice | None = None
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        if "TEXTUAL_THEME" not in os.environ:
            self.theme = DARK.name
        self.animation_level = "none"
        self._own_filters: list[LineFilter] = [PlainCharacters()] if ascii_only else []

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return what every line goes through before it is shown: the theme's filters and ours."""
        return [*([EverySegmentStyled()] if self.no_color else []), *super().get_line_filters(), *self._own_filters]

    def on_mount(self) -> None:
        """Show the run that was asked for, or the list of runs."""
        if self._launched is not None:
            self.wait_for(self._launched)
        elif self._first is not None:
            self.open(Choice(self._first, ()))
        else:
            self.choose_run()

    def open(self, choice: Choice) -> None:
        """Show a run in the monitor, in place of the one before."""
        self._shown = choice
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self.push_screen(MonitorScreen(choice.folder, choice.overlaid))

    def choose_run(self) -> None:
        """Show the run picker."""

        def take(choice: Choice | None) -> None:
            if choice is not None:
                self.open(choice)
            elif self._shown is None:
                self.exit()

        shown = self._shown
        current, overlaid = (shown.folder, shown.overlaid) if shown else (None, ())
        self.push_screen(RunsScreen(self.runs_dir, self.now, current, overlaid), take)

    def start_training(self) -> None:
        """Choose a preset and start a training of it, as a process of its own."""
        from supernet_cli.tui.screens.new import NewScreen, Order

        def take(order: Order | None) -> None:
            if order is None:
                return
            try:
                launched = start_training(self.runs_dir, order.preset, order.settings)
            except SupernetError as error:
                self.notify(clean(f"{error.message} {error.hint}"), severity="error", markup=False, timeout=10)
                return
            self.wait_for(launched)

        self.push_screen(NewScreen(), take)

    def wait_for(self, launched: Launched) -> None:
        """Wait until a training that was started has its run, and show it."""

        def take(folder: Path | None) -> None:
            if folder is not None:
                self.open(Choice(folder, ()))
            elif self._shown is None and not any(isinstance(screen, RunsScreen) for screen in self.screen_stack):
                self.choose_run()

        self.push_screen(WaitingScreen(self.runs_dir, launched), take)

    def seen(self, view: RunView) -> None:
        """Pass a view on to the screen on top, where that is another than the monitor."""
        if not isinstance(self.screen, MonitorScreen):
            self.screen.post_message(ViewChanged(view))

    async def action_pass_on(self, action: str, argument: int) -> None:
        """Let the monitor below the screen on top do something."""
        for screen in self.screen_stack:
            if isinstance(screen, MonitorScreen):
                await self.run_action(f"{action}({argument})", default_namespace=screen)

    def action_help(self) -> None:
        """List the keys of the screen that is shown."""
        from supernet_cli.tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self._keys()))

    def _keys(self) -> list[tuple[str, str]]:
        """Return keys and what they do, from the bindings that work now: the screen's first."""
        found: dict[str, tuple[str, list[str]]] = {}
        for _, binding, enabled, tooltip in self.screen.active_bindings.values():
            if not enabled or not binding.description or binding.action in _NOT_OURS:
                continue
            keys = found.setdefault(f"{binding.action}", (tooltip or binding.description, []))[1]
            shown = self.get_key_display(binding)
            if shown not in keys:
                keys.append(shown)
        return [(" ".join(keys), told) for told, keys in found.values()]

    def action_export(self) -> None:
        """Write what is on the screen into the working directory, as an SVG."""
        name = f"supernet-{time.strftime('%Y%m%d-%H%M%S', time.localtime(self.now()))}.svg"
        try:
            path = self.save_screenshot(name, ".")
        except OSError as error:
            self.notify(f"{name} cannot be written: {error.strerror}", severity="error", markup=False)
            return
        self.notify(f"Written: {path}", markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield the keys of the screen as commands of the palette, and Textual's own that make sense here."""
        for _, binding, enabled, tooltip in screen.active_bindings.values():
            if enabled and binding.description and not binding.system and binding.action not in _NOT_OURS:
                told = tooltip or f"Key {self.get_key_display(binding)}"
                yield SystemCommand(binding.description, told, self._runner(screen, binding.action))
        for command in super().get_system_commands(screen):
            if command.title in ("Theme",):
                yield command

    def _runner(self, screen: Screen[object], action: str) -> Callable[[], object]:
        async def run() -> None:
            await self.run_action(action, default_namespace=screen)

        return run
