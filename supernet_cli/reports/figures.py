"""Figures of a comparison: in memory with their notes and labels, in the document as plain numbers.

A figure carries its number, the reason why there is none or what qualifies it, and its label. In the document, the
reasons stand in `notes`, by the field that they concern; `comparison.py` moves them there and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

_LARGEST = 1e300


def _drawable(value: int | float) -> int | float:
    if not abs(value) <= _LARGEST:
        raise ValueError("too large for a figure, or not a number")
    return value


Number = Annotated[int | float, AfterValidator(_drawable)]
Whole = Annotated[int, AfterValidator(_drawable)]
Pair = tuple[float, float]
"""The bounds of an interval."""


class Part(BaseModel):
    """A part of the document; what a later version added to it is ignored."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        validate_default=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the schema of its form in the document."""
        found = handler.resolve_ref_schema(handler(_unwrapped(schema)))
        left = {name for name, field in cls.model_fields.items() if field.exclude}
        found["properties"] = {name: each for name, each in found["properties"].items() if name not in left}
        found["required"] = [name for name in found.get("required", []) if name not in left]
        found["description"] = found["description"].partition("\n\n")[0]
        return found


class Sparse(Part):
    """A part whose fields stand in the document only where they were given."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> Any:
        return {name: each for name, each in handler(self).items() if name in self.model_fields_set}


class Figure(Part):
    """A part with a label, and a note if it needs one.

    Args:
        note: A sentence: why it is unknown, or what limits it; may be empty if it is known.
        label: What every screen calls it.
    """

    note: str = Field("", exclude=True)
    label: str = Field("", exclude=True)

    _suffixes: ClassVar[tuple[str, ...]] = ("",)
    """What follows the field's name in the keys of its note."""

    @property
    def is_known(self) -> bool:
        """Whether there is something to show; the document has null if not."""
        return True

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> Any:
        return handler(self) if self.is_known else None

    @model_validator(mode="before")
    @classmethod
    def _lifted(cls, data: Any) -> Any:
        return {} if data is None else data

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the schema of its form in the document, null if it can be unknown."""
        found = super().__get_pydantic_json_schema__(schema, handler)
        return found if cls.is_known is Figure.is_known else {"anyOf": [found, {"type": "null"}]}


def _unwrapped(schema: Any) -> Any:
    """Return a model's schema without the serializers around its fields."""
    if schema["type"] == "model":
        return {key: part for key, part in schema.items() if key != "serialization"}
    return {**schema, "schema": _unwrapped(schema["schema"])} if "schema" in schema else schema


@dataclass(frozen=True)
class Label:
    """The label of the figure in a field.

    Args:
        text: What every screen calls it.
    """

    text: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return a schema that gives the field's figure this label."""
        return core_schema.no_info_after_validator_function(self._on, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the figure's schema, with the label as its title."""
        return {**handler(schema), "title": self.text}

    def _on(self, figure: Figure) -> Figure:
        return figure.model_copy(update={"label": self.text})


class Measure(Figure):
    """A number, or the reason why there is none."""

    value: Number | None = None

    @property
    def is_known(self) -> bool:
        """Whether it has a value."""
        return self.value is not None

    @model_serializer(mode="plain")
    def _plain(self) -> int | float | None:  # type: ignore[override]
        return self.value

    @model_validator(mode="before")
    @classmethod
    def _lifted(cls, data: Any) -> Any:
        return data if isinstance(data, (Mapping, Measure)) else {"value": data}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the schema of a number or null."""
        return {"type": ["number", "null"]}


class Range(Figure):
    """An interval, a pair in the document; the note is that of both bounds."""

    low: float | None = None
    high: float | None = None

    _suffixes: ClassVar[tuple[str, ...]] = (".low", ".high")

    @property
    def bounds(self) -> Pair | None:
        """Both bounds; None if they are unknown."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @model_serializer(mode="plain")
    def _plain(self) -> Pair | None:  # type: ignore[override]
        return self.bounds

    @model_validator(mode="before")
    @classmethod
    def _lifted(cls, data: Any) -> Any:
        more = {} if not isinstance(data, Mapping) or "value" not in data else {"note": data["note"]}
        pair = data["value"] if more else data
        return {"low": pair[0], "high": pair[1], **more} if _is_pair(pair) else more if pair is None else data

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the schema of two numbers or null."""
        pair = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
        return {"anyOf": [pair, {"type": "null"}]}


def _is_pair(data: Any) -> bool:
    return isinstance(data, (list, tuple)) and len(data) == 2


class Bounded(NamedTuple):
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


class Bounds(Figure):
    """A mean with its 95 % interval, if they are known."""

    mean: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def known(self) -> Bounded | None:
        """All three; None unless all are known."""
        if self.mean is None or self.low is None or self.high is None:
            return None
        return Bounded(self.mean, self.low, self.high)

    @property
    def is_known(self) -> bool:
        """Whether it has a mean and an interval."""
        return self.known is not None


class Spread(Figure):
    """A coefficient over seeds: its mean and extremes, and that of each seed, None if it has none."""

    mean: float | None = None
    per_seed: tuple[float | None, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def known(self) -> list[float]:
        """The coefficients of the seeds that have one."""
        return [value for value in self.per_seed if value is not None]


class BestSpread(Spread):
    """A coefficient among the best paths.

    Args:
        paths: How many these are.
    """

    paths: Whole | None = None
