"""A Ray cluster: what local processes do, done elsewhere; nodes and processes die, and the run's folder is as ever."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers import PATIENCE, only_run, program, records_of, wait_for
from works import Failing, Trivial

from supernet_cli.executors import Executor
from supernet_cli.executors.local import LocalProcesses
from supernet_cli.executors.ray import Needs, RayCluster
from supernet_cli.space import SearchSpace
from supernet_cli.store.alone import AloneJob
from supernet_cli.store.follow import RunFollower
from supernet_cli.store.job import JobFolder, JobWriter, create_job
from supernet_cli.store.layout import JobKey
from supernet_cli.store.records import JobStarted
from supernet_cli.store.runs import create_run, find_run
from supernet_cli.store.state import Wish
from supernet_cli.training.prepare import prepare
from supernet_cli.training.retrain import AloneTraining

ray = pytest.importorskip("ray")

Invoke = Callable[..., tuple[int, str, str]]
FIRST, LAST = "conv3x3_conv3x3", "conv5x5_conv5x5"
ON_RAY = ("--executor", "ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Start a cluster on this machine, connect to it, and return its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)  # for works.py
        with RayCluster(Needs(2), "local")._connected():
            yield ray.get_runtime_context().gcs_address


@pytest.fixture
def long(supernet: Invoke, tiny_file: Path, tmp_path: Path) -> Path:
    """Return the folder of a finished run whose paths take a few seconds each to train alone."""
    settings = ["train.epochs=1", "retrain.epochs=400", "retrain.checkpoint_every=100", "retrain.evaluate_every=50"]
    words = [word for setting in settings for word in ("--set", setting)]
    assert supernet("train", "--preset", tiny_file, *words, "--quiet")[0] == 0
    return only_run(tmp_path)


def jobs_of(tiny: Any, folder: Path, count: int) -> list[AloneJob]:
    run = create_run(folder, "tiny", tiny())
    path = SearchSpace.from_config(run.preset().space).at(0)
    return [AloneJob(run.alone_job(path, seed), path, seed) for seed in range(count)]


def log(folder: Path) -> str:
    return (folder / "log.txt").read_text()


def trainer(folder: Path) -> int:
    """Return the process that works on a job, as its log has it."""
    return int(re.findall("node [0-9a-f]{12}, process ([0-9]+)", log(folder))[-1])


def test_trainings_and_judgements_are_those_of_local_processes(
    cluster: str, supernet: Invoke, trained: str, tmp_path: Path
) -> None:
    here = tmp_path / "runs" / trained
    there = Path(shutil.copytree(here, tmp_path / "runs" / "there"))
    code, out, err = supernet("retrain", "--all", "--run", "there", *ON_RAY, "--json")
    assert code == 0, err
    assert "4/4" in err
    assert supernet("retrain", "--all", "--run", trained, "--quiet")[0] == 0
    for path in sorted((here / "standalone").glob("*/*")):
        twin = there / path.relative_to(here)
        assert (twin / "weights.safetensors").read_bytes() == (path / "weights.safetensors").read_bytes()
        mine, others = (records_of(JobFolder(folder, JobKey.supernet(0))) for folder in (path, twin))
        apart = {"time", "seconds"}
        assert [r.model_dump(exclude=apart) for r in mine] == [r.model_dump(exclude=apart) for r in others]
        names = [{file.name for file in folder.iterdir()} for folder in (path, twin)]
        assert names[0] - names[1] <= {"checkpoint.previous.pt"}  # one that was soon replaced may not be asked for
        assert names[1] <= names[0]
        assert trainer(twin) != os.getpid()
        assert "finished at step" in log(twin)
    for split in ("test", "validation"):
        judged = []
        for run, more in ((trained, ()), ("there", (*ON_RAY, "--cpus-per-job", "1"))):
            code, out, err = supernet("evaluate", "--run", run, "--split", split, *more, "--json")
            assert code == 0, err
            judged.append(json.loads(out)["paths"])
        assert judged[0] == judged[1]
    bits = sorted((here / "results" / "correct").rglob("*.npz"))
    assert bits
    assert all(path.read_bytes() == (there / path.relative_to(here)).read_bytes() for path in bits)


def test_a_job_whose_process_dies_goes_on_from_its_checkpoint_elsewhere(
    cluster: str, supernet: Invoke, long: Path, tmp_path: Path
) -> None:
    job = JobFolder(long / "standalone" / FIRST / "seed-0", JobKey.supernet(0))

    def kill() -> None:
        wait_for(job.checkpoint.exists, PATIENCE)
        psutil.Process(trainer(job.path)).kill()

    killer = threading.Thread(target=kill)
    killer.start()
    code, out, err = supernet("retrain", FIRST, *ON_RAY, "--json")
    killer.join()
    assert code == 0, err
    assert json.loads(out)["jobs"][0]["status"] == "finished"
    assert "interrupted  its worker process has died" in err
    first, second = (record for record in records_of(job) if isinstance(record, JobStarted))
    assert (first.step, second.step > 0) == (0, True)
    run = find_run(long.parent, long.name)
    work = AloneTraining.of(prepare(run.preset()))
    path = work.networks.space.parse(FIRST)
    uncut = AloneJob(run.alone_job(path, 9), path, 0)  # the same numbers in another folder
    work.set_up()
    with JobWriter(uncut.folder) as writer:
        work.run(uncut, writer, lambda: None)
    assert job.weights.read_bytes() == uncut.folder.weights.read_bytes()


def test_a_job_that_kills_its_process_again_and_again_has_failed_and_costs_no_other(
    cluster: str, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supernet_cli.executors._crew._RETRIES", 1)
    jobs = jobs_of(tiny, tmp_path, 6)
    heard: list[JobKey] = []
    outcomes = RayCluster(Needs(1), most=2).run(Failing(), jobs, lambda key, record: heard.append(key), lambda: None)
    states = [outcomes[job.folder.key].state for job in jobs]
    assert states == ["finished", "failed", "finished", "failed", "finished", "finished"]
    assert outcomes[jobs[1].folder.key].reason == "ValueError: no such kernel"
    assert "Traceback" in log(jobs[1].folder.path)
    assert outcomes[jobs[3].folder.key].reason == "its worker process has died, even after 1 retry"
    assert heard.count(jobs[3].folder.key) == 2
    assert [job.folder.status().state for job in jobs] == states


def test_requests_and_signals_reach_the_node_and_a_cluster_of_our_own_leaves_no_process(
    long: Path, tmp_path: Path
) -> None:
    process = program("retrain", FIRST, *ON_RAY, cwd=tmp_path)
    job = JobFolder(long / "standalone" / FIRST / "seed-0", JobKey.supernet(0))
    wait_for(job.checkpoint.exists, PATIENCE)
    job.request(Wish.PAUSE)
    wait_for(lambda: job.status().state == "paused", PATIENCE)
    job.request(Wish.RESUME)
    wait_for(lambda: job.status().state == "running", PATIENCE)
    processes = [psutil.Process(trainer(job.path)), *psutil.Process(process.pid).children(recursive=True)]
    process.terminate()
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "Traceback" not in out + err
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    assert not alive
    assert (job.status().state, job.status().reason) == ("interrupted", "signal received")
    assert 0 < job.status().step < job.status().steps


def test_a_cluster_that_is_not_there_is_told(supernet: Invoke, trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)  # by the tests before this one
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, _, err = supernet("retrain", FIRST, *ON_RAY, "--ray-address", address)
        assert (code, f"No usable Ray cluster at {address}" in err) == (5, True), err
        runs = list(Path("runs").iterdir())
        code, _, err = supernet("experiment", "--preset", "quick", *ON_RAY, "--ray-address", address)
    assert (code, f"No usable Ray cluster at {address}" in err) == (5, True), err
    assert list(Path("runs").iterdir()) == runs  # nothing was started


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--ray-address", "auto"], 2, "--executor ray"),
        (["--cpus-per-job", "2"], 2, "--executor ray"),
        (["--gpus-per-job", "1"], 2, "--executor ray"),
        (["--executor", "slurm"], 2, "'local', 'ray'"),
        ([*ON_RAY, "--gpus-per-job", "1"], 2, "has no effect: the run is on cpu"),
        ([*ON_RAY, "--gpus-per-job", "1.5"], 2, "more than one GPU must be a whole number"),
    ],
)
def test_options_that_would_be_ignored_are_refused(
    words: list[str], code: int, told: str, supernet: Invoke, trained: str
) -> None:
    found, _, err = supernet("retrain", FIRST, *words)
    assert (found, told in err) == (code, True), err
    assert not list(Path("runs").glob("*/standalone"))


@pytest.mark.slow
def test_the_trainings_of_the_default_preset_outlive_a_node(supernet: Invoke, tmp_path: Path) -> None:
    """All of them, and all of their four epochs, which takes twenty minutes; the supernet is not what this is about."""
    from ray.cluster_utils import Cluster

    assert supernet("train", "--set", "train.epochs=1", "--quiet")[0] == 0
    run = only_run(tmp_path)
    whole = Path(shutil.copytree(run, tmp_path / "runs" / "whole"))
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        other = nodes.add_node(num_cpus=1)
        command = ["retrain", "--all", "--run", run.name, *ON_RAY, "--ray-address", nodes.address, "--json"]
        process = program(*command, cwd=tmp_path)
        wait_for(lambda: len(begun_on(run, other.node_id)) == 4 and both_train(run), 3600)
        cut = begun_on(run, other.node_id)[-1]
        nodes.remove_node(other, allow_graceful=False)
        out, err = process.communicate(timeout=3600)
    finally:
        nodes.shutdown()
    assert process.returncode == 0, err
    assert re.search("interrupted .* its (node|process|worker process) ", err), err
    starts = [record.step for record in records_of(cut) if isinstance(record, JobStarted)]
    assert (len(starts), starts[0], starts[1] > 0) == (2, 0, True)
    code, local, err = supernet("retrain", "--all", "--run", "whole", "--json")
    assert code == 0, err
    judged = [
        {(job["path"], job["seed"]): (job["status"], job["validation_accuracy"]) for job in json.loads(said)["jobs"]}
        for said in (out, local)
    ]
    print("", *sorted(judged[0].items()), sep="\n")
    assert len(judged[0]) == 12
    assert judged[0] == judged[1]
    for weights in whole.glob("standalone/*/*/weights.safetensors"):
        assert (run / weights.relative_to(whole)).read_bytes() == weights.read_bytes()


def both_train(run: Path) -> bool:
    """Whether a monitor sees two jobs that have a checkpoint."""
    view, _ = RunFollower(run).poll(60)
    return view is not None and sum(job.state == "running" and job.step > 1000 for job in view.jobs) == 2


def begun_on(run: Path, node: str) -> list[JobFolder]:
    """Return the jobs that a node has begun, oldest first."""
    found = [path for path in run.glob("standalone/*/*/log.txt") if f"node {node[:12]}," in path.read_text()]
    return [JobFolder(path.parent, JobKey.supernet(0)) for path in sorted(found, key=lambda path: path.stat().st_mtime)]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["local", "ray"])
def test_a_thousand_jobs_cost_the_driver_the_same_each_and_are_watched(
    how: str, tiny: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if how == "ray":
        request.getfixturevalue("cluster")
    jobs = jobs_of(tiny, tmp_path, 1000)
    for job in jobs:
        create_job(job.folder)
    ends: list[float] = []
    many: Executor = RayCluster(Needs(1), most=2) if how == "ray" else LocalProcesses(2)
    outcomes = many.run(Trivial(), jobs, lambda key, record: ends.append(time.process_time()), lambda: None)
    assert {outcome.state for outcome in outcomes.values()} == {"finished"}
    costs = [after - before for before, after in itertools.pairwise(ends)]  # medians: a machine does other things, too
    first, last = (statistics.median(costs[start : start + 300]) for start in (100, 699))
    follower = RunFollower(jobs[0].folder.path.parents[2])
    begun = time.process_time()
    view, more = follower.poll(600)
    whole = time.process_time() - begun
    begun = time.process_time()
    follower.poll(600)
    again = time.process_time() - begun
    print(f"\n{how}: {1000 * first:.2f} ms of the driver a job at first, {1000 * last:.2f} ms in the end", end="; ")
    print(f"a monitor reads all in {whole:.2f} s, and looks again in {again:.3f} s")
    assert view is not None
    assert sum(job.state == "finished" for job in view.jobs) == 1000
    assert not more
    assert last < 1.5 * first
    assert (whole < 20, again < 2) == (True, True)
