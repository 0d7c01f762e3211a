"""Which runs and files are compared: ground truth of other runs, several runs, and what is missing or damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import score, store_job, store_run
from ladders import KERNELS, Make, entry_of, ladder, scored

from supernet_cli.config.schema import Preset
from supernet_cli.errors import RunError, UsageError
from supernet_cli.reports.compare import compare
from supernet_cli.reports.export import as_markdown
from supernet_cli.space import SearchSpace
from supernet_cli.store.results import (
    keep_scores,
)
from supernet_cli.store.run import Run
from supernet_cli.store.runs import create_run


def test_a_truth_can_be_borrowed(whole: Run, tmp_path: Path, lab: Preset) -> None:
    bare = store_run(tmp_path, lab, {5: scored(ladder(lab), 0.02)}, {}, name="bare")
    with pytest.raises(RunError, match="no stand-alone results"):
        compare([bare])
    entry = entry_of(bare, truth=whole)
    assert (entry["run"], entry["truth"]["run"], entry["supernet_seeds"]) == (bare.id, whole.id, [5])
    assert entry["kendall_tau"]["mean"] > 0.4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"retrain": {"seeds": [0], "epochs": 9}}, "cannot serve as ground truth.*retraining recipes differ"),
        ({"data": {"dataset": "mnist", "validation": 99}}, "data or splits and retraining recipes differ"),
    ],
)
def test_a_truth_that_does_not_fit_is_refused(
    change: dict[str, Any], words: str, whole: Run, tmp_path: Path, lab: Preset, tiny: Make
) -> None:
    block = {"channels": 4, "pool": 1, "candidates": KERNELS}
    other = tiny(space={"blocks": [block, block]}, **change)
    run = store_run(tmp_path, other, {0: scored(ladder(lab))}, {}, name="other")
    with pytest.raises(UsageError, match=words):
        compare([run], whole)


def test_runs_of_two_spaces_are_refused(whole: Run, tmp_path: Path, tiny: Make) -> None:
    small = store_run(tmp_path, tiny(), {0: scored(ladder(tiny()))}, {0: ladder(tiny())}, name="small")
    with pytest.raises(UsageError, match="different search spaces"):
        compare([whole, small])


def test_several_runs_are_a_row_each_and_strategies_are_tested_against_uniform(
    tmp_path: Path, lab: Preset, tiny: Make
) -> None:
    block = {"channels": 4, "pool": 1, "candidates": KERNELS}
    by_epoch = tiny(space={"blocks": [block, block]}, train={"sampler": "epoch"})
    exact, seeds = ladder(lab), range(3)
    good = store_run(tmp_path, lab, {s: scored(exact, 0.01, s) for s in seeds}, {0: exact, 1: exact}, name="good")
    bad = store_run(tmp_path, by_epoch, {s: scored(exact, 0.2, 9 + s) for s in seeds}, {0: exact, 1: exact}, name="bad")
    comparison = compare([good, bad])
    (found,) = comparison.document()["strategies"]
    assert (found["run"], found["sampler"], found["against"]) == (bad.id, "epoch", good.id)
    assert found["difference"] < 0
    assert 0 < found["p"] == found["adjusted"] < 0.2
    assert found["notes"] == {}
    text = as_markdown(comparison)
    assert "## Runs" in text
    assert "## Strategies against uniform" in text


def test_strategies_with_different_truths_are_not_tested_against_each_other(
    tmp_path: Path, lab: Preset, tiny: Make
) -> None:
    block = {"channels": 4, "pool": 1, "candidates": KERNELS}
    longer = tiny(space={"blocks": [block, block]}, train={"sampler": "epoch"}, retrain={"epochs": 9})
    exact = ladder(lab)
    runs = [
        store_run(tmp_path, preset, {s: scored(exact, 0.01, s) for s in range(3)}, {0: exact}, name="a")
        for preset in (lab, longer)
    ]
    document = compare(runs).document()
    assert document["strategies"] == []
    assert "different retraining recipes" in document["notes"]["strategies"]


@pytest.mark.parametrize(
    ("prepare", "words", "hint"),
    [
        (lambda run, space: None, "no one-shot scores yet", "train --resume"),
        (
            lambda run, space: store_job(run.supernet_job(0), {"conv1x1_conv1x1": 0.5}),
            "no stand-alone",
            "supernet evaluate",
        ),
        (
            lambda run, space: (
                store_job(run.supernet_job(0), {"conv1x1_conv1x1": 0.5}),
                keep_scores(run, "test", [score("conv1x1_conv1x1", "one-shot", 0, 0.5, 0.5)], {}),
            ),
            "no stand-alone",
            "retrain --all",
        ),
    ],
)
def test_what_is_missing_altogether_is_told_with_the_command(
    prepare: Callable[..., None], words: str, hint: str, tmp_path: Path, lab: Preset
) -> None:
    run = create_run(tmp_path, "empty", lab)
    prepare(run, SearchSpace.from_config(lab.space))
    with pytest.raises(RunError, match=words) as caught:
        compare([run])
    assert hint in caught.value.hint


def test_networks_that_were_not_judged_are_told(tmp_path: Path, lab: Preset) -> None:
    run = store_run(tmp_path, lab, {0: scored(ladder(lab))}, {})
    space = SearchSpace.from_config(lab.space)
    store_job(run.alone_job(space.at(0), 0), {str(space.at(0)): 0.9})
    with pytest.raises(RunError, match="not been evaluated on the test images yet") as caught:
        compare([run])
    assert "supernet evaluate" in caught.value.hint


@pytest.mark.parametrize("name", ["evaluation", "profile"])
def test_a_damaged_result_file_is_told(name: str, whole: Run) -> None:
    (whole.folder / "results" / f"{name}.json").write_text('{"splits": 1, "paths": 1}')
    with pytest.raises(RunError, match=rf"{name}\.json is damaged") as caught:
        compare([whole])
    assert whole.command("evaluate") in caught.value.hint
