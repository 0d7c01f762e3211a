"""`supernet predict`: what images show, by an exported model or by the network of a path."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from supernet_cli.cli.options import PATHS, RUNS_DIR, DataRoot, Json, OutputFile, Quiet, RunName, RunsDir, complete_path

_OF_RUNS = {"run", "path", "weights", "seed", "data_root"}


def predict(
    context: typer.Context,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE", help="Image files, in any format that Pillow reads", show_default=False),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder that `supernet export` has written; its model.py is executed. Default: a run's network.",
            rich_help_panel=PATHS,
        ),
    ] = None,
    run: RunName = None,
    path: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The run's path. Default: the pick of `search` if there is one, otherwise the best path trained from "
            "scratch.",
            autocompletion=complete_path,
            rich_help_panel=PATHS,
        ),
    ] = None,
    weights: Annotated[
        Literal["scratch", "final", "inherited"] | None,
        typer.Option(
            help="The path's weights: of a training from scratch, of one for use, or of a supernet",
            rich_help_panel=PATHS,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Seed of the training, or of the supernet", rich_help_panel=PATHS),
    ] = None,
    data_root: DataRoot = None,
    runs_dir: RunsDir = RUNS_DIR,
    json: Json = False,
    quiet: Quiet = False,
    output: OutputFile = None,
) -> None:
    """Print the most probable class of each image, and its probability.

    Images are resized and converted as the training images were. The probability is the network's own.
    """
    from supernet_cli.cli.options import typed
    from supernet_cli.cli.output import Output, error_document
    from supernet_cli.errors import UsageError
    from supernet_cli.store.runs import find_run
    from supernet_cli.workflows import predict as workflow
    from supernet_cli.workflows.session import Session

    voice = Output(json, quiet, output)
    if model is not None and (ignored := typed(context) & _OF_RUNS):
        words = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(ignored))
        raise UsageError(f"--model {model} is not part of a run, so it takes no {words}.", "Drop one or the other.")
    if model is not None:
        classifier = workflow.exported_classifier(model)
    else:
        session = Session(find_run(runs_dir, run or "latest"), observer=voice, data_root=data_root)
        classifier = workflow.run_classifier(session, path, weights, seed)
    predicted = workflow.predict(classifier, images, voice)
    error = predicted.error
    rows = [
        {
            "file": str(each.file),
            "class": each.name,
            "label": each.label,
            "probability": each.probability,
            "conversions": list(each.conversions),
        }
        for each in predicted.predictions
    ]
    document: dict[str, Any] = {
        "model": None if predicted.model is None else str(predicted.model),
        "run": predicted.run,
        "path": predicted.path,
        "weights": predicted.weights,
        "images": rows,
        "broken": [{"file": str(file), "reason": reason} for file, reason in predicted.broken],
    }
    voice.result(document | (error_document(error) if error else {}), *([_table(predicted)] if rows else []))
    if error is not None:
        voice.fail(error)


def _table(predicted: Any) -> Any:
    from rich.text import Text

    from supernet_cli.cli.console import printable
    from supernet_cli.cli.render import columns
    from supernet_cli.reports.formats import percent

    table = columns(["image", "class", "probability"], right=["probability"], folding=["image", "class"])
    for each in predicted.predictions:
        table.add_row(Text(printable(str(each.file))), Text(printable(each.name)), percent(each.probability))
    return table
