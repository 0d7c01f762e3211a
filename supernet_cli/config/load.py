"""TOML to Preset: read, apply `--set`, validate; every error names the file, the key and the nearest valid key."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli
import tomli_w
from pydantic import ValidationError

from supernet_cli.config.data_root import DataRoot, resolve
from supernet_cli.config.explain import explain, innermost, related, short, source
from supernet_cli.config.presets import find_preset
from supernet_cli.config.schema import Preset
from supernet_cli.config.settings import apply_setting
from supernet_cli.errors import PresetError

_LARGEST = 1_000_000  # bytes; a preset is a page of text


def _warn_on_stderr(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


@dataclass(frozen=True)
class LoadedPreset:
    """A preset as it was loaded.

    Args:
        name: The name that its runs carry.
        preset: The preset.
        path: Its file.
        root: Where its images are, if it says so.
    """

    name: str
    preset: Preset
    path: Path
    root: DataRoot | None = None


def load_preset(name: str, settings: Sequence[str] = (), warn: Callable[[str], None] = _warn_on_stderr) -> LoadedPreset:
    """Load a preset by name or path and apply `--set key=value`.

    A relative `data.root` starts from the preset's folder if the file gives it, and from the working directory if a
    setting does; it is absolute afterwards.

    Args:
        name: A shipped name, one in ./presets, or a path.
        settings: Each `key.of.it=value`; the value is a TOML literal, otherwise a string.
        warn: Called with what a person should know although nothing is wrong.

    Raises:
        PresetError: The file, a key or a value is wrong.
    """
    file = find_preset(name)
    folder = file.path.absolute().parent
    return _loaded(read_toml(file.path), file.name, file.path, settings, f"the preset's folder, {folder}", warn)


def load_table(table: Mapping[str, Any], settings: Sequence[str] = (), name: str = "preset") -> LoadedPreset:
    """Load a preset that is a table already, as `load_preset` does; a relative `data.root` starts here.

    Args:
        table: Its sections and keys, as in a file.
        settings: Changes to it.
        name: The name that its runs carry.

    Raises:
        PresetError: A key or a value is wrong.
    """
    return _loaded(copy.deepcopy(dict(table)), name, Path(name), settings, f"the working directory, {Path.cwd()}", None)


def _loaded(
    table: dict[str, Any], name: str, path: Path, settings: Sequence[str], base: str, warn: Callable[[str], None] | None
) -> LoadedPreset:
    origin = {apply_setting(table, setting): f"--set {setting}" for setting in settings}
    if any(related(key, ("data", "root")) for key in origin):
        root = resolve(table, Path.cwd(), f"the working directory, {Path.cwd()}", warn=None)
    else:
        root = resolve(table, path.absolute().parent, base, warn)
    preset = validate(table, path, origin)
    _check_names_of_torch(preset, path, origin)
    return LoadedPreset(name, preset, path, root)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        PresetError: It cannot be read, is too large, or is not TOML.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise PresetError(f"{path} is larger than a preset can be ({_LARGEST:,} bytes).")
        return tomli.loads(path.read_bytes().decode("utf-8-sig"))  # some editors start files with a mark
    except OSError as error:
        raise PresetError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise PresetError(f"{path} is not UTF-8 text (byte {error.start}).", "Presets are TOML, in UTF-8.") from error
    except (ValueError, RecursionError) as error:
        message = str(error) if isinstance(error, tomli.TOMLDecodeError) else "a value is nested too deeply or too long"
        raise PresetError(f"{path} is not valid TOML: {message}.", _advice(path, message)) from error


def _advice(path: Path, message: str) -> str:
    from supernet_cli.config.toml_hints import hint_for

    return hint_for(path.read_text(encoding="utf-8-sig"), message)


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
        details = innermost(error.errors(include_url=False))
        messages = [explain(detail, path, origin or {}) for detail in details[:10]]
        raise PresetError("\n".join(map(short, messages))) from None


def _check_names_of_torch(preset: Preset, path: Path, origin: Mapping[str, str]) -> None:
    """Look up the names that belong to torch in its source, which takes milliseconds instead of importing it.

    Raises:
        PresetError: Torch has none of that name, or it has no such parameter.
    """
    from supernet_cli.config.torch_names import LOSSES, OPTIMIZERS, SCHEDULES, problem_with

    problems = []
    for section in ("train", "retrain"):
        recipe = getattr(preset, section)
        for key, shelf in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("loss", LOSSES)):
            named = getattr(recipe, key) if key in recipe.model_fields_set else None
            parameters = () if named is None else [name for name in named.parameters if name != "every"]
            problem = None if named is None else problem_with(shelf, named.name, parameters)
            if problem is not None:
                problems.append(f"{source((section, key), path, origin)}: {section}.{key}: {problem}")
    if problems:
        raise PresetError("\n".join(map(short, problems)))


def dump_toml(preset: Preset) -> str:
    """Return a preset as TOML that loads to an equal preset."""
    return tomli_w.dumps(preset.model_dump(mode="json", exclude_none=True))
