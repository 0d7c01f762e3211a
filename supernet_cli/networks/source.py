"""A network as a page of Python that needs nothing but torch: the `model.py` of an export."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from supernet_cli.errors import UsageError
from supernet_cli.networks.deployable import Deployable
from supernet_cli.networks.plain import Residual

_WIDTH = 110
_UNSAID = ("device", "dtype")
_UNUSUAL = re.compile(r"[^\w .,:-]")  # what could end a docstring, in the name of a run from somewhere else
_INDENT = " " * 4

_TEMPLATE = '''"""{title}

{origin}
The weights are in model.safetensors beside this file. Needs torch only:

    model = load()
    logits = model(preprocess(images))    # uint8 images, (N, {channels}, {height}, {width})
"""

import json
from pathlib import Path

import torch
from torch import nn

CLASSES = {classes}
"""Names of the classes, by label."""

MEAN, STD = {mean}, {std}
"""Of the pixels that the network was trained on, as fractions, by channel."""

{residual}
class Model(nn.Module):
    """The network: normalised images (N, {channels}, {height}, {width}) to logits (N, {outputs})."""

    def __init__(self):
        super().__init__()
{stages}

    def forward(self, images):
{forward}


def preprocess(pixels):
    """Return images as the network expects them.

    Args:
        pixels: uint8, (N, {channels}, {height}, {width}), or a single image without the first dimension.
    """
    if pixels.dtype != torch.uint8:
        raise ValueError(f"preprocess takes pixels as torch.uint8, not as {{pixels.dtype}}")
    if pixels.dim() == 3:
        pixels = pixels[None]
    mean, std = torch.tensor(MEAN, device=pixels.device), torch.tensor(STD, device=pixels.device)
    values = pixels.permute(0, 2, 3, 1).contiguous().float()  # channels last: the faster order on most processors
    return (values * (1 / (255 * std)) + -mean / std).permute(0, 3, 1, 2)


def load(weights=None):
    """Return the network in evaluation mode.

    Args:
        weights: A safetensors file (default: model.safetensors beside this file).
    """
    model = Model().to(memory_format=torch.channels_last)
    model.load_state_dict(read_safetensors(weights or Path(__file__).with_name("model.safetensors")))
    return model.eval()


def read_safetensors(path):
    """Return the tensors of a safetensors file, as `safetensors.torch.load_file` does."""
    content = bytearray(Path(path).read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    kinds = {{"F32": torch.float32, "I64": torch.int64}}
    tensors = {{}}
    for name, entry in json.loads(content[8:start]).items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            data = torch.frombuffer(content[start + first : start + last], dtype=kinds[entry["dtype"]])
            tensors[name] = data.reshape(entry["shape"])
    return tensors
'''

_RESIDUAL = '''
class Residual(nn.Module):
    """Layers with a shortcut around them."""

    def __init__(self, layers, shortcut):
        super().__init__()
        self.layers = layers
        self.shortcut = shortcut

    def forward(self, features):
        return self.layers(features) + self.shortcut(features)

'''


def source(model: Deployable) -> str:
    """Return the code of a network.

    Its state dict has the names of the network's.

    Raises:
        UsageError: It has a layer that is not one of torch's.
    """
    channels, height, width = model.image_shape
    stages = list(model.network.named_children())
    residual = any(isinstance(module, Residual) for module in model.network.modules())
    return _TEMPLATE.format(
        title=f"{model.path}: a convolutional network.",
        origin=_UNUSUAL.sub("?", model.origin),
        channels=channels,
        height=height,
        width=width,
        outputs=_outputs(model.network),
        classes=_wrapped(list(map(_quoted, model.classes)), 0, "[", "]"),
        mean=list(model.normalisation.mean),
        std=list(model.normalisation.std),
        residual=_RESIDUAL if residual else "",
        stages="\n".join(_stages(stages, model.path)),
        forward="\n".join(_forward([name for name, _ in stages])),
    )


def _stages(stages: list[tuple[str, nn.Module]], path: str) -> Iterator[str]:
    """Yield the lines that build the stages, each block under its operation's name."""
    operations = iter(path.split("_"))
    for name, stage in stages:
        comment = f"  # {next(operations)}" if name.startswith("block") else ""
        code = _code(stage, 2)
        first, *rest = code.split("\n")
        yield f"{2 * _INDENT}self.{name} = {first}{comment}"
        yield from rest


