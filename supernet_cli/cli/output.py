"""Results to stdout, progress and diagnostics to stderr; plain text if either is not a terminal."""

from __future__ import annotations

import json
import logging
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from supernet_cli.cli.console import console, printable, wants_plain
from supernet_cli.errors import SupernetError, UsageError
from supernet_cli.workflows.observer import Observer, Take

if TYPE_CHECKING:
    from rich.console import RenderableType  # rich is imported only to draw, so that errors come sooner

    from supernet_cli.data import Progress
    from supernet_cli.reports.next_step import NextStep
    from supernet_cli.store.layout import JobKey
    from supernet_cli.store.snapshot import JobSnapshot


@dataclass(frozen=True)
class Output(Observer):
    """How one command prints.

    Args:
        json: Print one JSON document on stdout instead of tables.
        quiet: Print nothing on stderr but errors.
        file: Also write the document to this file.
        any_ending: Whether the file may have any ending, because the format was chosen; else it is .json, or none.
    """

    json: bool
    quiet: bool
    file: Path | None
    any_ending: bool = False

    def __post_init__(self) -> None:
        if self.file is not None and not self.any_ending and self.file.suffix.lower() not in ("", ".json"):
            raise UsageError(
                f"--output {self.file}: this file would hold a JSON document, not {self.file.suffix}.",
                f"Use --output {shlex.quote(str(self.file.with_suffix('.json')))}.",
            )
        if self.file is not None:
            check_folder(self.file, f"--output {self.file}")

    def result(self, document: dict[str, Any], *rendered: RenderableType) -> None:
        """Print a command's result: the document, or what a person reads instead."""
        text = json.dumps(document, indent=2, allow_nan=False)
        if self.file is not None:
            self._write(f"{text}\n")
        if self.json:
            print(text)
            return
        from rich.text import Text

        out = console(sys.stdout)
        for part in rendered:
            renderable = Text(printable(part)) if isinstance(part, str) else part  # names may look like markup
            out.print(renderable, soft_wrap=isinstance(renderable, Text))

    def text(self, text: str) -> None:
        """Print a result that is text already, to the file if there is one, otherwise on stdout."""
        if self.file is not None:
            self._write(text)
        if self.file is None or self.json:
            print(text, end="")

    def _write(self, text: str) -> None:
        """Write the file of --output."""
        from supernet_cli.store.files import replace_file

        assert self.file is not None
        target = self.file.resolve()
        if target.exists() and not target.is_file():  # a device or a pipe is written to, never replaced
            target.write_text(text, encoding="utf-8")
        else:
            replace_file(target, text.encode())

    def fail(self, error: SupernetError) -> NoReturn:
        """Leave with an error's exit code; a document holds the error already; otherwise it is printed here."""
        import typer

        if not self.json:
            say_error(error, as_json=False)
        raise typer.Exit(error.exit_code)

    def note(self, text: str) -> None:
        """Print something besides the result, unless quiet."""
        if not self.quiet and not self.json:
            console(sys.stderr).print(printable(text), style="dim", markup=False, soft_wrap=True)

    def announce(self, text: str) -> None:
        """Print what begins, where it is not drawn."""
        if not self.is_live:
            self.note(text)

    def next_step(self, step: NextStep | None) -> None:
        """Print what to do next, where there is something, unless quiet."""
        if step is not None:
            self.note(f"\n{step}")

    @contextmanager
    def working(self, what: str) -> Iterator[Progress]:
        """Show that something takes a while.

        Args:
            what: What is being done.

        Yields:
            A function to call meanwhile: with the current activity, how much of it is done, and of how much.
        """
        if self.is_live:
            with _drawn_progress(what) as advance:
                yield advance
        else:
            yield self._plain_progress()

    def _plain_progress(self) -> Progress:
        """Return a function that prints each new activity once, in a line."""
        printed: set[str] = set()

        def advance(doing: str, done: int, total: int) -> None:
            if doing not in printed:
                printed.add(doing)
                self.note(doing)

        return advance

    @contextmanager
    def watching(
        self, run: str, jobs: Sequence[tuple[JobKey, JobSnapshot]], side_by_side: bool = False
    ) -> Iterator[Take]:
        """Show the progress of jobs as a drawing, in lines, or not at all; see `Observer`."""
        from supernet_cli.cli.watch import JobLines, PlainLines, Watch

        if self.is_live:
            from supernet_cli.cli.live import draw_supernets, drawing
            from supernet_cli.cli.live_jobs import draw_jobs

            with drawing(Watch(run, jobs), sys.stderr, draw_jobs if side_by_side else draw_supernets) as watch:
                yield watch.take
        else:
            lines = (JobLines if side_by_side else PlainLines)(sys.stderr) if self.shows_progress else None
            yield Watch(run, jobs, lines).take

    @contextmanager
    def warnings(self) -> Iterator[None]:
        """Print warnings of the package on stderr while inside; they also go to the job's log."""
        handler = _Warnings(logging.WARNING)
        logger = logging.getLogger("supernet_cli")
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)

    @property
    def shows_progress(self) -> bool:
        """Whether to show progress at all; with --json it still goes to stderr."""
        return not self.quiet

    @property
    def is_live(self) -> bool:
        """Whether progress may be drawn in place."""
        return self.shows_progress and not wants_plain()


def check_folder(file: Path, what: str) -> None:
    """Make sure that a file can be created where it was asked for.

    Args:
        file: The file to create.
        what: How it was given, such as `--output x.json`.

    Raises:
        UsageError: Its folder does not exist, or is a file.
    """
    folder = file.parent
    if file.absolute().parent.is_dir():
        return
    blocking = next((place for place in (folder, *folder.parents) if place.is_file()), None)
    if blocking is not None:
        raise UsageError(f"{what}: {blocking} is a file, not a folder.", "Choose another folder.")
    raise UsageError(f"{what}: there is no folder {folder}.", f"Create it with: mkdir -p {shlex.quote(str(folder))}")


@contextmanager
def _drawn_progress(what: str) -> Iterator[Progress]:
    from rich.markup import escape
    from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bars

    from supernet_cli.cli.resizing import clearing_after_resize

    parts = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    out = console(sys.stderr)
    with Bars(*parts, console=out, transient=True) as progress, clearing_after_resize(out):
        task = progress.add_task(escape(what), total=None)
        yield lambda doing, done, total: progress.update(
            task, description=escape(doing), completed=done, total=total or None
        )


class _Warnings(logging.Handler):
    """Prints what is logged on the stderr of the moment: a live display there lets lines through above itself."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is None:  # errors that end a command are printed once, by `say_error`
            print(f"{record.levelname.lower()}: {printable(record.getMessage())}", file=sys.stderr)


def say_error(error: SupernetError, as_json: bool) -> None:
    """Print what went wrong: a panel on stderr, plain lines off a terminal, or a JSON document on stdout."""
    if as_json:
        print(json.dumps(error_document(error), indent=2))
        return
    message, hint = printable(error.message), printable(error.hint)
    if wants_plain():
        print(f"error: {message}", *([hint] if hint else []), sep="\n", file=sys.stderr)
        return
    from rich.panel import Panel
    from rich.text import Text

    body = Text.assemble(message, ("\n" if hint else "", ""), (hint, "cyan"))
    console(sys.stderr).print(Panel(body, title=f"error: {error.kind}", title_align="left", border_style="red"))


def error_document(error: SupernetError) -> dict[str, Any]:
    """Return an error as the JSON document of the contract."""
    fields = {"kind": error.kind, "message": error.message, "hint": error.hint, "exit_code": error.exit_code}
    return {"error": fields}
