"""Options that several commands share, with their help, their environment names and their completion."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from supernet_cli.store.run import Run


_HARD_BREAK = re.compile(r"(?<!\n)\n(?!\n)")
_SHOWN_VARIABLES = ("SUPERNET_RUNS_DIR", "SUPERNET_DATA_ROOT")  # the others follow from a command's and option's name


class Group(TyperGroup):
    """Commands whose help reads like a sentence, and whose variables are named after their options.

    Lines break at the width of the terminal, not of the docstring. There are no types of Python in it, such as `<bool>`
    or `<list[str]>`, and no full stop after a single sentence about an option.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the group's own parameters."""
        return _plain(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return one of its commands."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            command.help = _HARD_BREAK.sub(" ", command.help or "")
            parameters = _plain(command.get_params(ctx))
            for parameter, name, _ in _renamed(command, parameters):
                parameter.envvar = name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that was typed; warns of variables with the names of earlier versions."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and not ctx.resilient_parsing:
            for _, variable, earlier in _renamed(command, command.get_params(ctx)):
                if earlier in os.environ and variable not in os.environ:
                    print(f"warning: {earlier} is now called {variable}; please use that.", file=sys.stderr)
        return name, command, rest


def _renamed(command: Any, parameters: list[Any]) -> Iterator[tuple[Any, str, str]]:
    """Yield options whose variable would be named after the code, with the name after the option and the other one.

    The name after the code, which earlier versions read, is still read if the other is not set.
    """
    prefix = command.context_settings.get("auto_envvar_prefix")
    for parameter in parameters if prefix else ():
        option = next((word for word in parameter.opts if word.startswith("--")), "")
        if not option or not getattr(parameter, "allow_from_autoenv", False):
            continue
        variable = f"{prefix}_{option.removeprefix('--').replace('-', '_').upper()}"
        earlier = f"{prefix}_{parameter.name.upper()}"
        if variable != earlier and parameter.envvar in (None, variable):
            yield parameter, variable, earlier


def _plain(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        parameter.show_envvar = parameter.envvar in _SHOWN_VARIABLES
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = _no_type
        if ". " not in (parameter.help or "."):
            parameter.help = parameter.help.removesuffix(".")  # as Typer writes its own
    return parameters


def _no_type(ctx: Any) -> None:
    """Show no type beside an argument: its name says what it is."""


def _settings(context: typer.Context, parameter: typer.CallbackParam, value: list[str] | None) -> list[str] | None:
    """Read SUPERNET_SET whole: what comes from the environment was split at spaces."""
    source = context.get_parameter_source(parameter.name or "")
    if source is None or source.name != "ENVIRONMENT":
        return value
    text = os.environ.get("SUPERNET_SET", "")
    parts = text.splitlines() if "\n" in text else text.split(";")
    return [part.strip() for part in parts if part.strip()]


def complete_preset(incomplete: str) -> list[str]:
    """Return the names of presets that start with the typed text."""
    from supernet_cli.config.presets import list_presets

    return [preset.name for preset in list_presets() if preset.name.startswith(incomplete)]


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """Return the ids of runs that start with the typed text."""
    from supernet_cli.store.runs import list_runs

    folder = Path(context.params.get("runs_dir") or RUNS_DIR)
    return [name for name in ["latest", *(run.id for run in list_runs(folder))] if name.startswith(incomplete)]


def complete_path(context: typer.Context, incomplete: str) -> list[str]:
    """Return the paths of the run's space that start with the typed text; none if the space is too large to list."""
    from supernet_cli.errors import SupernetError
    from supernet_cli.space import SearchSpace
    from supernet_cli.store.runs import find_run

    try:
        run = find_run(Path(context.params.get("runs_dir") or RUNS_DIR), context.params.get("run") or "latest")
        space = SearchSpace.from_config(run.preset().space)
    except SupernetError:
        return []
    return [path for path in map(str, space.enumerate() if space.size <= 1000 else ()) if path.startswith(incomplete)]


def typed(context: typer.Context) -> set[str]:
    """Return the options that were typed on the command line; they take precedence over the environment."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}


A_RUN = "An id, a unique prefix of one, a folder, or `latest`"

PATHS = "Run and paths"
TRAINING = "Training"
DATA = "Preset and data"
PLACE = "Where it runs"
OUTPUT = "Runs and output"

RunsDir = Annotated[
    Path,
    typer.Option(
        "--runs-dir",
        envvar="SUPERNET_RUNS_DIR",
        metavar="DIR",
        help="Folder that holds the runs",
        file_okay=False,
        rich_help_panel=OUTPUT,
    ),
]
PresetArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="PRESET",
        help="A shipped preset, one in ./presets, or a file. Default: `default`.",
        autocompletion=complete_preset,
        show_default=False,
    ),
]
PresetName = Annotated[
    str | None,
    typer.Option(
        "--preset", metavar="PRESET", help="Same as PRESET", autocompletion=complete_preset, rich_help_panel=DATA
    ),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help=f"{A_RUN} (default)", autocompletion=complete_run, show_default=False),
]
RunName = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="RUN",
        help=f"The run: {A_RUN[0].lower()}{A_RUN[1:]} (default)",
        autocompletion=complete_run,
        rich_help_panel=PATHS,
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        envvar="SUPERNET_DATA_ROOT",
        metavar="DIR",
        help="Folder of the images, if they are not where the preset says; a run's images are verified",
        file_okay=False,
        rich_help_panel=DATA,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout", rich_help_panel=OUTPUT)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only", rich_help_panel=OUTPUT)]
OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Also write the JSON document to this file",
        dir_okay=False,
        rich_help_panel=OUTPUT,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        envvar="SUPERNET_SET",
        metavar="KEY=VALUE",
        help="Change a key of the preset, such as train.epochs=4; repeatable. "
        "In SUPERNET_SET, separate settings with ; or newlines.",
        callback=_settings,
        allow_from_autoenv=False,
        rich_help_panel=DATA,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print what would be done and how long it would take, without doing it",
        rich_help_panel=OUTPUT,
    ),
]
Split = Literal["test", "validation"]


def seeds_option(help: str) -> Any:  # noqa: A002 - Typer's name
    """Return an option that takes seeds such as 0,1,2: those of a command's supernets, or of its other trainings."""
    return typer.Option(metavar="N,N,…", help=help, rich_help_panel=TRAINING)


def resume_option(help: str) -> Any:  # noqa: A002 - Typer's name
    """Return an option that names the run to go on with."""
    return typer.Option(metavar="RUN", help=help, autocompletion=complete_run, rich_help_panel=TRAINING)


RUNS_DIR = Path("runs")


def one_of(what: str, argument: str | None, option: str | None, otherwise: str) -> str:
    """Return what a command is given by position or as an option: its run, or its preset.

    Args:
        what: The option without its dashes.
        argument: What was given by position.
        option: What was given as the option.
        otherwise: What is meant where neither was.

    Raises:
        UsageError: Both name one, and not the same.
    """
    from supernet_cli.errors import UsageError

    if argument is not None and option is not None and argument != option:
        raise UsageError(f"You named two {what}s: {argument} and --{what} {option}.", "Name one.")
    given = option if argument is None else argument
    return otherwise if given is None else given


def parse_seeds(text: str, option: str = "--seeds") -> tuple[int, ...]:
    """Return the seeds of a `0,1,2`.

    Raises:
        UsageError: It is no such list, or names one twice.
    """
    from supernet_cli.errors import UsageError

    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and word.isascii() and len(word) <= 10 and int(word) < 2**32 for word in words):
        raise UsageError(
            f"{option} {text}: expected whole numbers from 0 to {2**32 - 1}, separated by commas.",
            f"For example {option} 0,1,2.",
        )
    seeds = tuple(int(word) for word in words)
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"{option} {text}: the same seed twice would train the same network twice.")
    return seeds


