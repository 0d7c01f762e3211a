"""Plain PyTorch: the weights as `model.safetensors`, and `model.py`, which is the network as a page of code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supernet_cli.networks.deployable import Deployable

NEEDS: tuple[str, ...] = ()
TAKES_PIXELS = True  # `preprocess` is part of it
TOLERANCE = 0.0
FACTS: dict[str, Any] = {}


def write(model: Deployable) -> Mapping[str, bytes]:
    """Return the files of this format, by name.

    Raises:
        UsageError: The network has a layer that cannot be written as code.
    """
    from safetensors.torch import save

    from supernet_cli.networks.source import source

    code = source(model)
    weights = {name: tensor.contiguous() for name, tensor in model.network.state_dict().items()}
    return {"model.safetensors": save(weights), "model.py": code.encode()}


def read(folder: Path, threads: int) -> Callable[[Any], Any]:
    """Load what `write` has written; returns a function from pixels to logits, both numpy arrays."""
    import types

    import torch

    torch.set_num_threads(threads)
    file = folder / "model.py"
    module = types.ModuleType("model")
    module.__file__ = str(file)
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), module.__dict__)  # leaves no __pycache__
    network = module.load()

    def logits(images_BCHW: Any) -> Any:
        with torch.inference_mode():
            return network(module.preprocess(torch.from_numpy(images_BCHW))).numpy()

    return logits
