"""Paths whose names are too long for a folder: their folders have hashes for names, and nothing else differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from helpers import store_run
from rich.console import Console

from supernet_cli.cli.live_jobs import draw_jobs
from supernet_cli.config.schema import Preset
from supernet_cli.reports.compare import compare
from supernet_cli.space import SearchSpace
from supernet_cli.store.follow import RunFollower
from supernet_cli.store.job import create_job
from supernet_cli.store.layout import JobKey, Way
from supernet_cli.store.run import Run
from supernet_cli.store.snapshot import JobSnapshot, RunSnapshot
from supernet_cli.store.views import RunView
from supernet_cli.tui.panels.paths import PathsPanel

BLOCKS = [["conv3x3", "conv5x5", "conv7x7"], *[["conv3x3"]] * 26, ["conv1x1", "conv3x3", "conv5x5"]]
PATHS = ["_".join([first, *["conv3x3"] * 26, last]) for first in BLOCKS[0] for last in BLOCKS[-1]]
assert min(map(len, PATHS)) > 200
WORTH = {path: 0.9 + place / 100 for place, path in enumerate(PATHS)}


@pytest.fixture
def run(tmp_path: Path, tiny: Callable[..., Preset]) -> Run:
    """Return a run with one supernet, and each path but the last trained from scratch."""
    blocks = [{"channels": 4, "pool": 1, "candidates": candidates} for candidates in BLOCKS]
    preset = tiny(space={"blocks": blocks, "hidden": 8}, train={"seeds": [0, 1]})
    one_shot = {seed: {path: (worth, 1 - worth) for path, worth in WORTH.items()} for seed in (0, 1)}
    alone = {seed: {path: WORTH[path] for path in PATHS[:-1]} for seed in (0, 1)}
    return store_run(tmp_path / "runs", preset, one_shot, alone)


def create(run: Run, path: str, way: Way = Way.ALONE) -> None:
    create_job(run.alone_job(SearchSpace.from_config(run.preset().space).parse(path), 0, way))


def view_of(follower: RunFollower) -> RunView:
    found = None
    for _ in range(100):
        view, more = follower.poll(1000.0)
        found = view or found
        if not more:
            break
    assert found is not None
    return found


def test_the_monitor_shows_what_each_path_reached_from_scratch(run: Run) -> None:
    view = view_of(RunFollower(run.folder))
    assert set(view.stand_alone) == set(PATHS[:-1])
    assert {job.key.path for job in view.jobs if job.key.way is Way.ALONE} == set(PATHS[:-1])
    drawn = PathsPanel().draw(view, 100, 30).plain
    for path in PATHS[:-1]:
        assert f"{100 * WORTH[path]:6.2f} {100 * WORTH[path]:6.2f} " in drawn


def test_a_path_that_is_yet_to_be_trained_is_known_by_the_name_that_is_stored_with_it(run: Run) -> None:
    create(run, PATHS[-1])
    create(run, PATHS[0], Way.SHORT)
    key = JobKey(Way.ALONE, PATHS[-1], 0)
    assert (run.folder / "standalone" / key.folder / "path.txt").read_text() == PATHS[-1]
    assert next(job for job in run.alone_jobs() if job.key == key).key.path == PATHS[-1]
    assert next(job for job in view_of(RunFollower(run.folder)).jobs if job.key == key).key.path == PATHS[-1]
    assert [job.key.path for job in run.alone_jobs(Way.SHORT)] == [PATHS[0]]


def test_a_path_of_an_older_run_is_found_among_those_that_were_evaluated(run: Run) -> None:
    create(run, PATHS[-1])
    key = JobKey(Way.ALONE, PATHS[-1], 0)
    (run.folder / "standalone" / key.folder / "path.txt").unlink()
    assert next(job for job in run.alone_jobs() if job.key == key).key.is_nameless
    now = [0.0]
    follower = RunFollower(run.folder, clock=lambda: now[0])
    view_of(follower)
    now[0] += 10.0
    assert next(job for job in view_of(follower).jobs if job.key == key).key.path == PATHS[-1]


@pytest.mark.parametrize("content", [b"", b"conv3x3", PATHS[0].encode(), b"\xff\xfe", b"../../etc", b"x" * (2 << 20)])
def test_a_stored_name_counts_only_if_it_belongs_to_the_folder(content: bytes, run: Run) -> None:
    create(run, PATHS[-1])
    key = JobKey(Way.ALONE, PATHS[-1], 0)
    (run.folder / "standalone" / key.folder / "path.txt").write_bytes(content)
    assert next(job for job in run.alone_jobs() if job.key == key).key.path == key.folder


def test_the_comparison_knows_the_paths_by_name_and_what_is_missing(run: Run) -> None:
    create(run, PATHS[-1])
    (found,) = compare([run]).runs
    rows = {row.path: row for row in found.rows}
    assert set(rows) == set(PATHS)
    for path in PATHS[:-1]:
        assert rows[path].stand_alone_validation_accuracy == pytest.approx(WORTH[path])
    assert any("1 of 17 stand-alone trainings not finished" in missing.what for missing in found.missing)


def test_runs_show_lists_each_training_with_its_paths_name(
    run: Run, supernet: Callable[..., tuple[int, str, str]]
) -> None:
    create(run, PATHS[-1])
    code, out, err = supernet("runs", "show", run.id, "--json")
    assert code == 0, err
    jobs: list[dict[str, Any]] = [job for job in json.loads(out)["jobs"] if job["job"].startswith("standalone/")]
    scored = {(path["path"], job["seed"]) for job in jobs for path in job["paths"]}
    assert scored == {(path, seed) for path in PATHS[:-1] for seed in (0, 1)}
    assert {job["job"] for job in jobs} == {str(job.key) for job in run.alone_jobs()}


def test_the_live_view_names_paths_and_not_hashes() -> None:
    jobs = tuple((JobKey(Way.ALONE, path, 0), JobSnapshot()) for path in PATHS[:2])
    console = Console(width=100, file=StringIO())
    with console.capture() as capture:
        console.print(draw_jobs(RunSnapshot("run", jobs, jobs[0][0]), 100, 30))
    text = capture.get()
    assert "path-" not in text
    assert "c3_c3_" in text
