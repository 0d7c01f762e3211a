"""The preset as frozen models: every key a user may write, its type, its bounds, its meaning.

The field descriptions document the preset, and appear in its JSON Schema. Names of operations, samplers and data sets
are checked here against the catalog; names that belong to torch (optimiser, schedule, loss) when a preset is loaded.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from supernet_cli.config.catalog import Entry, entries
from supernet_cli.errors import did_you_mean, nearest

DEVICE_WORDS = ("auto", "cpu", "cuda", "mps")
_SHORTHAND = re.compile(
    r"(?P<op>[a-z]+?)(?:(?P<kernel>\d+)x(?P<width>\d+))?(?:e(?P<expansion>\d+))?(?:x(?P<repeat>\d+))?"
)
_LABEL = re.compile(r"[a-z0-9]+")

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Norm = Literal["none", "batch", "group"]


def _check_values(value: object) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("numbers must be finite")
    if isinstance(value, dt.date | dt.time):
        raise ValueError(f"{value} is a date or a time, but no parameter is one")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_values(inner)


class Part(BaseModel):
    """A part of a preset: frozen, strict about types, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)


class Named(BaseModel):
    """Something chosen by name, with its own parameters: `"uniform"` or `{ name = "SGD", lr = 0.1 }`."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    name: str = Field(min_length=1, description="The name.")

    @model_validator(mode="after")
    def _values(self) -> Named:
        _check_values(self.parameters)
        return self

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters given in addition to the name."""
        return dict(self.__pydantic_extra__ or {})


