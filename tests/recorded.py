"""Runs as a training would have left them, made from records: the same bytes each time but for the owner's process."""

from __future__ import annotations

import json
import math
import os
import random
import socket
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from helpers import store_run

from supernet_cli.config.load import dump_toml, validate
from supernet_cli.reports.compare import compare
from supernet_cli.space import SearchSpace
from supernet_cli.store.job import JobStatus
from supernet_cli.store.records import (
    DevicesSampled,
    Gpu,
    JobEnded,
    JobStarted,
    PathScore,
    PathsEvaluated,
    Record,
    StepsTrained,
    encode,
)
from supernet_cli.store.runs import FORMAT
from supernet_cli.store.state import State

BEGIN = 1_795_503_600.0
"""When every recorded run was begun: 2026-11-24, 03:00 UTC."""

STEPS_AN_EPOCH = 234
_GOOD = {"conv5x5": 0.004, "conv3x3": 0.002, "conv7x7": 0.003, "conv1x1": -0.02, "identity": -0.05}


def record_run(
    runs_dir: Path,
    name: str = "20261124-030000-default",
    *,
    preset: str = "default",
    state: str = State.RUNNING,
    epochs: int = 10,
    done: float = 4.4,
    blocks: Sequence[Sequence[str]] = (("conv3x3", "conv5x5"), ("conv3x3", "conv5x5")),
    judged: int = 256,
    seeds: Sequence[int] = (0,),
    cores: int = 2,
    gpus: int = 0,
    created: float = BEGIN,
    reason: str = "",
    noise: int = 0,
) -> Path:
    """Write a run.

    Args:
        runs_dir: Where runs live.
        name: Its id.
        preset: Name of its preset.
        state: What its last supernet is; those before are finished.
        epochs: Epochs of a supernet.
        done: Epochs that its last supernet has done.
        blocks: Candidates of each block.
        judged: How many paths are judged after an epoch.
        seeds: One supernet each.
        cores: Cores of the host.
        gpus: GPUs of the host.
        created: When it was begun.
        reason: Why it ended.
        noise: Makes another training of the same kind.
    """
    folder = runs_dir / name
    folder.mkdir(parents=True)
    config = {
        "space": {"hidden": 64, "blocks": [{"channels": 8, "pool": 1, "candidates": list(b)} for b in blocks]},
        "train": {"epochs": epochs, "seeds": list(seeds)},
    }
    resolved = validate(config, Path("preset.toml"))
    (folder / "preset.toml").write_text(dump_toml(resolved))
    manifest = {
        "product": "supernet",
        "format": FORMAT,
        "id": name,
        "preset": preset,
        "created": created,
        "fingerprints": {},
        "versions": {},
        "host": "workshop",
    }
    (folder / "run.json").write_text(json.dumps(manifest))
    space = SearchSpace.from_config(resolved.space)
    paths = [str(path) for path in space.sample_distinct(judged, random.Random(7))]
    for position, seed in enumerate(seeds):
        last = position == len(seeds) - 1
        records = train(paths, space.size, epochs, done if last else epochs, seed + 10 * noise, created)
        write_job(folder / "supernet" / f"seed-{seed}", records, state if last else "finished", reason)
    write_lines(folder / "devices-0.jsonl", [sample(second, cores, gpus, created) for second in range(120)])
    return folder


