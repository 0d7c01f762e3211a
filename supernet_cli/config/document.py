"""The JSON Schema of presets, for editors and other tools, and copies of presets that name it."""

from __future__ import annotations

import re
from typing import Any

from supernet_cli.config.catalog import entries
from supernet_cli.config.presets import PresetFile, shipped_folder
from supernet_cli.config.schema import DEVICE_WORDS, Preset
from supernet_cli.errors import PresetError

SCHEMA_FILE = "preset.schema.json"
_DIRECTIVE = re.compile(r"^#:schema .*$", re.MULTILINE)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a preset (draft 2020-12), with the names that this installation knows."""
    schema = Preset.model_json_schema()
    definitions = schema["$defs"]
    definitions["Data"]["properties"]["dataset"]["enum"] = sorted(entries("dataset"))
    device = definitions["Runtime"]["properties"]["device"]
    device["anyOf"] = [{"enum": list(DEVICE_WORDS)}, {"pattern": r"^cuda:\d{1,3}$"}]
    sampler = definitions["Train"]["properties"]["sampler"]
    known = {"enum": sorted(entries("sampler"))}
    sampler["anyOf"] = [known, {"type": "object", "properties": {"name": known}, "required": ["name"]}]
    sampler.pop("$ref", None)
    for name in ("Named", "Candidate"):  # both may be given as a single word
        definitions[name] = {"anyOf": [{"type": "string", "minLength": 1}, definitions[name]]}
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "supernet preset"}
    return {**title, **{key: value for key, value in schema.items() if key != "title"}}


def copy_text(preset: PresetFile) -> str:
    """Return the text of a copy of a preset, whose schema line names the installed schema by its absolute path."""
    try:
        text = preset.path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PresetError(f"{preset.path} cannot be read: {error}.") from error
    line = f"#:schema {(shipped_folder() / SCHEMA_FILE).resolve().as_uri()}"
    return _DIRECTIVE.sub(lambda _: line, text, count=1) if _DIRECTIVE.search(text) else f"{line}\n{text}"
