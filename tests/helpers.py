"""Small things that several test modules build."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from supernet_cli.config.schema import Preset
from supernet_cli.config.space import Space
from supernet_cli.sampling import Context
from supernet_cli.space import PathCosts, SearchSpace
from supernet_cli.store.fingerprints import conditions
from supernet_cli.store.job import JobFolder, JobWriter
from supernet_cli.store.layout import Way
from supernet_cli.store.records import (
    JobEnded,
    JobStarted,
    PathScore,
    PathsEvaluated,
    Record,
    StepsTrained,
    decode,
)
from supernet_cli.store.results import (
    PathProfile,
    Profiles,
    ScoreRow,
    Selection,
    keep_profiles,
    keep_scores,
    keep_selection,
)
from supernet_cli.store.run import Run
from supernet_cli.store.runs import create_run

PATIENCE = 300.0
"""Seconds to wait for another process: for slow instruction sets, one core, and machines that do much else."""

TWO = ["conv3x3", "conv5x5"]

STUDY = Path(__file__).resolve().parents[1] / "docs" / "study"
"""The scripts and results of the study."""


def study_script(name: str) -> ModuleType:
    """Import one of the study's scripts, which import each other as in a run of their own."""
    sys.path.insert(0, str(STUDY))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(STUDY))


def space_of(*blocks: list[str], channels: int = 32, pool: int = 2) -> SearchSpace:
    """Return a space with these candidates in its blocks."""
    table = [{"channels": channels, "pool": pool, "candidates": block} for block in blocks]
    return SearchSpace.from_config(Space.model_validate({"hidden": 16, "blocks": table}))


def context_of(space: SearchSpace, images: int = 600, batch_size: int = 10, epochs: int = 1) -> Context:
    """Return a training whose candidates cost more the later they stand in their block."""
    costs = tuple(tuple(10 * (choice + 1) for choice in range(len(block.candidates))) for block in space.blocks)
    return Context(epochs, images, batch_size, PathCosts(costs, 1))


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


