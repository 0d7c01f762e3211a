"""Waits for a training that was started: its run appears once torch and the data are loaded."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label
from textual.worker import get_current_worker

from supernet_cli.errors import SupernetError
from supernet_cli.store.launch import Launched
from supernet_cli.tui.draw import clean, line


class WaitingScreen(ModalScreen[Path | None]):
    """Waits for the run of a training that was started.

    Args:
        runs_dir: Where its run will be.
        launched: The training.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", "Do not wait")]

    def __init__(self, runs_dir: Path, launched: Launched) -> None:
        super().__init__()
        self.launched = launched
        self._runs_dir = runs_dir

    def compose(self) -> ComposeResult:
        """Yield what is being started."""
        with Vertical(classes="dialog"):
            yield Label("Starting", classes="title")
            yield Label(clean(self.launched.words), classes="muted", markup=False)
            yield Label("Loading torch and the data. Esc: do not wait; the training continues.", id="waiting-message")

    def on_mount(self) -> None:
        """Start waiting."""
        self._wait()

    @work(thread=True, exclusive=True)
    def _wait(self) -> None:
        worker = get_current_worker()
        while not worker.is_cancelled:
            try:
                folder = self.launched.find_run(self._runs_dir)
            except SupernetError as error:
                self.app.call_from_thread(self._failed, error.message)
                return
            if worker.is_cancelled:
                return
            if folder is not None:
                self.app.call_from_thread(self._found, folder)
                return
            if self.launched.has_ended():
                self.app.call_from_thread(self._failed, self.launched.last_words())
                return
            time.sleep(0.2)

    def _found(self, folder: Path) -> None:
        if self.is_current:  # otherwise the user has left meanwhile
            self.dismiss(folder)

    def _failed(self, words: str) -> None:
        self.query_one(".title", Label).update("The training did not start")
        message = self.query_one("#waiting-message", Label)
        message.update(line((words, "$error")))
        message.add_class("wrong")
