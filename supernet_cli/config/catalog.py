"""What a preset or a command may name: operations, samplers, data sets, policies and export formats, one file each.

A name is a file's name with `-` for `_`. The parameters that a preset may give are the keyword-only parameters of the
file's `build` function (`load` for a data set, `write` for an export format). Both are read from the source text, not
by importing it, so that a mistyped name or parameter is found without torch.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent.parent
_ROOMS = {
    "operation": ("networks/ops", "build"),
    "sampler": ("sampling", "build"),
    "dataset": ("data", "load"),
    "policy": ("policies", "build"),
    "format": ("networks/formats", "write"),
}


@dataclass(frozen=True)
class Entry:
    """Something that a preset may name.

    Args:
        name: As written in a preset.
        module: The module that builds it, dotted, relative to the package.
        parameters: Names of the parameters a preset may give.
        required: Those without a default.
        summary: First line of the module's docstring.
    """

    name: str
    module: str
    parameters: tuple[str, ...]
    required: frozenset[str]
    summary: str

    def problem_with(self, given: Mapping[str, Any]) -> tuple[str, str] | None:
        """Return the first parameter that does not fit and what is wrong with it, or None."""
        for name in given:
            if name not in self.parameters:
                return name, "unknown"
        for name in sorted(self.required):
            if name not in given:
                return name, "missing"
        return None


@cache
def entries(kind: str) -> Mapping[str, Entry]:
    """Return everything of a kind (`operation`, `sampler`, `dataset`, `policy` or `format`) by name."""
    room, function = _ROOMS[kind]
    found = {}
    for path in sorted((_PACKAGE / room).glob("*.py")):
        entry = _read(path, room, function) if not path.name.startswith("_") else None
        if entry is not None:
            found[entry.name] = entry
    return found


def _read(path: Path, room: str, function: str) -> Entry | None:
    """Describe a file that defines the room's function; return None for other files, which are helpers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            names = tuple(argument.arg for argument in node.args.kwonlyargs)
            required = frozenset(
                name for name, default in zip(names, node.args.kw_defaults, strict=True) if default is None
            )
            summary = (ast.get_docstring(tree) or "").partition("\n")[0]
            module = f"{room.replace('/', '.')}.{path.stem}"
            return Entry(path.stem.replace("_", "-"), module, names, required, summary)
    return None
