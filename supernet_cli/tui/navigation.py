"""What screens ask of the application that shows them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from supernet_cli.store.views import RunView


@runtime_checkable
class Navigator(Protocol):
    """The application, seen from a screen."""

    def seen(self, view: RunView) -> None:
        """Note what a screen has shown last."""

    def choose_run(self) -> None:
        """Let a person choose a run."""

    def start_training(self) -> None:
        """Let a person start a training."""
