"""Signals, kills and requests to stop, against programs that really run: nothing is lost."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import PATIENCE, only_run, program, wait_for

from supernet_cli.store.runs import find_run
from supernet_cli.store.state import Wish
from supernet_cli.workflows.interruption import Interruption

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def long_training(tiny_file: Path) -> list[object]:
    """Return arguments of a training that takes a few seconds, with many checkpoints."""
    settings = ["train.epochs=150", "train.evaluate_every=10", "train.checkpoint_every=10"]
    return ["train", "--preset", tiny_file, *(word for setting in settings for word in ("--set", setting))]


def progressed(folder: Path, steps: int) -> bool:
    paths = list((folder / "runs").glob("*/supernet/seed-0/metrics-*.jsonl")) if (folder / "runs").is_dir() else []
    return any(f'"step":{step},' in path.read_text() for path in paths for step in range(steps, steps + 40))


def weights_of(folder: Path) -> bytes:
    return (only_run(folder) / "supernet" / "seed-0" / "weights.safetensors").read_bytes()


@pytest.fixture
def uncut(supernet: Invoke, long_training: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return the weights of the long training when nobody interrupts it."""
    (tmp_path / "uncut").mkdir()
    monkeypatch.chdir(tmp_path / "uncut")
    assert supernet(*long_training)[0] == 0
    monkeypatch.chdir(tmp_path)
    return weights_of(tmp_path / "uncut")


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGINT, signal.SIGHUP))]
)
def test_a_signal_saves_and_exits_130_and_resume_goes_on_bit_for_bit(
    number: signal.Signals, supernet: Invoke, long_training: list[object], tmp_path: Path, uncut: bytes
) -> None:
    process = program(*long_training, cwd=tmp_path)
    wait_for(lambda: progressed(tmp_path, 100))
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "supernet train --resume" in err
    assert json.loads(supernet("runs", "ls", "--json")[1])["runs"][0]["status"] == "interrupted"
    code, _, err = supernet("evaluate")
    assert code == 5
    assert "--resume" in err
    assert supernet("train", "--resume", "latest")[0] == 0
    assert weights_of(tmp_path) == uncut


def test_a_second_signal_ends_at_once() -> None:
    """Also where whatever is being done looks at no request: the first is remembered, the second interrupts."""
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGTERM)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_a_training_that_runs_on_another_host_is_refused_and_taken_over_once_that_is_silent(
    supernet: Invoke, tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as at_first:
        at_first.setattr(Interruption, "__enter__", lambda self: setattr(self, "requested", True) or self)
        assert supernet("train", "--preset", tiny_file)[0] == 130
    path = only_run(tmp_path) / "supernet" / "seed-0" / "status.json"
    status = {**json.loads(path.read_text()), "state": "running", "host": "elsewhere", "heartbeat": time.time()}
    path.write_text(json.dumps(status))
    code, _, err = supernet("train", "--resume", "latest")
    assert (code, "Another process" in err) == (5, True)
    path.write_text(json.dumps({**status, "heartbeat": time.time() - 61}))
    assert json.loads(supernet("runs", "ls", "--json")[1])["runs"][0]["status"] == "lost"
    assert supernet("train", "--resume", "latest")[0] == 0


def test_runs_stop_makes_a_training_save_and_stop(
    supernet: Invoke, long_training: list[object], tmp_path: Path
) -> None:
    process = program(*long_training, "--json", cwd=tmp_path)
    wait_for(lambda: progressed(tmp_path, 20))
    code, _, err = supernet("train", "--resume", "latest")
    assert (code, "Another process" in err) == (5, True)
    code, out, _ = supernet("runs", "stop", "latest", "--json")
    assert (code, json.loads(out)["status"]) == (0, "stopped")
    out, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, json.loads(out)["status"]) == (130, "stopped")


def test_a_pause_is_acknowledged_and_leaves_no_trace_in_the_weights(
    supernet: Invoke, long_training: list[object], tmp_path: Path, uncut: bytes
) -> None:
    process = program(*long_training, cwd=tmp_path)
    wait_for(lambda: progressed(tmp_path, 100))
    job = find_run(tmp_path / "runs", "latest").supernet_job(0)
    for _ in range(2):
        job.request(Wish.PAUSE)
        wait_for(lambda: job.status().state == "paused")
        assert not (job.path / "control").exists()
        paused_at = job.status().step
        assert job.snapshot()[0].state == "paused"
        time.sleep(0.3)
        assert job.status().step == paused_at
        job.request(Wish.RESUME)
        wait_for(lambda: job.status().state == "running")
        wait_for(lambda at=paused_at: job.status().step > at)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert weights_of(tmp_path) == uncut


@pytest.mark.parametrize("how", ["stop", "signal"])
def test_a_paused_training_can_be_stopped(how: str, long_training: list[object], tmp_path: Path) -> None:
    process = program(*long_training, cwd=tmp_path)
    wait_for(lambda: progressed(tmp_path, 20))
    job = find_run(tmp_path / "runs", "latest").supernet_job(0)
    job.request(Wish.PAUSE)
    wait_for(lambda: job.status().state == "paused")
    if how == "stop":
        job.request(Wish.STOP)
    else:
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert job.status().state == ("stopped" if how == "stop" else "interrupted")


def test_resume_keeps_the_threads_it_began_with(
    supernet: Invoke, tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from supernet_cli import device

    with monkeypatch.context() as at_first:
        at_first.setattr(device, "usable_cores", lambda: 2)
        at_first.setattr(Interruption, "__enter__", lambda self: setattr(self, "requested", True) or self)
        assert supernet("train", "--preset", tiny_file, "--set", "runtime.threads=0")[0] == 130
    monkeypatch.setattr(device, "usable_cores", lambda: 1)
    assert supernet("train", "--resume", "latest")[0] == 0
    status = json.loads((only_run(tmp_path) / "supernet" / "seed-0" / "status.json").read_text())
    assert (status["state"], status["threads"]) == ("finished", 2)


def test_going_on_with_another_arithmetic_is_told(
    supernet: Invoke, tiny_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from supernet_cli.device import Device

    with monkeypatch.context() as at_first:
        at_first.setattr(Interruption, "__enter__", lambda self: setattr(self, "requested", True) or self)
        at_first.setattr(Device, "name", property(lambda self: "another device"))
        assert supernet("train", "--preset", tiny_file)[0] == 130
    code, _, err = supernet("train", "--resume", "latest")
    assert code == 0
    assert "started on another device in float32, resumed on cpu in float32" in " ".join(err.split())


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the platform has no terminals that hang up")
def test_a_training_under_nohup_survives_its_terminal(tmp_path: Path, long_training: list[object]) -> None:
    process = program(*long_training, cwd=tmp_path, ignoring=("SIGHUP",))
    wait_for(lambda: progressed(tmp_path, 20))
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
