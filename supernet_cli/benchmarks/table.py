"""The table of a benchmark: stand-alone results of every path, and the supernets that were trained on its space.

`decisions` and `paths` are the common format of published tables, which `policies/table.py` reads and checks. The rest
is what a comparison with a new strategy needs: every ground truth, the recorded supernets, and hashes of the conditions
that all of it belongs to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from supernet_cli.config.parts import Count, Named
from supernet_cli.config.schema import Preset, Seed
from supernet_cli.errors import DataError, UsageError, did_you_mean
from supernet_cli.store.fingerprints import conditions

FOLDER = Path(__file__).parent
"""Where the tables are: one file for each benchmark, under its name."""

FEWEST = 3
"""Paths that a ranking needs."""

PREFERRED = "iso"
"""The benchmark that is used where none is named, if it is there; otherwise the first."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Row = tuple[Fraction, ...]
Macs = Annotated[int, Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TabledPath(_Part):
    """What is known of a path.

    Args:
        validation: Accuracy on validation of each seed of the primary ground truth, a fraction.
        test: The same on test.
        macs: Multiply-accumulates of one image.
        parameters: Its parameters.
        scores: By name, figures that rank paths, higher is better: proxies that need no training, and of each kind of
            recorded supernet, by its name, minus the mean one-shot loss on validation.
    """

    validation: Row
    test: Row
    macs: Macs
    parameters: Annotated[int, Field(gt=0)]
    scores: dict[str, float] = {}


class Truth(_Part):
    """Stand-alone trainings of every path with one recipe.

    Args:
        epochs: Their length.
        seeds: Their seeds.
        macs: Multiply-accumulates of all of them together.
        validation: Accuracy on validation: a row for each path, in the order of `paths`, a column for each seed.
        test: The same on test.
    """

    epochs: Count
    seeds: tuple[Seed, ...]
    macs: Macs
    validation: tuple[Row, ...]
    test: tuple[Row, ...]


class RecordedSupernets(_Part):
    """Supernets of one kind: of one strategy and one length.

    Args:
        name: What they are called in `scores`.
        strategy: As in a preset: its name, with its parameters.
        epochs: Their length.
        seeds: One supernet for each.
        loss: One-shot loss on validation, nats an image: a row for each seed, a column for each path.
        training_macs: Multiply-accumulates of training all of them.
        evaluation_macs: Multiply-accumulates of evaluating their paths.
    """

    name: str
    strategy: Named
    epochs: Count
    seeds: tuple[Seed, ...]
    loss: tuple[tuple[float, ...], ...]
    training_macs: Macs
    evaluation_macs: Macs


class Table(_Part):
    """A benchmark.

    Args:
        name: Its name.
        preset: The preset that it belongs to.
        settings: Changes to that preset that its supernets were trained with; none of them changes weights.
        conditions: Hashes of what else the preset says; see `store.fingerprints.conditions`.
        decisions: Labels of the candidates of each decision.
        paths: By the indices of its candidates, joined with "-".
        truths: Ground truths, the longest first: that is the primary one, which `paths` has as well.
        supernets: The recorded supernets.
    """

    name: str
    preset: str
    settings: dict[str, bool | int]
    conditions: dict[str, str]
    decisions: tuple[tuple[str, ...], ...]
    paths: dict[str, TabledPath]
    truths: Annotated[tuple[Truth, ...], Field(min_length=1)]
    supernets: Annotated[tuple[RecordedSupernets, ...], Field(min_length=1)]

    @property
    def truth(self) -> Truth:
        """The primary ground truth."""
        return self.truths[0]

    @property
    def choices(self) -> list[tuple[int, ...]]:
        """The indices of each path's candidates."""
        return [tuple(map(int, key.split("-"))) for key in self.paths]

    @property
    def path_names(self) -> list[str]:
        """The paths as runs call them."""
        return ["_".join(self.decisions[i][c] for i, c in enumerate(choices)) for choices in self.choices]

    @property
    def proxies(self) -> list[str]:
        """Names of the scores that need no training."""
        trained = {each.name for each in self.supernets}
        return [name for name in next(iter(self.paths.values())).scores if name not in trained]

    @property
    def macs_per_training(self) -> float:
        """Multiply-accumulates of training an average path from scratch for one epoch: the unit of costs."""
        truth = self.truth
        return truth.macs / len(self.paths) / len(truth.seeds) / truth.epochs

    @model_validator(mode="after")
    def _paths_fit(self) -> Table:
        from supernet_cli.policies.table import as_table  # numpy, which unknown names do without

        as_table(self.model_dump(mode="json", include={"decisions", "paths"}), self.name)  # says what is wrong
        if len(self.paths) < FEWEST:
            raise ValueError(f"paths: {len(self.paths)} of the {FEWEST} that a ranking needs")
        return self

    @model_validator(mode="after")
    def _truths_fit(self) -> Table:
        for truth in self.truths:
            for name, rows in (("validation", truth.validation), ("test", truth.test)):
                _check_shape(f"truths of {truth.epochs} epochs, {name}", rows, len(self.paths), len(truth.seeds))
        lengths = [truth.epochs for truth in self.truths]
        if lengths != sorted(lengths, reverse=True):
            raise ValueError("truths: the longest does not come first")
        tabled = tuple((path.validation, path.test) for path in self.paths.values())
        if tabled != tuple(zip(self.truth.validation, self.truth.test, strict=True)):
            raise ValueError("paths: their accuracies are not those of the longest of the truths")
        return self

    @model_validator(mode="after")
    def _supernets_fit(self) -> Table:
        called = [each.name for each in self.supernets]
        for each in self.supernets:
            _check_shape(f"supernets {each.name}, loss", each.loss, len(each.seeds), len(self.paths))
            if called.count(each.name) > 1:
                raise ValueError(f"supernets: '{each.name}' is there twice")
        return self

    def check(self, preset: Preset, where: str) -> None:
        """Make sure that supernets of a preset can be compared with the recorded ones.

        Args:
            preset: The preset.
            where: What it is, at the beginning of a sentence.

        Raises:
            DataError: Its space, its images or its recipe are not those of the table.
        """
        words = {"space": "search space", "split": "data or split", "train": "training recipe"}
        found = conditions(preset)
        differing = [word for key, word in words.items() if found[key] != self.conditions.get(key)]
        if differing:
            raise DataError(
                f"{where} is not what the benchmark '{self.name}' was recorded with: another {', '.join(differing)}.",
                f"Only strategy, length, seeds and runtime may differ from the shipped preset '{self.preset}'.",
            )


def _check_shape(what: str, rows: tuple[tuple[float, ...], ...], height: int, width: int) -> None:
    if len(rows) != height or any(len(row) != width for row in rows):
        raise ValueError(f"{what}: expected {height} rows of {width}")


def names() -> list[str]:
    """Return the names of the benchmarks there are."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def default_name() -> str:
    """Return the benchmark that is used where none is named.

    Raises:
        DataError: There is none at all.
    """
    known = names()
    if not known:
        raise DataError(f"There are no benchmarks in {FOLDER}.", "Reinstall supernet.")
    return PREFERRED if PREFERRED in known else known[0]


def find_table(name: str) -> Table:
    """Return a benchmark by name.

    Raises:
        UsageError: There is none of that name.
        DataError: Its table is damaged.
    """
    known = names()
    if name not in known:
        raise UsageError(f"There is no benchmark named '{name}'.", did_you_mean(name, known))
    return read_table(FOLDER / f"{name}.json")


def read_table(path: Path) -> Table:
    """Read a table.

    Raises:
        DataError: It cannot be read, or is not a table.
    """
    try:
        return Table.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Check that you can read it.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        what = f"{place}: {reason}" if place else reason
        raise DataError(
            f"The benchmark table {path} is damaged: {what}.", "Restore it: reinstall supernet, or copy it again."
        ) from error