def with_seeds(settings: list[str], key: str, text: str | None, option: str = "--seeds") -> list[str]:
    """Return settings of a new run, with the seeds of a key of the preset where they are given as an option.

    Raises:
        UsageError: They are no list of seeds, or name one twice.
    """
    return settings if text is None else [*settings, f"{key}={list(parse_seeds(text, option))}"]


def with_data_root(settings: list[str] | None, data_root: Path | None) -> list[str]:
    """Return settings of a new run, with the folder of its images where one is given as --data-root."""
    import json

    return [*(settings or []), *([f"data.root={json.dumps(str(data_root))}"] if data_root is not None else [])]


def run_and_paths(runs_dir: Path, words: list[str], option: str | None) -> tuple[Run, list[str]]:
    """Return the run that a command works on, and the paths that were typed; a run may stand before them.

    Args:
        runs_dir: Where runs live.
        words: What was typed where paths stand.
        option: What --run names.

    Raises:
        RunError: There is no such run.
        UsageError: Two runs are named.
    """
    from supernet_cli.errors import RunError
    from supernet_cli.store.runs import find_run

    first = words[0] if words else ""
    try:
        found = find_run(runs_dir, first) if first and not _is_path(runs_dir, first, option) else None
    except RunError:
        if first[:4].isdigit():  # the year that a run's id begins with
            raise
        found = None
    if found is None:
        return find_run(runs_dir, one_of("run", None, option, "latest")), words
    return find_run(runs_dir, one_of("run", first, option, "latest")), words[1:]


def _is_path(runs_dir: Path, word: str, option: str | None) -> bool:
    """Return whether a word is a path of the run that would be meant without it."""
    from supernet_cli.errors import SupernetError
    from supernet_cli.space import SearchSpace
    from supernet_cli.store.runs import find_run

    try:
        SearchSpace.from_config(find_run(runs_dir, one_of("run", None, option, "latest")).preset().space).parse(word)
    except SupernetError:
        return False
    return True
