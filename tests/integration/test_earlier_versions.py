"""Runs that version 0.1.0 left behind: they open, compare, evaluate and resume as if it had never been replaced.

`tests/data/runs-0.1.0.tar.xz` holds three runs on 500 small images and the weights of the two interrupted trainings
when nothing interrupts them: `plain` is a finished experiment of two seeds; `cut` a supernet with batch normalisation,
trained by `fair` and interrupted at step 4 of 9, within its second epoch; in `alone`, the training of one path from
scratch was interrupted at step 7 of 18, within its second epoch.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from supernet_cli.space import SearchSpace
from supernet_cli.store.alone import AloneJob
from supernet_cli.store.job import JobFolder, JobWriter
from supernet_cli.store.layout import JobKey, Way
from supernet_cli.store.results import profiles
from supernet_cli.store.run import Run
from supernet_cli.store.runs import list_runs
from supernet_cli.training.prepare import prepare_run
from supernet_cli.training.retrain import AloneTraining
from supernet_cli.training.stored import network_spec, stored_subnet
from supernet_cli.training.train import train_supernet

Invoke = Callable[..., tuple[int, str, str]]
STORED = Path(__file__).parents[1] / "data" / "runs-0.1.0.tar.xz"
PATH = "conv3x3_mbconv3x3e3"
DATA = ("--data-root", "digits")


@pytest.fixture
def earlier(supernet: Invoke, tmp_path: Path) -> dict[str, Run]:
    """Return the runs by their preset's name, in the folder where commands run."""
    with tarfile.open(STORED) as archive:
        archive.extractall(tmp_path, filter="data")
    return {run.manifest.preset: run for run in list_runs(tmp_path / "runs")}


def assert_same(found: Path, expected: Path) -> None:
    """Compare weights after 9 or 18 steps of SGD, some of which may have been another processor's.

    On one processor they are equal; between instruction sets they differ by 1e-6, a hundredth of the tolerance. A step
    without its momentum changes them by more than that.
    """
    torch.testing.assert_close(load_file(found), load_file(expected), rtol=1e-3, atol=1e-4)


def assert_contains(document: Any, kept: Any, where: str = "") -> None:
    """Make sure that a document has everything of an earlier one, numbers to within rounding."""
    if isinstance(kept, dict):
        for key, value in kept.items():
            assert key in document, where
            assert_contains(document[key], value, f"{where}.{key}")
    elif isinstance(kept, list):
        assert len(document) == len(kept), where
        for number, (one, other) in enumerate(zip(document, kept, strict=True)):
            assert_contains(one, other, f"{where}[{number}]")
    elif isinstance(kept, float):
        assert document == pytest.approx(kept, rel=1e-6, abs=1e-9), where
    else:
        assert document == kept, where


def test_they_are_listed_and_shown(supernet: Invoke, earlier: dict[str, Run]) -> None:
    listed = {row["preset"]: row for row in json.loads(supernet("runs", "ls", "--json")[1])["runs"]}
    states = {"plain": "finished", "cut": "interrupted", "alone": "interrupted"}
    assert {name: row["status"] for name, row in listed.items()} == states
    jobs = {}
    for name, run in earlier.items():
        code, out, err = supernet("runs", "show", run.id, "--json")
        assert (code, err) == (0, "")
        jobs[name] = {job["job"]: (job["status"], job["step"]) for job in json.loads(out)["jobs"]}
    assert jobs["cut"] == {"supernet/seed-3": ("interrupted", 4)}
    assert jobs["alone"][f"standalone/{PATH}/seed-0"] == ("interrupted", 7)
    assert len(jobs["plain"]) == 2 + 4 * 2


def test_a_comparison_is_the_same_document(supernet: Invoke, earlier: dict[str, Run]) -> None:
    path = earlier["plain"].folder / "results" / "comparison.json"
    kept = json.loads(path.read_text())
    path.unlink()
    code, _, err = supernet("compare", earlier["plain"].id, "--quiet")
    assert code == 0, err
    document = json.loads(path.read_text())
    (run,), names = document["runs"], {baseline["name"] for baseline in kept["runs"][0]["baselines"]}
    run["baselines"] = [baseline for baseline in run["baselines"] if baseline["name"] in names]  # later ones are added
    assert_contains(document, kept)