def _forward(names: list[str]) -> Iterator[str]:
    *before, last = names
    given = "images"
    for name in before:
        yield f"{2 * _INDENT}features = self.{name}({given})"
        given = "features"
    yield f"{2 * _INDENT}return self.{last}({given})"


def _code(module: nn.Module, depth: int) -> str:
    """Return the expression that builds a module; its first line is not indented.

    Raises:
        UsageError: It is not a layer of torch, and no sequence or shortcut of them.
    """
    if type(module) is nn.Sequential:
        return _wrapped([_code(child, depth + 1) for child in module], depth, "nn.Sequential(", ")", together=False)
    if isinstance(module, Residual):
        parts = [_code(part, depth + 1) for part in (module.layers, module.shortcut)]
        return _wrapped(parts, depth, "Residual(", ")")
    kind = type(module)
    if getattr(nn, kind.__name__, None) is not kind:
        raise _not_plain(kind)
    return f"nn.{kind.__name__}({', '.join(_arguments(module))})"


def _arguments(module: nn.Module) -> Iterator[str]:
    """Yield the arguments that build a layer of torch, those that differ from their defaults.

    Raises:
        UsageError: The layer does not keep them.
    """
    keyed = False
    for name, parameter in list(inspect.signature(type(module).__init__).parameters.items())[1:]:
        if name in _UNSAID or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if not hasattr(module, name):
            raise _not_plain(type(module))
        value = _simple(getattr(module, name), parameter.default)
        follows_kernel = name == "stride" and parameter.default is None and value == _kernel(module)
        if value == parameter.default or follows_kernel:
            keyed = True  # what follows has to be named
            continue
        keyed = keyed or name in ("kernel_size", "stride", "padding")
        yield f"{name}={value!r}" if keyed and not _is_only(module, name) else repr(value)


def _is_only(module: nn.Module, name: str) -> bool:
    """Whether a layer's kernel is what it is mostly called with, as in `nn.MaxPool2d(2)`."""
    return name == "kernel_size" and "Pool" in type(module).__name__


def _kernel(module: nn.Module) -> Any:
    return _simple(getattr(module, "kernel_size", None), None)


def _simple(value: Any, default: Any) -> Any:
    """Return an argument as it is typed: one number for equal ones, whether there is a bias."""
    if isinstance(default, bool):
        return value if isinstance(value, bool) else value is not None
    if isinstance(value, tuple) and len(set(value)) == 1:
        return value[0]
    return value


def _wrapped(parts: list[str], depth: int, start: str, end: str, together: bool = True) -> str:
    """Return a call or a list on one line if it is short, otherwise with its parts on lines of their own."""
    line = f"{start}{', '.join(parts)}{end}"
    if (together or len(parts) < 2) and "\n" not in line and len(_INDENT) * depth + len(line) <= _WIDTH - 20:
        return line
    inner = _INDENT * (depth + 1)
    return "\n".join([start, *(f"{inner}{part}," for part in parts), f"{_INDENT * depth}{end}"])


def _quoted(name: str) -> str:
    """Return a name as a literal, in double quotes where that needs no more escapes."""
    literal = repr(name)
    return f'"{literal[1:-1]}"' if literal[0] == "'" and '"' not in literal and "\\" not in literal else literal


def _outputs(network: nn.Sequential) -> int:
    *_, last = (module for module in network.modules() if isinstance(module, nn.Linear))
    return last.out_features


def _not_plain(kind: type) -> UsageError:
    return UsageError(
        f"The network contains {kind.__module__}.{kind.__qualname__}, which cannot be written into a model.py: "
        "only layers of torch.nn can.",
        "Choose other formats: --format pt2,onnx.",
    )
