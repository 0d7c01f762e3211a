"""The application: which screen is shown, what all screens share, and the trainings that it starts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import Screen
from textual.theme import Theme
from textual.widgets import Input

from supernet_cli.errors import SupernetError
from supernet_cli.store.launch import Launched, start_training
from supernet_cli.store.views import RunView
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


_CLEAR = "\x1b[H\x1b[2J"
_NOT_OURS = ("screen.copy_text", "app.help_quit", "app.focus_next", "app.focus_previous", "screen.minimize")


class MonitorApp(App[None]):
    """Watches runs.

    Args:
        runs_dir: Where runs are stored.
        run: The folder of the run to show; None for the run picker.
        ascii_only: Draw with ASCII only, for fonts that lack other characters.
        launched: A training that has just been started, whose run does not exist yet.
        now: The current time, for ages.
    """

    CSS_PATH = "app.tcss"
    TITLE = "supernet"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "Quit", tooltip="Quit the monitor; trainings continue"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("ctrl+p", "command_palette", "Palette", show=False),
        Binding("ctrl+e", "export", "Save the screen as SVG", show=False),
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
        self.started: list[Launched] = []
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        if "TEXTUAL_THEME" not in os.environ:
            self.theme = DARK.name
        self.animation_level = "none"
        self._own_filters: list[LineFilter] = [PlainCharacters()] if ascii_only else []

    def get_driver_class(self) -> type[Driver]:
        """Return a driver that clears the screen before it gives the terminal back.

        After a resize, tmux takes rows of the alternate screen over into the normal one.
        """
        base = super().get_driver_class()

        class ClearingDriver(base):  # type: ignore[misc, valid-type]
            """The driver of this platform."""

            def stop_application_mode(self) -> None:
                """Clear the screen, then restore the terminal."""
                self.write(_CLEAR)
                self.flush()
                super().stop_application_mode()

        return ClearingDriver

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the filters that every line goes through: the theme's and ours."""
        return [*([EverySegmentStyled()] if self.no_color else []), *super().get_line_filters(), *self._own_filters]

    def on_mount(self) -> None:
        """Show the requested run, or the list of runs."""
        if self._launched is not None:
            self.wait_for(self._launched)
        elif self._first is not None:
            self.open(Choice(self._first, ()))
        else:
            self.choose_run()

    def open(self, choice: Choice) -> None:
        """Show a run in the monitor, in place of the previous one."""
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
        """Choose a preset and start a training of it, as a separate process."""
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
        self.started.append(launched)

        def take(folder: Path | None) -> None:
            if folder is not None:
                self.open(Choice(folder, ()))
            elif self._shown is None and not any(isinstance(screen, RunsScreen) for screen in self.screen_stack):
                self.choose_run()

        self.push_screen(WaitingScreen(self.runs_dir, launched), take)

    def seen(self, view: RunView) -> None:
        """Pass a view on to the screen on top of the monitor, if there is one."""
        if not isinstance(self.screen, MonitorScreen):
            self.screen.post_message(ViewChanged(view))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether an action is available: where text is typed, its keys are text."""
        return not (action in ("leave", "help") and isinstance(self.focused, Input))

    def action_leave(self) -> None:
        """Quit; `q` is text where text is typed, ctrl+q quits there too."""
        self.exit()

    async def action_pass_on(self, action: str, argument: int) -> None:
        """Run an action of the monitor below the screen on top."""
        for screen in self.screen_stack:
            if isinstance(screen, MonitorScreen):
                await self.run_action(f"{action}({argument})", default_namespace=screen)

    def action_help(self) -> None:
        """List the keys of the current screen."""
        from supernet_cli.tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self._keys()))

    def _keys(self) -> list[tuple[str, str]]:
        """Return the keys that work now and what they do, the screen's own first."""
        found: dict[str, tuple[str, list[str]]] = {}
        for _, binding, enabled, tooltip in self.screen.active_bindings.values():
            if not enabled or not binding.description or binding.action in _NOT_OURS:
                continue
            keys = found.setdefault(f"{binding.action}", (tooltip or binding.description, []))[1]
            shown = self.get_key_display(binding)
            if shown not in keys:
                keys.append(shown)
        return [(" ".join(keys), what) for what, keys in found.values()]

    def action_export(self) -> None:
        """Save the screen as an SVG in the working directory."""
        name = f"supernet-{time.strftime('%Y%m%d-%H%M%S', time.localtime(self.now()))}.svg"
        try:
            path = self.save_screenshot(name, ".")
        except OSError as error:
            self.notify(f"Could not write {name}: {error.strerror}", severity="error", markup=False)
            return
        self.notify(f"Saved {path}", markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield the keys of the screen as commands of the palette, and Textual's own that make sense here."""
        actions: set[str] = set()
        for _, binding, enabled, tooltip in screen.active_bindings.values():
            if binding.action in actions:  # another key for the same
                continue
            actions.add(binding.action)
            if enabled and binding.description and not binding.system and binding.action not in _NOT_OURS:
                what = tooltip or f"Key {self.get_key_display(binding)}"
                yield SystemCommand(binding.description, what, self._runner(screen, binding.action))
        for command in super().get_system_commands(screen):
            if command.title in ("Theme",):
                yield command

    def _runner(self, screen: Screen[object], action: str) -> Callable[[], object]:
        async def run() -> None:
            await self.run_action(action, default_namespace=screen)

        return run