def _as_table(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _known_sampler(named: Named) -> Named:
    entry = _lookup("sampler", named.name)
    _check_parameters("sampler", entry, named.parameters)
    return named


NamedOrWord = Annotated[Named, BeforeValidator(_as_table)]


class Data(Part):
    """The images, and how they are prepared for the network."""

    dataset: str = Field("mnist", description="Name of the data set.")
    root: str = Field(
        "",
        description="Folder of the data set's files, relative to the preset; if empty, they come with the "
        "package or are downloaded.",
    )
    validation: int = Field(
        5000, ge=1, description="Training images held out to evaluate paths; training never sees them."
    )
    split_seed: Seed = Field(
        0, description="Seed of the split into training and validation images, the same for all trainings of a run."
    )
    standardize: bool = Field(
        True, description="Subtract the mean of the training images and divide by their standard deviation."
    )
    shift: int = Field(
        1, ge=0, le=16, description="Shift each training image at random by up to this many pixels, filling with zeros."
    )

    flip: bool | None = Field(
        None,
        description="Mirror training images at random; by default, only colour images.",
    )
    size: int | None = Field(
        None, ge=4, le=1024, description="For your own images: height and width to resize them to."
    )
    channels: Literal[1, 3] | None = Field(
        None, description="For your own images: read them as greyscale (1) or colour (3)."
    )
    test: float | None = Field(None, gt=0.0, lt=1.0, description="For your own images: share of them kept for testing.")
    skip_broken: bool | None = Field(
        None,
        description="For your own images: skip files that are not readable images, instead of refusing the folder.",
    )

    @field_validator("dataset")
    @classmethod
    def _known(cls, value: str) -> str:
        return _lookup("dataset", value).name

    @field_validator("root")
    @classmethod
    def _printable(cls, value: str) -> str:
        if any(ord(character) < 32 for character in value):  # "C:\new" is a path with a line break in TOML
            raise ValueError(
                "contains a control character: in double quotes, \\t is a tab and \\n a line break. Use single quotes, "
                "or forward slashes"
            )
        return value

    @model_validator(mode="after")
    def _taken_by_the_dataset(self) -> Data:
        entry = _lookup("dataset", self.dataset)
        _check_parameters("dataset", entry, self.parameters)
        return self

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters for the data set's own loader, other than its root."""
        given = {name: getattr(self, name) for name in ("size", "channels", "test", "skip_broken")}
        return {name: value for name, value in given.items() if value is not None}


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
        entry = _lookup("operation", self.op)
        _check_values(self.parameters)
        _check_parameters("operation", entry, self.parameters, common=("repeat", "label", "norm"))
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


class Recipe(Part):
    """How a network is trained: the supernet, and paths from scratch."""

    epochs: Count = Field(
        8, description="Epochs to train; an epoch is as many forward images as there are training images."
    )
    batch_size: Count = Field(256, description="Images per step.")
    evaluate_every: Count = Field(
        1, description="Epochs between two evaluations on the validation images; the last epoch is always evaluated."
    )
    log_every: Count = Field(20, description="Steps between two records of the loss.")
    checkpoint_every: Count = Field(100, description="Steps between two checkpoints.")
    optimizer: NamedOrWord = Field(
        Named.model_validate({"name": "AdamW", "lr": 0.004, "weight_decay": 0.01}),
        description="A class of torch.optim by name, with its parameters.",
    )
    decay_norm: bool = Field(
        True,
        description="Whether the optimiser's weight decay also shrinks normalisation and biases. Deep networks with "
        "much weight decay are usually trained without.",
    )
    renew_optimizer: bool = Field(
        False, description="Start every epoch with a new optimiser, without momentum from the one before."
    )
    schedule: NamedOrWord | None = Field(
        None,
        description="A class of torch.optim.lr_scheduler by name. It advances every step, or every epoch with "
        '`every = "epoch"`; its length (total_steps, T_max, total_iters) is by default the whole training.',
    )
    loss: NamedOrWord = Field(
        Named(name="CrossEntropyLoss"),
        description="The objective: a loss of torch.nn by name; cross-entropy is always reported as well. Class "
        'weights are a list, such as `weight = [1, 4]`, or `weight = "balanced"`: the inverse of each class\'s share.',
    )

    @model_validator(mode="after")
    def _schedule_outlives_optimizer(self) -> Recipe:
        if self.renew_optimizer and self.schedule is not None:
            raise ValueError("renew_optimizer would restart the schedule at every epoch: use one or the other")
        return self


class Train(Recipe):
    """The supernet's training."""

    seeds: Annotated[tuple[Seed, ...], Field(strict=False)] = Field(
        (0,), min_length=1, description="One supernet is trained per seed."
    )
    sampler: Annotated[NamedOrWord, Field(validate_default=False)] = Field(
        Named(name="uniform"), description="The strategy that chooses which path each step trains."
    )

    calibration: int = Field(
        4096,
        ge=0,
        le=1_000_000,
        description="Training images to recalibrate batch normalisation on before a path is evaluated; 0 to evaluate "
        "with the running statistics that all paths share.",
    )

    evaluate_unrecalibrated: bool = Field(
        False,
        description="Evaluate every path a second time with the running statistics that all paths share, to see what "
        "recalibration is worth. Nothing is chosen by it.",
    )

    @field_validator("seeds")
    @classmethod
    def _no_seed_twice(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return _distinct_seeds(value)

    @field_validator("sampler")
    @classmethod
    def _known(cls, value: Named) -> Named:
        return _known_sampler(value)


class Retrain(Part):
    """How paths are trained from scratch: keys that are not given here are as in [train]."""

    epochs: Count | None = Field(None, description="Epochs of one training.")
    batch_size: Count | None = Field(None, description="Images per step.")
    evaluate_every: Count | None = Field(None, description="Epochs between two evaluations on the validation images.")
    log_every: Count | None = Field(None, description="Steps between two records of the loss.")
    checkpoint_every: Count | None = Field(None, description="Steps between two checkpoints.")
    optimizer: NamedOrWord | None = Field(None, description="As train.optimizer.")
    decay_norm: bool | None = Field(None, description="As train.decay_norm.")
    renew_optimizer: bool | None = Field(None, description="As train.renew_optimizer.")
    schedule: NamedOrWord | None = Field(None, description="As train.schedule.")
    loss: NamedOrWord | None = Field(None, description="As train.loss.")
    seeds: Annotated[tuple[Seed, ...], Field(strict=False)] = Field(
        (0, 1, 2), min_length=1, description="Seeds of the trainings of each path."
    )
    threads: int = Field(
        1,
        ge=1,
        le=1024,
        description="Threads of one training; results depend on this, not on how many trainings run in parallel.",
    )

    @field_validator("seeds")
    @classmethod
    def _no_seed_twice(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return _distinct_seeds(value)


class Runtime(Part):
    """Where it runs."""

    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    threads: int = Field(0, ge=0, le=1024, description="Threads of the supernet's training; 0 for one per usable core.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Arithmetic of the forward pass; auto is bfloat16 on GPUs that support it, otherwise float32.",
    )

    @field_validator("device")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in DEVICE_WORDS and not re.fullmatch(r"cuda:\d{1,3}", value):
            raise ValueError(
                f"no such device. {did_you_mean(value, DEVICE_WORDS)} Known: auto, cpu, cuda, cuda:N, mps."
            )
        return value


class Preset(Part):
    """A whole experiment: data, search space, how the supernet and its paths are trained, and where it runs."""

    data: Data = Field(default_factory=Data, description=Data.__doc__)
    space: Space = Field(description=Space.__doc__)
    train: Train = Field(default_factory=Train, description=Train.__doc__)
    retrain: Retrain = Field(default_factory=Retrain, description=Retrain.__doc__)
    runtime: Runtime = Field(default_factory=Runtime, description=Runtime.__doc__)

    def standalone_recipe(self) -> Recipe:
        """Return how a path is trained from scratch: as in [retrain], otherwise as in [train]."""
        inherited = {name: getattr(self.train, name) for name in Recipe.model_fields}
        given = {name: value for name in Recipe.model_fields if (value := getattr(self.retrain, name)) is not None}
        return Recipe.model_validate({**inherited, **given})

    @model_validator(mode="after")
    def _standalone_recipe_is_sound(self) -> Preset:
        self.standalone_recipe()
        return self


def _distinct_seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("the same seed twice would train the same network twice")
    return seeds


def _lookup(kind: str, name: str) -> Entry:
    known = entries(kind)
    if name not in known:
        raise ValueError(f"no {kind} named '{name}'. {did_you_mean(name, known)}".rstrip())
    return known[name]


def _check_parameters(kind: str, entry: Entry, given: Mapping[str, Any], common: tuple[str, ...] = ()) -> None:
    problem = entry.problem_with(given)
    if problem is None:
        return
    parameter, what = problem
    known = (*entry.parameters, *common)
    takes = f"It takes: {', '.join(known)}." if known else "It takes none."
    close = nearest(parameter, known) if what == "unknown" else None
    advice = f"Did you mean '{close}'?" if close else takes
    raise ValueError(f"{kind} '{entry.name}': parameter '{parameter}' is {what}. {advice}")


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
