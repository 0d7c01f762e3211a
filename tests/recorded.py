"""Runs as a training would have left them, made from records: the same bytes each time but for the owner's process."""

from __future__ import annotations

import json
import math
import os
import random
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from supernet_cli.config.load import dump_toml, validate
from supernet_cli.runs.job import JobStatus
from supernet_cli.runs.records import (
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
from supernet_cli.runs.state import State
from supernet_cli.runs.store import FORMAT
from supernet_cli.space import SearchSpace

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


def record_comparison(run: Path, paths: int = 4, full: bool = True) -> None:
    """Store what `supernet compare` finds; with nothing but what a single seed can give where it is not full."""
    rng = random.Random(3)
    names = (
        sorted(f"conv{a}x{a}_conv{b}x{b}" for a in range(1, 200, 2) for b in (3, 5))[:paths]
        if paths > 4
        else ["conv3x3_conv3x3", "conv3x3_conv5x5", "conv5x5_conv3x3", "conv5x5_conv5x5"]
    )
    rows: list[dict[str, Any]] = []
    for place, name in enumerate(names):
        alone = 0.985 + 0.009 * place / len(names) + rng.gauss(0, 0.0006)
        shot = 0.98 + 0.012 * place / len(names) + rng.gauss(0, 0.001)
        rows.append(
            {
                "path": name,
                "one_shot_validation_loss": 1.1 - shot,
                "one_shot_validation_accuracy": shot,
                "one_shot_test_accuracy": shot + 0.0005,
                "stand_alone_test_accuracy": alone,
                "stand_alone_sd": 0.0004 if full else None,
                "stand_alone_test_loss": 1.05 - alone,
                "difference": alone - shot,
                "parameters": 30_000 + 9000 * place,
                "macs": 4_000_000 + 900_000 * place,
                "latency_seconds": 0.002 if full else None,
                "seconds": 41.0,
            }
            | ({"expected_accuracy": alone, "expected_error": 0.0005} if full else {})
        )
    document = {
        "runs": [
            {
                "run": run.name,
                "n": len(rows),
                "supernet_seeds": [0, 1, 2] if full else [0],
                "stand_alone_seeds": [0, 1, 2] if full else [0],
                "score": "validation_loss",
                "truth": {"run": run.name, "split": "test"},
                "rows": rows,
                **(_answered(run, rows) if full else {}),  # earlier versions had no answer
                "kendall_tau": {"mean": 0.67, "per_seed": [0.33, 0.67, 1.0] if full else [0.67]},
                "spearman_rho": {"mean": 0.8, "per_seed": [0.4, 0.8, 1.0] if full else [0.8]},
                "kendall_tau_top_quarter": {"mean": 0.4, "per_seed": [0.4]}
                if full
                else {"mean": None, "per_seed": [None]},
                "supernet_agreement": 0.6 if full else None,
                "seed_agreement": 0.56 if full else None,
                "tau_ceiling": 0.91 if full else None,
                "tau_corrected": {"stand_alone": 0.71, "both": 0.73} if full else None,
                "relabel_p": 0.17,
                "resolved_share": 0.5 if full else None,
                "resolved_pairs": 3 if full else None,
                "pairs": len(rows) * (len(rows) - 1) // 2,
                "resolved_gamma": 1.0 if full else None,
                "sparse_tau": 0.6 if full else None,
                "regret_at_1": 0.0002,
                "regret_at_3": 0.0,
                "baselines": [
                    {"name": "random", "kendall_tau": 0.0, "range": [-0.67, 0.67]},
                    {
                        "name": "parameters",
                        "kendall_tau": 1.0,
                        "difference": {"mean": -0.33, "low": -0.67, "high": 0.0},
                    },
                    {"name": "macs", "kendall_tau": None},
                    {"name": "synflow", "kendall_tau": 0.67},
                    {"name": "short_training", "kendall_tau": 0.33, "per_seed": [0.33], "low": 0.33, "high": 0.33},
                ],
                "audit": {},
                "cost": {
                    "training": {"forward_images": 550_000, "macs": 2.1e12, "seconds": 88.0},
                    "evaluation": {"forward_images": 40_000, "macs": 1.6e11, "seconds": 4.0},
                    "stand_alone": {"forward_images": 2_640_000, "macs": 1.1e13, "seconds": 492.0},
                },
                "verdict": "Four paths cannot tell: a ranking made by chance agrees as well in 17 of 100 cases.",
                "notes": {"kendall_tau_top_quarter.mean": "Needs at least 8 paths; this comparison has 4."}
                if full
                else dict.fromkeys(("tau_ceiling", "seed_sd"), "Needs 2 stand-alone seeds; this comparison has 1."),
            }
        ]
    }
    (run / "results").mkdir(exist_ok=True)
    (run / "results" / "comparison.json").write_text(json.dumps(document))


def _answered(run: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a comparison opens with: the answer, the decision, and the figures behind them."""
    best, cheaper = (
        {
            "path": row["path"],
            "accuracy": row["stand_alone_test_accuracy"],
            "low": row["stand_alone_test_accuracy"] - 0.0005,
            "high": row["stand_alone_test_accuracy"] + 0.0005,
            "parameters": row["parameters"],
            "macs": row["macs"],
            "latency_seconds": row["latency_seconds"],
        }
        for row in (rows[-1], rows[-2])
    )
    return {
        "answer": {
            "word": "do not trust",
            "reason": "Ordering by parameters costs nothing and ranks these paths better than the supernet does "
            "(τ = 1.00 against 0.67).",
            "next": {
                "purpose": "Train the 3 largest paths from scratch, and take the best of them",
                "command": f"supernet retrain --top 3 --by size --run {run.name}",
                "seconds": 123.0,
                "weights": "",
            },
        },
        "decision": {
            "best": {**best, "probability_best": 0.9},
            "cheapest": {**cheaper, "loss": 0.0004, "loss_low": -0.0001, "loss_high": 0.0009},
            "trusting": {"paths": 3, "regret": 0.0002, "low": 0.0, "high": 0.0011, "trainings": 9, "macs": 10**13},
        },
        "kendall_tau_expected": {"mean": 0.67, "low": 0.21, "high": 0.93},
        "at_equal_macs": {"correlation": {"mean": 0.31, "per_seed": [0.31]}, "null": [-0.9, 0.91], "p": 0.5},
        "regret_at_1_interval": [0.0, 0.0021],
        "regret_at_3_interval": [0.0, 0.0004],
    }


def grow(run: Path, step: int, loss: float = 0.05, key: str = "supernet/seed-0") -> None:
    """Let a job report one more step."""
    with (run / key / "metrics-0.jsonl").open("a") as file:
        file.write(encode(trained(step, 1 + step // STEPS_AN_EPOCH, loss, BEGIN)) + "\n")


def stamp_all(folder: Path, moment: float) -> None:
    """Give every file of a folder the same time."""
    for path in folder.rglob("*"):
        os.utime(path, (moment, moment))
