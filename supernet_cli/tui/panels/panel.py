"""The base of all panels: takes views, draws them as text in its room, and repaints only what changed."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from supernet_cli.store.views import RunView


class Panel(Widget):
    """A widget that shows a run's view as text.

    A subclass draws; this compares the result with what is on the screen, so an unchanged panel is not repainted.
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self.view: RunView | None = None
        self._drawn = Content("")

    def show(self, view: RunView) -> None:
        """Take the newest view."""
        self.view = view
        self.redraw()

    def redraw(self) -> None:
        """Draw again, and repaint if the result differs."""
        width, height = self.size
        if self.view is None or width < 1:
            return
        drawn = self.draw(self.view, width, height)
        if not drawn.is_same(self._drawn):
            self._drawn = drawn
            self.refresh()

    def draw(self, view: RunView, width: int, height: int) -> Content:
        """Return a view as text of at most `width` columns and `height` rows."""
        raise NotImplementedError

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.redraw()

    def render(self) -> Content:
        """Return what was drawn last."""
        return self._drawn
