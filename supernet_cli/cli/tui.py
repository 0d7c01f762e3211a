"""`supernet tui`: the live monitor, in this terminal or in a browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from supernet_cli.cli.options import A_RUN, OUTPUT, RUNS_DIR, RunsDir, complete_run, one_of

if TYPE_CHECKING:
    from supernet_cli.store.launch import Launched


_WEB_PORT = 8000


def tui(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help=f"{A_RUN}. Default: the list of runs.", autocompletion=complete_run, show_default=False
        ),
    ] = None,
    run_option: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Same as RUN", autocompletion=complete_run, rich_help_panel=OUTPUT),
    ] = None,
    runs_dir: RunsDir = RUNS_DIR,
    ascii_only: Annotated[
        bool, typer.Option("--ascii", help="Draw with ASCII only, for fonts without boxes and blocks")
    ] = False,
    web: Annotated[bool, typer.Option("--web", help="Serve the monitor to a browser on this machine")] = False,
    port: Annotated[
        int | None, typer.Option("--port", metavar="N", help="Port of --web. Default: 8000.", min=1, max=65535)
    ] = None,
) -> None:
    """Watch runs live: losses, paths, devices and jobs; pause, stop and start trainings.

    Only reads run folders, so it also works on folders shared from another machine and on old runs.
    """
    if port is not None and not web:
        from supernet_cli.errors import UsageError

        raise UsageError("--port only applies to --web.", "Add --web, or remove the option.")
    folder = None
    if run is not None or run_option is not None:
        folder = _folder_of(runs_dir, one_of("run", run, run_option, "latest"))
    if web:
        from supernet_cli.tui.web import serve

        serve(runs_dir, folder, ascii_only, _WEB_PORT if port is None else port)
        return
    open_monitor(runs_dir, folder, ascii_only)


def _folder_of(runs_dir: Path, reference: str) -> Path:
    """Return the folder of a run, even if its run.json is damaged: the rest can still be shown."""
    from supernet_cli.errors import RunError
    from supernet_cli.store.runs import find_run, list_damaged_runs

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
        runs_dir: Where runs are stored.
        folder: The run to show; None for the list of runs.
        ascii_only: Draw with ASCII only.
        launched: A training that has just been started.

    Raises:
        UsageError: There is no terminal, or one that cannot place text.
    """
    check_terminal(_instead(runs_dir))
    from supernet_cli.tui.app import MonitorApp

    app = MonitorApp(runs_dir, folder, ascii_only=ascii_only, launched=launched)
    app.run()
    for training in app.started:
        say_what_continues(runs_dir, training)


def say_what_continues(runs_dir: Path, training: Launched) -> None:
    """Print that a training continues without the monitor, how to watch it and how to stop it.

    Args:
        runs_dir: Where its run is.
        training: A training that the monitor started; nothing is printed if it has ended.
    """
    from supernet_cli.cli.console import printable
    from supernet_cli.store.run import runs_dir_option
    from supernet_cli.store.runs import read_run

    if training.has_ended():
        return
    folder = training.find_run(runs_dir)
    run = read_run(folder) if folder is not None else None
    if run is not None:
        what, watch, stop = f"Run {run.id}", run.command("tui"), run.command("runs stop")
    else:  # still loading
        what = f"The training ({training.words})"
        watch, stop = f"supernet tui{runs_dir_option(runs_dir)}", f"kill {training.process.pid}"
    lines = (f"{what} continues in the background.", f"  Watch it: {watch}", f"  Stop it:  {stop}")
    print(printable("\n".join(lines)), file=sys.stderr)


def _instead(runs_dir: Path) -> str:
    from supernet_cli.store.run import runs_dir_option

    place = runs_dir_option(runs_dir)
    return (
        f"`supernet runs ls{place}` lists runs, `supernet runs show{place}` prints one, and "
        f"`supernet tui --web{place}` opens the monitor in a browser."
    )


def check_terminal(instead: str) -> None:
    """Make sure that the monitor has a terminal on which it can draw.

    Args:
        instead: What to do where it has none.

    Raises:
        UsageError: There is no terminal, or one that cannot place text.
    """
    from supernet_cli.cli.console import is_dumb_terminal
    from supernet_cli.errors import UsageError

    if _is_served():
        return
    streams = (sys.stdin, sys.stdout, sys.stderr)  # Textual draws on the last
    if not all(stream is not None and stream.isatty() for stream in streams):
        raise UsageError("The monitor needs an interactive terminal.", instead)
    if is_dumb_terminal():
        terminal = os.environ.get("TERM", "")
        kind = f"TERM={terminal}" if terminal else "TERM is not set"
        raise UsageError(f"This terminal cannot show the monitor ({kind}).", instead)


def _is_served() -> bool:
    """Whether a web server runs this process and draws in a browser."""
    return os.environ.get("TEXTUAL_DRIVER", "").startswith("textual.drivers.web_driver")
