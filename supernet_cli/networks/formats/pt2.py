"""A graph of torch: `torch.export.load("model.pt2")`, for batches of any size; AOTInductor compiles it for C++."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supernet_cli.networks.deployable import Deployable

NEEDS: tuple[str, ...] = ()
TAKES_PIXELS = False  # with --raw
TOLERANCE = 1e-4
FACTS: dict[str, Any] = {}


def write(model: Deployable) -> Mapping[str, bytes]:
    """Return the files of this format, by name."""
    import torch

    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(model.program, content)
    return {"model.pt2": content.getvalue()}


def read(folder: Path, threads: int) -> Callable[[Any], Any]:
    """Load what `write` has written; returns a function from images to logits, both numpy arrays."""
    import torch

    torch.set_num_threads(threads)
    network = torch.export.load(folder / "model.pt2").module()

    def logits(images_BCHW: Any) -> Any:
        with torch.inference_mode():
            return network(torch.from_numpy(images_BCHW)).numpy()

    return logits
