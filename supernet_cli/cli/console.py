"""How text reaches a terminal, a file or a pipe: plain where nothing else is understood."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType  # rich is imported only to draw, so that errors come sooner


_PLAIN_WIDTH = 200  # lines in a file or a pipe are not folded


def wants_plain() -> bool:
    """Whether to write plain lines: a stream is not a terminal, or the terminal asks for no colour or knows none."""
    if is_notebook():
        return False
    on_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    return not on_terminal or bool(os.environ.get("NO_COLOR")) or is_dumb_terminal()


def is_notebook() -> bool:
    """Whether output goes to a notebook in which Rich can replace what it has drawn."""
    import importlib.util

    if "ipykernel" not in sys.modules or importlib.util.find_spec("ipywidgets") is None:
        return False
    from rich.console import Console

    return Console().is_jupyter


def is_dumb_terminal() -> bool:
    """Whether the terminal can neither colour nor place text, according to TERM; Windows has no TERM."""
    return os.name != "nt" and os.environ.get("TERM", "") in ("", "dumb", "unknown")


def console(stream: TextIO) -> Console:
    """Return a console for a stream; a plain one writes no escape codes, whatever the environment says."""
    from rich.console import Console

    if not wants_plain():
        return Console(file=stream, highlight=False)
    width = None if stream.isatty() else _PLAIN_WIDTH
    return Console(file=stream, highlight=False, force_terminal=False, color_system=None, width=width)


def printable(text: str) -> str:
    """Return text with control characters, such as those that move a terminal's cursor, made visible."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def verbatim(text: str) -> RenderableType:
    """Return text that is printed as it stands: no markup, no folding, no cropping."""
    from rich.text import Text

    return Text(text.rstrip("\n"))
