"""The Slurm scripts of the page on scaling: they run, save when their time is over, and go on when queued again.

A few lines stand for Slurm, and one host for two.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import PATIENCE, only_run, wait_for

from supernet_cli.config.load import dump_toml
from supernet_cli.config.schema import Preset
from supernet_cli.store.job import JobFolder
from supernet_cli.store.layout import JobKey

Invoke = Callable[..., tuple[int, str, str]]

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
SGD = {"optimizer": {"name": "SGD", "lr": 0.05}, "schedule": None}

pytestmark = pytest.mark.slow


def script(name: str) -> str:
    """Return a script of the page."""
    (found,) = re.findall(f"<!-- file: {name} -->\n```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


def submit(folder: Path, scripts: dict[str, str], slurm: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the first of some scripts as a job whose Slurm is the others.

    Args:
        folder: Where they lie, and where the job works.
        scripts: By name.
        slurm: What Slurm says in the environment.
    """
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.Popen(
        ["bash", next(iter(scripts))],
        cwd=folder,
        env={**os.environ, **slurm, "PATH": path},
        start_new_session=True,
    )


def free_port(first: int) -> int:
    """Return a port from a number on to which nobody listens."""
    for port in range(first, first + 10_000):
        with socket.socket() as found:
            if found.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("every port is taken")


def has_come(job: JobFolder, step: int) -> bool:
    return job.path.is_dir() and job.snapshot()[0].step >= step


def test_one_supernet_trains_on_two_hosts(tiny: Callable[..., Preset], tmp_path: Path) -> None:
    preset = tiny(train={**SGD, "epochs": 60, "evaluate_every": 20, "checkpoint_every": 10})
    (tmp_path / "training.toml").write_text(dump_toml(preset))
    scripts = {
        "supernet.sbatch": script("supernet.sbatch").replace("29500", str(free_port(29_500))),
        "scontrol": "#!/bin/sh\necho 127.0.0.1\n",
        "srun": '#!/bin/sh\nSLURM_NODEID=0 "$@" & first=$!\nSLURM_NODEID=1 "$@" & second=$!\n'
        "trap 'kill -TERM $first $second; wait $first; wait $second; exit 143' TERM\n"
        "wait $first && wait $second\n",
    }
    slurm = {"SLURM_JOB_NAME": "test", "SLURM_JOB_NODELIST": "two", "SLURM_NNODES": "2"}
    slurm |= {"SLURM_CPUS_PER_TASK": "1", "PRESET": str(tmp_path / "training.toml"), "RUNS": "runs", "RANKS": "1"}
    with submit(tmp_path, scripts, slurm) as process:
        wait_for(lambda: any((tmp_path / "runs").glob("*/supernet/seed-0")), PATIENCE)
        job = JobFolder(only_run(tmp_path) / "supernet" / "seed-0", JobKey.supernet(0))
        wait_for(lambda: has_come(job, 50), PATIENCE)
        os.killpg(process.pid, signal.SIGTERM)
    wait_for(lambda: job.status().state == "interrupted", PATIENCE)
    assert job.status().ranks == 2
    assert submit(tmp_path, scripts, slurm).wait(PATIENCE) == 0
    assert (job.status().state, job.status().ranks) == ("finished", 2)


def test_many_trainings_run_on_a_cluster_of_their_own(supernet: Invoke, tiny_file: Path, tmp_path: Path) -> None:
    """It ends with `ray stop`, which ends every cluster of this machine."""
    ray = pytest.importorskip("ray")
    settings = ["train.epochs=1", "retrain.epochs=1000", "retrain.checkpoint_every=100", "retrain.evaluate_every=100"]
    words = [word for setting in settings for word in ("--set", setting)]
    assert supernet("train", "--preset", tiny_file, *words, "--quiet")[0] == 0
    port = free_port(20_000)
    scripts = {
        "retrain.sbatch": script("retrain.sbatch"),
        "srun": '#!/bin/sh\nwhile [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"\n',
    }
    slurm = {"SLURM_JOB_ID": str(port - 20_000), "SLURM_NNODES": "2", "SLURM_CPUS_PER_TASK": "1"}
    slurm |= {"SLURMD_NODENAME": ray.util.get_node_ip_address(), "RUNS": "runs"}
    jobs = only_run(tmp_path) / "standalone"
    with submit(tmp_path, scripts, slurm) as process:
        wait_for(lambda: len(list(jobs.glob("*/*/checkpoint.pt"))) == 2, PATIENCE)  # one a node
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 130
    states = [JobFolder(path, JobKey.supernet(0)).status().state for path in jobs.glob("*/*")]
    assert states.count("interrupted") == 2
    assert submit(tmp_path, scripts, slurm).wait(PATIENCE) == 0
    states = [JobFolder(path, JobKey.supernet(0)).status().state for path in jobs.glob("*/*")]
    assert set(states) == {"finished"}
    nodes = {line.split("node ")[1][:12] for line in lines(jobs) if " node " in line}
    assert len(nodes) == 4  # two, twice


def lines(jobs: Path) -> list[str]:
    return [line for path in jobs.glob("*/*/log.txt") for line in path.read_text().splitlines()]
