"""Files that nobody who trains would have written: told as damage, never a crash, a hang or a lie."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from supernet_cli.config.load import load_preset
from supernet_cli.config.schema import Preset
from supernet_cli.errors import PresetError, RunError
from supernet_cli.glyphs import clock
from supernet_cli.reports.comparison import read_comparison
from supernet_cli.store.files import append, read_small
from supernet_cli.store.follow import RunFollower
from supernet_cli.store.job import JobFolder, JobStatus, JobWriter, list_jobs
from supernet_cli.store.layout import Way
from supernet_cli.store.lister import RunLister
from supernet_cli.store.lock import FileLock
from supernet_cli.store.records import decode
from supernet_cli.store.results import correct
from supernet_cli.store.run import EXPERIMENT_LOCK, Run
from supernet_cli.store.runs import check_removable, create_run
from supernet_cli.tui.screens.compare import answer, tables

STEPS = {
    "kind": "steps", "time": 1.0, "step": 5, "epoch": 1, "objective": 0.5, "loss": 0.5, "learning_rate": 0.1,
    "forward_images": 100, "macs": 10, "seconds": 1.0,
}  # fmt: skip
JUDGED = {
    "kind": "evaluation", "time": 1.0, "step": 5, "epoch": 1, "seconds": 1.0,
    "scores": [{"path": "conv3x3_conv3x3", "accuracy": 0.5, "loss": 0.7}],
}  # fmt: skip
DEVICES = {
    "kind": "devices", "time": 1.0, "cores": [1.0], "memory_used_bytes": 1, "memory_total_bytes": 2,
    "process_memory_bytes": 1,
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, tiny: Callable[..., Preset]) -> Run:
    return create_run(tmp_path / "runs", "tiny", tiny())


@pytest.fixture
def job(run: Run) -> JobFolder:
    return run.supernet_job(0)


def everything(run: Run) -> RunFollower:
    """Follow a run until there is nothing more to read, and list it."""
    follower = RunFollower(run.folder)
    while follower.poll()[1]:
        pass
    RunLister(run.folder.parent).rows()
    return follower


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (STEPS, {"step": 10**30}),
        (STEPS, {"step": -1}),
        (STEPS, {"seconds": float("nan")}),
        (STEPS, {"seconds": float("inf")}),
        (STEPS, {"time": float("inf")}),
        (STEPS, {"learning_rate": float("nan")}),
        (STEPS, {"macs": 10**400}),
        (JUDGED, {"scores": [{"path": "a", "accuracy": float("nan"), "loss": 0.1}]}),
        (JUDGED, {"scores": [{"path": "a", "accuracy": 7.0, "loss": 0.1}]}),
        (DEVICES, {"memory_total_bytes": 10**400}),
        (DEVICES, {"cores": [float("inf")]}),
    ],
)
def test_figures_that_no_training_has_are_damage(record: dict[str, object], changes: dict[str, object]) -> None:
    assert decode(json.dumps(record)) is not None
    assert decode(json.dumps({**record, **changes})) is None


def test_a_loss_too_large_to_draw_is_left_out_of_the_curve(job: JobFolder) -> None:
    lines = [{**STEPS, "step": 5}, {**STEPS, "step": 6, "loss": 1e300}, {**STEPS, "step": 7, "loss": float("nan")}]
    (job.path / "metrics-0.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    snapshot, damaged = job.snapshot()
    assert (snapshot.step, snapshot.loss.values, damaged) == (7, (0.5,), 0)


@pytest.mark.parametrize("changes", [{"seconds": float("nan")}, {"step": 10**400}, {"steps": -5}, {"heartbeat": 1e300}])
def test_an_absurd_status_is_a_damaged_one(job: JobFolder, changes: dict[str, object]) -> None:
    stored = {**JobStatus(state="running", pid=os.getpid()).model_dump(), **changes}
    (job.path / "status.json").write_text(json.dumps(stored))
    assert job.status().reason.startswith("status.json is damaged")


def test_times_that_are_no_numbers_are_not_known() -> None:
    assert clock(float("nan")) == clock(float("inf")) == clock(None) == "-:--"


BOMBS = {
    "arrays": b"a = " + b"[" * 300_000 + b"]" * 300_000,
    "tables in tables": b"a = " + b"{a=" * 100_000 + b"1" + b"}" * 100_000,
    "a key of many parts": b"a" + b".a" * 300_000 + b" = 1",
    "a header of many parts": b"[" + b"a." * 300_000 + b"a]",
    "many headers of many parts": b"\n".join(b"[" + b"a." * 900 + b"b%d]" % number for number in range(500)),
    "many tables": b"[[space.blocks]]\n" * 50_000,
    "many keys": b"\n".join(b"k%d = 1" % number for number in range(90_000)),
    "a long number": b"[train]\nepochs = " + b"9" * 900_000,
    "a long text": b'[train]\nsampler = "' + b"x" * 900_000 + b'"',
    "too large": b"#" * 100_000_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_preset_made_to_blow_up_is_refused_in_time_and_in_a_few_words(bomb: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.toml"
    path.write_bytes(BOMBS[bomb])
    begun = time.monotonic()
    with pytest.raises(PresetError) as caught:
        load_preset(str(path))
    assert time.monotonic() - begun < 20
    assert str(path) in caught.value.message
    assert len(caught.value.message) < 12_000  # ten lines at most


def test_a_line_of_a_hundred_megabytes_is_one_damaged_line(run: Run, job: JobFolder) -> None:
    before, begun = psutil.Process().memory_info().rss, time.monotonic()
    with (job.path / "metrics-0.jsonl").open("wb") as file:
        file.write(json.dumps(STEPS).encode() + b"\n")
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + json.dumps({**STEPS, "step": 6}).encode() + b"\n")
    view = everything(run)._view
    assert view is not None
    (seen,) = view.jobs
    assert seen.snapshot.step == 6
    assert any("1 " in problem for problem in view.problems), view.problems
    assert job.snapshot()[0].step == 6
    assert psutil.Process().memory_info().rss - before < 50e6
    assert time.monotonic() - begun < 20


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no pipes with names")
@pytest.mark.parametrize(
    "name", ["supernet/seed-0/status.json", "supernet/seed-0/log.txt", "supernet/seed-0/metrics-0.jsonl",
             "results/comparison.json", "devices-0.jsonl"],
)  # fmt: skip
def test_a_pipe_or_a_device_in_the_place_of_a_file_makes_nobody_wait(run: Run, name: str) -> None:
    path = run.folder / name
    path.parent.mkdir(exist_ok=True)
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        path.unlink(missing_ok=True)
        make(path)
        begun = time.monotonic()
        everything(run)
        run.supernet_job(0).snapshot()
        assert time.monotonic() - begun < 5


def test_a_file_larger_than_it_can_be_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_small(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="too large"):
        read_small(tmp_path / "a", 4)


def test_json_of_a_hundred_thousand_brackets_is_damage(run: Run, job: JobFolder) -> None:
    (run.folder / "results").mkdir()
    (run.folder / "results" / "comparison.json").write_text("[" * 200_000)
    view = everything(run)._view
    assert view is not None
    assert any("comparison.json is damaged" in problem for problem in view.problems)
    with JobWriter(job) as writer:
        (job.path / "control").write_text("[" * 200_000)
        writer._read_control()
        assert writer.stop_requested  # the safest thing to do
        assert not list(job.path.glob("*control*"))


def test_folders_that_only_look_like_jobs_are_none(run: Run) -> None:
    for name in ("seed-007", "seed-٣", "seed-99999999999999999999", "seed--1", "seed-1.bak"):
        (run.folder / "supernet" / name).mkdir()
    assert [str(job.key) for job in list_jobs(run.folder)] == ["supernet/seed-0"]


def test_a_link_to_itself_among_runs_hides_none(run: Run) -> None:
    (run.folder.parent / "round").symlink_to("round")
    assert [row.id for row in RunLister(run.folder.parent).rows()] == [run.id]


def test_answers_that_claim_more_images_than_there_are_bits_are_damage(run: Run) -> None:
    import numpy as np

    folder = run.folder / "results" / "correct" / "test"
    folder.mkdir(parents=True)
    for images in (10**15, -1):
        np.savez(folder / "one-shot-seed-0.npz", paths=["a"], images=images, bits=np.zeros((1, 2), np.uint8))
        with pytest.raises(RunError, match="do not match"):
            correct(run, "test", Way.ONE_SHOT, 0)


@pytest.mark.parametrize(
    "document",
    [
        {"baselines": 5, "kendall_tau": {"mean": 0.5, "per_seed": 5}},
        {"n": float("inf"), "baselines": [{"name": "macs", "kendall_tau": 10**400}]},
        {"n": 10**400, "kendall_tau": {"mean": float("nan"), "per_seed": [float("nan"), "x", None]}},
        {"cost": {"training": {"seconds": float("nan")}}, "regret_at_1": float("inf")},
        {"answer": {"word": "trust", "reason": "No.", "next": None}, "decision": None},
        {"answer": {"word": ["trust"], "reason": 5, "next": {"purpose": 1, "command": 2, "seconds": 3}}},
    ],
)
def test_a_comparison_of_the_wrong_shape_is_drawn_as_far_as_it_can_be(document: dict[str, object]) -> None:
    found = read_comparison({"runs": [document, 5]})
    assert found is not None
    (run,) = found.runs
    assert tables(run, (), 60, 0)
    assert answer(run, 60) == []


@pytest.mark.parametrize("document", [None, [], {}, {"runs": 5}, {"runs": None}, 10**400])
def test_what_is_no_comparison_is_none(document: object) -> None:
    assert read_comparison(document) is None


def test_a_short_write_is_a_full_disk(tmp_path: Path) -> None:
    from supernet_cli.errors import DiskError

    class Nearly:
        def write(self, content: bytes) -> int:
            return len(content) - 3

    with pytest.raises(DiskError, match="No space left"):
        append(Nearly(), "line", tmp_path / "metrics")  # type: ignore[arg-type]


def test_a_run_is_not_removed_between_the_phases_of_an_experiment(run: Run) -> None:
    check_removable(run.folder.parent, run)
    lock = FileLock(run.folder / EXPERIMENT_LOCK, "it")
    lock.acquire()
    with pytest.raises(RunError, match="held by another process"):
        check_removable(run.folder.parent, run)
    lock.release()
    check_removable(run.folder.parent, run)


def test_an_owner_lives_on_when_the_clock_is_set(job: JobFolder) -> None:
    """Both what psutil says of a process's start and what the status says are told by the clock of their time."""
    with JobWriter(job) as writer:
        stored = json.loads((job.path / "status.json").read_text())
        stored["process_started"] -= 7200  # as if the clock had been two hours behind when it was written
        writer._finished.set()
        writer._beat.join()
        (job.path / "status.json").write_text(json.dumps(stored))
        assert job.status().state == "running"
        stored["since_boot"] += 7200  # another process, with the same number
        (job.path / "status.json").write_text(json.dumps(stored))
        assert job.status().state == "interrupted"
    assert stored["since_boot"] == pytest.approx(psutil.Process().create_time() - psutil.boot_time() + 7200, abs=2)
