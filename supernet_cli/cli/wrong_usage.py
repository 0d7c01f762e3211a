"""What Typer found wrong with a command line, in the words of the program: the option with its value, and the fact."""

from __future__ import annotations

import os
import re
from itertools import takewhile
from typing import Any

from supernet_cli.errors import UsageError

_WRONG_KIND = re.compile(r"\w+ ('.*') is a (file|directory)\.")
_SURPLUS = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)")
_FACTS = {"file": "a file, not a folder", "directory": "a folder, not a file"}


def usage_error(error: Any, arguments: list[str]) -> UsageError:
    """Return the error to report for one that Typer raised.

    Args:
        error: Typer's: it has a message, and perhaps a parameter, a context, and an error of pydantic's as its cause.
        arguments: What was typed after `supernet`.
    """
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else _command(arguments)
    message = _about_value(error, arguments) or _SURPLUS.sub(_surplus, error.format_message())
    return UsageError(message, f"See `{command} --help`.")


def _command(arguments: list[str]) -> str:
    """Return the command that was typed, where Typer does not know it yet: the words before the first option."""
    words = list(takewhile(lambda word: not word.startswith("-"), arguments))
    return " ".join(["supernet", *words[: 2 if words[:1] in (["runs"], ["preset"]) else 1]])


def _surplus(match: re.Match[str]) -> str:
    return f"Unexpected argument{'s' if ' ' in match[1] else ''}: {match[1]}."


def _about_value(error: Any, arguments: list[str]) -> str | None:
    """Return what is wrong with the value of one parameter; None if the error is of another kind."""
    from pydantic import ValidationError

    from supernet_cli.config.explain import in_plain_words

    cause, parameter = error.__cause__, getattr(error, "param", None)
    if parameter is None:
        return None
    if (kind := _WRONG_KIND.fullmatch(error.message)) is not None:
        return f"{_name(error, parameter, arguments)} {kind[1]}: this is {_FACTS[kind[2]]}."
    if not isinstance(cause, ValidationError):
        return None
    detail = cause.errors(include_url=False)[0]
    fact = in_plain_words(detail["msg"]).removeprefix(f"{detail['input']!r} is ").removesuffix(".")
    return f"{_name(error, parameter, arguments)} {detail['input']}: {fact}."


def _name(error: Any, parameter: Any, arguments: list[str]) -> str:
    """Return how a parameter was given: as an option, by position, or in the environment."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    option = next((word for word in parameter.opts if word.startswith("--")), parameter.opts[0])
    typed = any(word.partition("=")[0] in parameter.opts for word in arguments)
    variable = parameter.envvar or f"{getattr(error.ctx, 'auto_envvar_prefix', '')}_{parameter.name.upper()}"
    return option if typed or variable not in os.environ else f"{option} (from {variable})"
