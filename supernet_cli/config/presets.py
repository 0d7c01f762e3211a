"""Find presets: a path, a file in ./presets, or one of those shipped with the package."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from supernet_cli.errors import PresetError, did_you_mean

_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class PresetFile:
    """An available preset.

    Args:
        name: What a user types; the file's name without `.toml`.
        path: Its file.
        shipped: Whether it comes with the package.
    """

    name: str
    path: Path
    shipped: bool

    def summary(self) -> str:
        """Return the first line of its opening comment, or nothing if it has none."""
        try:
            text = self.path.read_text(encoding="utf-8-sig", errors="replace")
        except OSError:  # listed all the same; using it reports why it cannot be read
            return ""
        for line in text.splitlines():
            if not line.startswith("#:"):
                return line.removeprefix("#").strip() if line.startswith("#") else ""
        return ""


def shipped_folder() -> Path:
    """Return the folder of the shipped presets: inside the wheel, or next to the package in an editable install."""
    inside = _PACKAGE / "presets"
    return inside if inside.is_dir() else _PACKAGE.parent / "presets"


def list_presets() -> list[PresetFile]:
    """Return the available presets; one in ./presets hides a shipped one of the same name."""
    found: dict[str, PresetFile] = {}
    own = Path("presets")
    for folder in (shipped_folder(), own):
        shipped = folder is not own or folder.resolve() == shipped_folder().resolve()
        for path in sorted(folder.glob("*.toml")) if folder.is_dir() else []:
            if path.name.startswith(".") or not path.is_file():
                continue
            found[path.stem] = PresetFile(path.stem, path, shipped)
    return sorted(found.values(), key=lambda preset: preset.name)


def _check_file(path: Path) -> None:
    """Make sure that a path is a file; otherwise report what it is."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # or a character that no file name has
        raise PresetError(
            f"There is no preset file {path}.", "`supernet preset ls` lists the presets that you can use by name."
        ) from None
    except OSError as error:
        raise PresetError(f"{path} cannot be read: {error.strerror}.") from error
    if stat.S_ISDIR(mode):
        raise PresetError(
            f"{path} is a folder, not a preset file.", "Name a file in it, or a shipped preset such as `default`."
        )
    if not stat.S_ISREG(mode):
        raise PresetError(f"{path} is a pipe or a device, not a preset file.", "Presets are read from files.")


def find_preset(name: str) -> PresetFile:
    """Return the preset of a name or a path.

    Raises:
        PresetError: There is nothing of that name, or it is not a file.
    """
    if name.endswith(".toml") or "/" in name or "\\" in name:
        path = Path(os.path.expanduser(name))
        _check_file(path)
        return PresetFile(path.stem, path, shipped=False)
    known = {preset.name: preset for preset in list_presets()}
    if name not in known:
        raise PresetError(f"There is no preset named '{name}'.", did_you_mean(name, known))
    return known[name]
