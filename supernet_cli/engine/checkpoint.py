"""Everything a job needs to go on as if nothing had happened; and the weights that others read.

A checkpoint is a file of `torch.save` followed by a trailer: a mark and the SHA-256 of all before it. Torch reads it
as it is; here it is loaded only after the sum was checked, and only as plain data (`weights_only=True`).
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from supernet_cli.errors import RunError
from supernet_cli.runs.files import disk_errors, replace_file

FORMAT = 1
_MARK = b"supernet"
_TRAILER = len(_MARK) + hashlib.sha256().digest_size

logger = logging.getLogger(__name__)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; the one before it is kept beside it.

    Args:
        path: `checkpoint.pt`; the old one becomes `checkpoint.previous.pt`.
        state: Tensors and plain values.

    Raises:
        DiskError: It could not be written; the old one is still good.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    payload = buffer.getvalue()
    keep_checkpoint(path, payload + _MARK + hashlib.sha256(payload).digest())


def keep_checkpoint(path: Path, content: bytes) -> None:
    """Put what a checkpoint's file holds in its place; the one before it is kept beside it.

    Raises:
        DiskError: It could not be written; the old one is still good.
    """
    fresh = path.with_suffix(".new.pt")
    replace_file(fresh, content, durable=True)
    with disk_errors(path):
        if path.exists():
            os.replace(path, previous(path))
        os.replace(fresh, path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return the newest checkpoint that is whole, or None where there has been none yet.

    Raises:
        RunError: There are some, and all are damaged.
    """
    there = [candidate for candidate in (path, previous(path)) if candidate.exists()]
    for candidate in there:
        state = _read(candidate)
        if state is not None:
            return state
        logger.warning("%s is damaged; the checkpoint before it is used", candidate)
    if there:
        raise RunError(f"No checkpoint in {path.parent} can be read: each is damaged.", "Start a new run.")
    return None


def previous(path: Path) -> Path:
    """Return where the checkpoint before a checkpoint lies."""
    return path.with_suffix(".previous.pt")


def save_weights(path: Path, module: nn.Module) -> None:
    """Write a module's weights as safetensors; the same weights give the same bytes.

    Raises:
        DiskError: The file could not be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    keep_weights(path, save(tensors))


def keep_weights(path: Path, content: bytes) -> None:
    """Put what a file of weights holds in its place.

    Raises:
        DiskError: The file could not be written.
    """
    replace_file(path, content, durable=True)


@dataclass(frozen=True)
class StoredWeights:
    """Weights as their file holds them, for whoever cannot see that file.

    Args:
        path: The file.
        content: What is in it.
    """

    path: Path
    content: bytes

    @classmethod
    def read(cls, path: Path) -> StoredWeights:
        """Read a file.

        Raises:
            RunError: It is missing or cannot be read.
        """
        try:
            return cls(path, path.read_bytes())
        except FileNotFoundError:
            raise RunError(
                f"There are no weights at {path}.", "The job is not finished; go on with --resume."
            ) from None
        except OSError as error:
            told = f"The weights {path} cannot be read: {error.strerror or error}."
            raise RunError(told, "See that the file, and every folder above it, may be read.") from error

    def put_into(self, module: nn.Module) -> None:
        """Give a module these weights in place.

        Raises:
            RunError: They are damaged, or of another network.
        """
        try:
            module.load_state_dict(load(self.content))
        except (SafetensorError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise RunError(
                f"The weights {self.path} are damaged or of another network: {reason}",
                "Delete the file: `supernet train --resume`, or `supernet retrain` for a path alone, makes it again.",
            ) from error


def _read(path: Path) -> dict[str, Any] | None:
    """Return what a checkpoint holds, or None where it is damaged."""
    try:
        return _decoded(path.read_bytes())
    except OSError:
        return None


def _decoded(content: bytes) -> dict[str, Any] | None:
    payload, trailer = content[:-_TRAILER], content[-_TRAILER:]
    if trailer != _MARK + hashlib.sha256(payload).digest():
        return None
    try:
        state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except Exception:  # a whole file that torch refuses: crafted, or written by something else
        return None
    return state if isinstance(state, dict) and state.get("format") == FORMAT else None
