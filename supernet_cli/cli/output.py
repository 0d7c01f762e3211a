"""Where words go: results to stdout, progress and diagnostics to stderr; plain where nobody looks at a terminal."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.text import Text

from supernet_cli.errors import SupernetError, UsageError

_PLAIN_WIDTH = 200  # lines that go into a file or a pipe are not folded


def wants_plain(stream: TextIO) -> bool:
    """Whether a stream gets plain lines: no terminal, or one that asks for no colour."""
    return not stream.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def console(stream: TextIO) -> Console:
    """Return a console for a stream; off a terminal without escape codes and folding, whatever the environment says."""
    if stream.isatty():
        return Console(file=stream, highlight=False)
    return Console(
        file=stream, highlight=False, force_terminal=False, no_color=True, color_system=None, width=_PLAIN_WIDTH
    )


@dataclass(frozen=True)
class Output:
    """How one command speaks.

    Args:
        json: One JSON document on stdout instead of tables.
        quiet: Nothing on stderr but errors.
        file: Also write the document there.
    """

    json: bool
    quiet: bool
    file: Path | None

    def __post_init__(self) -> None:
        if self.file is not None and not self.file.absolute().parent.is_dir():
            raise UsageError(f"--output {self.file}: there is no folder {self.file.parent}.", "Make it first.")

    def result(self, document: dict[str, Any], *rendered: RenderableType) -> None:
        """Say a command's result: the document, or what a person reads instead."""
        text = json.dumps(document, indent=2, allow_nan=False)
        if self.file is not None:
            from supernet_cli.runs.files import replace_file

            replace_file(self.file, f"{text}\n".encode())
        if self.json:
            print(text)
            return
        out = console(sys.stdout)
        for renderable in rendered:
            out.print(renderable)

    def note(self, text: str) -> None:
        """Say something beside the result, unless quiet."""
        if not self.quiet and not self.json:
            console(sys.stderr).print(Text(text, style="dim"), soft_wrap=True)

    @property
    def shows_progress(self) -> bool:
        """Whether progress is wanted at all; under --json it still goes to stderr."""
        return not self.quiet

    @property
    def is_live(self) -> bool:
        """Whether progress may be drawn in place: a terminal on both ends that takes colour."""
        return self.shows_progress and not wants_plain(sys.stderr) and not wants_plain(sys.stdout)


def say_error(error: SupernetError, as_json: bool) -> None:
    """Say what went wrong: a panel on stderr, plain lines off a terminal, or a JSON document on stdout."""
    if as_json:
        print(json.dumps(error_document(error), indent=2))
        return
    message = Text(printable(error.message))
    if error.hint:
        message.append("\n" + printable(error.hint), style="cyan")
    target = console(sys.stderr)
    if wants_plain(sys.stderr):
        target.print(Text("error: ") + message, soft_wrap=True)
    else:
        target.print(Panel(message, title=Text(f"error: {error.kind}"), title_align="left", border_style="red"))


def error_document(error: SupernetError) -> dict[str, Any]:
    """Return an error as the JSON document of the contract."""
    fields = {"kind": error.kind, "message": error.message, "hint": error.hint, "exit_code": error.exit_code}
    return {"error": fields}


def printable(text: str) -> str:
    """Return text with control characters, such as those that move a terminal's cursor, made visible."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)
