"""What a job reports while it works: frozen records, one JSON line each.

Records are the only output of a training. `encode` and `decode` write and read a metrics file; a number that is not
finite is written as null with its field's name under `not_finite`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from supernet_cli.store.state import State

# The files may have been written by anybody: figures that no training can produce count as damage.
Count = Annotated[int, Field(ge=0, lt=2**63)]
Large = Annotated[int, Field(ge=0, lt=10**30)]
LARGEST_NUMBER = 1e15
Number = Annotated[float, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER, allow_inf_nan=False)]
Moment = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may write more

    time: Moment = Field(default_factory=time.time)


class JobStarted(_Record):
    """A job's owner starts or resumes it, with a new segment of its metrics."""

    kind: Literal["started"] = "started"
    step: Count  # first step of the segment, from 0
    steps: Count
    epochs: Count
    paths: int = Field(ge=0)  # size of the search space, which is unbounded
    train_images: Count
    validation_images: Count
    device: str
    threads: Count
    ranks: Count = 1  # processes that train together
    host: str = ""  # where it runs; the owner of its folder may be elsewhere


class StepsTrained(_Record):
    """Some optimiser steps were done; averages over the steps since the previous record."""

    kind: Literal["steps"] = "steps"
    step: Count  # steps done in all
    epoch: Count  # from 1
    objective: float | None  # mean of the loss that is minimised
    loss: float | None  # mean cross-entropy, nats per image
    learning_rate: Number
    forward_images: Count  # in all
    macs: Large = 0  # multiply-accumulates of those forward passes, in all
    seconds: Seconds  # spent training, in all; evaluation and checkpoints apart


class PathScore(BaseModel):
    """One path's score on a split."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    accuracy: Share  # top-1, a fraction
    loss: float | None  # mean cross-entropy, nats per image
    trained_images: Count = 0  # images its own steps have processed so far, bundles of candidates excluded
    accuracy_unrecalibrated: Share | None = None  # with running statistics, if it was recalibrated
    divergence: float | None = None  # from the network with nothing dropped, nats per image; if a strategy trains it


class PathsEvaluated(_Record):
    """Paths were evaluated on validation."""

    kind: Literal["evaluation"] = "evaluation"
    step: Count
    epoch: Count
    split: Literal["validation"] = "validation"
    scores: tuple[PathScore, ...]
    seconds: Seconds  # duration of this evaluation
    forward_images: Count = 0  # images evaluated, counted once per path
    macs: Large = 0  # multiply-accumulates, including calibration and feedback to the strategy
    strategy: dict[str, float] = {}  # figures reported by the strategy


class JobPaused(_Record):
    """A job's owner was asked to pause: it has written a checkpoint and is waiting."""

    kind: Literal["paused"] = "paused"
    step: Count


class JobResumed(_Record):
    """A job's owner continues after a pause."""

    kind: Literal["resumed"] = "resumed"
    step: Count


class JobEnded(_Record):
    """A job's owner releases it."""

    kind: Literal["ended"] = "ended"
    step: Count
    state: State
    reason: str = ""


class Gpu(BaseModel):
    """One GPU; figures it does not report are None."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    utilisation: Number | None = None  # per cent
    memory_used_bytes: Count | None = None
    memory_total_bytes: Count | None = None
    temperature_celsius: Number | None = None
    power_watts: Number | None = None


class DevicesSampled(_Record):
    """How busy the host and its GPUs were over the last interval."""

    kind: Literal["devices"] = "devices"
    cores: tuple[Number, ...]  # per cent, each core
    memory_used_bytes: Count
    memory_total_bytes: Count
    process_memory_bytes: Count  # of the command and its workers; shared memory counts for each
    gpus: tuple[Gpu, ...] = ()


Record = JobStarted | StepsTrained | PathsEvaluated | JobPaused | JobResumed | JobEnded | DevicesSampled

_ADAPTER: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])
_LIST: TypeAdapter[list[Record]] = TypeAdapter(list[Annotated[Record, Field(discriminator="kind")]])


class Recorder(Protocol):
    """A receiver of records: the run's files, the live view."""

    def record(self, record: Record) -> None:
        """Take a record; called from the training thread, so it must be quick."""


class Fanout:
    """Several recorders as one."""

    def __init__(self, *recorders: Recorder) -> None:
        self._recorders = recorders

    def record(self, record: Record) -> None:
        """Pass a record on to all of them."""
        for recorder in self._recorders:
            recorder.record(record)


def encode(record: Record) -> str:
    """Return a record as one line of JSON, without the newline."""
    return json.dumps(finite(record.model_dump()), separators=(",", ":"), allow_nan=False)


def decode(line: str | bytes) -> Record | None:
    """Return the record of a line, or None if it is damaged or of an unknown kind."""
    try:
        return _ADAPTER.validate_json(line)
    except ValidationError:
        return None


def decode_lines(lines: Sequence[bytes]) -> tuple[list[Record], int]:
    """Return the records of many lines, and how many lines were damaged or of an unknown kind.

    If all lines look complete they are parsed together, which is three times as fast as one by one.
    """
    if all(line.startswith(b"{") and line.rstrip().endswith(b"}") for line in lines):
        try:
            records = _LIST.validate_json(b"[" + b",".join(lines) + b"]")
        except ValidationError:
            records = []
        if len(records) == len(lines):
            return records, 0
    decoded = [decode(line) for line in lines]
    return [record for record in decoded if record is not None], decoded.count(None)


def finite(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table with numbers that are not finite as null, and their names under `not_finite`."""
    bad = [name for name, value in table.items() if isinstance(value, float) and not math.isfinite(value)]
    inner = {
        name: [finite(item) if isinstance(item, dict) else item for item in value]
        for name, value in table.items()
        if isinstance(value, list | tuple)
    }
    cleaned = table | inner | dict.fromkeys(bad)
    return cleaned | {"not_finite": bad} if bad else cleaned
