"""What `supernet search` prints: the answer, the leading paths, the front; with `--dry-run`, what it would do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from supernet_cli.errors import INTERRUPTED

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from supernet_cli.cli.output import Output
    from supernet_cli.reports.search.document import Searched
    from supernet_cli.space.names import Blocks
    from supernet_cli.workflows.request import Request
    from supernet_cli.workflows.search import Found
    from supernet_cli.workflows.session import Session

_LEADING = 12
_WIDEST = 100
"""Columns of the drawing at most."""


def say_found(found: Found, voice: Output) -> None:
    """Print what a search found, or how to continue it, and leave with the exit code of that.

    Args:
        found: How the search went.
        voice: Where to print.
    """
    from supernet_cli.cli.output import error_document

    run, document = found.run, found.document
    error = error_document(found.error) if found.error else {}
    if document is None:
        voice.result({"run": run.id, "status": run.state()} | error, f"{run.id}  nothing is trained from scratch yet")
    else:
        from supernet_cli.space import SearchSpace

        blocks = tuple(block.labels for block in SearchSpace.from_config(run.preset().space).blocks)
        voice.result(document.document() | error, *_rendered(document, blocks))
    if found.stopped is not None:
        voice.note("\nRun the same command again to continue.")
        raise typer.Exit(INTERRUPTED)
    if found.error is not None:
        voice.fail(found.error)
    if document is not None and document.finished and document.pick.weights:
        from supernet_cli.reports.next_step import NextStep

        voice.next_step(NextStep("Export it", run.command("export")))


def say_plan(session: Session, request: Request, voice: Output) -> None:
    """Print what a search would do.

    Args:
        session: The run, and where its paths would be trained.
        request: What would be searched for.
        voice: Where to print.
    """
    from supernet_cli.cli.render import facts
    from supernet_cli.glyphs import clock, counted
    from supernet_cli.workflows.rehearse import rehearse_search

    plan, space, seeds = rehearse_search(session, request), session.space.size, len(request.seeds)
    limits = [
        (f"limit {limit}", "" if limit.count is None else f"{limit.count:,} of {counted(space, 'path')}")
        for limit in plan.limits
    ]
    time = "unknown" if plan.left is None else "nothing is left to train"
    if plan.estimate.workers:
        time = f"up to {clock(plan.estimate.seconds)}"
    left = "as many as time allows" if plan.left is None else counted(plan.left * seeds, "further training")
    pairs = [
        ("run", session.run.id),
        ("paths", f"{space:,}" if plan.within is None else f"{plan.within:,} within the limits, of {space:,}"),
        *limits,
        ("scored first", counted(plan.scored_first, "path")),
        ("learns from", counted(plan.known, "training")),
        ("trainings", f"{plan.decided * seeds:,} chosen already, {left}"),
        ("where", plan.where),
        ("estimated time", time),
    ]
    document = {
        "run": session.run.id,
        "space_size": space,
        "within_limits": plan.within,
        "limits": {limit.name: {"most": limit.most, "paths": limit.count} for limit in plan.limits},
        "scored_first": plan.scored_first,
        "learns_from": plan.known,
        "trainings_chosen": plan.decided * seeds,
        "trainings_left": None if plan.left is None else plan.left * seeds,
        "estimate": {"seconds": plan.estimate.seconds, "macs": plan.estimate.macs, "workers": plan.estimate.workers},
    }
    voice.result(document, facts(pairs))


def _rendered(found: Searched, blocks: Blocks) -> Iterator[RenderableType]:
    from rich.console import Group
    from rich.text import Text

    from supernet_cli.cli.console import console, printable
    from supernet_cli.cli.render import facts, sheet_table
    from supernet_cli.reports.search import words
    from supernet_cli.space.names import short_names

    path, width = found.pick.path, console(sys.stdout).width
    is_long = len(path) > width
    verdict = words.sentence(found, short_names([path], width, blocks)[path]) if is_long else found.verdict
    yield Group(Text(printable(verdict), style="bold"))  # wraps at words, as a text alone would not
    if is_long:
        yield path  # alone, and not broken into lines, so that it can be copied
    yield ""
    yield facts(words.lines(found))
    yield ""
    yield sheet_table(words.sheet(found, _LEADING), blocks)
    yield _Front(found, blocks)


@dataclass(frozen=True)
class _Front:
    """The drawing of the front, as wide as the terminal allows.

    Args:
        found: What the search found.
        blocks: Labels of each block's candidates.
    """

    found: Searched
    blocks: Blocks

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        from supernet_cli.cli.console import printable
        from supernet_cli.reports.search.front import MARKS, front_lines
        from supernet_cli.reports.search.points import Kind

        lines = front_lines(self.found, min(options.max_width, _WIDEST), blocks=self.blocks)
        yield from [""] if lines else []
        for line in lines:
            text = Text(printable(line), no_wrap=True)
            text.highlight_words([MARKS[Kind.PICK]], "bold green")
            text.highlight_words([MARKS[Kind.PREDICTED]], "cyan")
            yield text
