"""A relative `data.root` starts from the folder of its preset, or, if it was typed, from the working directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class DataRoot:
    """The folder of the images, and how a relative one was found.

    Args:
        path: Absolute.
        written: As it was written.
        base: The folder that it is relative to, in words; empty for an absolute one.
    """

    path: Path
    written: str
    base: str = ""

    def explanation(self) -> str:
        """Return how the path came about, for a message about a missing folder; nothing for an absolute one."""
        return f'data.root = "{self.written}" is relative to {self.base}.' if self.base else ""


def resolve(table: dict[str, Any], folder: Path, base: str, warn: Callable[[str], None] | None) -> DataRoot | None:
    """Make a table's `data.root` absolute in place.

    Args:
        table: The preset, as read.
        folder: The folder that a relative path starts from.
        base: That folder in words.
        warn: Called if the images are only in the working directory, from where paths started in earlier versions;
            None not to try the working directory.

    Returns:
        The root; None if the preset gives none, or one that is not a path.
    """
    data = table.get("data")
    written = data.get("root") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(written, str) or not written:
        return None
    if any(ord(character) < 32 for character in written):  # the schema says what is wrong with it
        return None
    path = Path(os.path.expanduser(written))
    root = DataRoot(Path(os.path.abspath(folder / path)), written, "" if path.is_absolute() else base)
    here = Path(os.path.abspath(path))
    if warn is not None and root.base and not root.path.exists() and here.exists():
        warn(
            f'data.root = "{written}" is relative to {base}, where it does not exist. Using {here} from the working '
            f"directory instead; write this path in the preset to keep it."
        )
        root = DataRoot(here, written, "the working directory")
    data["root"] = str(root.path)
    return root
