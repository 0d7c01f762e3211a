"""The reading thread: looks at a run's folder twice a second and posts frozen views."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from textual.message import Message

from supernet_cli.store.follow import RunFollower
from supernet_cli.store.layout import JobKey
from supernet_cli.store.views import RunView

POLL_SECONDS = 0.5
"""Time between two looks at a run's folder."""

POSTS_SECONDS = 0.25
"""Minimum time between two views of the same run."""

_BREATH_SECONDS = 0.005  # between two chunks of a long history, so that keys are answered


class ViewChanged(Message):
    """A run has changed."""

    def __init__(self, view: RunView) -> None:
        super().__init__()
        self.view = view


class RunReader:
    """Follows one run until stopped.

    Args:
        folder: The run's folder.
        post: Called with each new view, in the reading thread.
    """

    def __init__(self, folder: Path, post: Callable[[RunView], object]) -> None:
        self.folder = folder
        self._follower = RunFollower(folder)
        self._post = post
        self._stopped = threading.Event()
        self._wanted = threading.Event()
        self._failed: RunView | None = None

    def select(self, key: JobKey) -> None:
        """Show another job of the run."""
        self._follower.selected = key
        self._wanted.set()

    def look_now(self) -> None:
        """Look at once, after a request."""
        self._wanted.set()

    def stop(self) -> None:
        """Let the thread end."""
        self._stopped.set()
        self._wanted.set()

    def _look(self) -> tuple[RunView | None, bool]:
        """Look at the run; errors are reported in its view, because a bad folder must not end the monitor."""
        try:
            view, more = self._follower.poll()
        except Exception as error:
            problem = f"the folder cannot be read: {type(error).__name__}: {error}"
            view, more = RunView(self.folder.name, self.folder, problems=(problem,)), False
            if view == self._failed:
                return None, False
            self._failed = view
        return view, more

    def run(self) -> None:
        """Read until stopped; the body of the thread."""
        latest: RunView | None = None
        posted = float("-inf")
        while not self._stopped.is_set():
            view, more = self._look()
            latest = view or latest
            now = time.monotonic()
            if latest is not None and (not more or now - posted >= POSTS_SECONDS):
                self._post(latest)
                latest, posted = None, now
            self._wanted.wait(_BREATH_SECONDS if more else POLL_SECONDS)
            self._wanted.clear()
