"""Live displays that leave nothing behind when the terminal is resized.

Rich erases the previous frame by its number of lines. A terminal that becomes narrower wraps these lines, also those of
a frame that is drawn before the new size is known; one that becomes taller takes lines back from its scrollback. It is
then unknown where the old frame begins, so the whole screen is cleared.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleRenderable, RenderHook
from rich.control import Control
from rich.segment import ControlType


@contextmanager
def clearing_after_resize(console: Console) -> Iterator[None]:
    """Clear the screen before a live display draws its first frame at a new size.

    Enter it after the live display has started on this console, and leave it before the display stops.

    Args:
        console: The console of the live display.
    """
    console.push_render_hook(_Clearing(console))
    try:
        yield
    finally:
        console.pop_render_hook()


class _Clearing(RenderHook):
    """Replaces the erasure of the previous frame when the size has changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._size = console.size

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Return what is printed: an erasure, lines above the frame, and the frame."""
        before, self._size = self._size, self._console.size
        if before == self._size or not renderables:
            return renderables
        return [Control(ControlType.HOME, ControlType.CLEAR), *renderables[1:]]
