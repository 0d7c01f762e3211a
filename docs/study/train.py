"""Train what docs/study.md is about, and store the results beside this file.

    python docs/study/train.py SPACE                     list what the study needs of a space, and what is stored
    python docs/study/train.py SPACE NAME… [--seeds 0,1] --data-root FOLDER [--runs-dir FOLDER]

SPACE is `iso` or `lab`. Each name is one kind of supernet or one ground truth. The results of its seeds are stored as
soon as they are finished, so that the study can be trained in any order, on several machines and in several sittings:
about eight hours on two cores for `iso`, four for `lab`. Everything uses one thread, so that the same bits come out
however many run side by side.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stored import store, stored_seeds

import supernet_cli as supernet
from supernet_cli.store.run import Run

SEEDS = (0, 1, 2)
"""Of stand-alone trainings."""


@dataclass(frozen=True)
class Kind:
    """Supernets of one kind, or a ground truth, and how they are trained.

    Args:
        epochs: Of the supernets.
        sampler: Their strategy.
        seeds: Of the supernets.
        settings: Further changes to the preset.
        short: Whether each path is also trained from scratch at the cost of one of these supernets.
        measured: Whether sizes and other proxies of all paths are wanted.
        truth: Epochs of the trainings from scratch; 0 for none.
        paths: How many paths are trained from scratch, at random; 0 for all.
        truth_seeds: Of the trainings from scratch.
    """

    epochs: int
    sampler: str | Mapping[str, Any] = "uniform"
    seeds: Sequence[int] = range(5)
    settings: Mapping[str, Any] = field(default_factory=dict)
    short: bool = False
    measured: bool = False
    truth: int = 0
    paths: int = 0
    truth_seeds: Sequence[int] = SEEDS


def truth(epochs: int, paths: int = 0, seeds: Sequence[int] = SEEDS) -> Kind:
    """Return a ground truth. A run starts with a supernet: the shortest will do."""
    return Kind(1, seeds=(0,), truth=epochs, paths=paths, truth_seeds=seeds)


PARTS = {"name": "fair", "parts": True}
DROPOUT = {"name": "path-dropout", "rate": 0.5, "ghost": 4}
SUMMED = {**DROPOUT, "combine": "sum"}

FIRST = {"space": Kind(1, seeds=(0,), measured=True), "truth-1": truth(1), "truth-3": truth(3)}
KINDS: dict[str, dict[str, Kind]] = {
    "iso": {
        **FIRST,
        "truth-20": truth(20, paths=16, seeds=(0, 1)),
        **{f"uniform-{length}": Kind(length, short=True) for length in (4, 8, 16)},
        **{f"fair-{length}": Kind(length, "fair") for length in (4, 8, 16)},
        **{f"parts-{length}": Kind(length, PARTS) for length in (4, 8, 16)},
        **{f"summed-{length}": Kind(length, SUMMED) for length in (4, 8, 16)},
        "sandwich-4": Kind(4, "sandwich"),
        **{f"sandwich-{length}": Kind(length, "sandwich", seeds=SEEDS) for length in (8, 16)},
        "untrained-0": Kind(1, settings={"train.optimizer.lr": 1e-12}),
    },
    "lab": {
        **FIRST,
        **{f"uniform-{length}": Kind(length, short=length < 16) for length in (2, 4, 8, 16)},
        **{f"fair-{length}": Kind(length, "fair") for length in (2, 4, 8)},
        **{f"parts-{length}": Kind(length, PARTS) for length in (4, 8, 16)},
        **{f"path-dropout-{length}": Kind(length, DROPOUT) for length in (2, 4, 8)},
        "dropout-summed-4": Kind(4, SUMMED),
        "dropout-gentle-4": Kind(4, {**DROPOUT, "rate": 0.05}, seeds=(0, 1)),
        **{f"{sampler}-4": Kind(4, sampler) for sampler in ("sandwich", "bandit", "epoch")},
    },
}
"""What the study needs of each space."""


def train(space: str, kind: Kind, data_root: Path, runs_dir: Path | None) -> Run:
    """Train what a kind asks for."""
    settings = {
        "train.epochs": kind.epochs,
        "train.sampler": kind.sampler,
        "train.evaluate_every": 100,  # only at the end
        "retrain.epochs": kind.truth or 1,
        "runtime.threads": 1,
        **kind.settings,
    }
    run = supernet.train(space, settings, seeds=kind.seeds, data_root=data_root, runs_dir=runs_dir)
    if kind.truth:
        supernet.retrain(run, supernet.sample(kind.paths) if kind.paths else "all", seeds=kind.truth_seeds)
    if kind.truth or kind.measured:
        supernet.evaluate(run)
    if kind.short:
        supernet.retrain(run, "all", init="short", seeds=SEEDS)
    return run


def main() -> None:
    """Train and store what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", choices=KINDS)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--runs-dir", type=Path)
    parser.add_argument("--seeds", type=lambda words: [int(word) for word in words.split(",")])
    arguments = parser.parse_args()
    kinds = KINDS[arguments.space]
    if unknown := set(arguments.names) - set(kinds):
        parser.error(f"no {', '.join(sorted(unknown))}; there are {', '.join(kinds)}")
    if not arguments.names:
        for name, kind in kinds.items():
            missing = sorted({*wanted_seeds(kind)} - {*stored_seeds(arguments.space, name)})
            print(f"{name:18}", f"missing seeds: {missing}" if missing else "stored")
    for name in arguments.names:
        kind = kinds[name]
        seeds = arguments.seeds or sorted({*wanted_seeds(kind)} - {*stored_seeds(arguments.space, name)})
        if seeds:
            run = train(arguments.space, with_seeds(kind, seeds), arguments.data_root, arguments.runs_dir)
            store(arguments.space, name, run)
            print(name, run.id, "stored", flush=True)


def wanted_seeds(kind: Kind) -> Sequence[int]:
    """Return the seeds of a kind: those of its trainings from scratch if it is a ground truth."""
    return kind.truth_seeds if kind.truth else kind.seeds


def with_seeds(kind: Kind, seeds: Sequence[int]) -> Kind:
    """Return a kind with other seeds."""
    return replace(kind, truth_seeds=seeds) if kind.truth else replace(kind, seeds=seeds)


if __name__ == "__main__":
    main()
