"""The section of a preset that describes the search space."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from supernet_cli.config.catalog import entries
from supernet_cli.config.parts import Part, check_parameters, check_values, lookup
from supernet_cli.errors import did_you_mean

_SHORTHAND = re.compile(
    r"(?P<op>[a-z]+?)(?:(?P<kernel>\d+)x(?P<width>\d+))?(?:e(?P<expansion>\d+))?(?:x(?P<repeat>\d+))?"
)


_LABEL = re.compile(r"[a-z0-9]+")


Norm = Literal["none", "batch", "group"]


class Candidate(BaseModel):
    """A candidate operation: a word such as `"conv3x3"`, or a table with more parameters.

    A word is a family followed by its kernel (`3x3`), its expansion (`e6`) and how often it is stacked (`x2`), as far
    as the family has them: `mbconv3x3e6`, `conv3x3x2`. A table such as `{ op = "conv", kernel = 3, repeat = 2 }` means
    the same and takes the family's other parameters; its default label is the word followed by the normalisation.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    op: str = Field(description="Family of the operation, such as conv: the name of a file in networks/ops.")
    repeat: int = Field(1, ge=1, le=16, description="How often the operation is stacked, with ReLU in between.")
    label: str = Field("", description="Name in paths: lower-case letters and digits, unique within the block.")
    norm: Norm | None = Field(
        None, description="Normalisation of its convolutions: none, batch or group; by default, as in [space]."
    )

    @property
    def parameters(self) -> dict[str, Any]:
        """The operation's own parameters, such as its kernel."""
        return dict(self.__pydantic_extra__ or {})

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: object) -> object:
        """Turn `"conv3x3"` into a table; give a table without a label the one that its word would have."""
        if isinstance(value, str):
            return _from_word(value)
        if isinstance(value, dict) and isinstance(value.get("op"), str) and "label" not in value:
            return {**value, "label": _default_label(value)}
        return value

    @model_validator(mode="after")
    def _checked(self) -> Candidate:
        entry = lookup("operation", self.op)
        check_values(self.parameters)
        check_parameters("operation", entry, self.parameters, common=("repeat", "label", "norm"))
        kernel = self.parameters.get("kernel", 1)
        if not isinstance(kernel, int) or isinstance(kernel, bool) or kernel < 1 or kernel > 31 or kernel % 2 == 0:
            raise ValueError(
                f"kernel {kernel!r}: must be an odd whole number from 1 to 31, so that images keep their size"
            )
        if not _LABEL.fullmatch(self.label):
            raise ValueError(f"label {self.label!r}: only lower-case letters and digits, so that paths can be parsed")
        return self


class Stem(Part):
    """What every path begins with: a convolution, then max pooling and ReLU."""

    channels: int = Field(ge=1, le=65536, description="Output channels.")
    kernel: int = Field(3, ge=1, le=31, description="Height and width of the kernel, odd.")
    stride: int = Field(1, ge=1, le=64, description="Stride of the kernel.")
    pool: int = Field(1, ge=1, le=64, description="Max pooling after the convolution: window and stride; 1 for none.")
    norm: Norm | None = Field(None, description="Normalisation; by default, as in [space].")

    @field_validator("kernel")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("must be odd, so that images keep their size")
        return value


class Block(Part):
    """A choice block: candidates, one of which a path takes, then max pooling and ReLU."""

    channels: int = Field(32, ge=1, le=65536, description="Output channels of the block.")
    stride: int = Field(1, ge=1, le=64, description="Stride of the chosen operation: 2 halves height and width.")
    pool: int = Field(
        2, ge=1, le=64, description="Max pooling after the chosen operation: window and stride; 1 for none."
    )
    residual: bool = Field(
        False,
        description="Add the input of the block to the output of the chosen operation, before pooling and ReLU; if "
        "channels or size change, through a 1×1 projection that all candidates share.",
    )
    candidates: Annotated[tuple[Candidate, ...], Field(strict=False)] = Field(
        min_length=1, description="The operations to choose from."
    )

    @model_validator(mode="after")
    def _distinct(self) -> Block:
        labels = [candidate.label for candidate in self.candidates]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"candidates with the same label '{twice[0]}': give each its own `label`")
        return self


class Space(Part):
    """The search space: an optional stem, choice blocks one after another, then a head of two linear layers."""

    hidden: int = Field(64, ge=1, le=65536, description="Width of the hidden layer of the head.")
    pooling: Literal["flatten", "global"] = Field(
        "flatten",
        description="Input of the head: every pixel of the last block, or the mean of each channel over the image.",
    )
    norm: Norm = Field(
        "none", description="Normalisation of all convolutions, unless a candidate or the stem has its own."
    )
    stem: Stem | None = Field(None, description=Stem.__doc__)
    blocks: Annotated[tuple[Block, ...], Field(strict=False)] = Field(
        min_length=1, description="The choice blocks, in order."
    )


def _from_word(word: str) -> dict[str, Any]:
    """Read `conv3x3` as operation `conv` with kernel 3, `identity` as operation `identity`."""
    match = _SHORTHAND.fullmatch(word)
    if match is None or match["kernel"] != match["width"] or match["op"] not in entries("operation"):
        raise ValueError(f"no operation '{word}'. {did_you_mean(word, _words())}".rstrip())
    numbers = {name: int(match[name]) for name in ("kernel", "expansion", "repeat") if match[name]}
    return {"op": match["op"], "label": word} | numbers


def _words() -> list[str]:
    """Return the shorthands worth suggesting."""
    words = []
    for name, entry in entries("operation").items():
        kernels = [f"{name}{k}x{k}" for k in (1, 3, 5, 7)] if "kernel" in entry.required else [name]
        words += [f"{word}e{n}" for word in kernels for n in (3, 6)] if "expansion" in entry.required else kernels
    return words


def _default_label(table: Mapping[str, Any]) -> str:
    """Return the word that means the same as a table, followed by its own normalisation if it has one."""
    kernel, repeat = table.get("kernel"), table.get("repeat", 1)
    expansion = table["expansion"] if isinstance(table.get("expansion"), int) else None
    word = f"{table['op']}{f'{kernel}x{kernel}' if kernel else ''}{f'e{expansion}' if expansion else ''}"
    return f"{word}{f'x{repeat}' if repeat != 1 else ''}{table.get('norm') or ''}"