def train(paths: Sequence[str], size: int, epochs: int, done: float, seed: int, begin: float) -> list[Record]:
    """Return what a supernet of these paths reports until it has done so many epochs."""
    rng = random.Random(seed)
    steps, end = STEPS_AN_EPOCH * epochs, round(STEPS_AN_EPOCH * done)
    records: list[Record] = [started(0, steps, epochs, size, begin)] if done >= 0 else []
    for step in range(1, end + 1):
        epoch = -(-step // STEPS_AN_EPOCH)
        if step % 20 == 0 or step % STEPS_AN_EPOCH == 0:
            loss = (0.025 + 2.3 * math.exp(-step / 60) + 0.35 * math.exp(-step / 500)) * rng.lognormvariate(0, 0.22)
            records.append(trained(step, epoch, loss, begin))
        if step % STEPS_AN_EPOCH == 0:
            scores = tuple(score(path, epoch, rng) for path in paths)
            when = begin + step * 0.035 + epoch
            records.append(PathsEvaluated(time=when, step=step, epoch=epoch, seconds=1.0, scores=scores))
    return records


def started(step: int, steps: int, epochs: int, paths: int, begin: float) -> JobStarted:
    return JobStarted(
        time=begin,
        step=step,
        steps=steps,
        epochs=epochs,
        paths=paths,
        train_images=55_000,
        validation_images=5_000,
        device="cpu",
        threads=2,
    )


def trained(step: int, epoch: int, loss: float | None, begin: float) -> StepsTrained:
    return StepsTrained(
        time=begin + step * 0.035 + epoch - 1,
        step=step,
        epoch=epoch,
        objective=loss,
        loss=loss,
        learning_rate=0.004,
        forward_images=256 * step,
        seconds=step * 0.035,
    )


def score(path: str, epoch: int, rng: random.Random) -> PathScore:
    worth = sum(_GOOD.get(label, 0.0) / (1 + block) for block, label in enumerate(path.split("_")))
    error = max(0.002, (0.03 * math.exp(-epoch / 3) + 0.012 - worth) * rng.uniform(0.9, 1.1))
    return PathScore(path=path, accuracy=1 - error, loss=3.2 * error, trained_images=epoch * 13_000 + len(path) * 97)


def write_job(folder: Path, records: Sequence[Record], state: str, reason: str = "") -> None:
    """Write a job's folder; one that is alive belongs to this process."""
    folder.mkdir(parents=True)
    steps = [record for record in records if isinstance(record, StepsTrained)]
    begun = [record for record in records if isinstance(record, JobStarted)]
    if not (State(state).is_alive or state in (State.CREATED, State.LOST, State.INTERRUPTED)) and steps:
        records = [*records, JobEnded(time=steps[-1].time, step=steps[-1].step, state=State(state), reason=reason)]
    write_lines(folder / "metrics-0.jsonl", records if state != "created" else [])
    me = psutil.Process()
    alive = State(state).is_alive
    status = JobStatus(
        state=State.RUNNING if state in (State.LOST, State.INTERRUPTED) else State(state),
        reason=reason,
        pid=me.pid if alive else 0,
        process_started=me.create_time() if alive else 0.0,
        host="elsewhere" if state == "lost" else socket.gethostname(),
        heartbeat=BEGIN,
        step=steps[-1].step if steps else 0,
        steps=begun[0].steps if begun else 0,
        threads=2,
        seconds=steps[-1].seconds if steps else 0.0,
    )
    (folder / "status.json").write_text(
        status.model_dump_json() if state != "created" else JobStatus().model_dump_json()
    )
    lines = ["2026-11-24 03:00:01,204 INFO seed 0: from step 0 of 2340"]
    for record in records:
        if isinstance(record, PathsEvaluated):
            best = max(record.scores, key=lambda score: score.accuracy)
            lines.append(
                f"2026-11-24 03:{record.epoch:02}:09,117 INFO seed 0 epoch {record.epoch}: best path {best.path}, "
                f"accuracy {best.accuracy:.4f}"
            )
    if reason:
        lines.append(f"2026-11-24 03:59:09,117 ERROR {reason}")
    (folder / "log.txt").write_text("\n".join(lines) + "\n" if state != "created" else "")


def record_stand_alone(run: Path, path: str, seed: int, state: str, accuracy: float, kind: str = "standalone") -> None:
    """Add a path that is trained alone."""
    steps = 936
    end = steps if state == "finished" else 340
    records: list[Record] = [started(0, steps, 4, 1, BEGIN)]
    records += [trained(step, 1 + step // 234, 0.1, BEGIN) for step in range(20, end + 1, 20)]
    scores = (PathScore(path=path, accuracy=accuracy, loss=0.03, trained_images=220_000),)
    if state == "finished":
        records.append(PathsEvaluated(time=BEGIN + 60, step=steps, epoch=4, seconds=1.0, scores=scores))
    write_job(run / kind / path / f"seed-{seed}", records if state != "created" else [], state)


def sample(second: int, cores: int, gpus: int, begin: float) -> DevicesSampled:
    return DevicesSampled(
        time=begin + second,
        cores=tuple(max(0.0, min(100.0, 88 + 11 * math.sin(second / 5 + core))) for core in range(cores)),
        memory_used_bytes=int((2.1 + second / 1000) * 2**30),
        memory_total_bytes=23 * 2**30,
        process_memory_bytes=int(1.1 * 2**30),
        gpus=tuple(
            Gpu(
                name="NVIDIA H100 80GB HBM3",
                utilisation=95 + 4 * math.sin(second / 3 + number),
                memory_used_bytes=12 * 2**30,
                memory_total_bytes=80 * 2**30,
                temperature_celsius=61.0 if number == 0 else None,
                power_watts=312.0 if number == 0 else None,
            )
            for number in range(gpus)
        ),
    )


def write_lines(path: Path, records: Sequence[Record]) -> None:
    path.write_text("".join(encode(record) + "\n" for record in records))


KERNELS = ("conv1x1", "conv3x3", "conv5x5", "conv7x7")

_NEWER = ("answer", "decision", "kendall_tau_expected", "at_equal_macs", "space_size", "coverage")
"""Fields that the first versions did not write."""


def record_comparison(run: Path, kernels: Sequence[str] = KERNELS, seeds: int = 3, newest: bool = True) -> None:
    """Store with a run what `supernet compare` finds for another one: two blocks of some kernels.

    Args:
        run: Where to store it.
        kernels: Candidates of both blocks.
        seeds: Of the supernets and of the stand-alone trainings.
        newest: Whether this version stored it; the first ones wrote less.
    """
    block = {"channels": 8, "pool": 1, "candidates": list(kernels)}
    preset = validate(
        {"space": {"hidden": 64, "blocks": [block, block]}, "retrain": {"seeds": list(range(seeds))}}, Path("x.toml")
    )
    rng, paths = random.Random(3), [str(path) for path in SearchSpace.from_config(preset.space).enumerate()]
    worth = {path: 0.985 + 0.009 * place / len(paths) + rng.gauss(0, 0.0006) for place, path in enumerate(paths)}

    def seen(noise: float) -> dict[str, float]:
        return {path: min(1.0, accuracy + rng.gauss(0, noise)) for path, accuracy in worth.items()}

    shared = {seed: {path: (found, 1.1 - found) for path, found in seen(0.002).items()} for seed in range(seeds)}
    with TemporaryDirectory() as place:
        stored = store_run(Path(place), preset, shared, {seed: seen(0.0006) for seed in range(seeds)}, images=2000)
        document = compare([stored]).document()
        text = json.dumps(document if newest else _aged(document))
        for old, new in ((f" --runs-dir {place}", ""), (str(stored.folder), str(run)), (stored.id, run.name)):
            text = text.replace(old, new)
    (run / "results").mkdir(exist_ok=True)
    (run / "results" / "comparison.json").write_text(text)


def _aged(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document as a first version would have stored it."""
    (run,) = document["runs"]
    rows = [{name: value for name, value in row.items() if "expected" not in name} for row in run["rows"]]
    return {"runs": [{name: value for name, value in run.items() if name not in _NEWER} | {"rows": rows}]}


def grow(run: Path, step: int, loss: float = 0.05, key: str = "supernet/seed-0") -> None:
    """Let a job report one more step."""
    with (run / key / "metrics-0.jsonl").open("a") as file:
        file.write(encode(trained(step, 1 + step // STEPS_AN_EPOCH, loss, BEGIN)) + "\n")


def stamp_all(folder: Path, moment: float) -> None:
    """Give every file of a folder the same time."""
    for path in folder.rglob("*"):
        os.utime(path, (moment, moment))
