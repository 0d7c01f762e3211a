"""A job's folder and its owner: what it writes, who may own it, what is told of one that is gone or damaged."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from helpers import records_of

from supernet_cli.config.schema import Preset
from supernet_cli.errors import DiskError, RunError
from supernet_cli.store.job import LOST_AFTER_SECONDS, JobFolder, JobStatus, JobWriter
from supernet_cli.store.layout import JobKey, Way
from supernet_cli.store.records import JobEnded, StepsTrained
from supernet_cli.store.runs import create_run
from supernet_cli.store.state import Wish


@pytest.fixture
def job(tmp_path: Path, tiny: Callable[..., Preset]) -> JobFolder:
    return create_run(tmp_path / "runs", "tiny", tiny(train={"seeds": [0, 1]})).supernet_job(0)


def steps(step: int) -> StepsTrained:
    return StepsTrained(
        step=step, epoch=1, objective=1.0, loss=1.0, learning_rate=0.1, forward_images=step, seconds=step / 4
    )


def test_a_job_writes_what_it_reports_and_ends_in_the_state_it_says(job: JobFolder) -> None:
    with JobWriter(job) as writer:
        assert job.status().state == "running"
        writer.record(steps(7))
        writer.record(JobEnded(step=7, state="stopped", reason="asked"))
    status = job.status()
    assert (status.state, status.reason, status.step, status.seconds) == ("stopped", "asked", 7, 1.75)
    assert [record.kind for record in records_of(job)] == ["steps", "ended"]
    assert job.snapshot()[0].state == "stopped"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_log_on_a_full_disk_is_told_once_and_does_not_end_the_job(
    job: JobFolder, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    (job.path / "log.txt").symlink_to("/dev/full")
    with JobWriter(job) as writer:
        for _ in range(3):
            logging.getLogger("supernet_cli.test").info("a line")
        writer.record(JobEnded(step=0, state="finished"))
    assert job.status().state == "finished"
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        f"{job.path / 'log.txt'} cannot be written: No space left on device"
    ]
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(("error", "state"), [(RuntimeError, "failed"), (KeyboardInterrupt, "interrupted")])
def test_a_job_that_is_left_in_the_middle_says_so(job: JobFolder, error: type[BaseException], state: str) -> None:
    with pytest.raises(error), JobWriter(job):
        raise error("[boom]")
    assert job.status().state == state
    assert "[boom]" in (job.path / "log.txt").read_text()


def test_every_writer_begins_a_segment_of_its_own(job: JobFolder) -> None:
    for step in (1, 2):
        with JobWriter(job) as writer:
            writer.record(steps(step))
            writer.record(JobEnded(step=step, state="stopped"))
    assert sorted(path.name for path in job.path.glob("metrics-*")) == ["metrics-0.jsonl", "metrics-1.jsonl"]
    assert [record.step for record in records_of(job) if isinstance(record, StepsTrained)] == [1, 2]


def test_a_writer_begins_a_new_segment_also_where_an_earlier_one_was_deleted(job: JobFolder) -> None:
    for step in (1, 2, 3):
        with JobWriter(job) as writer:
            writer.record(steps(step))
            writer.record(JobEnded(step=step, state="stopped"))
        if step == 2:
            (job.path / "metrics-0.jsonl").unlink()
            (job.path / "metrics-old.jsonl").touch()
    assert sorted(path.name for path in job.path.glob("metrics-[0-9]*")) == ["metrics-1.jsonl", "metrics-2.jsonl"]


def test_segments_are_read_in_the_order_of_their_numbers(job: JobFolder) -> None:
    from supernet_cli.store.records import encode

    for number in range(12):
        (job.path / f"metrics-{number}.jsonl").write_text(encode(steps(number)) + "\n")
    snapshot, damaged = job.snapshot()
    assert [point.step for point in (*snapshot.loss.points, *snapshot.loss.pending)] == list(range(12))
    assert (snapshot.step, damaged) == (11, 0)


def test_damaged_lines_are_counted_and_a_line_being_written_is_not(job: JobFolder) -> None:
    with JobWriter(job) as writer:
        writer.record(steps(1))
        writer.record(JobEnded(step=1, state="stopped"))
    with (job.path / "metrics-0.jsonl").open("ab") as file:
        file.write(b"\xff\x00 rubbish\n" + b"{}\n" + b'{"kind":"steps","st')
    snapshot, damaged = job.snapshot()
    assert (snapshot.step, damaged) == (1, 2)


def test_a_second_owner_is_refused(job: JobFolder) -> None:
    with JobWriter(job) as writer:
        with pytest.raises(RunError, match="another process"), JobWriter(job):
            pass
        assert job.status().state == "running"
        writer.record(JobEnded(step=0, state="finished"))


@pytest.mark.parametrize(
    ("number", "busy"), [("EAGAIN", True), ("EACCES", True), ("ENOLCK", False), ("ENOTSUP", False)]
)
def test_only_a_lock_that_is_held_means_that_another_process_trains(
    job: JobFolder, number: str, busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object) -> None:
        raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)))

    monkeypatch.setattr("supernet_cli.store.lock._lock", refuse)
    with pytest.raises(RunError if busy else DiskError) as caught, JobWriter(job):
        pass
    assert ("another process" in caught.value.message) is busy
    assert ("cannot be locked: " in caught.value.message) is not busy


OWN_AND_DIE = """
import os, sys
from pathlib import Path
from supernet_cli.store.job import JobFolder, JobWriter
from supernet_cli.store.layout import JobKey
JobWriter(JobFolder(Path(sys.argv[1]), JobKey.supernet(0))).__enter__()
os.kill(os.getpid(), 9)
"""


def test_a_killed_owner_leaves_an_interrupted_job_that_can_be_taken_over(job: JobFolder) -> None:
    done = subprocess.run([sys.executable, "-c", OWN_AND_DIE, str(job.path)], timeout=60)
    assert done.returncode == -9
    assert json.loads((job.path / "status.json").read_text())["state"] == "running"
    assert job.status().state == "interrupted"
    with JobWriter(job) as writer:
        writer.record(JobEnded(step=0, state="finished"))


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "running"),
        ({"pid": 2**22 + 7}, "interrupted"),
        ({"pid": -1}, "failed"),
        ({"process_started": 1.0}, "interrupted"),
        ({"pid": os.getppid(), "process_started": 1.0}, "interrupted"),
        ({"host": "elsewhere"}, "running"),
        ({"host": "elsewhere", "heartbeat": 1.0}, "lost"),
    ],
)
def test_nothing_is_running_without_a_living_owner(job: JobFolder, changes: dict[str, object], state: str) -> None:
    me = psutil.Process()
    own = JobStatus(
        state="running",
        pid=me.pid,
        process_started=me.create_time(),
        host=socket.gethostname(),
        heartbeat=time.time(),
    )
    (job.path / "status.json").write_text(own.model_copy(update=changes).model_dump_json())
    assert job.status().state == state


def test_an_owner_on_another_host_is_respected_until_it_has_been_silent_for_long(job: JobFolder) -> None:
    there = JobStatus(state="running", pid=1, host="elsewhere", heartbeat=time.time())
    (job.path / "status.json").write_text(there.model_dump_json())
    with pytest.raises(RunError, match="held by another process, on elsewhere"), JobWriter(job):
        pass
    assert job.status().host == "elsewhere"
    silent = there.model_copy(update={"heartbeat": time.time() - LOST_AFTER_SECONDS})
    (job.path / "status.json").write_text(silent.model_dump_json())
    assert job.status().state == "lost"
    with JobWriter(job) as writer:
        assert job.status().host == socket.gethostname()
        writer.record(JobEnded(step=0, state="finished"))


def test_jobs_of_one_process_have_logs_of_their_own_where_each_has_its_own_source(tmp_path: Path) -> None:
    one, two = (JobFolder(tmp_path / name, JobKey(Way.ALONE, name, 0)) for name in ("one", "two"))
    sources = [logging.Logger(str(job.key)) for job in (one, two)]
    with JobWriter(one, sources[0]) as first, JobWriter(two, sources[1]) as second:
        for source in sources:
            source.info("from %s", source.name)
        logging.getLogger("supernet_cli.training").warning("from elsewhere")
        for writer in (first, second):
            writer.record(JobEnded(step=0, state="finished"))
    for job in (one, two):
        (line,) = (job.path / "log.txt").read_text().splitlines()
        assert line.endswith(f" INFO from {job.key}")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": "dancing"}'])
def test_a_damaged_status_is_told_as_that_of_a_failed_job(job: JobFolder, content: str) -> None:
    (job.path / "status.json").write_text(content)
    status = job.status()
    assert (status.state, "status.json is damaged" in status.reason) == ("failed", True)


def test_a_missing_status_is_that_of_a_job_that_was_only_created(job: JobFolder) -> None:
    (job.path / "status.json").unlink()
    assert job.status() == JobStatus()


def test_a_request_to_stop_reaches_the_owner_and_is_acknowledged(job: JobFolder) -> None:
    with JobWriter(job) as writer:
        job.request(Wish.STOP)
        deadline = time.monotonic() + 10
        while not writer.stop_requested and time.monotonic() < deadline:
            time.sleep(0.05)
        assert writer.stop_requested
        assert not (job.path / "control").exists()
        writer.record(JobEnded(step=0, state="stopped"))


def test_an_old_request_does_not_stop_a_new_owner(job: JobFolder) -> None:
    job.request(Wish.STOP)
    with JobWriter(job) as writer:
        assert not (job.path / "control").exists()
        assert not writer.stop_requested
        writer.record(JobEnded(step=0, state="finished"))
