"""The study's results: taken out of runs by `store`, one file per kind beside this file, and read by `load`.

Nothing is computed here but sums.
"""

from __future__ import annotations

import json
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

HERE = Path(__file__).parent
PROXIES = ("parameters", "macs", "synflow", "naswot", "gradient_norm")


def stored_seeds(space: str, name: str) -> list[int]:
    """Return the seeds of a kind whose results are there."""
    part = _read(HERE / space / f"{name}.json")
    return next((list(part[what]["seeds"]) for what in ("truth", "supernets") if what in part), [0] if part else [])


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text()) if file.exists() else {}


def load(space: str) -> dict[str, Any]:
    """Return everything that is stored of a space.

    Returns:
        `blocks` (labels of their candidates), `paths`, `choices` (n, blocks), `profile` (by proxy, (n,)), `truth` (by
        epochs), `supernets` and `short` (lists).
    """
    parts = {file.stem: json.loads(file.read_text()) for file in sorted((HERE / space).glob("*.json"))}
    supernets = [part["supernets"] for part in parts.values() if "supernets" in part]
    return {
        **parts["space"],
        "truth": {name.partition("-")[2]: part["truth"] for name, part in parts.items() if "truth" in part},
        "supernets": supernets,
        "short": [part["short"] for part in parts.values() if "short" in part],
    }


def store(space: str, name: str, run: Run) -> None:
    """Store a run's results as those of a kind, beside those of other seeds.

    Args:
        space: The space's folder.
        name: The kind's name: `space` stores what its paths are, `truth-N` a ground truth of N epochs, and everything
            else supernets.
        run: A finished run.
    """
    folder = HERE / space
    folder.mkdir(exist_ok=True)
    searched = SearchSpace.from_config(run.preset().space)
    paths = [str(path) for path in searched.enumerate()]
    if name == "space":
        choices = [path.choices for path in searched.enumerate()]
        blocks = [block.labels for block in searched.blocks]
        part = {"blocks": blocks, "paths": paths, "choices": choices, "profile": _profile(run, paths)}
    elif name.startswith("truth-"):
        part = {"truth": _truth(run, folder / f"correct-{name.partition('-')[2]}.npz")}
    else:
        part = {"supernets": _supernets(name, run, paths)}
        if run.alone_jobs(Way.SHORT):
            part["short"] = _short(name, run, paths)
    file = folder / f"{name}.json"
    before = _read(file)
    _write(file, {what: _joined(before[what], found) if what in before else found for what, found in part.items()})


def _joined(before: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return results of one kind and of further seeds of it together."""
    if "seeds" not in found:
        return found
    if again := set(before["seeds"]) & set(found["seeds"]):
        raise ValueError(f"seeds {sorted(again)} are stored already; delete their file to replace them")
    joined: dict[str, Any] = {}
    for key, value in found.items():
        if key in _COSTS:
            joined[key] = {each: before[key][each] + value[each] for each in value}
        elif key in ("test", "validation"):
            joined[key] = np.hstack([before[key], value]).tolist()
        elif key in _ROWS or key == "seeds":
            joined[key] = [*before[key], *value]
        else:
            assert before[key] == value, f"{key} differs: {before[key]} and {value}"
            joined[key] = value
    return joined


_COSTS = ("cost", "training", "evaluation")
_ROWS = ("loss", "accuracy", "accuracy_unrecalibrated", "divergence")


def _write(file: Path, part: dict[str, Any]) -> None:
    """Write a document, one line per key of its parts."""
    lines = []
    for key, value in part.items():
        inner = value if isinstance(value, dict) else None
        if inner is None:
            lines.append(f'"{key}": {_text(value)}')
        else:
            body = ",\n".join(f'  "{name}": {_text(each)}' for name, each in inner.items())
            lines.append(f'"{key}": {{\n{body}\n}}')
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _profile(run: Run, paths: list[str]) -> dict[str, list[float]]:
    known = profiles(run).paths
    return {name: [round(getattr(known[path], name), 6) for path in paths] for name in PROXIES}


def _truth(run: Run, answers_file: Path) -> dict[str, Any]:
    found = gather(run).truth
    paths = [str(path) for path in found.paths]
    complete = np.isfinite(found.test).all(axis=0)
    seeds = [seed for seed, whole in zip(found.seeds, complete, strict=True) if whole]
    bits = [correct(run, "test", Way.ALONE, seed) for seed in seeds]
    answers = np.array([[by_path[path] for path in paths] for by_path in bits])
    packed = np.packbits(answers, axis=2)
    if answers_file.exists():
        with np.load(answers_file) as stored:
            packed = np.concatenate([stored["bits"], packed])
    np.savez_compressed(answers_file, bits=packed, images=answers.shape[2])
    return {
        "paths": paths,
        "seeds": seeds,
        "test": np.round(found.test[:, complete], 6).tolist(),
        "validation": np.round(found.validation[:, complete], 6).tolist(),
        "cost": asdict(found.cost),
    }


def _supernets(name: str, run: Run, paths: list[str]) -> dict[str, Any]:
    preset = run.preset()
    rows = scores(run, evaluation(run), "validation", Way.ONE_SHOT)
    snapshots = [job.snapshot()[0] for job in run.supernet_jobs()]
    diverging = all(row.divergence is not None for by_path in rows.values() for row in by_path.values())
    twice = all(row.accuracy_unrecalibrated is not None for by_path in rows.values() for row in by_path.values())
    further = [*(["accuracy_unrecalibrated"] if twice else []), *(["divergence"] if diverging else [])]
    return {
        "name": name,
        "sampler": preset.train.sampler.name,
        "parameters": preset.train.sampler.parameters,
        "epochs": preset.train.epochs,
        "steps": snapshots[0].steps,
        "seeds": sorted(rows),
        **_table(rows, paths, ["loss", "accuracy", *further]),
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
        **_table(rows, paths, ["loss", "accuracy"]),
        "cost": asdict(training_cost(snapshots) + evaluation_cost(snapshots)),
    }


def _table(rows: BySeed, paths: list[str], names: list[str]) -> dict[str, Any]:
    """Return figures as lists, a row a seed in order, a column a path."""
    return {
        name: [[round(getattr(rows[seed][path], name), 6) for path in paths] for seed in sorted(rows)] for name in names
    }
