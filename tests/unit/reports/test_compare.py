"""From stored facts to the document: what each score, size and training counts for."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from helpers import score, store_job, store_run
from ladders import KERNELS, Make, entry_of, ladder, names, read, scored

from supernet_cli.config.schema import Preset
from supernet_cli.reports.compare import compare
from supernet_cli.reports.export import as_markdown
from supernet_cli.reports.facts import gather
from supernet_cli.reports.sheets import sheets
from supernet_cli.space import SearchSpace
from supernet_cli.store.job import create_job
from supernet_cli.store.layout import Way
from supernet_cli.store.results import (
    JudgingCost,
    evaluation,
    keep_profiles,
    keep_scores,
    profiles,
)
from supernet_cli.store.run import Run


def test_a_perfect_ranking_is_told_as_one(whole: Run) -> None:
    entry = entry_of(whole)
    assert (entry["n"], entry["supernet_seeds"], entry["stand_alone_seeds"]) == (16, [0, 1], [0, 1, 2])
    assert entry["kendall_tau"]["mean"] == pytest.approx(1.0, abs=0.05)
    assert entry["relabel_p"] == pytest.approx(1 / 576)  # 4! ways to relabel each of the two blocks
    assert entry["tau_ceiling"] > 0.9
    assert entry["resolved_share"] > 0.5
    assert entry["resolved_gamma"] == 1.0
    assert entry["regret_at_1"] == pytest.approx(0.0, abs=0.002)
    assert entry["audit"]["total"] < 0.2
    assert sum(entry["audit"]["shares"].values()) == pytest.approx(1.0)
    assert [baseline["name"] for baseline in entry["baselines"]] == [
        "random",
        "parameters",
        "macs",
        "synflow",
        "naswot",
        "gradient_norm",
        "short_training",
    ]
    assert entry["baselines"][1]["kendall_tau"] == pytest.approx(-1.0, abs=0.05)  # sizes grow as accuracies fall
    assert "n = 16 paths, the whole space" in entry["verdict"]
    assert entry["answer"]["word"] == "trust"
    assert entry["verdict"].startswith("Trust. ")
    assert entry["kendall_tau_expected"]["low"] > 0.9
    assert entry["missing"] == []
    json.dumps(entry, allow_nan=False)


def test_rows_hold_means_over_seeds(whole: Run) -> None:
    entry, stored = entry_of(whole), evaluation(whole)
    row = entry["rows"][3]
    alone = [stored.rows("test", Way.ALONE)[seed][row["path"]].accuracy for seed in (0, 1, 2)]
    one_shot = [stored.rows("validation", Way.ONE_SHOT)[seed][row["path"]] for seed in (0, 1)]
    assert row["stand_alone_test_accuracy"] == pytest.approx(np.mean(alone))
    assert row["stand_alone_sd"] == pytest.approx(np.std(alone, ddof=1))
    assert row["one_shot_validation_loss"] == pytest.approx(np.mean([r.loss for r in one_shot]))
    assert row["one_shot_validation_accuracy"] == pytest.approx(np.mean([r.accuracy for r in one_shot]))
    assert row["difference"] == pytest.approx(row["one_shot_test_accuracy"] - row["stand_alone_test_accuracy"])
    assert (row["parameters"], row["macs"], row["latency_seconds"], row["seconds"]) == (1003, 30, 1e-3, 2.0)


def test_short_trainings_that_a_supernets_cost_does_not_pay_for_are_not_suggested(whole: Run) -> None:
    note = entry_of(whole)["notes"]["baselines.short_training"]
    assert "Not possible" in note
    assert "supernet" not in note.replace("one supernet", "")


def test_rivals_that_are_not_there_are_named_with_the_commands_that_bring_them(whole: Run) -> None:
    sizes = profiles(whole)
    cheap = {path: size.model_copy(update={"macs": 1}) for path, size in sizes.paths.items()}
    keep_profiles(whole, sizes.model_copy(update={"paths": cheap}))
    entry = entry_of(whole)
    by_name = {baseline["name"]: baseline for baseline in entry["baselines"]}
    assert by_name["synflow"]["kendall_tau"] is by_name["short_training"]["kendall_tau"] is None
    assert f"`{whole.command('evaluate')}`" in entry["notes"]["baselines.synflow"]
    assert f"`{whole.command('retrain', '--all', '--short')}`" in entry["notes"]["baselines.short_training"]
    assert entry["divergence"] is None


def test_short_trainings_and_synflow_stand_among_the_baselines_and_in_the_verdict(whole: Run, lab: Preset) -> None:
    exact, space = ladder(lab), SearchSpace.from_config(lab.space)
    for seed in (0, 1):
        for path, accuracy in exact.items():
            store_job(whole.alone_job(space.parse(path), seed, Way.SHORT), {path: accuracy})
    store_job(
        whole.alone_job(space.parse(names(lab)[0]), 2, Way.SHORT), {names(lab)[0]: 0.5}
    )  # a seed that lacks paths
    sizes = profiles(whole)
    grown = {path: size.model_copy(update={"synflow": -exact[path]}) for path, size in sizes.paths.items()}
    keep_profiles(whole, sizes.model_copy(update={"paths": grown}))
    entry = entry_of(whole)
    by_name = {baseline["name"]: baseline for baseline in entry["baselines"]}
    assert by_name["synflow"]["kendall_tau"] == pytest.approx(-1.0, abs=0.05)
    short = by_name["short_training"]
    assert len(short["per_seed"]) == 2
    assert short["kendall_tau"] == pytest.approx(1.0, abs=0.05)
    assert entry["cost"]["short_training"]["macs"] == 2 * 16 * (3 * 70_000 + 5000)
    assert entry["rows"][0]["synflow"] == -0.95
    assert "the best baseline, short training," in entry["verdict"]


def test_further_proxies_lengthen_the_list_of_baselines_and_change_no_expected_accuracy(
    whole: Run, lab: Preset
) -> None:
    exact, before = ladder(lab), entry_of(whole)
    sizes = profiles(whole)
    more = {path: {"naswot": 100 * accuracy, "gradient_norm": -accuracy} for path, accuracy in exact.items()}
    measured = {path: size.model_copy(update=more[path]) for path, size in sizes.paths.items()}
    keep_profiles(whole, sizes.model_copy(update={"paths": measured}))
    entry = entry_of(whole)
    by_name = {baseline["name"]: baseline for baseline in entry["baselines"]}
    assert by_name["naswot"]["kendall_tau"] == pytest.approx(1.0, abs=0.05)
    assert by_name["gradient_norm"]["kendall_tau"] == -by_name["naswot"]["kendall_tau"]
    assert by_name["gradient_norm"]["difference"]["mean"] > 1.5
    assert (entry["rows"][0]["naswot"], entry["rows"][0]["gradient_norm"]) == (95.0, -0.95)
    kept = [name for name in entry if name not in ("baselines", "rows", "notes", "answer", "verdict")]
    assert [entry[name] for name in kept] == [before[name] for name in kept]
    rows = [{**row, "naswot": None, "gradient_norm": None} for row in entry["rows"]]
    assert rows == before["rows"]


def test_a_proxy_that_has_no_finite_value_for_a_path_is_not_one_to_measure_again(whole: Run) -> None:
    sizes = profiles(whole)
    paths = {path: size.model_copy(update={"naswot": 1.0}) for path, size in sizes.paths.items()}
    first = next(iter(paths))
    keep_profiles(whole, sizes.model_copy(update={"paths": {**paths, first: sizes.paths[first]}}))
    assert entry_of(whole)["notes"]["baselines.naswot"] == f"Not measured yet: `{whole.command('evaluate')}`."
    singular = {first: paths[first].model_copy(update={"naswot": None})}
    keep_profiles(whole, sizes.model_copy(update={"paths": singular}))
    assert entry_of(whole)["notes"]["baselines.naswot"] == "Not finite for 1 path."


def test_costs_count_a_training_step_as_three_forward_passes(whole: Run) -> None:
    entry = entry_of(whole)
    assert entry["cost"] == {
        "training": {"forward_images": 2 * 5000, "macs": 2 * 3 * 70_000, "seconds": 2 * 2.0},
        "evaluation": {"forward_images": 2 * 400, "macs": 2 * 5000, "seconds": 2 * 0.5},
        "stand_alone": {"forward_images": 48 * 5000, "macs": 48 * 3 * 70_000, "seconds": 48 * 2.0},
        "short_training": {"forward_images": 0, "macs": 0, "seconds": 0.0},
    }
    assert entry["forward_images"] == 5000


def test_the_same_facts_give_the_same_document(whole: Run) -> None:
    assert compare([whole]) == compare([whole])


def test_a_reversed_ranking_is_negative(tmp_path: Path, lab: Preset) -> None:
    falling, rising = ladder(lab), dict(zip(names(lab), reversed(ladder(lab).values()), strict=True))
    entry = entry_of(store_run(tmp_path, lab, {0: scored(falling)}, {0: rising, 1: rising}))
    assert entry["kendall_tau"]["mean"] == pytest.approx(-1.0)
    assert entry["relabel_p"] == 1.0
    assert "does not agree with stand-alone training (τ = −1.00, one supernet)" in entry["verdict"]
    assert entry["answer"]["word"] == "do not trust"
    assert "agrees" not in entry["verdict"]
    assert "correlates" not in entry["verdict"]


def test_all_equal_accuracies_give_nulls_with_reasons(tmp_path: Path, lab: Preset) -> None:
    equal = dict.fromkeys(names(lab), 0.9)
    entry = entry_of(store_run(tmp_path, lab, {0: scored(ladder(lab))}, {0: equal, 1: equal}))
    assert entry["kendall_tau"]["mean"] is None
    assert "equal" in entry["notes"]["kendall_tau"]
    assert "τ cannot be computed" in entry["verdict"]
    for sheet in sheets(read(entry).runs[0]):
        assert sheet.rows


def test_a_supernet_whose_loss_is_no_number_is_left_out_of_tau(tmp_path: Path, lab: Preset) -> None:
    exact = ladder(lab)
    run = store_run(tmp_path, lab, {0: scored(exact), 1: scored(exact)}, {0: exact, 1: exact})
    path = run.folder / "results" / "evaluation.json"
    document = json.loads(path.read_text())
    for row in document["splits"]["validation"]:
        if (row["seed"], row["path"]) == (1, names(lab)[0]):
            row["loss"] = None
    path.write_text(json.dumps(document))
    entry = entry_of(run)
    assert entry["kendall_tau"]["per_seed"] == [pytest.approx(1.0), None]
    assert "Only 1 of 2" in entry["notes"]["kendall_tau"]
    assert entry["rows"][0]["one_shot_validation_loss"] is None


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_paths_rank_nothing(count: int, tmp_path: Path, lab: Preset) -> None:
    some = dict(list(ladder(lab).items())[:count])
    entry = entry_of(store_run(tmp_path, lab, {0: scored(ladder(lab))}, {0: some, 1: some}, how="named"))
    assert entry["n"] == count
    assert entry["coverage"] == "named"
    assert entry["kendall_tau"] == {"mean": None, "per_seed": [None], "low": None, "high": None}
    assert f"{count} of the 3 needed" in entry["notes"]["kendall_tau"]
    assert "chosen by name" in entry["verdict"]
    assert entry["answer"]["reason"] == f"Needs at least 10 paths trained from scratch; this comparison has {count}."
    assert [row["stand_alone_test_accuracy"] is None for row in entry["rows"]] == [False] * count + [True] * (
        16 - count
    )
    assert as_markdown(read(entry))


def test_one_stand_alone_seed_has_no_noise_to_tell(tmp_path: Path, lab: Preset) -> None:
    exact = ladder(lab)
    entry = entry_of(store_run(tmp_path, lab, {0: scored(exact)}, {0: exact}))
    assert entry["kendall_tau"]["mean"] == pytest.approx(1.0)
    nothing = ("seed_agreement", "tau_ceiling", "tau_corrected", "resolved_share", "resolved_gamma")
    assert {name: entry[name] for name in nothing} == dict.fromkeys(nothing)
    for name in set(nothing) - {"tau_corrected"}:
        assert entry["notes"][name], name
    assert "With only one stand-alone seed" in entry["verdict"]
    low, high = entry["regret_at_1_interval"]
    assert low <= entry["regret_at_1"] <= high


def test_the_four_paths_of_the_reference_prove_little(tmp_path: Path, tiny: Make) -> None:
    exact = ladder(tiny())
    entry = entry_of(store_run(tmp_path, tiny(), {0: scored(exact)}, {0: exact, 1: exact, 2: exact}))
    assert (entry["n"], entry["relabel_p"]) == (4, 0.25)
    assert entry["answer"]["word"] == "not enough evidence"
    for words in ("n = 4 paths", "τ = 1.00", "too small to judge a ranking", "1 time in 8"):
        assert words in entry["verdict"]


def test_every_result_counts_even_if_other_paths_lack_the_seed(whole: Run, lab: Preset) -> None:
    space = SearchSpace.from_config(lab.space)
    create_job(whole.alone_job(space.at(5), 3))
    store_job(whole.alone_job(space.at(6), 3), {str(space.at(6)): 0.9})
    entry = entry_of(whole)
    assert entry["stand_alone_seeds"] == [0, 1, 2]
    missing = {found["what"]: found["command"] for found in entry["missing"]}
    assert missing == {
        "1 of 50 stand-alone trainings not finished": whole.command("retrain", "--all", "--seeds", "3"),
        "1 stand-alone network not evaluated on the test images": whole.command("evaluate"),
    }
    answers = {(Way.ALONE, 3): {str(space.at(6)): np.arange(2000) % 10 > 0}}
    keep_scores(whole, "test", [score(str(space.at(6)), Way.ALONE, 3, 0.9, 0.1)], answers)
    more = entry_of(whole)
    assert (more["n"], more["stand_alone_seeds"]) == (16, [0, 1, 2, 3])
    assert [row["stand_alone_seeds"] for row in more["rows"]] == [4 if index == 6 else 3 for index in range(16)]
    assert [found["what"] for found in more["missing"]] == ["1 of 50 stand-alone trainings not finished"]
    before, after = entry["rows"][6], more["rows"][6]
    mean = (3 * before["stand_alone_test_accuracy"] + 0.9) / 4
    assert after["stand_alone_test_accuracy"] == pytest.approx(mean)
    assert more["seed_agreement"] == pytest.approx(entry["seed_agreement"])
    assert more["notes"]["seed_agreement"] == "From the 16 paths that share 3 seeds."
    assert more["resolved_pairs"] is not None


def test_paths_with_one_seed_and_paths_with_three_are_all_compared(tmp_path: Path, tiny: Make) -> None:
    kernels = [*KERNELS, "sep3x3", "sep5x5"]
    block = {"channels": 4, "pool": 1, "candidates": kernels}
    preset = tiny(space={"blocks": [block, block]})
    paths = names(preset)[:33]
    rng = np.random.default_rng(0)
    exact = dict(zip(names(preset), 0.95 - 0.01 * rng.permutation(36), strict=True))
    alone = {s: {p: exact[p] + 0.02 * rng.normal() for p in (paths[17:] if s else paths)} for s in (0, 1, 2)}
    entry = entry_of(store_run(tmp_path, preset, {0: scored(exact, 0.01), 1: scored(exact, 0.01, 1)}, alone))
    assert (entry["n"], entry["stand_alone_seeds"]) == (33, [0, 1, 2])
    assert [row["stand_alone_seeds"] for row in entry["rows"]] == [1] * 17 + [3] * 16 + [0] * 3
    assert entry["pairs"] == 33 * 32 // 2
    assert entry["mcnemar"]["pairs"] == 33 * 32 // 2
    for name in ("tau_ceiling", "seed_agreement", "resolved_pairs", "seed_sd", "regret_at_1", "regret_at_3"):
        assert entry[name] is not None, name
    assert entry["kendall_tau"]["mean"] > 0.6
    assert entry["tau_corrected"]["stand_alone"] > entry["kendall_tau"]["mean"]
    assert entry["audit"]["stand_alone"] is not None
    deviations = [row["stand_alone_sd"] for row in entry["rows"]]
    assert deviations[:17] == [None] * 17
    assert None not in deviations[17:33]
    of_three = [np.std([alone[s][p] for s in alone], ddof=1) for p in paths[17:]]
    assert entry["seed_sd"] == pytest.approx(math.sqrt(np.mean(np.square(of_three))))
    json.dumps(entry, allow_nan=False)
    assert sheets(read(entry).runs[0])


def test_a_path_that_diverged_is_dropped_and_not_the_seed_of_all_others(whole: Run, lab: Preset) -> None:
    space = SearchSpace.from_config(lab.space)
    job = whole.alone_job(space.at(2), 1)
    status = json.loads((job.path / "status.json").read_text())
    (job.path / "status.json").write_text(json.dumps(status | {"state": "diverged"}))
    path = whole.folder / "results" / "evaluation.json"
    document = json.loads(path.read_text())
    document["splits"]["test"] = [
        row
        for row in document["splits"]["test"]
        if (row["kind"], row["seed"], row["path"]) != ("stand-alone", 1, str(space.at(2)))
    ]
    path.write_text(json.dumps(document))
    entry = entry_of(whole)
    assert (entry["n"], entry["stand_alone_seeds"], entry["coverage"]) == (15, [0, 1, 2], "part")
    (told, unused) = entry["missing"]
    assert told == {
        "what": f"1 stand-alone training diverged and would diverge again: {space.at(2)} seed 1",
        "command": "",
        "begun": True,
    }
    assert "2 stand-alone results not used, because another seed of the path diverged" in unused["what"]
    assert "15 of 16 paths, those finished so far" in entry["verdict"]


def test_results_of_a_training_that_was_removed_count_no_more(whole: Run, lab: Preset) -> None:
    import shutil

    shutil.rmtree(whole.folder / "standalone" / names(lab)[4])
    entry = entry_of(whole)
    assert entry["n"] == 15
    assert entry["rows"][-1]["path"] == names(lab)[4]
    assert entry["rows"][-1]["stand_alone_test_accuracy"] is None
    assert [found["command"] for found in entry["missing"]] == [whole.command("retrain", "--all")]


def test_judging_after_training_is_part_of_the_cost(whole: Run) -> None:
    before = entry_of(whole)["cost"]["evaluation"]
    for split, seed in (("validation", 0), ("validation", 0), ("validation", 9), ("test", 0)):
        cost = JudgingCost(split=split, seed=seed, forward_images=100, macs=1000, seconds=0.25)
        keep_scores(whole, split, [], {}, cost)
    after = entry_of(whole)["cost"]["evaluation"]
    added = {key: after[key] - before[key] for key in after}
    assert added == {"forward_images": 200, "macs": 2000, "seconds": 0.5}


def test_scores_of_training_count_where_nothing_was_judged_on_validation(whole: Run) -> None:
    path = whole.folder / "results" / "evaluation.json"
    document = json.loads(path.read_text())
    del document["splits"]["validation"]
    path.write_text(json.dumps(document))
    facts = gather(whole)
    first = names(whole.preset())[0]
    assert facts.one_shot[0][first].accuracy == pytest.approx(0.95)
    assert math.isfinite(facts.truth.validation.sum())
