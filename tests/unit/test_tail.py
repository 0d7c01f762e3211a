from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supernet_cli.store import tail
from supernet_cli.store.records import JobStarted, PathScore, PathsEvaluated, Record, StepsTrained, decode, encode
from supernet_cli.store.snapshot import JobSnapshot, fold, fold_all
from supernet_cli.store.tail import FileTail, JobReader, JobTail, last_lines, segments

QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def line(number: int) -> bytes:
    return encode(trained(number)).encode() + b"\n"


def trained(step: int, loss: float | None = None) -> StepsTrained:
    return StepsTrained(
        time=float(step),
        step=step,
        epoch=1 + step // 100,
        objective=loss,
        loss=1.0 / (1 + step) if loss is None else loss,
        learning_rate=0.1,
        forward_images=10 * step,
        seconds=step / 10,
    )


def started(step: int, time: float = 0.0) -> JobStarted:
    return JobStarted(
        time=time,
        step=step,
        steps=1000,
        epochs=10,
        paths=2,
        train_images=50,
        validation_images=5,
        device="cpu",
        threads=1,
    )


def everything(reader: JobTail | JobReader) -> JobSnapshot:
    while reader.read()[1]:
        pass
    return reader.snapshot


def reference(folder: Path) -> tuple[JobSnapshot, int]:
    """Read a job the plain way: all of every file, one line after another."""
    job, damaged = JobSnapshot(), 0
    for name in segments(folder):
        for text in (folder / name).read_bytes().split(b"\n")[:-1]:
            record = decode(text)
            if record is None:
                damaged += 1
            else:
                job = fold(job, record)
    return job, damaged


@QUICK
@given(data=st.data(), count=st.integers(0, 40))
def test_any_split_of_a_file_gives_each_line_once(
    data: st.DataObject, count: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tail") / "metrics-0.jsonl"
    content = b"".join(line(number) for number in range(count))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=8)))
    limit = data.draw(st.integers(1, 3000))
    file, lines = FileTail(path), []
    for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
        with path.open("ab") as out:
            out.write(content[begin:end])
        while True:
            chunk = file.read(limit)
            assert not chunk.restarted
            lines += chunk.lines
            if not chunk.more:
                break
        assert b"".join(text + b"\n" for text in lines) == content[: content.rfind(b"\n", 0, end) + 1]
    assert len(lines) == count


class Mischief:
    """Everything that can happen to a job's files; each line it writes is unlike every other."""

    def __init__(self, folder: Path, data: st.DataObject) -> None:
        self.folder, self.data, self.number, self.rest = folder, data, 0, {0: b""}

    @property
    def target(self) -> Path:
        return self.folder / f"metrics-{max(self.rest)}.jsonl"

    def any_segment(self) -> Path:
        return self.folder / f"metrics-{self.data.draw(st.integers(0, max(self.rest)))}.jsonl"

    def append(self) -> None:
        append(self.target, self.rest[max(self.rest)] + line(self.number))
        self.rest[max(self.rest)] = b""

    def append_a_part(self) -> None:
        whole = self.rest[max(self.rest)] or line(self.number)
        cut = self.data.draw(st.integers(0, len(whole) - 1))
        append(self.target, whole[:cut])
        self.rest[max(self.rest)] = whole[cut:]

    def append_nonsense(self) -> None:
        bad = [b"\n", b"{}\n", b"{\n}\n", b"\xff\x00\n", b'{"kind":"new"}\n']
        append(self.target, self.data.draw(st.sampled_from(bad)))

    def evaluate(self) -> None:
        step = self.number
        scores = (PathScore(path="a", accuracy=0.5, loss=0.1 * step), PathScore(path="b", accuracy=0.4, loss=None))
        record = PathsEvaluated(time=step, step=step, epoch=1, seconds=0.1, scores=scores)
        append(self.target, encode(record).encode() + b"\n")

    def go_on_in_a_new_segment(self) -> None:
        self.rest[max(self.rest) + 1] = b""
        again = self.data.draw(st.integers(0, self.number))
        append(self.target, encode(started(again, time=self.number)).encode() + b"\n")

    def append_late(self) -> None:
        append(self.any_segment(), line(self.number))

    def truncate(self) -> None:
        path = self.any_segment()
        if path.exists():
            os.truncate(path, self.data.draw(st.integers(0, path.stat().st_size)))

    def replace(self) -> None:
        fresh = self.folder / "fresh"
        lines = [line(self.number * 1000 + i) for i in range(self.data.draw(st.integers(0, 4)))]
        fresh.write_bytes(b"".join(lines))
        os.replace(fresh, self.any_segment())

    def delete(self) -> None:
        self.any_segment().unlink(missing_ok=True)


