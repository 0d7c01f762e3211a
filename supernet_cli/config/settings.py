"""`--set key=value`: one key of a preset changed, given by its place in the tables and lists of the file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import tomli

from supernet_cli.config.explain import model_of
from supernet_cli.config.parts import Named
from supernet_cli.config.schema import Preset
from supernet_cli.errors import PresetError

_DEEPEST = 20  # parts of a key


def apply_setting(table: dict[str, Any], setting: str) -> str:
    """Apply one `key=value` to a table in place and return the key.

    A key may go into a list by number (`space.blocks.0.channels=16`) and into something that is given by name only
    (`train.optimizer.lr=0.1` where `optimizer = "SGD"`).
    """
    key, equals, text = setting.partition("=")
    key = key.strip()
    parts = key.split(".")
    if not equals or not all(parts) or len(parts) > _DEEPEST:
        raise PresetError(f"--set {setting}: expected key=value.", "For example --set train.epochs=4.")
    inner: Any = table
    for depth, (part, below) in enumerate(zip(parts[:-1], parts[1:], strict=True)):
        inner = _descend(inner, part, below, setting, _default_of(parts[: depth + 1]))
    _assign(inner, parts[-1], _literal(text, setting), setting)
    return key


def as_setting(key: str, value: Any) -> str:
    """Return what sets a key to a value when it is typed after `--set`.

    Args:
        key: Its place, such as `train.epochs`.
        value: A value as it is read from TOML, or a path.

    Raises:
        PresetError: TOML has no such value.
    """
    return f"{key}={_written(key, value)}"


def _written(key: str, value: Any) -> str:
    if hasattr(value, "tolist"):  # a number or an array of numpy
        value = value.tolist()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | os.PathLike):
        return json.dumps(os.fspath(value), ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(k))} = {_written(key, v)}" for k, v in value.items()) + "}"
    if isinstance(value, Sequence):
        return f"[{', '.join(_written(key, item) for item in value)}]"
    raise PresetError(f"{key} = {value!r}: a preset cannot hold this.", "Give a number, text, a list or a table.")


def _descend(inner: Any, part: str, below: str, setting: str, default: dict[str, Any]) -> Any:
    if isinstance(inner, list):
        return _item(inner, part, setting)
    if not isinstance(inner, dict):
        raise PresetError(f"--set {setting}: '{part}' lies inside a value that is not a table.")
    value = inner.setdefault(part, default)
    if isinstance(value, str):  # something given by name only gets parameters, or another name
        value = inner[part] = {} if below == "name" else {"name": value}
    return value


def _default_of(parts: Sequence[str]) -> dict[str, Any]:
    """Return the default of a missing key as a table if it is chosen by name, otherwise an empty table."""
    section = Preset.model_fields.get(parts[0])
    model = model_of(section.annotation) if section is not None else None
    field = model.model_fields.get(parts[1]) if model is not None and len(parts) == 2 else None
    return field.default.model_dump() if field is not None and isinstance(field.default, Named) else {}


def _assign(inner: Any, part: str, value: Any, setting: str) -> None:
    if isinstance(inner, dict):
        inner[part] = value
    elif isinstance(inner, list):
        _item(inner, part, setting)
        inner[int(part)] = value
    else:
        raise PresetError(f"--set {setting}: '{part}' lies inside a value that is not a table.")


def _item(items: list[Any], part: str, setting: str) -> Any:
    if not part.isdecimal() or len(part) > 9 or int(part) >= len(items):
        raise PresetError(
            f"--set {setting}: '{part}' is not a position in a list of {len(items)} (0 to {len(items) - 1})."
        )
    return items[int(part)]


def _literal(text: str, setting: str) -> Any:
    """Read a TOML literal; anything else is a string, so that `train.sampler=epoch` needs no quotes.

    Raises:
        PresetError: It starts like a quoted string, a list or a table, but is not valid TOML.
    """
    try:
        return tomli.loads(f"value = {text}")["value"] if "\n" not in text else text
    except (ValueError, RecursionError) as error:  # not TOML, or a number of thousands of digits
        if not text.strip().startswith(('"', "'", "[", "{")) or not isinstance(error, tomli.TOMLDecodeError):
            return text.strip()
        from supernet_cli.config.toml_hints import hint_for

        problem = str(error).partition(" (at ")[0].rstrip(".")
        advice = f"{hint_for(f'value = {text}', str(error))} In a shell, put single quotes around the whole setting."
        raise PresetError(f"--set {setting}: not a valid TOML value: {problem}.", advice) from error
