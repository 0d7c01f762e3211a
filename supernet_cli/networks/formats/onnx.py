"""An ONNX graph for batches of any size, for ONNX Runtime and whatever else reads ONNX."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supernet_cli.networks.deployable import Deployable

OPSET = 18
"""Of the operators: old enough for runtimes of the last years."""

NEEDS: tuple[str, ...] = ("onnx", "onnxruntime", "onnxscript")
TAKES_PIXELS = False  # with --raw
TOLERANCE = 1e-4
FACTS: dict[str, Any] = {"opset": OPSET}


def write(model: Deployable) -> Mapping[str, bytes]:
    """Return the files of this format, by name."""
    import torch

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), _silent("torch.onnx"):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model.program,
            dynamo=True,
            input_names=["images"],
            output_names=["logits"],
            opset_version=OPSET,
            external_data=False,
            optimize=True,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    facts = {"classes": json.dumps(model.classes), "path": model.path, "origin": model.origin}
    for key, value in facts.items():
        graph.metadata_props.add(key=key, value=value)
    return {"model.onnx": graph.SerializeToString()}


def read(folder: Path, threads: int) -> Callable[[Any], Any]:
    """Load what `write` has written; returns a function from images to logits, both numpy arrays."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    return lambda images_BCHW: session.run(None, {"images": images_BCHW})[0]


@contextlib.contextmanager
def _silent(name: str) -> Any:
    """Keep a library's log from the terminal."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
