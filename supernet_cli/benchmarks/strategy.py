"""Strategies as a benchmark names them: equal if they do the same, labelled by what is not default."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from supernet_cli.config.catalog import entries
from supernet_cli.config.parts import Named


def same(one: Named, other: Named) -> bool:
    """Return whether two strategies are the same, parameters at their defaults included."""
    return one.name == other.name and _resolved(one) == _resolved(other)


def label(strategy: Named) -> str:
    """Return a strategy in words: `path-dropout (rate 0.5, combine sum)`, `fair (parts)`."""
    usual = _defaults(strategy.name)
    changed = [_words(key, value) for key, value in strategy.parameters.items() if usual.get(key) != value]
    return f"{strategy.name} ({', '.join(changed)})" if changed else strategy.name


def _words(key: str, value: object) -> str:
    if isinstance(value, bool):
        return key if value else f"no {key}"
    return f"{key} {value}"


def _resolved(strategy: Named) -> dict[str, Any]:
    return {**_defaults(strategy.name), **strategy.parameters}


@cache
def _defaults(name: str) -> Mapping[str, Any]:
    """Return the parameters that a strategy has by default; none for one that this installation does not know."""
    known = entries("sampler")
    if name not in known:
        return {}
    build = import_module(f"supernet_cli.{known[name].module}").build
    parameters = inspect.signature(build).parameters.values()
    return {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is not parameter.empty
    }
