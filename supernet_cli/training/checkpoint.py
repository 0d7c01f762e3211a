"""Checkpoints, from which a job resumes exactly where it was interrupted, and the weights that others read.

A checkpoint is a file of `torch.save` followed by a trailer: a mark and the SHA-256 of everything before it. Torch can
read it as it is; here it is loaded only after verifying the checksum, and only as plain data (`weights_only=True`).
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
from supernet_cli.store.files import disk_errors, replace_file
from supernet_cli.store.job import previous_checkpoint

FORMAT = 1
_MARK = b"supernet"
_TRAILER = len(_MARK) + hashlib.sha256().digest_size

logger = logging.getLogger(__name__)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; the previous one is kept beside it.

    Args:
        path: `checkpoint.pt`; the old one becomes `checkpoint.previous.pt`.
        state: Tensors and plain values.

    Raises:
        DiskError: It could not be written; the old one is intact.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    payload = buffer.getvalue()
    keep_checkpoint(path, payload + _MARK + hashlib.sha256(payload).digest())


def keep_checkpoint(path: Path, content: bytes) -> None:
    """Replace a checkpoint's file with new content; the previous one is kept beside it.

    Raises:
        DiskError: It could not be written; the old one is intact.
    """
    fresh = path.with_suffix(".new.pt")
    replace_file(fresh, content, durable=True)
    with disk_errors(path):
        if path.exists():
            os.replace(path, previous_checkpoint(path))
        os.replace(fresh, path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return the newest intact checkpoint, or None if there are none yet.

    Raises:
        RunError: All checkpoints are damaged.
    """
    candidates = [candidate for candidate in (path, previous_checkpoint(path)) if candidate.exists()]
    for candidate in candidates:
        state = _read(candidate)
        if state is not None:
            return state
        logger.warning("skipping %s: it is damaged", candidate)
    if candidates:
        raise RunError(f"All checkpoints in {path.parent} are damaged.", "Start a new run.")
    return None


def save_weights(path: Path, module: nn.Module) -> None:
    """Write a module's weights as safetensors; the same weights give the same bytes.

    Raises:
        DiskError: The file could not be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    keep_weights(path, save(tensors))


def keep_weights(path: Path, content: bytes) -> None:
    """Replace a weights file with new content.

    Raises:
        DiskError: The file could not be written.
    """
    replace_file(path, content, durable=True)


@dataclass(frozen=True)
class StoredWeights:
    """The content of a weights file, for processes that cannot access the file.

    Args:
        path: The file.
        content: Its bytes.
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
                f"There are no weights at {path}: the job has not finished.", "Resume it with --resume."
            ) from None
        except OSError as error:
            message = f"Cannot read the weights {path}: {error.strerror or error}."
            raise RunError(message, "Check that you can read the file and every folder above it.") from error

    def put_into(self, module: nn.Module) -> None:
        """Load these weights into a module.

        Raises:
            RunError: They are damaged, or belong to another network.
        """
        try:
            module.load_state_dict(load(self.content))
        except (SafetensorError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise RunError(
                f"The weights {self.path} are damaged or belong to another network: {reason}",
                "Delete the file; `supernet train --resume`, or `supernet retrain` for a path, writes it again.",
            ) from error


def _read(path: Path) -> dict[str, Any] | None:
    """Return a checkpoint's state, or None if it is damaged."""
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
    except Exception:  # an intact file that torch rejects: crafted, or written by something else
        return None
    return state if isinstance(state, dict) and state.get("format") == FORMAT else None
