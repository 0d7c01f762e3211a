"""What follows from how paths were chosen: what is said about τ, the decision, and what to do next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import score, store_job, store_run
from ladders import KERNELS, Make, entry_of, ladder, names, scored

from supernet_cli.config.schema import Preset
from supernet_cli.space import SearchSpace
from supernet_cli.store.job import create_job
from supernet_cli.store.layout import Way
from supernet_cli.store.results import (
    Selection,
    keep_profiles,
    keep_scores,
    keep_selection,
    profiles,
    selections,
)
from supernet_cli.store.run import Run


def test_favourites_are_labelled_and_never_quoted_as_the_space(tmp_path: Path, lab: Preset) -> None:
    best = dict(list(ladder(lab).items())[:6])
    entry = entry_of(store_run(tmp_path, lab, {0: scored(ladder(lab))}, {0: best, 1: best}, how="top"))
    assert entry["coverage"] == "top"
    assert "Range-restricted" in entry["notes"]["kendall_tau"]
    assert entry["answer"]["word"] == "not enough evidence"
    assert entry["tau_bootstrap"] is None


def test_favourites_of_which_one_is_not_done_are_favourites_still(tmp_path: Path, lab: Preset) -> None:
    best = dict(list(ladder(lab).items())[:6])
    run = store_run(tmp_path, lab, {0: scored(ladder(lab))}, {0: best}, how="top")
    keep_selection(run, Selection(how="top", init=Way.ALONE, paths=tuple(names(lab)[:7])))
    keep_selection(run, Selection(how="named", init=Way.ALONE, paths=(names(lab)[3],)))
    create_job(run.alone_job(SearchSpace.from_config(lab.space).at(6), 0))
    entry = entry_of(run)
    assert entry["coverage"] == "top"
    assert entry["missing"][0]["command"] == run.command("retrain", "--top", "7", "--seeds", "0")


def test_a_sample_has_an_interval_over_paths(tmp_path: Path, lab: Preset) -> None:
    some = dict(list(ladder(lab).items())[2:14])
    noisy = scored(ladder(lab), 0.05)
    entry = entry_of(store_run(tmp_path, lab, {0: noisy}, {0: some, 1: some}, how="sample"))
    low, high = entry["tau_bootstrap"]
    assert low < entry["kendall_tau"]["mean"] < high
    assert "12 of 16 paths, a random sample" in entry["verdict"]


@pytest.fixture
def sampled(tmp_path: Path, lab: Preset) -> Callable[..., Run]:
    """Return a function that stores a run with some paths trained from scratch."""

    def store(count: int, how: str, seeds: int = 2, noise: float = 0.0) -> Run:
        rng = np.random.default_rng(0)
        exact = ladder(lab)
        some = {path: exact[path] for path in rng.permutation(names(lab))[:count].tolist()}
        alone = {seed: {path: a + 0.001 * rng.normal() for path, a in some.items()} for seed in range(seeds)}
        run = store_run(tmp_path, lab, {0: scored(exact, noise)}, alone, how=how)  # type: ignore[arg-type]
        sizes = profiles(run)
        even = {path: size.model_copy(update={"parameters": 7, "macs": 7}) for path, size in sizes.paths.items()}
        keep_profiles(run, sizes.model_copy(update={"paths": even}))
        return run

    return store


def test_what_to_do_next_depends_on_the_answer_and_on_what_is_trained(
    sampled: Callable[..., Run], tmp_path: Path, lab: Preset
) -> None:
    trusted = sampled(12, "sample")
    step = entry_of(trusted)["answer"]
    assert step["word"] == "trust"
    assert step["next"]["command"] == trusted.command("retrain", "--top", "3", "--seeds", "0,1")
    missing = 3 - len({row["path"] for row in entry_of(trusted)["rows"][:12]} & set(names(lab)[:3]))
    assert step["next"]["seconds"] == pytest.approx(2 * 2.0 * missing)
    few = sampled(5, "sample")
    assert entry_of(few)["answer"]["next"]["command"] == few.command("retrain", "--all", "--seeds", "0,1")
    favourites = sampled(12, "top")
    assert entry_of(favourites)["answer"]["next"]["command"] == favourites.command("retrain", "--all", "--seeds", "0,1")
    one_seed = sampled(16, "all", seeds=1)
    assert entry_of(one_seed)["answer"]["next"]["command"] == one_seed.command("retrain", "--all", "--seeds", "0,1,2")
    complete = sampled(16, "all")
    everything = entry_of(complete)
    assert everything["answer"]["next"]["command"] == ""
    best = everything["decision"]["best"]["path"]
    assert f"Take {best}: every path was trained" in everything["answer"]["next"]["purpose"]
    assert best in everything["answer"]["next"]["weights"]
    for job in complete.alone_jobs():
        job.weights.unlink()
    assert entry_of(complete)["answer"]["next"]["weights"] == ""


def test_the_decision_names_the_best_path_and_what_trusting_the_supernet_loses(sampled: Callable[..., Run]) -> None:
    decision = entry_of(sampled(16, "all"))["decision"]
    best = decision["best"]
    assert best["path"] == "conv1x1_conv1x1"
    assert best["low"] <= 0.95 <= best["high"]
    assert 0.5 < best["probability_best"] <= 1
    assert decision["trusting"]["paths"] == 3
    assert 0 <= decision["trusting"]["low"] <= decision["trusting"]["regret"] <= decision["trusting"]["high"] < 0.01
    assert decision["trusting"]["trainings"] == pytest.approx(6.0)  # three paths of average size, two seeds each


def test_a_sample_and_more_is_still_a_sample_and_says_so(sampled: Callable[..., Run], lab: Preset) -> None:
    run = sampled(12, "sample")
    drawn = {row["path"] for row in entry_of(run)["rows"][:12]}
    assert "kendall_tau" not in entry_of(run)["notes"]
    first = next(path for path in names(lab) if path not in drawn)
    for seed in (0, 1):
        job = run.alone_job(SearchSpace.from_config(lab.space).parse(first), seed)
        store_job(job, {first: 0.9})
        keep_scores(run, "test", [score(first, Way.ALONE, seed, 0.9, 0.1)], {})
    keep_selection(run, Selection(how="top", init=Way.ALONE, paths=(first,)))
    entry = entry_of(run)
    assert (entry["n"], entry["coverage"], entry["answer"]["word"]) == (13, "mixed", "trust")
    assert entry["notes"]["kendall_tau"].startswith("12 paths are a random sample; the other 1 were chosen")
    assert "a random sample and others" in entry["verdict"]


def test_samples_of_earlier_versions_are_known_to_overstate_tau(sampled: Callable[..., Run]) -> None:
    run = sampled(12, "sample")
    path = run.folder / "results" / "selections.json"
    path.write_text(path.read_text().replace('"at_random": true', '"at_random": false'))
    assert "too high by about 0.02 to 0.07" in entry_of(run)["notes"]["kendall_tau"]


def test_the_first_by_size_are_not_called_the_first_by_score(sampled: Callable[..., Run]) -> None:
    run = sampled(12, "top")
    keep_selection(run, selections(run)[0].model_copy(update={"by": "size"}))
    assert "first paths by one-shot score or size" in entry_of(run)["notes"]["kendall_tau"]


def test_a_strategy_that_refuses_the_space_is_not_suggested(tmp_path: Path, tiny: Make) -> None:
    blocks = [{"channels": 4, "pool": 1, "candidates": KERNELS}, {"channels": 4, "pool": 1, "candidates": KERNELS[:3]}]
    for space, setting in (
        ({"blocks": blocks}, "--set train.epochs="),
        ({"blocks": [blocks[0]] * 2}, "--set train.sampler=fair"),
    ):
        preset = tiny(space=space)
        rng = np.random.default_rng(0)
        exact, luck = ladder(preset), dict(zip(names(preset), rng.random(len(names(preset))), strict=True))
        some = {path: exact[path] for path in rng.permutation(names(preset))[:11].tolist()}
        run = store_run(tmp_path, preset, {0: scored(luck)}, {0: some, 1: some}, how="sample")
        keep_profiles(run, profiles(run).model_copy(update={"paths": {}}))
        answer = entry_of(run)["answer"]
        assert answer["word"] == "do not trust"  # the scores are luck
        assert setting in answer["next"]["command"]
