"""The command line as a whole: variables are named after options; every help has an example and flows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer

from supernet_cli.cli.app import app

Invoke = Callable[..., tuple[int, str, str]]


def commands() -> Iterator[tuple[str, Any]]:
    root: Any = typer.main.get_command(app)
    context = root.make_context("supernet", [], resilient_parsing=True)
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        inner = getattr(command, "list_commands", None)
        if inner is None:
            yield name, command
        else:
            yield from ((f"{name} {word}", command.get_command(context, word)) for word in inner(context))


def options() -> Iterator[tuple[str, str, Any]]:
    """Yield every option of every command that has variables: the command, its prefix, the option."""
    for name, command in commands():
        prefix = command.context_settings.get("auto_envvar_prefix")
        for parameter in command.params if prefix else ():
            if parameter.param_type_name == "option" and "--help" not in parameter.opts:
                yield name, prefix, parameter


def test_every_command_that_works_on_a_run_has_variables() -> None:
    assert {name for name, _, _ in options()} >= {"train", "retrain", "evaluate", "compare", "experiment"}


def test_help_on_an_option_is_without_types_of_python_and_without_a_full_stop_after_one_sentence() -> None:
    root: Any = typer.main.get_command(app)
    for name, command in [("", root), *commands()]:
        context = typer.Context(command)
        for parameter in command.get_params(context):
            assert ". " in parameter.help or not parameter.help.endswith("."), (name, parameter.name)
        usage = "".join(command.get_help(context).split())
        assert not re.search(r"<(bool|str|list|int|dir|file)", usage), name


def test_every_option_is_read_from_a_variable_of_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    root: Any = typer.main.get_command(app)
    for name, prefix, parameter in options():
        if parameter.opts[0] in ("--runs-dir", "--set"):  # the same for all commands
            assert parameter.envvar == f"SUPERNET_{parameter.opts[0][2:].replace('-', '_').upper()}"
            continue
        option = next(word for word in parameter.opts if word.startswith("--"))
        variable = f"{prefix}_{option[2:].replace('-', '_').upper()}"
        monkeypatch.setenv(variable, "found")
        context = root.make_context("supernet", [], resilient_parsing=True)
        inner = typer.Context(root.get_command(context, name), parent=context, auto_envvar_prefix=prefix)  # type: ignore[attr-defined]
        assert parameter.resolve_envvar_value(inner) == "found", (name, option, variable)
        monkeypatch.delenv(variable)


def test_the_format_of_a_comparison_is_read_from_its_variable(
    supernet: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERNET_COMPARE_FORMAT", "nothing")
    code, _, err = supernet("compare")
    assert code == 2
    assert "--format (from SUPERNET_COMPARE_FORMAT) nothing: not one of" in err
    assert "now called" not in err


def test_a_variable_of_an_earlier_version_is_read_with_a_warning(
    supernet: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERNET_COMPARE_FORM", "nothing")
    code, _, err = supernet("compare")
    assert code == 2
    assert "warning: SUPERNET_COMPARE_FORM is now called SUPERNET_COMPARE_FORMAT; please use that." in err
    assert "--format nothing: not one of" in err
    monkeypatch.setenv("SUPERNET_COMPARE_FORMAT", "neither")
    _, _, err = supernet("compare")
    assert "now called" not in err
    assert "--format (from SUPERNET_COMPARE_FORMAT) neither: not one of" in err
    assert "now called" not in supernet("runs", "ls")[2]


NAMES = [name for name, _ in commands()]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_an_example_of_itself(name: str, supernet: Invoke) -> None:
    code, out, _ = supernet(*name.split(), "--help")
    text = " ".join(out.split())
    assert code == 0
    assert f"Example: supernet {name}" in text


@pytest.mark.parametrize("name", NAMES)
def test_help_is_broken_by_the_terminal_and_by_nothing_else(name: str) -> None:
    command = dict(commands())[name]
    assert not re.search(r"(?<!\n)\n(?!\n)", command.help), command.help


def test_the_first_help_groups_commands_and_leads_somewhere(supernet: Invoke) -> None:
    code, out, _ = supernet("--help")
    assert code == 0
    for heading in ("Train and compare", "Watch and manage runs", "Presets and this machine"):
        assert heading in out
    (example,) = re.findall(r"Example: supernet (\S+ \S+)", out)
    assert supernet(*example.split(), "--dry-run")[0] == 0
