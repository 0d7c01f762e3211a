"""Options that several commands share, with their help, their environment names and their completion."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup


class Group(TyperGroup):
    """Commands whose help gives flags no type: `<bool>` reads as a value that they would take."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the group's own parameters."""
        return _without_type_of_flags(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return one of its commands."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _without_type_of_flags(command.get_params(ctx))
        return command


def _without_type_of_flags(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


def _settings(context: typer.Context, parameter: typer.CallbackParam, value: list[str] | None) -> list[str] | None:
    """Read SUPERNET_SET whole: what comes from the environment was split at spaces."""
    source = context.get_parameter_source(parameter.name or "")
    if source is None or source.name != "ENVIRONMENT":
        return value
    text = os.environ.get("SUPERNET_SET", "")
    parts = text.splitlines() if "\n" in text else text.split(";")
    return [part.strip() for part in parts if part.strip()]


def complete_preset(incomplete: str) -> list[str]:
    """Return the names of presets that begin so."""
    from supernet_cli.config.presets import list_presets

    return [preset.name for preset in list_presets() if preset.name.startswith(incomplete)]


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """Return the ids of runs that begin so."""
    from supernet_cli.runs.store import list_runs

    folder = Path(context.params.get("runs_dir") or "runs")
    return [name for name in ["latest", *(run.id for run in list_runs(folder))] if name.startswith(incomplete)]


def complete_path(context: typer.Context, incomplete: str) -> list[str]:
    """Return the paths of the run's space that begin so; nothing where the space is too large to list."""
    from supernet_cli.errors import SupernetError
    from supernet_cli.runs.store import find_run
    from supernet_cli.space import SearchSpace

    try:
        run = find_run(Path(context.params.get("runs_dir") or "runs"), context.params.get("run") or "latest")
        space = SearchSpace.from_config(run.preset().space)
    except SupernetError:
        return []
    return [path for path in map(str, space.enumerate() if space.size <= 1000 else ()) if path.startswith(incomplete)]


def typed(context: typer.Context) -> set[str]:
    """Return the options that stand on the command line; the environment gives way to them."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}


RunsDir = Annotated[
    Path,
    typer.Option("--runs-dir", envvar="SUPERNET_RUNS_DIR", help="Where runs live.", show_envvar=True, file_okay=False),
]
PresetName = Annotated[
    str,
    typer.Option(
        "--preset",
        metavar="PRESET",
        help="A shipped preset, one in ./presets, or a file.",
        autocompletion=complete_preset,
        show_envvar=False,
    ),
]
RunName = Annotated[
    str,
    typer.Option(
        "--run",
        metavar="RUN",
        help="An id, the beginning of one, a folder, or `latest`.",
        autocompletion=complete_run,
        show_envvar=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.", show_envvar=False)]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Results and errors only: no progress, no hints.", show_envvar=False)
]
OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="Write the JSON document to this file as well.", dir_okay=False, show_envvar=False
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        envvar="SUPERNET_SET",
        metavar="KEY=VALUE",
        help="Change a key of the preset, such as train.epochs=4; repeatable. "
        "Several in SUPERNET_SET stand on lines of their own, or with ; between.",
        callback=_settings,
        allow_from_autoenv=False,
        show_envvar=False,
    ),
]
Split = Literal["test", "validation"]

RUNS_DIR = Path("runs")
