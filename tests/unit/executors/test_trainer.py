"""A trainer of a cluster, as its driver talks to it: nothing that it made is lost, and nothing half made is sent."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers import wait_for
from works import Nothing

from supernet_cli.executors import _trainer
from supernet_cli.executors._trainer import Reply, Trainer, packed
from supernet_cli.space import Architecture
from supernet_cli.store.alone import AloneJob
from supernet_cli.store.job import JobFolder
from supernet_cli.store.layout import JobKey, Way
from supernet_cli.store.state import State
from supernet_cli.training.driver import Outcome

JOB = AloneJob(JobFolder(Path("far/away"), JobKey(Way.ALONE, "a", 0)), Architecture((), ()), 0)


class Writing(Nothing):
    """Work that finds a checkpoint, adds to it once it may, and leaves weights."""

    may_go_on = threading.Event()

    def run(self, job: AloneJob, recorder: Any, stop: Any) -> Any:
        assert self.may_go_on.wait(60)
        begun = job.folder.checkpoint.read_bytes() if job.folder.checkpoint.exists() else b""
        fresh = job.folder.path / "fresh"
        fresh.write_bytes(begun + b"+")
        fresh.replace(job.folder.checkpoint)
        job.folder.weights.write_bytes(b"weights of " + begun)
        return Outcome(State.FINISHED)


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trainer]:
    context = SimpleNamespace(get_node_id=lambda: "0123456789abcdef")
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get_runtime_context=lambda: context))
    monkeypatch.setattr(_trainer, "_BEAT_SECONDS", 0.02)
    Writing.may_go_on.clear()
    made = Trainer(packed(Writing()))
    yield made
    Writing.may_go_on.set()
    made._clear()


def ended(reply: Reply) -> bool:
    return Outcome(State.FINISHED) in reply.messages


def test_a_job_that_ends_while_it_is_asked_loses_neither_weights_nor_checkpoint(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = trainer._new_files

    def look_and_then_let_it_end() -> Iterator[tuple[str, bytes]]:
        found = list(look())
        Writing.may_go_on.set()
        assert trainer._thread is not None
        trainer._thread.join()
        return iter(found)

    trainer.begin(JOB, {})
    monkeypatch.setattr(trainer, "_new_files", look_and_then_let_it_end)
    first = trainer.exchange(None)
    assert (dict(first.files), ended(first)) == ({}, False)
    second = trainer.exchange(None)
    assert ended(second)
    assert second.files == {"checkpoint.pt": b"+", "weights.safetensors": b"weights of "}


def test_what_it_was_given_is_not_sent_back_not_even_in_part(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    writes, may_write = Path.write_bytes, threading.Event()

    def write_slowly(path: Path, content: bytes) -> int:
        if path.name == "checkpoint.pt":
            writes(path, content[:3])
            assert may_write.wait(60)
        return writes(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_slowly)
    trainer.begin(JOB, {"checkpoint.pt": b"0123456789"})
    assert [trainer.exchange(None).files for _ in range(3)] == [{}] * 3
    may_write.set()
    wait_for(lambda: trainer._directory is not None)
    assert trainer.exchange(None).files == {}
    Writing.may_go_on.set()
    wait_for(trainer._at_rest.is_set)
    last = trainer.exchange(None)
    assert last.files == {"checkpoint.pt": b"0123456789+", "weights.safetensors": b"weights of 0123456789"}
    assert ended(last)


def test_jobs_follow_each_other_at_once(trainer: Trainer) -> None:
    Writing.may_go_on.set()
    for number in range(50):
        trainer.begin(JOB, {"checkpoint.pt": str(number).encode()})
        while not ended(said := trainer.exchange(None)):
            assert not said.files or said.files["checkpoint.pt"] == f"{number}+".encode()
        assert said.files.get("checkpoint.pt", f"{number}+".encode()) == f"{number}+".encode()
    assert trainer._directory is None
