"""Several ranks of torchrun train one supernet: as one process would, together to the end, and with one voice."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from helpers import PATIENCE, only_run, records_of, start, wait_for
from parallel_training import train_all

from supernet_cli.config.catalog import entries
from supernet_cli.config.load import dump_toml
from supernet_cli.config.schema import Preset
from supernet_cli.config.torchrun import Place
from supernet_cli.store.job import JobFolder
from supernet_cli.store.layout import JobKey
from supernet_cli.store.records import PathsEvaluated, StepsTrained
from supernet_cli.store.state import Wish
from supernet_cli.training.ranks import PATIENCE_SECONDS

Invoke = Callable[..., tuple[int, str, str]]
Start = Callable[..., subprocess.Popen[str]]

SCRIPT = Path(__file__).parents[1] / "parallel_training.py"
SGD_RATE = 0.05
PIXELS = 12 * 12  # of an image of `digits`
SGD = {"optimizer": {"name": "SGD", "lr": SGD_RATE, "momentum": 0.9, "weight_decay": 0.01}, "schedule": None}
SAMPLERS = {name: {"name": name} for name in sorted(entries("sampler"))}
SAMPLERS["bandit"] |= {"every": 2, "held_out": 90}
SUMMED = {"sampler": {"name": "path-dropout", "ghost": 3, "combine": "sum"}, "batch_size": 45}

NORMALISED: dict[str, Any] = {
    "hidden": 8,
    "norm": "batch",
    "blocks": [{"channels": 3, "pool": 2, "residual": True, "candidates": ["conv3x3", "identity"]}] * 2,
}


@pytest.fixture
def ranks(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return what starts torchrun with so many ranks of a script or, after `-m`, a module; none outlives the test."""
    started = []

    def start_ranks(count: int, *arguments: object) -> subprocess.Popen[str]:
        started.append(start("-m", "torch.distributed.run", "--nproc-per-node", count, *arguments, cwd=tmp_path))
        return started[-1]

    yield start_ranks
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def rounding(steps: int, terms: int) -> float:
    """Return the relative difference that the order of summation explains, in float32.

    A sum of n terms in another order differs by about √n ε of their magnitudes, ε = 2⁻²³ (Higham and Mary 2019, «A New
    Approach to Probabilistic Rounding Error Analysis»), and over a few steps the differences add up. Over hundreds of
    steps they grow exponentially instead: compare accuracies there.
    """
    return steps * math.sqrt(terms) * torch.finfo(torch.float32).eps


