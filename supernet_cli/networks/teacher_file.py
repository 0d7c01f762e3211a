"""A network in a file of torch.export, as a teacher: it need not come from a run, or from this program."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from supernet_cli.errors import DataError
from supernet_cli.store.network import NetworkSpec

_NAME = "model.pt2"
_HINT = "A teacher is a file of torch.export, such as model.pt2 of `supernet export --format pt2`."


class TeacherFile(nn.Module):
    """An exported network that maps images of a run to logits.

    Args:
        content: The file.
        spec: What the run's networks take and give.
    """

    def __init__(self, content: bytes, spec: NetworkSpec) -> None:
        super().__init__()
        self._content = content
        self._takes_pixels = False
        self._program: Any = None
        mean_C, std_C = torch.tensor(spec.normalisation.mean), torch.tensor(spec.normalisation.std)
        self.register_buffer("_mean_C11", 255 * mean_C[:, None, None], persistent=False)
        self.register_buffer("_std_C11", 255 * std_C[:, None, None], persistent=False)

    @classmethod
    def read(cls, path: Path, spec: NetworkSpec) -> TeacherFile:
        """Read a file, and try it on an image.

        Args:
            path: The file, or the folder that it is in.
            spec: What the run's networks take and give.

        Raises:
            DataError: It cannot be read, or is no network for these images and classes.
        """
        file = path / _NAME if path.is_dir() else path
        try:
            teacher = cls(file.read_bytes(), spec)
        except OSError as wrong:
            raise DataError(f"{file} cannot be read: {wrong.strerror}.", _HINT) from None
        if not zipfile.is_zipfile(file):
            raise DataError(f"{file} is no file of torch.export.", _HINT)
        try:
            logits_BK = teacher(torch.zeros(2, *spec.image_shape))
        except Exception as wrong:
            first = str(wrong).strip().splitlines()[0] if str(wrong).strip() else type(wrong).__name__
            raise DataError(f"{file} is no network for images of {_shape(spec)}: {first}", _HINT) from wrong
        if logits_BK.shape != (2, spec.num_classes):
            given = " × ".join(map(str, logits_BK.shape[1:]))
            raise DataError(
                f"{file} gives {given} numbers for an image, not one per class ({spec.num_classes}).", _HINT
            )
        return teacher

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the logits, (B, K), of normalised images."""
        if self._program is None:
            self._load(images_BCHW.device)
        if self._takes_pixels:
            mean_C11, std_C11 = self.get_buffer("_mean_C11"), self.get_buffer("_std_C11")
            images_BCHW = (images_BCHW.float() * std_C11 + mean_C11).round().clamp(0, 255).to(torch.uint8)
        logits_BK: Tensor = self._program(images_BCHW)
        return logits_BK

    def _load(self, place: torch.device) -> None:
        program = torch.export.load(io.BytesIO(self._content))
        inputs = set(program.graph_signature.user_inputs)
        nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in inputs]
        if len(nodes) != 1:
            raise ValueError(f"it takes {len(nodes)} inputs")
        self._takes_pixels = nodes[0].meta["val"].dtype == torch.uint8
        module = program.module().to(place)
        object.__setattr__(self, "_program", module)  # no submodule: it has no modes, and is loaded where it is used

    def __getstate__(self) -> dict[str, Any]:
        """Return what is sent to other processes: the file, not what was made of it."""
        return {**self.__dict__, "_program": None}


def _shape(spec: NetworkSpec) -> str:
    channels, height, width = spec.image_shape
    return f"{height} × {width} with {channels} channel{'s' if channels > 1 else ''}"
