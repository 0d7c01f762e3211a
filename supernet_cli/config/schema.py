"""The preset as frozen models: every key a user may write, its type, its bounds, its meaning.

The field descriptions document the preset, and appear in its JSON Schema. Names of operations, samplers and data sets
are checked here against the catalog; names that belong to torch (optimiser, schedule, loss) when a preset is loaded.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from supernet_cli.config.limits import check_limits
from supernet_cli.config.parts import Count, Named, NamedOrWord, Part, check_parameters, lookup
from supernet_cli.config.space import Space
from supernet_cli.errors import UsageError, did_you_mean

DEVICE_WORDS = ("auto", "cpu", "cuda", "mps")


def _known_dataset(name: str) -> str:
    return lookup("dataset", name).name


def _known_sampler(named: Named) -> Named:
    entry = lookup("sampler", named.name)
    check_parameters("sampler", entry, named.parameters)
    return named


def _known_policy(named: Named) -> Named:
    entry = lookup("policy", named.name)
    check_parameters("policy", entry, named.parameters)
    return named


def _readable_limits(limits: dict[str, str | int | float]) -> dict[str, str | int | float]:
    try:
        check_limits(limits)
    except UsageError as error:
        raise ValueError(f"{error.message} {error.hint}") from error
    return limits


def _number_or_text(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError('must be a number, or a text such as "2M"')
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value  # to be refused as a limit


def _known_device(name: str) -> str:
    if name not in DEVICE_WORDS and not re.fullmatch(r"cuda:\d{1,3}", name):
        raise ValueError(f"no such device. {did_you_mean(name, DEVICE_WORDS)} Known: auto, cpu, cuda, cuda:N, mps.")
    return name


def _printable(path: str) -> str:
    if any(ord(character) < 32 for character in path):  # "C:\new" is a path with a line break in TOML
        raise ValueError(
            "contains a control character: in double quotes, \\t is a tab and \\n a line break. Use single quotes, "
            "or forward slashes"
        )
    return path


def _distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("the same seed twice would train the same network twice")
    return seeds


Seed = Annotated[int, Field(ge=0, lt=2**32)]
Seeds = Annotated[tuple[Seed, ...], Field(strict=False, min_length=1), AfterValidator(_distinct)]


class Data(Part):
    """The images, and how they are prepared for the network."""

    dataset: Annotated[str, AfterValidator(_known_dataset)] = Field("mnist", description="Name of the data set.")
    root: Annotated[str, AfterValidator(_printable)] = Field(
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

    flip: bool | None = Field(None, description="Mirror training images at random; by default, only colour images.")
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

    @model_validator(mode="after")
    def _taken_by_the_dataset(self) -> Data:
        entry = lookup("dataset", self.dataset)
        check_parameters("dataset", entry, self.parameters)
        return self

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters for the data set's own loader, other than its root."""
        given = {name: getattr(self, name) for name in ("size", "channels", "test", "skip_broken")}
        return {name: value for name, value in given.items() if value is not None}


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

    seeds: Seeds = Field((0,), description="One supernet is trained per seed.")
    sampler: Annotated[NamedOrWord, AfterValidator(_known_sampler), Field(validate_default=False)] = Field(
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
    seeds: Seeds = Field((0, 1, 2), description="Seeds of the trainings of each path.")
    threads: int = Field(
        1,
        ge=1,
        le=1024,
        description="Threads of one training; results depend on this, not on how many trainings run in parallel.",
    )


class Runtime(Part):
    """Where it runs."""

    device: Annotated[str, AfterValidator(_known_device)] = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    threads: int = Field(0, ge=0, le=1024, description="Threads of the supernet's training; 0 for one per usable core.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Arithmetic of the forward pass; auto is bfloat16 on GPUs that support it, otherwise float32.",
    )


Limit = Annotated[str | int | float, BeforeValidator(_number_or_text)]


class Search(Part):
    """What `supernet search` looks for, and for how long, unless its options say otherwise."""

    trainings: Count = Field(8, description="Stand-alone trainings that a search may choose.")
    seeds: Seeds = Field((0,), description="Each path that it chooses is trained once per seed.")
    policy: Annotated[NamedOrWord, AfterValidator(_known_policy), Field(validate_default=False)] = Field(
        Named(name="posterior"), description="Who decides which path to train next."
    )
    limits: Annotated[dict[str, Limit], AfterValidator(_readable_limits)] = Field(
        default_factory=dict,
        description='Largest values of paths, such as { macs = "2M", latency = "0.3ms" }: parameters, macs, latency '
        "of one image, and the size of the stored weights.",
    )
    against: Literal["macs", "parameters", "latency", "weights"] = Field(
        "macs", description="What accuracy is weighed against on the Pareto front."
    )
    until: float | None = Field(
        None, gt=0.0, lt=1.0, description="Stop once the pick is the best path within the limits with this probability."
    )
    tolerance: float | None = Field(
        None, gt=0.0, le=100.0, description="Stop once the expected regret is at most so many points of accuracy."
    )


class Preset(Part):
    """A whole experiment: data, search space, how the supernet and its paths are trained, and where it runs."""

    data: Data = Field(default_factory=Data, description=Data.__doc__)
    space: Space = Field(description=Space.__doc__)
    train: Train = Field(default_factory=Train, description=Train.__doc__)
    retrain: Retrain = Field(default_factory=Retrain, description=Retrain.__doc__)
    search: Search = Field(default_factory=Search, description=Search.__doc__)
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
