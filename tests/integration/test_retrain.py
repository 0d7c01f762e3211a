"""Paths trained alone: side by side in processes, each job on its own, nothing repeated and nothing lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from helpers import PATIENCE, only_run, program, records_of, wait_for
from works import Dying, Printing, Shares, Unfit

from supernet_cli import device
from supernet_cli.errors import DiskError, RunError
from supernet_cli.executors.local import LocalProcesses, _shared_memory_errors
from supernet_cli.space import SearchSpace
from supernet_cli.store.alone import AloneJob
from supernet_cli.store.job import JobFolder, JobWriter, create_job
from supernet_cli.store.layout import JobKey, Way
from supernet_cli.store.records import JobEnded, JobStarted
from supernet_cli.store.results import Selection, keep_selection, selections
from supernet_cli.store.runs import find_run
from supernet_cli.training import checkpoint
from supernet_cli.training.prepare import prepare
from supernet_cli.training.retrain import AloneTraining

Invoke = Callable[..., tuple[int, str, str]]
FIRST, LAST = "conv3x3_conv3x3", "conv5x5_conv5x5"


@pytest.fixture
def trained_once(supernet: Invoke, tiny_file: Path, tmp_path: Path) -> Path:
    """Return the folder of a finished run of one supernet, in the folder where commands run."""
    assert supernet("train", "--preset", tiny_file, "--quiet")[0] == 0
    return only_run(tmp_path)


@pytest.fixture
def long(supernet: Invoke, tiny_file: Path, tmp_path: Path) -> Path:
    """Return the folder of a finished run whose paths take a few seconds each to train alone."""
    settings = ["retrain.epochs=80", "retrain.checkpoint_every=20", "retrain.evaluate_every=10"]
    words = [word for setting in settings for word in ("--set", setting)]
    assert supernet("train", "--preset", tiny_file, *words, "--quiet")[0] == 0
    return only_run(tmp_path)


def weights(folder: Path, path: str, seed: int = 0, room: str = "standalone") -> bytes:
    return (folder / room / path / f"seed-{seed}" / "weights.safetensors").read_bytes()


def status(folder: Path, path: str, seed: int = 0) -> str:
    return str(json.loads((folder / "standalone" / path / f"seed-{seed}" / "status.json").read_text())["state"])


def test_short_trainings_share_the_cost_of_a_supernet_and_are_a_baseline(
    supernet: Invoke, tiny_file: Path, tmp_path: Path
) -> None:
    code, _, err = supernet(
        "train", "--preset", tiny_file, "--set", "train.epochs=12", "--set", "data.validation=50", "--quiet"
    )
    assert code == 0, err
    code, out, err = supernet("retrain", "--all", "--short", "--seeds", "0,1", "--workers", "1", "--json")
    assert code == 0, err
    assert {(job["init"], job["status"]) for job in json.loads(out)["jobs"]} == {(Way.SHORT, "finished")}
    folder = only_run(tmp_path)
    (chosen,) = json.loads((folder / "results" / "selections.json").read_text())["selections"]
    preset = find_run(tmp_path / "runs", "latest").preset()
    assert chosen["init"] == "short"
    assert chosen["steps"] >= 10
    records = (folder / "short" / LAST / "seed-1" / "metrics-0.jsonl").read_text()
    seen = json.loads(records.splitlines()[-3])["forward_images"]
    assert seen == chosen["steps"] * preset.standalone_recipe().batch_size

    def macs(room: str, seed: str) -> int:
        found = 0
        for file in folder.glob(f"{room}/seed-{seed}/metrics-0.jsonl"):
            read = [json.loads(line) for line in file.read_text().splitlines()]
            found += 3 * max(r.get("macs", 0) for r in read if r["kind"] == "steps")
            found += sum(r["macs"] for r in read if r["kind"] == "evaluation")
        return found

    budget, spent = macs("supernet", "0"), macs("short/*", "1")
    assert 0.9 * budget < spent <= budget  # whole mini-batches leave some of it

    code, _, err = supernet("retrain", LAST, "--short", "--seeds", "7")
    assert code == 2  # it would have the budget of four for itself
    assert "share the budget" in err
    code, out, _ = supernet("retrain", "--all", "--short", "--seeds", "0,1", "--json")  # with nothing left to do
    assert {job["init"] for job in json.loads(out)["jobs"]} == {"short"}
    assert supernet("retrain", "--all", "--seeds", "0", "--workers", "1", "--quiet")[0] == 0
    assert supernet("evaluate", "--quiet")[0] == 0
    code, out, err = supernet("compare", "--json")
    assert code == 0, err
    entry = json.loads(out)["runs"][0]
    assert {b["name"]: len(b.get("per_seed", [])) for b in entry["baselines"]}["short_training"] == 2
    assert all(row["synflow"] is not None for row in entry["rows"])
    assert entry["cost"]["short_training"]["macs"] == macs("short/*", "*")


def test_every_path_is_trained_alone_and_scores_what_its_training_saw(
    supernet: Invoke, trained_once: Path, tmp_path: Path
) -> None:
    code, out, err = supernet("retrain", "--all", "--seeds", "0,4", "--workers", "2", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["run"] == trained_once.name
    assert [(job["seed"], job["path"]) for job in document["jobs"]] == [
        (seed, f"conv{a}x{a}_conv{b}x{b}") for seed in (0, 4) for a in (3, 5) for b in (3, 5)
    ]
    assert {job["status"] for job in document["jobs"]} == {"finished"}
    assert all(job["seconds"] > 0 and job["validation_loss"] > 0 for job in document["jobs"])
    assert "8/8" in err
    names = {path.name for path in (trained_once / "standalone" / FIRST / "seed-4").iterdir()}
    assert {"status.json", "metrics-0.jsonl", "log.txt", "checkpoint.pt", "weights.safetensors"} <= names

    # what is done is not done again
    before = {path: path.stat().st_mtime_ns for path in trained_once.rglob("weights.safetensors")}
    assert json.loads(supernet("retrain", "--all", "--seeds", "0,4", "--json")[1]) == document
    assert {path: path.stat().st_mtime_ns for path in trained_once.rglob("weights.safetensors")} == before

    # loaded again, the weights give the very numbers that training recorded
    code, out, _ = supernet("evaluate", "--split", "validation", "--json")
    assert code == 0
    judged = {
        (row["path"], row["seed"]): (row["accuracy"], row["loss"])
        for row in json.loads(out)["paths"]
        if row["kind"] == "stand-alone"
    }
    recorded = {(j["path"], j["seed"]): (j["validation_accuracy"], j["validation_loss"]) for j in document["jobs"]}
    assert judged == recorded


def test_a_process_of_its_own_changes_no_bit(supernet: Invoke, trained_once: Path, tmp_path: Path, tiny: Any) -> None:
    assert supernet("retrain", LAST, "--seeds", "7", "--workers", "1", "--quiet")[0] == 0
    run = find_run(tmp_path / "elsewhere", str(trained_once))
    prepared = prepare(run.preset())
    path = prepared.networks.space.parse(LAST)
    work, job = AloneTraining.of(prepared), AloneJob(run.alone_job(path, 8), path, 7)
    work.set_up()
    with JobWriter(job.folder) as writer:
        assert work.run(job, writer, lambda: None).state == "finished"
    assert weights(trained_once, LAST, 8) == weights(trained_once, LAST, 7)


def test_two_paths_and_two_seeds_start_from_weights_of_their_own(tiny: Any, tmp_path: Path) -> None:
    from supernet_cli import seed
    from supernet_cli.store.runs import create_run

    preset = tiny()
    run, work = create_run(tmp_path, "tiny", preset), AloneTraining.of(prepare(preset))
    jobs = [
        AloneJob(run.alone_job(path, s), path, s) for path in list(work.networks.space.enumerate())[:2] for s in (0, 1)
    ]
    heads = [work._network(job, seed.derive(job.seed, "alone", str(job.path))).head[1].weight for job in jobs]
    assert len({tuple(head.flatten().tolist()) for head in heads}) == 4


def test_inherited_weights_are_those_of_the_supernet_and_stay_apart(supernet: Invoke, trained_once: Path) -> None:
    code, out, err = supernet("retrain", LAST, "--init", "inherit", "--workers", "1", "--json")
    assert code == 0, err
    (job,) = json.loads(out)["jobs"]
    assert (job["init"], job["status"]) == ("inherit", "finished")
    assert weights(trained_once, LAST, room="inherited")
    assert not (trained_once / "standalone").exists()

    run = find_run(trained_once.parent, trained_once.name)
    prepared = prepare(run.preset())
    path, whole = prepared.networks.space.parse(LAST), prepared.networks.supernet(0)
    checkpoint.StoredWeights.read(run.supernet_job(0).weights).put_into(whole)
    work = AloneTraining.of(prepared, run.supernet_job(0).weights)
    network = work._network(AloneJob(run.alone_job(path, 0, Way.INHERITED), path, 0), 0)
    images = next(prepared.images.resident("test").batches(50))[0]
    with torch.inference_mode():
        assert torch.equal(network(images, network.space.at(0)), whole(images, path))

    assert supernet("evaluate", "--quiet")[0] == 0
    assert {row["kind"] for row in json.loads(supernet("evaluate", "--json")[1])["paths"]} == {"one-shot", "inherited"}
    code, _, err = supernet("compare")
    assert (code, "no stand-alone results" in err) == (5, True)


def test_a_job_that_fails_is_told_with_its_log_while_the_others_finish(supernet: Invoke, trained_once: Path) -> None:
    folder = trained_once / "standalone" / FIRST / "seed-0"
    folder.mkdir(parents=True)
    for name in ("checkpoint.pt", "checkpoint.previous.pt"):
        (folder / name).write_bytes(b"damaged")
    code, out, err = supernet("retrain", FIRST, LAST, "--workers", "1", "--json")
    assert code == 6, err
    document = json.loads(out)
    assert {job["path"]: job["status"] for job in document["jobs"]} == {FIRST: "failed", LAST: "finished"}
    assert "damaged" in document["error"]["message"]
    assert str((folder / "log.txt").relative_to(Path.cwd())) in document["error"]["message"]
    assert "damaged" in (folder / "log.txt").read_text()
    for name in ("checkpoint.pt", "checkpoint.previous.pt"):
        (folder / name).unlink()
    assert supernet("retrain", FIRST, LAST, "--workers", "1")[0] == 0


def test_diverged_trainings_are_told_and_not_begun_again(supernet: Invoke, tiny_file: Path) -> None:
    wild = ["--set", 'retrain.optimizer={name="SGD", lr=1e30}', "--set", 'retrain.schedule={name="ConstantLR"}']
    assert supernet("train", "--preset", tiny_file, *wild)[0] == 0
    for _ in range(2):
        code, out, _ = supernet("retrain", LAST, "--workers", "1", "--json")
        assert code == 6
        (job,) = json.loads(out)["jobs"]
        assert (job["status"], "finite" in job["reason"]) == ("diverged", True)


def test_a_job_whose_worker_is_killed_is_resumed_by_another_and_ends_as_one_that_was_not(
    long: Path, tmp_path: Path
) -> None:
    process = program("retrain", FIRST, LAST, "--workers", "2", "--json", cwd=tmp_path)
    jobs = [long / "standalone" / path / "seed-0" for path in (FIRST, LAST)]
    wait_for(lambda: all((job / "checkpoint.pt").exists() for job in jobs))
    assert {json.loads((job / "status.json").read_text())["pid"] for job in jobs} == {process.pid}
    workers_of(process.pid)[0].kill()
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert {job["status"] for job in json.loads(out)["jobs"]} == {"finished"}
    assert re.search(r"interrupted .*its process died \(SIGKILL", err)
    (cut,) = (job for job in jobs if (job / "metrics-1.jsonl").exists())
    starts = [
        record.step
        for record in records_of(JobFolder(cut, JobKey(Way.ALONE, cut.parent.name, 0)))
        if isinstance(record, JobStarted)
    ]
    assert (len(starts), starts[0], starts[1] > 0) == (2, 0, True)
    run = find_run(tmp_path / "runs", "latest")
    work = AloneTraining.of(prepare(run.preset()))
    path = work.networks.space.parse(cut.parent.name)
    uncut = AloneJob(run.alone_job(path, 9), path, 0)  # the same numbers in another folder
    with JobWriter(uncut.folder) as writer:
        work.set_up()
        work.run(uncut, writer, lambda: None)
    assert weights(long, cut.parent.name) == weights(long, cut.parent.name, 9)


def workers_of(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_a_signal_saves_every_job_and_leaves_no_process(
    number: signal.Signals, supernet: Invoke, long: Path, tmp_path: Path
) -> None:
    process = program("retrain", "--all", "--workers", "2", cwd=tmp_path)
    jobs = [long / "standalone" / path / "seed-0" for path in (FIRST, "conv3x3_conv5x5")]
    wait_for(lambda: all((job / "checkpoint.previous.pt").exists() for job in jobs))
    children = psutil.Process(process.pid).children(recursive=True)
    for child in children:  # a terminal sends its signals to all of them
        child.send_signal(number)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "Run the same command again to resume" in err
    assert "Traceback" not in err
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert not alive
    assert [status(long, path) for path in (FIRST, "conv3x3_conv5x5", LAST)] == ["interrupted"] * 2 + ["created"]


def test_workers_whose_parent_is_killed_end(long: Path, tmp_path: Path) -> None:
    process = program("retrain", FIRST, "--workers", "1", cwd=tmp_path)
    job = long / "standalone" / FIRST / "seed-0"
    wait_for(lambda: (job / "checkpoint.previous.pt").exists())
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert not alive
    assert JobFolder(job, JobKey(Way.ALONE, job.parent.name, 0)).status().state == "interrupted"


def test_runs_stop_stops_all_of_them(supernet: Invoke, long: Path, tmp_path: Path) -> None:
    process = program("retrain", "--all", "--workers", "1", cwd=tmp_path)
    wait_for(lambda: (long / "standalone" / FIRST / "seed-0" / "checkpoint.previous.pt").exists())
    assert supernet("runs", "stop", "latest")[0] == 0
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert [status(long, path) for path in (FIRST, LAST)] == ["stopped", "created"]


def test_the_best_the_largest_and_a_sample_are_chosen(supernet: Invoke, trained: str, tmp_path: Path) -> None:
    document = json.loads(supernet("evaluate", "--split", "validation", "--json")[1])
    loss: dict[str, float] = {}
    for row in document["paths"]:
        loss[row["path"]] = loss.get(row["path"], 0.0) + row["loss"]
    ranked = sorted(loss, key=lambda path: loss[path])
    chosen = {}
    for way in ("--top 2", "--top 2 --by size", "--sample 2", "--sample 3"):
        code, out, _ = supernet("retrain", *way.split(), "--workers", "1", "--json")
        assert code == 0
        chosen[way] = [job["path"] for job in json.loads(out)["jobs"]]
    assert chosen["--top 2"] == ranked[:2]
    assert chosen["--top 2 --by size"] == [LAST, "conv3x3_conv5x5"]  # the second block has more channels to read
    assert len(set(chosen["--sample 2"])) == 2
    assert set(chosen["--sample 2"]) < set(chosen["--sample 3"]) <= set(ranked)
    code, out, _ = supernet("retrain", "--sample", "2", "--seeds", "1", "--workers", "1", "--json")
    assert [job["path"] for job in json.loads(out)["jobs"]] == chosen["--sample 2"]  # more seeds of the same paths
    stored = selections(find_run(tmp_path / "runs", trained))
    assert {(each.how, each.by, each.at_random) for each in stored} >= {
        ("top", "one-shot", False),
        ("top", "size", False),
        ("sample", "one-shot", True),
    }


def test_an_unfinished_choice_by_size_is_resumed_as_it_was_typed(
    supernet: Invoke, trained: str, tmp_path: Path
) -> None:
    from supernet_cli.reports.next_step import next_step

    run = find_run(tmp_path / "runs", trained)
    assert supernet("evaluate", "--quiet")[0] == 0
    keep_selection(run, Selection(how="top", init=Way.ALONE, paths=(LAST,), by="size"))
    create_job(run.alone_job(SearchSpace.from_config(run.preset().space).parse(LAST), 0))
    step = next_step(run)
    assert step is not None
    assert step.command == run.command("retrain", "--top", "1", "--by", "size", "--seeds", "0")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "--sample"),
        (["--all", "--top", "1"], 2, "--all and --top"),
        (["--all", "--by", "size"], 2, "orders the paths for --top"),
        (["--top", "1", "--by", "colour"], 2, "size"),
        ([FIRST, "--all"], 2, "PATH and --all"),
        (["conv3x3_conv9x9"], 2, "no path"),
        (["--all", "--seeds", "0,0"], 2, "same seed"),
        (["--all", "--seeds", "x"], 2, "whole numbers"),
        (["--all", "--workers", "0"], 2, "workers"),
        (["--top", "1"], 5, "no one-shot scores"),
        (["--all", "--init", "inherit"], 5, "no finished supernet"),
        (["--all", "--run", "nothing"], 5, "nothing"),
    ],
)
def test_a_wrong_selection_is_told(
    arguments: list[str], code: int, words: str, supernet: Invoke, tiny: Any, tmp_path: Path
) -> None:
    from supernet_cli.store.runs import create_run

    create_run(tmp_path / "runs", "tiny", tiny())
    found, _, err = supernet("retrain", *arguments)
    assert found == code, err
    assert words in err
    assert "Traceback" not in err
    assert not list((tmp_path / "runs").glob("*/standalone"))


def test_too_little_shared_memory_is_told() -> None:
    with pytest.raises(DiskError, match="shared memory"), _shared_memory_errors():
        raise RuntimeError("unable to write to file </torch_12_34_0>: No space left on device (28)")
    with pytest.raises(RuntimeError, match="else"), _shared_memory_errors():
        raise RuntimeError("something else")


def test_workers_share_the_images_and_copy_none(tiny: Any, tmp_path: Path) -> None:
    from supernet_cli.store.runs import create_run

    work = AloneTraining.of(prepare(tiny()))
    path = work.networks.space.at(0)
    job = AloneJob(create_run(tmp_path, "tiny", tiny()).alone_job(path, 0), path, 0)
    outcomes = LocalProcesses(1).run(Shares(work), [job], lambda key, record: None, lambda: None)
    assert outcomes[job.folder.key].reason == "4 True"
    assert work.data.training._padded_NHWC.is_shared()


def test_a_job_that_kills_its_workers_has_failed_on_screen_and_on_disk_and_costs_no_other(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supernet_cli.executors._crew._RETRIES", 1)
    jobs = several_jobs(tiny, tmp_path, 5)
    heard: list[tuple[str, str]] = []
    outcomes = LocalProcesses(1).run(
        Printing(), jobs, lambda key, record: heard.append((key, record.state)), lambda: None
    )
    assert {key: outcome.state for key, outcome in outcomes.items() if outcome.state != "finished"} == {
        jobs[3].key: "failed"
    }
    reason = "its process died (exit code 9), even after 1 retry"
    assert outcomes[jobs[3].key].reason == reason
    assert [state for key, state in heard if key == jobs[3].key] == ["interrupted", "failed"]
    status = jobs[3].folder.status()
    assert (status.state, status.reason, status.pid) == ("failed", reason, os.getpid())
    log = (jobs[3].folder.path / "log.txt").read_text()
    assert log.count("INFO last words") == 2


def several_jobs(tiny: Any, folder: Path, count: int) -> list[AloneJob]:
    from supernet_cli.store.runs import create_run

    run = create_run(folder, "tiny", tiny())
    path = SearchSpace.from_config(run.preset().space).at(0)
    return [AloneJob(run.alone_job(path, seed), path, seed) for seed in range(count)]


def test_a_process_that_cannot_be_made_ready_says_why_in_the_job_log(tiny: Any, tmp_path: Path) -> None:
    job = several_jobs(tiny, tmp_path, 1)[0]
    outcomes = LocalProcesses(1).run(Unfit(), [job], lambda key, record: None, lambda: None)
    assert outcomes[job.folder.key].reason == "ValueError: no such kernel"
    assert "no such kernel" in (job.folder.path / "log.txt").read_text()


def test_workers_that_die_without_a_word_are_not_hired_for_ever(tiny: Any, tmp_path: Path) -> None:
    heard: list[str] = []
    with pytest.raises(RunError, match=r"before starting a job: its process died \(exit code 7\)"):
        LocalProcesses(1).run(
            Dying(), several_jobs(tiny, tmp_path, 5), lambda key, record: heard.append(key), lambda: None
        )
    assert len(set(heard)) == 3


def test_jobs_that_another_process_trains_are_refused(supernet: Invoke, trained_once: Path) -> None:
    run = find_run(trained_once.parent, trained_once.name)
    path = prepare(run.preset()).networks.space.parse(FIRST)
    with JobWriter(run.alone_job(path, 0)) as writer:
        code, _, err = supernet("retrain", "--all")
        assert (code, "Another process" in err, "runs stop" in err) == (5, True, True)
        writer.record(JobEnded(step=0, state="stopped"))


def test_a_preset_that_was_changed_after_the_run_began_is_refused(supernet: Invoke, trained_once: Path) -> None:
    preset = trained_once / "preset.toml"
    preset.write_text(preset.read_text().replace("[retrain]", "[retrain]\nepochs = 9"))
    code, _, err = supernet("retrain", "--all")
    assert (code, "changed after the run started (retrain)" in err) == (5, True)
    assert not (trained_once / "standalone").exists()


def test_weights_that_are_gone_are_made_again_from_the_checkpoint(supernet: Invoke, trained_once: Path) -> None:
    assert supernet("retrain", FIRST, "--workers", "1", "--quiet")[0] == 0
    before = weights(trained_once, FIRST)
    (trained_once / "standalone" / FIRST / "seed-0" / "weights.safetensors").unlink()
    (trained_once / "supernet" / "seed-0" / "weights.safetensors").unlink()
    assert supernet("retrain", FIRST, "--workers", "1", "--quiet")[0] == 0
    assert weights(trained_once, FIRST) == before
    assert supernet("train", "--resume", "latest", "--quiet")[0] == 0
    assert (trained_once / "supernet" / "seed-0" / "weights.safetensors").is_file()


def test_a_gpu_runs_one_training_at_a_time_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    from supernet_cli.training import retrain

    monkeypatch.setattr(retrain, "usable_cores", lambda: 6)
    cpu, gpu = (device.Device(torch.device(name), torch.float32) for name in ("cpu", "cuda:0"))
    assert [retrain.room_for(cpu, threads) for threads in (1, 4)] == [6, 1]
    assert retrain.room_for(gpu, 1) == 1


def test_nothing_is_printed_by_workers(supernet: Invoke, trained_once: Path, tmp_path: Path) -> None:
    process = program("retrain", FIRST, "--workers", "1", "--quiet", cwd=tmp_path)
    out, err = process.communicate(timeout=PATIENCE)
    assert isinstance(process, subprocess.Popen)
    assert (process.returncode, err) == (0, "")
    assert FIRST in out


@pytest.mark.parametrize("words", [["retrain", FIRST], ["evaluate"], ["experiment", "--preset", "quick"]])
def test_what_a_cluster_needs_is_said_in_one_sentence_where_it_is_not_installed(
    supernet: Invoke, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code, out, err = supernet(*words, "--executor", "ray")
    assert (code, out) == (2, "")
    assert " ".join(err.split()) == (
        'error: --executor ray needs the package ray. Install it: pip install "supernet-cli[ray]"'
    )
