"""`supernet.export`, which writes the network of a path as a folder; the other functions are in `functions.py`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from supernet_cli.api.arguments import RunLike, Watcher, check_word, observer_of, session_on
from supernet_cli.store.exported import Weights

if TYPE_CHECKING:
    from supernet_cli.workflows.export import Exported


def export(
    run: RunLike = "latest",
    path: str | None = None,
    output: str | os.PathLike[str] = "model",
    *,
    choice: Literal["pick", "best"] | None = None,
    formats: str | Sequence[str] = "folder",
    weights: Weights | None = None,
    seed: int | None = None,
    raw: bool = False,
    check: bool = True,
    benchmark: bool = False,
    data_root: str | os.PathLike[str] | None = None,
    progress: bool = False,
    observer: Watcher | None = None,
) -> Exported:
    """Export the network of a path as a folder that stands on its own; it appears whole or not at all.

    Args:
        run: The run.
        path: The path (default: the pick of a search if there is one, otherwise the best path trained from scratch).
        output: The folder to write; it must not exist, or be empty.
        choice: Instead of a path: the pick of the search, or the best path trained from scratch, by validation.
        formats: "safetensors" (with model.py), "pt2" and "onnx", or "folder" for those that are installed, or "all".
        weights: Those of its own training from scratch, of its training for use (the default if there is one), or
            those that it inherits from a supernet; for these, batch normalisation is measured for the path first.
        seed: Of its training, or of the supernet (default: the best training by accuracy on validation; the first
            finished supernet).
        raw: Whether model.pt2 and model.onnx take normalised floats, instead of uint8 images that they normalise.
        check: Whether the files are run in a fresh process without this package, and compared with the network.
        benchmark: Whether to measure the latency of each file, for batches of several sizes.
        data_root: Folder of the images, if not where the preset says.
        progress: Whether to show what `supernet export` shows.
        observer: Sees how far it is.

    Raises:
        SupernetError: As the command fails; an ExportError if a file does not reproduce the network.
    """
    from supernet_cli.workflows import export as workflow

    if weights is not None:
        check_word("weights", weights, get_args(Weights))
    if choice is not None:
        check_word("choice", choice, get_args(workflow.Choice))
    request = workflow.ExportRequest(
        output=Path(output),
        path=path,
        choice=choice,
        formats=(formats,) if isinstance(formats, str) else tuple(formats),
        weights=weights,
        seed=seed,
        raw=raw,
        check=check,
        benchmark=benchmark,
    )
    return workflow.export(session_on(run, None, data_root, observer_of(progress, observer)), request)
