"""TOML to Preset: read, apply `--set`, validate; every error names the file, the key and the nearest valid key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import tomli
import tomli_w
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from supernet_cli.config.presets import find_preset
from supernet_cli.config.schema import Named, Preset
from supernet_cli.errors import PresetError, nearest

_IN_WORDS_OF_TOML = {
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "model_type": "must be a table",
    "dict_type": "must be a table",
}
_DEEPEST = 20  # parts of a key
_LARGEST = 1_000_000  # bytes; a preset is a page of text
_LONGEST = 1_000  # characters of a line that says what is wrong


@dataclass(frozen=True)
class LoadedPreset:
    """A preset, the name that its runs carry, and its file."""

    name: str
    preset: Preset
    path: Path


def load_preset(name: str, settings: Sequence[str] = ()) -> LoadedPreset:
    """Load a preset by name or path and apply `--set key=value`.

    Args:
        name: A shipped name, one in ./presets, or a path.
        settings: Each `key.of.it=value`; the value is a TOML literal, else a string.

    Raises:
        PresetError: The file, a key or a value is wrong.
    """
    file = find_preset(name)
    table = read_toml(file.path)
    origin = {}
    for setting in settings:
        origin[apply_setting(table, setting)] = f"--set {setting}"
    return LoadedPreset(file.name, validate(table, file.path, origin), file.path)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        PresetError: It cannot be read, is too large, or is not TOML.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise PresetError(f"{path} is larger than a preset can be ({_LARGEST:,} bytes).")
        return tomli.loads(path.read_bytes().decode("utf-8-sig"))  # some editors begin with a mark
    except OSError as error:
        raise PresetError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise PresetError(f"{path} is not UTF-8 text (byte {error.start}).", "Presets are TOML, in UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise PresetError(
            f"{path} is not valid TOML: {error}.", "Strings need quotes; tables look like [train]."
        ) from error


def apply_setting(table: dict[str, Any], setting: str) -> str:
    """Apply one `key=value` to a table in place and return the key.

    A key may go into a list by number (`space.blocks.0.channels=16`) and into a thing given by its name alone
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
    _assign(inner, parts[-1], _literal(text), setting)
    return key


def validate(table: Mapping[str, Any], path: Path, origin: Mapping[str, str] | None = None) -> Preset:
    """Return the preset that a table describes.

    Args:
        table: As read from TOML.
        path: Where it came from, for the message.
        origin: For keys that came from `--set`, what was typed.

    Raises:
        PresetError: Names every wrong key.
    """
    try:
        return Preset.model_validate(table)
    except ValidationError as error:
        details = _innermost(error.errors(include_url=False))
        told = [_explain(detail, path, origin or {}) for detail in details[:10]]
        raise PresetError("\n".join(map(_short, told))) from None


def dump_toml(preset: Preset) -> str:
    """Return a preset as TOML that loads to an equal preset."""
    return tomli_w.dumps(preset.model_dump(mode="json", exclude_none=True))


def _descend(inner: Any, part: str, below: str, setting: str, default: dict[str, Any]) -> Any:
    if isinstance(inner, list):
        return _item(inner, part, setting)
    if not isinstance(inner, dict):
        raise PresetError(f"--set {setting}: '{part}' lies inside a value that is no table.")
    value = inner.setdefault(part, default)
    if isinstance(value, str):  # a thing given by its name alone gets parameters, or another name
        value = inner[part] = {} if below == "name" else {"name": value}
    return value


def _default_of(parts: Sequence[str]) -> dict[str, Any]:
    """Return the table that a missing key stands for where it is chosen by name, else an empty one."""
    section = Preset.model_fields.get(parts[0])
    model = _model_of(section.annotation) if section is not None else None
    field = model.model_fields.get(parts[1]) if model is not None and len(parts) == 2 else None
    return field.default.model_dump() if field is not None and isinstance(field.default, Named) else {}


def _assign(inner: Any, part: str, value: Any, setting: str) -> None:
    if isinstance(inner, dict):
        inner[part] = value
    elif isinstance(inner, list):
        _item(inner, part, setting)
        inner[int(part)] = value
    else:
        raise PresetError(f"--set {setting}: '{part}' lies inside a value that is no table.")


def _item(items: list[Any], part: str, setting: str) -> Any:
    if not part.isdecimal() or len(part) > 9 or int(part) >= len(items):
        raise PresetError(
            f"--set {setting}: '{part}' is no position in a list of {len(items)} (0 to {len(items) - 1})."
        )
    return items[int(part)]


def _literal(text: str) -> Any:
    """Read a TOML literal; what is none is a string, so that `train.sampler=epoch` needs no quotes."""
    try:
        return tomli.loads(f"value = {text}")["value"] if "\n" not in text else text
    except (ValueError, RecursionError):  # no TOML, or a number of thousands of digits
        return text.strip()


def _innermost(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Drop complaints about a list or table that only follow from one about something inside it."""
    around = {detail["loc"][:depth] for detail in details for depth in range(len(detail["loc"]))}
    return [detail for detail in details if detail["loc"] not in around]


def _explain(detail: ErrorDetails, path: Path, origin: Mapping[str, str]) -> str:
    location = tuple(part for part in detail["loc"] if part != "")
    key = _dotted(location)
    where = next((typed for name, typed in origin.items() if _related(name, location)), str(path))
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown key '{key}'. {_nearest_key(location)}".rstrip()
    if detail["type"] == "missing":
        return f"{where}: '{key}' is missing."
    message = _IN_WORDS_OF_TOML.get(detail["type"]) or detail["msg"].removeprefix("Value error, ")
    given = detail["input"]
    shown = "" if isinstance(given, dict | list | BaseModel) else f" = {json.dumps(given, default=str)}"
    return f"{where}: {key}{shown}: {message[:1].lower()}{message[1:]}{'' if message.endswith(('.', '?')) else '.'}"


def _short(line: str) -> str:
    """Leave the middle of an endless line out."""
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} … {line[-_LONGEST // 2 :]}"


def _related(name: str, location: tuple[int | str, ...]) -> bool:
    """Whether a key that was set is the one complained about, or lies above or below it."""
    typed, found = name.split("."), [str(part) for part in location]
    shared = min(len(typed), len(found))
    return shared > 0 and typed[:shared] == found[:shared]


def _dotted(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "the preset"


def _nearest_key(location: tuple[int | str, ...]) -> str:
    """Return advice for an unknown key: the nearest one there, or the same key where it belongs elsewhere."""
    word, known = str(location[-1]), _keys_at(location[:-1])
    close = nearest(word, known)
    if close is not None:
        return f"Did you mean '{_dotted((*location[:-1], close))}'?"
    for section, field in Preset.model_fields.items():
        if isinstance(field.annotation, type) and word in field.annotation.model_fields:
            return f"Did you mean '{section}.{word}'?"
    return f"Known: {', '.join(sorted(known))}."


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    model: Any = Preset
    for part in location:
        if isinstance(part, str) and model is not None and part in model.model_fields:
            model = _model_of(model.model_fields[part].annotation)
    return list(model.model_fields) if model is not None else []


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model inside an annotation such as `tuple[Block, ...]`, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return None if issubclass(annotation, Named) else annotation
    return next((model for inner in get_args(annotation) if (model := _model_of(inner)) is not None), None)
