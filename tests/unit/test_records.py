from __future__ import annotations

import json
import math

import pytest

from supernet_cli.store.records import (
    DevicesSampled,
    Gpu,
    JobEnded,
    JobStarted,
    PathScore,
    PathsEvaluated,
    Record,
    StepsTrained,
    decode,
    encode,
)

RECORDS: list[Record] = [
    JobStarted(
        time=1.0,
        step=0,
        steps=10,
        epochs=2,
        paths=4,
        train_images=100,
        validation_images=10,
        device="cpu",
        threads=2,
    ),
    StepsTrained(
        time=2.0, step=5, epoch=1, objective=0.5, loss=0.4, learning_rate=0.1, forward_images=50, seconds=0.25
    ),
    PathsEvaluated(
        time=3.0,
        step=5,
        epoch=1,
        seconds=0.1,
        scores=(PathScore(path="a_b", accuracy=0.5, loss=1.0, trained_images=7),),
    ),
    JobEnded(time=4.0, step=5, state="stopped", reason="stop requested"),
    DevicesSampled(
        time=5.0,
        cores=(1.0, 99.0),
        memory_used_bytes=1,
        memory_total_bytes=2,
        process_memory_bytes=1,
        gpus=(Gpu(name="a GPU"),),
    ),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.kind)
def test_a_record_survives_its_line(record: Record) -> None:
    line = encode(record)
    assert "\n" not in line
    assert decode(line) == record


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_null_and_named(value: float) -> None:
    record = StepsTrained(step=1, epoch=1, objective=value, loss=value, learning_rate=0.1, forward_images=1, seconds=1)
    table = json.loads(encode(record))
    assert (table["loss"], table["objective"], table["not_finite"]) == (None, None, ["objective", "loss"])
    again = decode(encode(record))
    assert isinstance(again, StepsTrained)
    assert again.loss is None


def test_a_path_whose_loss_is_not_finite_is_null_and_named() -> None:
    score = PathScore(path="a", accuracy=0.1, loss=math.nan)
    table = json.loads(encode(PathsEvaluated(step=1, epoch=1, seconds=1.0, scores=(score,))))
    assert table["scores"][0]["loss"] is None
    assert table["scores"][0]["not_finite"] == ["loss"]


@pytest.mark.parametrize(
    "line", ["", "{", "null", "[]", '{"kind":"new"}', '{"kind":"steps"}', "\x00", '{"kind":"ended"']
)
def test_a_line_that_is_no_record_is_none(line: str) -> None:
    assert decode(line) is None


def test_fields_that_a_newer_version_adds_are_passed_over() -> None:
    table = json.loads(encode(RECORDS[3])) | {"colour": "blue"}
    assert decode(json.dumps(table)) == RECORDS[3]