NAMES = [name for name in vars(Mischief) if not name.startswith("_") and name not in ("target", "any_segment")]


@QUICK
@given(names=st.lists(st.sampled_from([*NAMES, "read"]), max_size=30), data=st.data())
def test_whatever_happens_to_its_files_a_job_is_what_is_there(
    names: list[str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("job")
    reader, mischief = JobTail(folder), Mischief(folder, data)
    for number, name in enumerate([*names, "read"], start=1):
        mischief.number = number
        if name == "read":
            job = everything(reader)
            assert (job, reader.damaged) == reference(folder)
        else:
            getattr(mischief, name)()


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


RECORDS = st.lists(
    st.one_of(
        st.builds(trained, st.integers(0, 300), st.sampled_from([None, 0.5, float("nan")])),
        st.builds(started, st.integers(0, 300)),
        st.builds(
            lambda step: PathsEvaluated(
                time=1.0, step=step, epoch=1, seconds=0.1, scores=(PathScore(path="a", accuracy=step / 300, loss=0.1),)
            ),
            st.integers(0, 300),
        ),
    ),
    max_size=60,
)


@QUICK
@given(RECORDS)
def test_folding_many_is_folding_one_by_one(records: list[Record]) -> None:
    job = JobSnapshot()
    for record in records:
        job = fold(job, record)
    assert fold_all(JobSnapshot(), records) == job


def test_a_line_that_is_too_long_is_counted_once_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics-0.jsonl"
    path.write_bytes(line(1) + b"x" * (3 * tail.LONGEST_LINE) + b"\n" + line(2))
    job = JobTail(tmp_path)
    assert (everything(job).step, job.damaged) == (2, 1)


def test_a_file_that_cannot_be_read_has_nothing_new(tmp_path: Path) -> None:
    (tmp_path / "metrics-0.jsonl").mkdir()
    assert FileTail(tmp_path / "metrics-0.jsonl").read().lines == ()
    assert everything(JobTail(tmp_path)) == JobSnapshot()
    assert everything(JobTail(tmp_path / "nowhere")) == JobSnapshot()


@pytest.mark.parametrize("again", [None, 2500])
def test_a_long_job_is_shown_from_its_end_and_filled_in_behind(
    again: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "RECENT_BYTES", 20_000)
    monkeypatch.setattr(tail, "_CHUNK", 30_000)
    (tmp_path / "metrics-0.jsonl").write_bytes(
        encode(started(0)).encode() + b"\n" + b"".join(line(number) for number in range(1, 3000))
    )
    last = 2999
    if again is not None:
        (tmp_path / "metrics-1.jsonl").write_bytes(encode(started(again)).encode() + b"\n" + line(again + 1))
        last = again + 1
    reader = JobReader(tmp_path)
    reader.read()
    assert reader.filled < 0.5
    assert (reader.snapshot.step, reader.snapshot.steps) == (last, 1000)
    steps = [point.step for point in reader.snapshot.loss.points]
    assert steps == sorted(set(steps))
    append(tmp_path / f"metrics-{int(again is not None)}.jsonl", line(last + 1))
    assert everything(reader).step == last + 1
    assert reader.filled == 1.0
    assert reader.snapshot == reference(tmp_path)[0]


def test_a_long_job_that_is_replaced_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "RECENT_BYTES", 20_000)
    path = tmp_path / "metrics-0.jsonl"
    path.write_bytes(b"".join(line(number) for number in range(1, 1000)))
    reader = JobReader(tmp_path)
    everything(reader)
    path.unlink()
    path.write_bytes(b"".join(line(number) for number in range(5000, 6000)))
    assert everything(reader).step == 5999
    assert reader.snapshot == reference(tmp_path)[0]


def test_the_last_lines_of_a_log_are_whole_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    assert last_lines(path, 3) == ()
    path.write_bytes(b"\xff first\n" + b"".join(b"line %d\n" % number for number in range(50_000)) + b"half")
    assert last_lines(path, 2) == ("line 49999", "half")
    assert len(last_lines(path, 100_000)) < 10_000
    assert last_lines(path, 100_000)[0].startswith("line ")
