"""Batch normalisation through the commands: inherited paths are recalibrated, paths trained alone have their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from helpers import only_run

from supernet_cli.config.load import dump_toml
from supernet_cli.config.schema import Preset

SPACE = {
    "hidden": 8,
    "norm": "batch",
    "stem": {"channels": 3},
    "blocks": [
        {"channels": 3, "pool": 2, "residual": True, "candidates": ["conv3x3", "identity"]},
        {"channels": 4, "pool": 2, "candidates": ["sep3x3"]},
    ],
}


def test_results_hold_both_accuracies_and_training_and_judging_agree(
    supernet: Callable[..., tuple[int, str, str]], tiny: Callable[..., Preset], tmp_path: Path
) -> None:
    preset = tiny(space=SPACE, train={"epochs": 1, "sampler": {"name": "path-dropout", "ghost": 2}})
    (tmp_path / "mine.toml").write_text(dump_toml(preset))
    assert supernet("train", "--preset", "mine.toml", "--quiet")[0] == 0
    assert supernet("retrain", "--all", "--seeds", "0", "--quiet")[0] == 0
    code, out, _ = supernet("evaluate", "--split", "validation", "--json")
    assert code == 0
    rows = json.loads(out)["paths"]
    shared = {row["path"]: row for row in rows if row["kind"] == "one-shot"}
    alone = [row for row in rows if row["kind"] == "stand-alone"]
    assert len(shared) == len(alone) == 2
    assert any(row["accuracy"] != row["accuracy_unrecalibrated"] for row in shared.values())
    assert all(row["accuracy"] == row["accuracy_unrecalibrated"] for row in alone)

    job = only_run(tmp_path) / "supernet" / "seed-0"
    records = [json.loads(line) for line in (job / "metrics-0.jsonl").read_text().splitlines()]
    judged = [record for record in records if record["kind"] == "evaluation"][-1]
    for score in judged["scores"]:
        names = ("accuracy", "loss", "accuracy_unrecalibrated", "divergence")
        assert [score[name] for name in names] == [shared[score["path"]][name] for name in names]
    assert all(score["divergence"] > 0 for score in judged["scores"])  # path-dropout trains the undropped network
    assert set(judged["strategy"]) == {"nominal_rate", "effective_rate", "single_paths_expected", "single_paths"}
    assert "effective_rate" in (job / "log.txt").read_text()
