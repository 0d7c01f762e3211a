"""`supernet export`: the network of one path as a folder that stands on its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from supernet_cli.cli.options import (
    PATHS,
    RUNS_DIR,
    DataRoot,
    Json,
    Quiet,
    RunName,
    RunsDir,
    complete_path,
    run_and_paths,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from supernet_cli.store.run import Run
    from supernet_cli.workflows.export import Exported

WHAT = "What is written"


def complete_format(incomplete: str) -> list[str]:
    """Return the names of formats that start with the typed text."""
    from supernet_cli.config.catalog import entries

    return [name for name in ("folder", "all", *entries("format")) if name.startswith(incomplete)]


def export(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|PATH",
            help="A run (default: `latest`), and the path to export. Default: the pick of `search` if there is one, "
            "otherwise the best path trained from scratch.",
            autocompletion=complete_path,
        ),
    ] = None,
    pick: Annotated[bool, typer.Option("--pick", help="Export the pick of `search`", rich_help_panel=PATHS)] = False,
    best: Annotated[
        bool,
        typer.Option(
            "--best",
            help="Export the best path trained from scratch, by mean accuracy on validation",
            rich_help_panel=PATHS,
        ),
    ] = False,
    run: RunName = None,
    weights: Annotated[
        Literal["scratch", "final", "inherited"] | None,
        typer.Option(
            help="Weights of a training from scratch, of one for use (`retrain --epochs`; default if there is one), or "
            "inherited from a supernet; for these, batch normalisation is measured for the path first.",
            rich_help_panel=PATHS,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Seed of the training, or of the supernet. Default: the training with the best accuracy on "
            "validation; the first supernet.",
            rich_help_panel=PATHS,
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="safetensors (with model.py), pt2, onnx, folder for all that are installed (default), or all; "
            "repeatable, or with commas",
            autocompletion=complete_format,
            rich_help_panel=WHAT,
        ),
    ] = None,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="model.pt2 and model.onnx take normalised floats, instead of uint8 images that they normalise",
            rich_help_panel=WHAT,
        ),
    ] = False,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder to write", rich_help_panel=WHAT),
    ] = Path("model"),
    no_check: Annotated[
        bool,
        typer.Option(
            "--no-check",
            help="Do not run the files on the validation images in a fresh process. Needs no images, unless batch "
            "normalisation is measured.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    benchmark: Annotated[
        bool,
        typer.Option(
            "--benchmark", help="Measure the latency of each file, for batches of several sizes", rich_help_panel=WHAT
        ),
    ] = False,
    data_root: DataRoot = None,
    runs_dir: RunsDir = RUNS_DIR,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Export the network of a path, to be deployed without supernet.

    The folder has the weights (model.safetensors) with the network as plain PyTorch (model.py), graphs (model.pt2,
    model.onnx), config.json and a model card (README.md). All files are run on the validation images in a fresh process
    without supernet, and must reproduce the network; otherwise nothing is written.
    """
    from supernet_cli.cli.output import Output
    from supernet_cli.errors import UsageError
    from supernet_cli.workflows import export as workflow
    from supernet_cli.workflows.session import Session

    voice = Output(json, quiet, None)
    if pick and best:
        raise UsageError("You chose the path in several ways: --pick and --best.", "Give one of them.")
    words = [word.strip() for text in formats or (workflow.DEFAULT,) for word in text.split(",") if word.strip()]
    found, path = one_path(runs_dir, paths or [], run)
    request = workflow.ExportRequest(
        output=output,
        path=path,
        choice="pick" if pick else "best" if best else None,
        formats=tuple(words),
        weights=weights,
        seed=seed,
        raw=raw,
        check=not no_check,
        benchmark=benchmark,
    )
    with voice.warnings(), _interrupted_by_any_signal():
        exported = workflow.export(Session(found, observer=voice, data_root=data_root), request)
    voice.result(exported.document(), *_rendered(exported))
    for name in exported.missing:
        voice.note(f"\nNot written: {name}. Install what it needs: {workflow.install_command(name)}")


@contextmanager
def _interrupted_by_any_signal() -> Iterator[None]:
    """Make a request to end do what Ctrl-C does, so that nothing half written is left."""
    import signal

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # `nohup` ignores hang-ups
    before = {number: signal.signal(number, signal.default_int_handler) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def one_path(runs_dir: Path, words: list[str], run: str | None) -> tuple[Run, str | None]:
    """Return the run that a command works on, and the path that was typed, in any order; None if there was none.

    Args:
        runs_dir: Where runs live.
        words: A run, a path, both or neither.
        run: What --run names.

    Raises:
        RunError: There is no such run.
        UsageError: Two runs or two paths are named.
    """
    from supernet_cli.errors import RunError, UsageError
    from supernet_cli.store.runs import find_run

    if len(words) == 2 and run is None:  # PATH RUN: only the second is a run
        try:
            find_run(runs_dir, words[0])
        except RunError:
            try:
                find_run(runs_dir, words[1])
                words = words[::-1]
            except RunError:
                pass
    found, rest = run_and_paths(runs_dir, words, run)
    if len(rest) > 1:
        raise UsageError(f"You named {len(rest)} paths: {', '.join(rest)}.", "Export them one by one.")
    return found, rest[0] if rest else None


def _rendered(exported: Exported) -> Iterator[RenderableType]:
    from supernet_cli.cli.render import columns, facts
    from supernet_cli.reports.card import agreement, came_from
    from supernet_cli.reports.formats import amount, milliseconds, percent

    model = exported.model
    names = [*(name for each in model.formats.values() for name in each.files), "README.md", "config.json"]
    yield f"{model.path}  exported to {exported.folder}"
    yield ""
    yield facts(
        [
            ("path", exported.chosen),
            ("weights", came_from(model)),
            ("accuracy", f"{percent(model.validation_accuracy)} on validation, {percent(model.test_accuracy)} on test"),
            ("its size", f"{model.parameters:,} parameters, {amount(model.macs)} multiply-accumulates"),
            ("files", "  ".join(names)),
        ]
    )
    yield ""
    if model.checks:
        table = columns(["checked", "accuracy", "outputs"], right=["accuracy"], folding=["outputs"])
        for check in model.checks:
            table.add_row(check.format, percent(check.accuracy), agreement(check))
        yield table
    else:
        yield "Not checked: whether these files reproduce the network is unknown."
    if model.benchmark:
        yield ""
        table = columns(["latency", "batch", "median", "10 % to 90 %"], right=["batch", "median", "10 % to 90 %"])
        for row in model.benchmark:
            spread = f"{milliseconds(row.low_seconds)} to {milliseconds(row.high_seconds)}"
            table.add_row(row.format, str(row.batch), milliseconds(row.median_seconds), spread)
        yield table