def program(*arguments: object, cwd: Path, ignoring: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start the program as a process of its own, with signals as a shell sets them, whatever they are here."""
    return start("-m", "supernet_cli", *arguments, cwd=cwd, ignoring=ignoring)


def start(*arguments: object, cwd: Path, ignoring: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start Python as a process of its own, with signals as a shell sets them, whatever they are here."""

    def set_signals() -> None:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            signal.signal(getattr(signal, name), signal.SIG_IGN if name in ignoring else signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        preexec_fn=set_signals,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def records_of(job: JobFolder) -> list[Record]:
    """Return the records of all segments, in order of their numbers."""
    files = sorted(job.path.glob("metrics-*.jsonl"), key=lambda path: int(path.stem.removeprefix("metrics-")))
    records = [decode(line) for file in files for line in file.read_bytes().splitlines()]
    return [record for record in records if record is not None]


def store_run(
    folder: Path,
    preset: Preset,
    one_shot: Mapping[int, Mapping[str, tuple[float, float]]],
    alone: Mapping[int, Mapping[str, float]],
    images: int = 400,
    how: Literal["all", "top", "sample", "named"] = "all",
    name: str = "stored",
) -> Run:
    """Write a run as if it had been trained and judged.

    Args:
        folder: The runs directory.
        preset: Its preset.
        one_shot: By supernet seed and path, accuracy and loss, on validation and on test alike.
        alone: By seed and path, accuracy of training alone, on validation and on test alike.
        images: Test images; which are right is drawn by the accuracy.
        how: How the paths trained alone were chosen.
        name: The preset's name.
    """
    import numpy as np

    run = create_run(folder, name, preset)
    space = SearchSpace.from_config(preset.space)
    rng = np.random.default_rng(0)
    for seed, paths in one_shot.items():
        store_job(run.supernet_job(seed), {path: found[0] for path, found in paths.items()})
        rows = [score(path, Way.ONE_SHOT, seed, *found) for path, found in paths.items()]
        for split in ("test", "validation"):
            keep_scores(run, split, rows, {})  # type: ignore[arg-type]
    for seed, accuracies in alone.items():
        for path, accuracy in accuracies.items():
            store_job(run.alone_job(space.parse(path), seed), {path: accuracy})
        answers = {path: rng.random(images) < accuracy for path, accuracy in accuracies.items()}
        rows = [score(path, Way.ALONE, seed, accuracy, 1 - accuracy) for path, accuracy in accuracies.items()]
        keep_scores(run, "test", rows, {(Way.ALONE, seed): answers})
    sizes = {
        str(path): PathProfile(
            parameters=1000 + space.index(path),
            macs=10 * space.index(path),
            latency_seconds=1e-3,
            latency_batch_seconds=1e-2,
        )
        for path in space.enumerate()
    }
    keep_profiles(run, Profiles(device="cpu", threads=1, batch=250, paths=sizes))
    if alone:
        everything = tuple(dict.fromkeys(path for paths in alone.values() for path in paths))
        keep_selection(run, Selection(how=how, init=Way.ALONE, paths=everything, at_random=how == "sample"))
    return run


def store_job(job: JobFolder, accuracies: Mapping[str, float]) -> None:
    """Write a finished job of 100 steps that judged these paths in the end."""
    with JobWriter(job) as writer:
        for record in (
            JobStarted(
                step=0, steps=100, epochs=1, paths=4, train_images=500, validation_images=100, device="cpu", threads=1
            ),
            StepsTrained(
                step=100,
                epoch=1,
                objective=1.0,
                loss=0.5,
                learning_rate=0.1,
                forward_images=5000,
                macs=70_000,
                seconds=2.0,
            ),
            PathsEvaluated(
                step=100,
                epoch=1,
                seconds=0.5,
                forward_images=400,
                macs=5000,
                scores=tuple(PathScore(path=p, accuracy=a, loss=1 - a) for p, a in accuracies.items()),
            ),
            JobEnded(step=100, state="finished"),
        ):
            writer.record(record)
    job.weights.write_bytes(b"weights")


def table_of(preset: Preset, name: str = "tiny", lengths: Sequence[int] = (3,)) -> dict[str, Any]:
    """Return a benchmark table of a preset, with made-up figures: later paths are better, and larger.

    Args:
        preset: The preset; its name is also the table's.
        name: The table's name.
        lengths: Epochs of the recorded supernets: five of `uniform` each, and three of `sandwich`, which rank worse.
    """
    import numpy as np

    space, rng = SearchSpace.from_config(preset.space), np.random.default_rng(0)
    count = space.size
    good = np.linspace(0.5, 0.9, count)

    def accuracies(seeds: int) -> list[list[float]]:
        return np.round(good[:, None] + rng.normal(0, 0.01, (count, seeds)), 4).tolist()

    def supernets(strategy: str, epochs: int, seeds: int, noise: float) -> dict[str, Any]:
        return {
            "name": f"{strategy}-{epochs}",
            "strategy": {"name": strategy},
            "epochs": epochs,
            "seeds": list(range(seeds)),
            "loss": np.round(1 - good + rng.normal(0, noise, (seeds, count)), 6).tolist(),
            "training_macs": 1000 * seeds * epochs,
            "evaluation_macs": 500 * seeds,
        }

    kinds = [
        s for length in lengths for s in (supernets("uniform", length, 5, 0.1), supernets("sandwich", length, 3, 1))
    ]
    truths = [
        {
            "epochs": epochs,
            "seeds": [0, 1, 2],
            "macs": 3000 * count * epochs,
            "validation": accuracies(3),
            "test": accuracies(3),
        }
        for epochs in (3, 1)
    ]
    paths = {
        "-".join(map(str, path.choices)): {
            "validation": truths[0]["validation"][index],
            "test": truths[0]["test"][index],
            "macs": 1000 + index,
            "parameters": 500 + 7 * index,
            "scores": {"synflow": float(index)}
            | {kind["name"]: -float(np.mean([row[index] for row in kind["loss"]])) for kind in kinds},
        }
        for index, path in enumerate(space.enumerate())
    }
    return {
        "name": name,
        "preset": name,
        "settings": {"train.evaluate_every": 100},
        "conditions": conditions(preset),
        "decisions": [list(block.labels) for block in space.blocks],
        "paths": paths,
        "truths": truths,
        "supernets": kinds,
    }


def score(path: str, kind: Way, seed: int, accuracy: float, loss: float) -> ScoreRow:
    """Return a row of evaluation.json."""
    return ScoreRow(path=path, kind=kind, seed=seed, accuracy=accuracy, loss=loss, accuracy_unrecalibrated=accuracy)
