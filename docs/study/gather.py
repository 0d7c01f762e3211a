"""Take what the study needs out of its runs.

    python docs/study/gather.py FOLDER_OF_THE_RUNS

Writes lab/data.json and lab/correct-<epochs>.npz beside itself; nothing is computed but sums. `figures.py` reads them.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from supernet_cli.reports.cost import evaluation_cost, training_cost
from supernet_cli.reports.facts import gather
from supernet_cli.reports.scores import BySeed, scores
from supernet_cli.space import SearchSpace
from supernet_cli.store.layout import Way
from supernet_cli.store.results import correct, evaluation, profiles, selections
from supernet_cli.store.run import Run
from supernet_cli.store.runs import find_run

HERE = Path(__file__).parent / "lab"


def main(folder: Path) -> None:
    """Gather from the runs that names.txt in their folder lists."""
    lines = [line.split() for line in (folder / "names.txt").read_text().splitlines()]
    runs = {words[0]: find_run(folder, words[1]) for words in lines if words[0].rpartition("-")[2].isdecimal()}
    space = SearchSpace.from_config(next(iter(runs.values())).preset().space)
    paths = [str(path) for path in space.enumerate()]
    truths = {name.removeprefix("truth-"): run for name, run in runs.items() if name.startswith("truth-")}
    document: dict[str, Any] = {
        "blocks": [block.labels for block in space.blocks],
        "paths": paths,
        "choices": [path.choices for path in space.enumerate()],
        "profile": _profile(truths["1"], paths),
        "truth": {epochs: _truth(run, paths, epochs) for epochs, run in truths.items()},
        "supernets": [_supernets(name, run, paths) for name, run in runs.items() if not name.startswith("truth-")],
        "short": [_short(name, run, paths) for name, run in runs.items() if run.alone_jobs(Way.SHORT)],
    }
    text = ",\n".join(f'"{key}": {json.dumps(value, separators=(",", ":"))}' for key, value in document.items())
    (HERE / "data.json").write_text(f"{{\n{text}\n}}\n")


def _profile(run: Run, paths: list[str]) -> dict[str, list[float]]:
    known = profiles(run).paths
    return {name: [getattr(known[path], name) for path in paths] for name in ("parameters", "macs", "synflow")}


def _truth(run: Run, paths: list[str], epochs: str) -> dict[str, Any]:
    found = gather(run).truth
    assert [str(path) for path in found.paths] == paths
    bits = [correct(run, "test", Way.ALONE, seed) for seed in found.seeds]
    answers = np.array([[by_path[path] for path in paths] for by_path in bits])
    np.savez_compressed(HERE / f"correct-{epochs}.npz", bits=np.packbits(answers, axis=2), images=answers.shape[2])
    return {
        "seeds": found.seeds,
        "test": np.round(found.test, 6).tolist(),
        "validation": np.round(found.validation, 6).tolist(),
        "cost": asdict(found.cost),
    }


def _supernets(name: str, run: Run, paths: list[str]) -> dict[str, Any]:
    stored, preset = evaluation(run), run.preset()
    rows = scores(run, stored, "validation", Way.ONE_SHOT)
    snapshots = [job.snapshot()[0] for job in run.supernet_jobs()]
    diverging = all(row.divergence is not None for by_path in rows.values() for row in by_path.values())
    return {
        "name": name,
        "sampler": preset.train.sampler.name,
        "parameters": preset.train.sampler.parameters,
        "epochs": preset.train.epochs,
        "steps": snapshots[0].steps,
        "seeds": sorted(rows),
        **_table(rows, paths, ("loss", "accuracy", "accuracy_unrecalibrated")),
        **(_table(rows, paths, ("divergence",)) if diverging else {}),
        "training": asdict(training_cost(snapshots)),
        "evaluation": asdict(evaluation_cost(snapshots)),
    }


def _short(name: str, run: Run, paths: list[str]) -> dict[str, Any]:
    rows = scores(run, evaluation(run), "validation", Way.SHORT)
    snapshots = [job.snapshot()[0] for job in run.alone_jobs(Way.SHORT)]
    (chosen,) = [selection for selection in selections(run) if selection.init is Way.SHORT]
    return {
        "of": name,
        "steps": chosen.steps,
        "seeds": sorted(rows),
        **_table(rows, paths, ("loss", "accuracy")),
        "cost": asdict(training_cost(snapshots) + evaluation_cost(snapshots)),
    }


def _table(rows: BySeed, paths: list[str], names: tuple[str, ...]) -> dict[str, Any]:
    """Return figures as lists, a row a seed in order, a column a path."""
    return {
        name: [[round(getattr(rows[seed][path], name), 6) for path in paths] for seed in sorted(rows)] for name in names
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
