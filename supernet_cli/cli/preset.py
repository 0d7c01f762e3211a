"""`supernet preset`: list, show, copy and check presets, and print their schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from supernet_cli.cli.options import DATA, OUTPUT, Group, Json, OutputFile, Quiet, Settings, complete_preset

app = typer.Typer(
    cls=Group,
    help="List, show, copy and check presets.",
    epilog="Start your own with: supernet preset copy default mine.toml",
    no_args_is_help=True,
)

Name = Annotated[
    str,
    typer.Argument(
        metavar="PRESET", help="A shipped preset, one in ./presets, or a file", autocompletion=complete_preset
    ),
]


@app.command("ls", epilog="Example: supernet preset ls")
def ls(json: Json = False, quiet: Quiet = False, output: OutputFile = None) -> None:
    """List available presets."""
    from rich.text import Text

    from supernet_cli.cli.console import printable
    from supernet_cli.cli.output import Output
    from supernet_cli.cli.render import columns
    from supernet_cli.config.presets import list_presets

    rows = [
        {"preset": p.name, "summary": p.summary(), "shipped": p.shipped, "path": str(p.path)} for p in list_presets()
    ]
    table = columns(("preset", "from", "what it is"), folding=("preset", "what it is"))
    for row in rows:
        cells = (row["preset"], "supernet" if row["shipped"] else "./presets", row["summary"])
        table.add_row(*(Text(printable(str(cell))) for cell in cells))
    Output(json, quiet, output).result({"presets": rows}, table)


@app.command("show", epilog="Example: supernet preset show default --resolved")
def show(
    preset: Name,
    settings: Settings = None,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Show every key, including defaults", rich_help_panel=DATA)
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    output: OutputFile = None,
) -> None:
    """Print a preset with its comments, or, with --resolved or --set, all the values that would be used."""
    from supernet_cli.cli.console import verbatim
    from supernet_cli.cli.output import Output
    from supernet_cli.config.load import dump_toml, load_preset
    from supernet_cli.config.presets import find_preset

    file = find_preset(preset)
    loaded = load_preset(preset, settings or ())
    text = dump_toml(loaded.preset) if resolved or settings else file.path.read_text(encoding="utf-8-sig")
    document = {"preset": loaded.name, "path": str(file.path), "resolved": loaded.preset.model_dump(mode="json")}
    Output(json, quiet, output).result(document, verbatim(text))


@app.command("copy", epilog="Example: supernet preset copy default mine.toml")
def copy(
    preset: Name,
    to: Annotated[Path, typer.Argument(metavar="FILE", help="The new file, such as mine.toml", dir_okay=False)],
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file", rich_help_panel=OUTPUT)] = False,
    json: Json = False,
    quiet: Quiet = False,
    output: OutputFile = None,
) -> None:
    """Copy a preset to a new file that you can edit."""
    from shlex import quote

    from supernet_cli.cli.output import Output, check_folder
    from supernet_cli.config.document import copy_text
    from supernet_cli.config.presets import find_preset
    from supernet_cli.errors import UsageError
    from supernet_cli.store.files import disk_errors, replace_file

    voice = Output(json, quiet, output)
    if to.suffix != ".toml":
        raise UsageError(f"{to}: the name of a preset file ends in .toml.", f"For example {to.with_suffix('.toml')}.")
    with disk_errors(to):  # also where the system refuses the name itself
        exists = to.exists()
    if exists and not force:
        raise UsageError(
            f"{to} already exists; left unchanged.", "Choose another name, or add --force to overwrite it."
        )
    check_folder(to, str(to))
    replace_file(to, copy_text(find_preset(preset)).encode())
    voice.result({"preset": preset, "path": str(to)}, f"{to} copied from {preset}")
    voice.note(f"Edit it, then: supernet train {quote(str(to))}")


@app.command("validate", epilog="Example: supernet preset validate mine.toml --deep")
def validate(
    preset: Name,
    settings: Settings = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Also load the data and build the network, optimiser, schedule and loss",
            rich_help_panel=DATA,
        ),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    output: OutputFile = None,
) -> None:
    """Check a preset without training: its keys, values and names, or, with --deep, everything that training needs."""
    from supernet_cli.cli.output import Output
    from supernet_cli.config.load import load_preset

    voice = Output(json, quiet, output)
    loaded = load_preset(preset, settings or ())
    if deep:
        from supernet_cli.training.prepare import prepare_loaded

        with voice.working("loading torch and the data") as progress:
            prepare_loaded(loaded, progress)
    checked = "network and data checked" if deep else "network and data not checked; use --deep"
    voice.result({"preset": loaded.name, "valid": True, "deep": deep}, f"{preset} is valid ({checked})")


@app.command("schema", epilog="Example: supernet preset schema > preset.schema.json")
def schema(json: Json = False, quiet: Quiet = False, output: OutputFile = None) -> None:
    """Print the JSON Schema of presets, for editors and other tools."""
    from json import dumps

    from supernet_cli.cli.console import verbatim
    from supernet_cli.cli.output import Output
    from supernet_cli.config.document import json_schema

    document = json_schema()
    Output(json, quiet, output).result(document, verbatim(dumps(document, indent=2)))
