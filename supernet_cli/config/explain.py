"""What pydantic found wrong with a preset, in the words of the program: place, key, value and the nearest valid key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from supernet_cli.config.parts import Named
from supernet_cli.config.schema import Preset
from supernet_cli.errors import nearest

_IN_WORDS_OF_TOML = {
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "model_type": "must be a table",
    "dict_type": "must be a table",
}
_BOUNDS = {"greater than or equal to ": "at least ", "less than or equal to ": "at most "}
_KINDS = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "a string",
    "a valid boolean": "true or false",
}
_LONGEST = 1_000  # characters of a line that says what is wrong


def explain(detail: ErrorDetails, path: Path, origin: Mapping[str, str]) -> str:
    """Return one problem in a line.

    Args:
        detail: As pydantic reports it.
        path: The preset's file.
        origin: For keys that came from `--set`, what was typed.
    """
    location = tuple(part for part in detail["loc"] if part != "")
    key = _dotted(location)
    where = source(location, path, origin)
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown key '{key}'. {_nearest_key(location)}".rstrip()
    if detail["type"] == "missing":
        return f"{where}: '{key}' is missing."
    message = _IN_WORDS_OF_TOML.get(detail["type"]) or in_plain_words(detail["msg"])
    given = detail["input"]
    shown = "" if isinstance(given, dict | list | BaseModel) else f" = {json.dumps(given, default=str)}"
    what = f"{key}{shown}: " if key else ""
    return f"{where}: {what}{message[:1].lower()}{message[1:]}{'' if message.endswith(('.', '?')) else '.'}"


def in_plain_words(message: str) -> str:
    """Return a message of pydantic's as the rest of the program would put it."""
    if not message.startswith("Input should be "):
        return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    expected = message.removeprefix("Input should be ").partition(", unable to ")[0]
    for words, better in _BOUNDS.items():
        expected = expected.replace(words, better)
    return f"must be {_KINDS.get(expected, expected)}"


def source(location: tuple[int | str, ...], path: Path, origin: Mapping[str, str]) -> str:
    """Return where a key was given: the setting that was typed, otherwise the file."""
    return next((setting for name, setting in origin.items() if related(name, location)), str(path))


def short(line: str) -> str:
    """Leave the middle of an endless line out."""
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} … {line[-_LONGEST // 2 :]}"


def related(name: str, location: tuple[int | str, ...]) -> bool:
    """Whether a key that was set is the one complained about, or lies above or below it."""
    typed, found = name.split("."), [str(part) for part in location]
    shared = min(len(typed), len(found))
    return shared > 0 and typed[:shared] == found[:shared]


def _dotted(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _nearest_key(location: tuple[int | str, ...]) -> str:
    """Return advice for an unknown key: the nearest key in that place, or the place where the same key belongs."""
    word, known = str(location[-1]), _keys_at(location[:-1])
    for section, field in Preset.model_fields.items():
        if isinstance(field.annotation, type) and word in field.annotation.model_fields:
            return f"Did you mean '{section}.{word}'?"
    close = nearest(word, known)
    if close is not None:
        return f"Did you mean '{_dotted((*location[:-1], close))}'?"
    return f"Known: {', '.join(sorted(known))}."


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    model: Any = Preset
    for part in location:
        if isinstance(part, str) and model is not None and part in model.model_fields:
            model = model_of(model.model_fields[part].annotation)
    return list(model.model_fields) if model is not None else []


def model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model inside an annotation such as `tuple[Block, ...]`, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return None if issubclass(annotation, Named) else annotation
    return next((model for inner in get_args(annotation) if (model := model_of(inner)) is not None), None)


def innermost(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Drop complaints about a list or table that only follow from one about something inside it."""
    around = {detail["loc"][:depth] for detail in details for depth in range(len(detail["loc"]))}
    return [detail for detail in details if detail["loc"] not in around]
