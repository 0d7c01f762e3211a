"""`supernet doctor`: what this machine has, what is missing, and how to install it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from supernet_cli.cli.options import RUNS_DIR, Json, OutputFile, Quiet, RunsDir
from supernet_cli.cores import cores
from supernet_cli.version import __version__, version_of

_LIBRARIES = ("torch", "torchvision", "numpy", "rich", "textual", "typer", "pydantic", "safetensors", "scipy")
_EXTRAS = {
    "tensorboard": "tensorboard",
    "report": "matplotlib",
    "web": "textual_serve",
    "ray": "ray",
    "onnx": "onnxscript",
}
_LOW_DISK = 2 * 2**30


def doctor(runs_dir: RunsDir = RUNS_DIR, json: Json = False, quiet: Quiet = False, output: OutputFile = None) -> None:
    """Check versions, devices, terminal and disk; report what is missing and how to install it."""
    from supernet_cli.cli.output import Output
    from supernet_cli.cli.render import facts

    voice = Output(json, quiet, output)
    with voice.working("checking this machine"):
        document = _examine(runs_dir)
    host, terminal, commands = document["host"], document["terminal"], document["extra_commands"]
    pairs = [
        ("supernet", document["versions"]["supernet"]),
        ("python", f"{document['versions']['python']}  {host['platform']}"),
        *((name, document["versions"][name] or "missing") for name in _LIBRARIES),
        ("devices", ", ".join(document["devices"]) or "unknown, because torch cannot be imported"),
        ("cores", str(cores())),
        ("memory", f"{host['memory_available_bytes'] / 2**30:.1f} of {host['memory_bytes'] / 2**30:.1f} GiB free"),
        ("terminal", f"{terminal['colour_system'] or 'no colour'}, {terminal['width']} columns"),
        *((f"disk, {d['what']}", f"{d['free_bytes'] / 2**30:.1f} GiB free in {d['path']}") for d in document["disk"]),
        *(
            (f"extra {name}", f"missing; install with: {commands[name]}" if name in commands else "installed")
            for name in document["extras"]
        ),
    ]
    problems = [f"{problem['what']}  →  {problem['remedy']}" for problem in document["problems"]]
    voice.result(document, facts(pairs), "", *(problems or ["Nothing required is missing."]))


def _examine(runs_dir: Path) -> dict[str, Any]:
    import platform

    import psutil

    memory = psutil.virtual_memory()
    machine = cores()
    versions = {"supernet": __version__, "python": platform.python_version(), **{n: version_of(n) for n in _LIBRARIES}}
    devices, failure = _devices()
    disk = _disk(runs_dir)
    missing = {name: _command_for(name, module) for name, module in _EXTRAS.items()}
    return {
        "versions": versions,
        "host": {
            "platform": platform.platform(),
            "cores": machine.present,
            "usable_cores": machine.usable,
            "cpu_quota": machine.quota,
            "memory_bytes": memory.total,
            "memory_available_bytes": memory.available,
        },
        "devices": devices,
        "terminal": _terminal(),
        "disk": disk,
        "extras": {name: command is None for name, command in missing.items()},
        "extra_commands": {name: command for name, command in missing.items() if command is not None},
        "problems": _problems(versions, devices, failure, disk),
    }


def _problems(
    versions: dict[str, str | None], devices: list[str], failure: str, disk: list[dict[str, Any]]
) -> list[dict[str, str]]:
    found = [
        {"what": f"{name} is missing", "remedy": f"pip install {name}"} for name in _LIBRARIES if versions[name] is None
    ]
    if failure and devices:
        found.append(
            {"what": f"GPUs cannot be used: {failure}", "remedy": "update the driver, or install another torch"}
        )
    elif failure and versions["torch"] is not None:
        found.append({"what": f"torch cannot be imported: {failure}", "remedy": "install torch again"})
    for place in disk:
        if not place["writable"]:
            found.append({"what": f"you cannot write to {place['path']}", "remedy": f"set {place['variable']}"})
        elif place["free_bytes"] < _LOW_DISK:
            remedy = f"make space, or set {place['variable']} to a folder elsewhere"
            found.append({"what": f"little free space in {place['path']}", "remedy": remedy})
    return found


def _command_for(extra: str, module: str) -> str | None:
    """Return the command that installs an extra as the package itself was installed; None if it is installed."""
    import importlib.util

    if importlib.util.find_spec(module) is not None:
        return None
    words, source = _installed_from()
    requirement = f"{source}[{extra}]" if "://" not in source else f"supernet-cli[{extra}] @ {source}"
    return " ".join(["pip install", *words, f'"{requirement}"'])


def _installed_from() -> tuple[list[str], str]:
    """Return pip's options and where the package came from: a folder, an address, or its name in the index."""
    import importlib.metadata
    import json
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    clone = Path(__file__).parents[2]
    try:
        origin = json.loads(importlib.metadata.distribution("supernet-cli").read_text("direct_url.json") or "{}")
    except importlib.metadata.PackageNotFoundError:
        return ([], str(clone)) if (clone / "pyproject.toml").is_file() else ([], "supernet-cli")
    address = origin.get("url", "")
    if "dir_info" in origin:
        folder = url2pathname(urlsplit(address).path)
        return ["-e"] if origin["dir_info"].get("editable") else [], folder
    if "vcs_info" in origin:
        return [], f"{origin['vcs_info']['vcs']}+{address}"
    return [], address or "supernet-cli"


def _devices() -> tuple[list[str], str]:
    """Return the devices that training can use, and what is wrong with torch or the GPUs."""
    try:
        from supernet_cli.device import describe, find_devices

        names, problems = find_devices()
        return [describe(name) for name in names], problems[0] if problems else ""
    except (ImportError, OSError, RuntimeError) as error:
        return [], str(error).partition("\n")[0]


def _terminal() -> dict[str, Any]:
    from supernet_cli.cli.console import console, wants_plain

    out = console(sys.stdout)
    return {"colour_system": out.color_system, "width": out.width, "plain": wants_plain()}


def _disk(runs_dir: Path) -> list[dict[str, Any]]:
    import os
    import shutil

    from supernet_cli.store.files import cache_folder

    rows = []
    for what, path, variable in (
        ("runs", runs_dir, "SUPERNET_RUNS_DIR"),
        ("data cache", cache_folder(), "SUPERNET_CACHE_DIR"),
    ):
        there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
        free, writable = shutil.disk_usage(there).free, os.access(there, os.W_OK) and there.is_dir()
        rows.append({"what": what, "path": str(path), "free_bytes": free, "writable": writable, "variable": variable})
    return rows
