"""`supernet tui`: the live monitor, in this terminal or in a browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from supernet_cli.cli.options import A_RUN, OUTPUT, RUNS_DIR, RunsDir, complete_run, one_run

if TYPE_CHECKING:
    from supernet_cli.runs.launch import Launched


_INSTEAD = (
    "`supernet runs ls` lists runs, `supernet runs show` prints one, and `supernet tui --web` opens the monitor in a "
    "browser."
)


def tui(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help=f"{A_RUN} Default: the list of runs.", autocompletion=complete_run, show_default=False
        ),
    ] = None,
    run_option: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="The same as RUN.",
            autocompletion=complete_run,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    runs_dir: RunsDir = RUNS_DIR,
    ascii_only: Annotated[
        bool, typer.Option("--ascii", help="Draw with ASCII alone, for fonts that lack boxes and blocks.")
    ] = False,
    web: Annotated[bool, typer.Option("--web", help="Serve the monitor to a browser on this machine.")] = False,
    port: Annotated[int, typer.Option("--port", help="The port of --web.", min=1, max=65535)] = 8000,
) -> None:
    """Watch runs: losses, paths, devices, jobs; pause, stop and start trainings; compare.

    Reads run folders alone: it works beside a training, on a shared folder, and on a run of last year.
    """
    folder = None
    if run is not None or run_option is not None:
        folder = _folder_of(runs_dir, one_run(run, run_option))
    if web:
        from supernet_cli.tui.web import serve

        serve(runs_dir, folder, ascii_only, port)
        return
    open_monitor(runs_dir, folder, ascii_only)


def _folder_of(runs_dir: Path, reference: str) -> Path:
    """Return the folder of a run; also of one whose run.json is damaged, since the rest can still be looked at."""
    from supernet_cli.errors import RunError
    from supernet_cli.runs.store import find_run, list_damaged_runs

    try:
        return find_run(runs_dir, reference).folder
    except RunError:
        damaged = [found.folder for found in list_damaged_runs(runs_dir)]
        for folder in damaged:
            if reference in (folder.name, str(folder)) or Path(reference).resolve() == folder.resolve():
                return folder
        raise


def open_monitor(
    runs_dir: Path, folder: Path | None, ascii_only: bool = False, launched: Launched | None = None
) -> None:
    """Open the monitor on this terminal.

    Args:
        runs_dir: Where runs live.
        folder: The run to show; None for the list of runs.
        ascii_only: Draw with ASCII alone.
        launched: A training that was just started.

    Raises:
        UsageError: There is no terminal, or one that cannot place text.
    """
    check_terminal()
    from supernet_cli.tui.app import MonitorApp

    MonitorApp(runs_dir, folder, ascii_only=ascii_only, launched=launched).run()


def check_terminal() -> None:
    """Make sure that the monitor has a terminal on which it can draw.

    Raises:
        UsageError: There is no terminal, or one that cannot place text.
    """
    from supernet_cli.cli.output import is_dumb_terminal
    from supernet_cli.errors import UsageError

    if _is_served():
        return
    streams = (sys.stdin, sys.stdout, sys.stderr)  # Textual draws on the last
    if not all(stream is not None and stream.isatty() for stream in streams):
        raise UsageError("The monitor needs an interactive terminal.", _INSTEAD)
    if is_dumb_terminal():
        terminal = os.environ.get("TERM", "")
        kind = f"TERM={terminal}" if terminal else "TERM is not set"
        raise UsageError(f"This terminal cannot show the monitor ({kind}).", _INSTEAD)


def _is_served() -> bool:
    """Whether a web server runs this process and draws in a browser."""
    return os.environ.get("TEXTUAL_DRIVER", "").startswith("textual.drivers.web_driver")
