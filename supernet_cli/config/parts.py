"""What the sections of a preset are made of, and how names are looked up in the catalog."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from supernet_cli.config.catalog import Entry, entries
from supernet_cli.errors import did_you_mean, nearest

Count = Annotated[int, Field(ge=1, le=1_000_000)]


def check_values(value: object) -> None:
    """Make sure that a parameter's value, with all values inside it, is one that a parameter can have.

    Raises:
        ValueError: It is not.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("numbers must be finite")
    if isinstance(value, dt.date | dt.time):
        raise ValueError(f"{value} is a date or a time, but no parameter is one")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        check_values(inner)


class Part(BaseModel):
    """A part of a preset: frozen, strict about types, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)


class Named(BaseModel):
    """Something chosen by name, with its own parameters: `"uniform"` or `{ name = "SGD", lr = 0.1 }`."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    name: str = Field(min_length=1, description="The name.")

    @model_validator(mode="after")
    def _values(self) -> Named:
        check_values(self.parameters)
        return self

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters given in addition to the name."""
        return dict(self.__pydantic_extra__ or {})


def _as_table(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


NamedOrWord = Annotated[Named, BeforeValidator(_as_table)]


def lookup(kind: str, name: str) -> Entry:
    """Return what a preset names.

    Raises:
        ValueError: There is nothing of that kind with that name; says what is nearest.
    """
    known = entries(kind)
    if name not in known:
        raise ValueError(f"no {kind} named '{name}'. {did_you_mean(name, known)}".rstrip())
    return known[name]


def check_parameters(kind: str, entry: Entry, given: Mapping[str, Any], common: tuple[str, ...] = ()) -> None:
    """Make sure that parameters fit what they are given to.

    Args:
        kind: Operation, sampler or dataset.
        entry: What they are given to.
        given: The parameters.
        common: Names that fit everything of that kind.

    Raises:
        ValueError: One does not fit, or is missing.
    """
    problem = entry.problem_with(given)
    if problem is None:
        return
    parameter, what = problem
    known = (*entry.parameters, *common)
    takes = f"It takes: {', '.join(known)}." if known else "It takes none."
    close = nearest(parameter, known) if what == "unknown" else None
    advice = f"Did you mean '{close}'?" if close else takes
    raise ValueError(f"{kind} '{entry.name}': parameter '{parameter}' is {what}. {advice}")
