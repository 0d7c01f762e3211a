"""Classes of torch that a preset names: found, checked and built, with the place in the preset in every error."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from supernet_cli.config.torch_names import Shelf
from supernet_cli.errors import PresetError


def find_class(shelf: Shelf, module: ModuleType, name: str, where: str) -> type[Any]:
    """Return the class of a name.

    Args:
        shelf: What may be named.
        module: The module that holds it.
        name: As the preset gives it.
        where: The key, for messages.

    Raises:
        PresetError: There is no class of that name, or it cannot be used here.
    """
    base = getattr(module, shelf.base)
    known = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, base) and not key.startswith("_")
    }
    problem = shelf.wrong_name(name, known)
    if problem is not None:
        raise PresetError(f'{where} = "{name}": {problem[0]}', problem[1])
    return known[name]


def build(
    shelf: Shelf, kind: type[Any], positional: tuple[Any, ...], given: Mapping[str, Any], where: str, **filled: Any
) -> Any:
    """Build an object of a class.

    Args:
        shelf: Says which parameters a preset may give.
        kind: The class.
        positional: Arguments that are not the preset's.
        given: Parameters from the preset.
        where: The key, for messages.
        filled: Parameters that the preset need not give.

    Raises:
        PresetError: It does not take a parameter, or rejects a value.
    """
    problem = shelf.wrong_parameter(kind.__name__, given, inspect.signature(kind).parameters)
    if problem is not None:
        raise PresetError(f"{where}: {problem[0]}", problem[1])
    try:
        with warnings.catch_warnings(action="ignore"):
            return kind(*positional, **filled, **given)
    except Exception as error:  # torch's constructors raise all kinds of errors for values that a person wrote
        raise PresetError(f"{where}: {kind.__name__} rejects its parameters: {first_line(error)}.") from error


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, without a full stop; the name of its class if it has none."""
    if isinstance(error, ZeroDivisionError):
        return "its parameters make it divide by 0"
    if isinstance(error, OverflowError):
        return "a number becomes too large"
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