def test_two_ranks_train_as_one_process_does_whatever_the_strategy(
    ranks: Start, tiny: Callable[..., Preset], tmp_path: Path
) -> None:
    """Weights agree to rtol 1e-4 and atol 1e-5, float32, over 8 steps of SGD, the last one on 3 images.

    The gradient of a weight in the first convolution sums over all pixels of the mini-batch, which says how much that
    rounds; what is absolute in it is scaled by the learning rate. At every checkpoint the ranks agree with each other
    bit for bit, also after an interruption. AdamW divides by the size of a gradient, even if that is only rounding, so
    its tolerance is atol 1e-3, a tenth of its rate.
    """
    equal = {name: tiny(train={**SGD, "sampler": s, "batch_size": 71, "epochs": 1}) for name, s in SAMPLERS.items()}
    equal["summed"] = tiny(train={**SGD, **SUMMED, "epochs": 1})
    equal["smoothed"] = tiny(train={**SGD, "loss": {"name": "CrossEntropyLoss", "label_smoothing": 0.1}, "epochs": 1})
    equal["cut"] = equal["uniform"]
    presets = {**equal, "adamw": tiny(train={"epochs": 1}), "normalised": tiny(space=NORMALISED, train=SUMMED)}
    for name, preset in presets.items():
        (tmp_path / f"{name}.toml").write_text(dump_toml(preset))
    process = ranks(2, SCRIPT, tmp_path)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    train_all(tmp_path, Place())
    uncut = torch.load(tmp_path / "uniform" / "of-2" / "rank-1.pt")["checkpoints"][-1]
    share = rounding(steps=8, terms=71 * PIXELS)
    assert share < 1e-4
    assert SGD_RATE * share < 1e-5
    for name in presets:
        alone = torch.load(tmp_path / name / "of-1" / "rank-0.pt")
        first, second = (torch.load(tmp_path / name / "of-2" / f"rank-{rank}.pt") for rank in (0, 1))
        assert alone["state"] == first["state"] == second["state"] == "finished", name
        assert second["records"] == [record for record in first["records"] if "scores" not in record], name
        assert [plan_of(record) for record in first["records"]] == [plan_of(record) for record in alone["records"]]
        assert len(first["checkpoints"]) > max(1, first["records"][-1]["step"] // 3)  # at the start, then every 3 steps
        assert_equal(first["checkpoints"], second["checkpoints"], name, rtol=0, atol=0)
        if name == "cut":
            assert torch.equal(first["checkpoints"][-1], uncut)
        elif name == "adamw":
            assert_equal(first["checkpoints"], alone["checkpoints"], name, rtol=0, atol=1e-3)
        elif name != "normalised":
            assert_equal(first["checkpoints"], alone["checkpoints"], name, rtol=share, atol=SGD_RATE * share)
        if name != "normalised":
            assert losses_of(first["records"]) == pytest.approx(losses_of(alone["records"]), rel=share)


def assert_equal(
    weights: Sequence[torch.Tensor], others: Sequence[torch.Tensor], name: str, rtol: float, atol: float
) -> None:
    """Compare the weights at every checkpoint of two trainings."""
    for mine, other in zip(weights, others, strict=True):
        torch.testing.assert_close(mine, other, rtol=rtol, atol=atol, msg=lambda m: f"{name}: {m}")


def losses_of(records: Sequence[Mapping[str, Any]]) -> list[float]:
    return [record[kind] for record in records if "loss" in record for kind in ("loss", "objective")]


def plan_of(record: Mapping[str, Any]) -> list[object]:
    """Return what a record says about the plan: how far, over how many images, at what cost, how often each path."""
    trained = [(score["path"], score["trained_images"]) for score in record.get("scores", ())]
    return [record["step"], record["epoch"], record["forward_images"], record["macs"], trained]


@pytest.fixture
def training(tiny: Callable[..., Preset], tmp_path: Path) -> list[object]:
    """Return the arguments of a training that takes a few seconds and learns every image."""
    preset = tiny(train={**SGD, "epochs": 60, "evaluate_every": 20, "checkpoint_every": 10})
    (tmp_path / "training.toml").write_text(dump_toml(preset))
    return ["-m", "supernet_cli", "train", "--preset", tmp_path / "training.toml"]


def job_in(folder: Path) -> JobFolder:
    return JobFolder(only_run(folder) / "supernet" / "seed-0", JobKey.supernet(0))


def has_come(folder: Path, step: int) -> bool:
    return any((folder / "runs").glob("*/supernet/seed-0")) and job_in(folder).snapshot()[0].step >= step


def rank_of(process: psutil.Process) -> str:
    return str(process.environ().get("RANK"))


def test_ranks_pause_resume_and_stop_together_and_one_process_resumes_what_they_left(
    ranks: Start, supernet: Invoke, training: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan is that of one process, and so are the accuracies, to 3 of 100 images; weights drift in 600 steps."""
    process = ranks(2, *training, "--json")
    wait_for(lambda: has_come(tmp_path, 50), PATIENCE)
    job = job_in(tmp_path)
    job.request(Wish.PAUSE)
    wait_for(lambda: job.status().state == "paused", PATIENCE)
    time.sleep(0.5)
    job.request(Wish.RESUME)
    paused_at = job.status().step
    wait_for(lambda: has_come(tmp_path, paused_at + 50), PATIENCE)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert json.loads(out)["status"] == "interrupted"
    assert (err.count("interrupted at step"), "error: " in err) == (1, False), err
    assert job.status().ranks == 2
    code, out, err = supernet("train", "--resume", "latest", "--json")
    assert (code, json.loads(out)["status"], job.status().ranks) == (0, "finished", 1), err
    assert "resumed on cpu in float32" in " ".join(err.split())
    (tmp_path / "alone").mkdir()
    monkeypatch.chdir(tmp_path / "alone")
    assert supernet(*training[2:], "--quiet")[0] == 0
    alone, together = (
        [r.model_dump() for r in records_of(job) if isinstance(r, StepsTrained | PathsEvaluated)]
        for job in (job_in(tmp_path / "alone"), job)
    )
    assert [plan_of(record) for record in together] == [plan_of(record) for record in alone]
    its, theirs = ([score["accuracy"] for score in records[-1]["scores"]] for records in (alone, together))
    assert theirs == pytest.approx(its, abs=0.03)
    assert min(theirs) > 0.9


def test_a_rank_that_is_killed_ends_the_others_with_words_and_a_good_checkpoint(
    ranks: Start, supernet: Invoke, training: list[object], tmp_path: Path
) -> None:
    process = ranks(2, *training)
    wait_for(lambda: has_come(tmp_path, 50), PATIENCE)
    children = {rank_of(child): child for child in psutil.Process(process.pid).children()}
    begun = time.monotonic()
    children["1"].kill()
    _, err = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - begun < PATIENCE_SECONDS / 3
    assert process.returncode == 1
    assert err.count("error: Another rank is gone") == 1, err
    assert re.search(r"exitcode\s*: 7", err), err
    status = job_in(tmp_path).status()
    assert (status.state, "Another rank is gone" in status.reason) == ("failed", True)
    assert supernet("train", "--resume", "latest", "--quiet")[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [["evaluate"], ["experiment"], ["retrain"], ["bench", "fair"], ["train", "--tui"], ["train", "--dry-run"]],
)
def test_what_several_processes_cannot_do_together_is_refused(
    supernet: Invoke, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, _, err = supernet(*arguments)
    assert (code, "torchrun" in err) == (2, True)


FAILURES = {
    "memory": (4, "Rank 1 on .*: This machine is out of memory"),
    "bug": (1, "Rank 1 on .*: KeyError: 'lost'"),
    "hangs": (7, "Another rank is gone: .*[Tt]imed out"),
    "drifts": (7, "The weights or the plan of rank 1 differ from those of rank 0 after step 20"),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", FAILURES)
def test_what_is_wrong_with_another_rank_is_said_once_by_the_first(
    ranks: Start, training: list[object], tmp_path: Path, how: str
) -> None:
    code, words = FAILURES[how]
    process = ranks(2, SCRIPT.with_name("failing_rank.py"), how, *training[2:], "--quiet")
    out, err = process.communicate(timeout=PATIENCE)
    said = err.partition("closing signal")[0]
    assert (out, len(re.findall("error: ", said)), bool(re.search(f"error: {words}", said))) == ("", 1, True), err
    assert re.search(rf"exitcode\s*: {code} ", err), err
    job = job_in(tmp_path)
    assert (job.status().state, bool(re.search(words, job.status().reason))) == ("failed", True)
    assert "Traceback" in (job.path / "log.txt").read_text()
    assert job.has_checkpoint


@pytest.mark.slow
@pytest.mark.parametrize(("setting", "code"), [("train.optimizer.lr=1e9", 3), ("train.epoch=1", 2)])
def test_what_a_preset_gets_wrong_is_said_once(ranks: Start, training: list[object], setting: str, code: int) -> None:
    process = ranks(2, *training, "--set", setting, "--json")
    out, err = process.communicate(timeout=PATIENCE)
    assert json.loads(out)["error"]["exit_code"] == code
    assert "error: " not in err.partition("closing signal")[0]
    assert re.search(rf"exitcode\s*: {code} ", err), err


@pytest.mark.slow
def test_two_ranks_reach_the_accuracies_of_one_process(ranks: Start, supernet: Invoke, tmp_path: Path) -> None:
    """Validation accuracies of every path of `default` agree to half a per cent point after its eight epochs."""
    arguments = ["train", "--preset", "default", "--set", "runtime.threads=1", "--json", "--quiet"]
    out, err = ranks(2, "-m", "supernet_cli", *arguments).communicate(timeout=3600)
    together = {path["path"]: path["validation_accuracy"] for path in json.loads(out)["jobs"][0]["paths"]}
    _, out, _ = supernet(*arguments)
    alone = {path["path"]: path["validation_accuracy"] for path in json.loads(out)["jobs"][0]["paths"]}
    assert together == pytest.approx(alone, abs=0.005)
    assert min(together.values()) > 0.985