def test_networks_are_evaluated_to_the_same_accuracies(supernet: Invoke, earlier: dict[str, Run]) -> None:
    results = earlier["plain"].folder / "results"
    kept = json.loads((results / "evaluation.json").read_text())["splits"]["test"]
    (results / "evaluation.json").unlink()
    code, _, err = supernet("evaluate", earlier["plain"].id, *DATA, "--quiet")
    assert code == 0, err
    found = json.loads((results / "evaluation.json").read_text())["splits"]["test"]

    def accuracies(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], float]:
        return {(row["kind"], row["path"], row["seed"]): row["accuracy"] for row in rows}

    assert len(found) == 4 * 2 + 4 * 2
    assert accuracies(found) == pytest.approx(accuracies(kept), abs=0.03)  # three images


def test_proxies_that_were_not_measured_are_filled_in(supernet: Invoke, earlier: dict[str, Run]) -> None:
    run = earlier["plain"]
    kept = profiles(run).paths
    assert not any(path.has("naswot") or path.has("gradient_norm") for path in kept.values())
    code, _, err = supernet("evaluate", run.id, *DATA, "--quiet")
    assert code == 0, err
    found = profiles(run).paths
    assert {name: path.synflow for name, path in found.items()} == pytest.approx(
        {name: path.synflow for name, path in kept.items()}
    )
    assert all(path.has("naswot") and path.gradient_norm for path in found.values())


def test_a_supernet_resumes_and_ends_as_one_that_was_never_interrupted(
    supernet: Invoke, earlier: dict[str, Run], tmp_path: Path
) -> None:
    run, digits = earlier["cut"], tmp_path / "digits"
    code, _, err = supernet("train", "--resume", run.id, *DATA, "--quiet")
    assert code == 0, err
    prepared, fresh = prepare_run(run, data_root=digits), JobFolder(tmp_path / "fresh", JobKey.supernet(0))
    with JobWriter(fresh) as writer:
        assert train_supernet(prepared, fresh, 3, writer, lambda: None).state == "finished"
    assert_same(run.supernet_job(3).weights, fresh.weights)
    assert_same(run.supernet_job(3).weights, tmp_path / "uninterrupted" / "cut.safetensors")


def test_a_path_alone_resumes_and_ends_as_one_that_was_never_interrupted(
    supernet: Invoke, earlier: dict[str, Run], tmp_path: Path
) -> None:
    run, digits = earlier["alone"], tmp_path / "digits"
    code, out, err = supernet("retrain", run.id, PATH, *DATA, "--workers", "1", "--json")
    assert code == 0, err
    assert [job["status"] for job in json.loads(out)["jobs"]] == ["finished"]
    prepared, fresh = prepare_run(run, data_root=digits), JobFolder(tmp_path / "fresh", JobKey(Way.ALONE, PATH, 9))
    work, path = AloneTraining.of(prepared), prepared.networks.space.parse(PATH)
    with JobWriter(fresh) as writer:
        assert work.run(AloneJob(fresh, path, 0), writer, lambda: None).state == "finished"
    assert_same(run.alone_job(path, 0).weights, fresh.weights)
    assert_same(run.alone_job(path, 0).weights, tmp_path / "uninterrupted" / "alone.safetensors")


def test_a_finished_training_can_be_extended(supernet: Invoke, earlier: dict[str, Run]) -> None:
    run = earlier["plain"]
    code, _, err = supernet("train", "--resume", run.id, "--set", "train.epochs=2", *DATA, "--quiet")
    assert code == 0, err
    assert [job.status().step for job in run.supernet_jobs()] == [24, 24]


def test_a_path_is_rebuilt_with_the_images_at_hand(earlier: dict[str, Run], tmp_path: Path) -> None:
    run = earlier["plain"]
    path = SearchSpace.from_config(run.preset().space).at(1)
    network = stored_subnet(run, network_spec(run, tmp_path / "digits"), path, Way.ALONE, 1)
    with torch.inference_mode():
        assert network(torch.zeros(2, 1, 12, 12)).shape == (2, 10)
