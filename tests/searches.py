"""Searches as they would have ended, made by hand: a space of three blocks, of which some paths were trained."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path

from recorded import record_run, record_stand_alone

from supernet_cli.reports.search import words
from supernet_cli.reports.search.document import (
    Axis,
    Limited,
    NextTraining,
    Pick,
    Rival,
    SearchCost,
    Searched,
    SearchedPath,
    Worth,
)
from supernet_cli.store.search import SearchJournal
from supernet_cli.store.state import State

_SIZES = {"conv1x1": 1, "conv3x3": 9, "conv5x5": 25, "conv7x7": 49}
KERNELS = tuple(_SIZES)
TRAINED = (63, 47, 62, 42, 21, 26, 58, 30)
"""Positions of paths that a search of three blocks might train, in order."""


def searched(
    trained: Sequence[int] = TRAINED[:6], blocks: int = 3, against: Axis = "macs", most: float | None = None
) -> Searched:
    """Return what a search found: the costlier a path, the better, but for what trainings showed.

    Args:
        trained: Positions of the paths that it trained, among all in order.
        blocks: How many blocks of four candidates the space has.
        against: What accuracy is weighed against.
        most: A limit on multiply-accumulates.
    """
    names = ["_".join(labels) for labels in itertools.product(KERNELS, repeat=blocks)]
    paths = [_path(name, place, place in trained, most) for place, name in enumerate(names)]
    front: list[SearchedPath] = []
    for path in sorted(paths, key=lambda path: (path.macs, -path.accuracy)):
        if path.within_limits and (not front or path.accuracy > front[-1].accuracy):
            front.append(path)
    on_front = {path.path for path in front}
    marked = [path.model_copy(update={"on_front": path.path in on_front}) for path in paths]
    best = sorted(marked, key=lambda path: -path.accuracy)
    pick = next(path for path in best if path.trained and path.within_limits)
    shown = [path for path in best if path.trained or path in best[:20]]
    document = Searched(
        run="20261124-030000-lab",
        policy="posterior",
        seeds=(0,),
        against=against,
        space_size=len(paths),
        within_limits=sum(path.within_limits for path in paths),
        pick=Pick(**dict(pick), probability_best=0.62, expected_regret=0.0011, test_accuracy=pick.accuracy - 0.004),
        front=tuple(path for path in sorted(marked, key=lambda path: path.macs) if path.on_front),
        paths=tuple(shown),
        evidence={
            "size": Worth(explains=0.61, interval=(0.42, 0.78), paths=len(paths)),
            "one-shot": Worth(explains=0.35, interval=(0.08, 0.6), paths=32),
        },
        rivals={"random": Rival(accuracy=0.895), "one-shot": Rival(accuracy=0.9)},
        trainings=len(trained),
        used=len(trained),
        cost=SearchCost(macs=10**12 * len(trained), seconds=61.0 * len(trained), supernets=0.6 * len(trained)),
        limits={} if most is None else {"macs": Limited(most=most, paths=sum(path.within_limits for path in paths))},
        next=NextTraining(gain=0.0006, macs=10**12),
        finished=True,
        verdict="",
        command="supernet search 20261124-030000-lab --trainings 6",
    )
    return document.model_copy(update={"verdict": words.sentence(document)})


def _path(name: str, place: int, trained: bool, most: float | None) -> SearchedPath:
    macs = sum(100_000 * _SIZES[label] // (1 + block) for block, label in enumerate(name.split("_")))
    mean = 0.912 - 0.05 * math.exp(-macs / 2.5e6) + 0.004 * math.sin(7 * place)
    half = 0.002 if trained else 0.009
    return SearchedPath(
        path=name,
        macs=macs,
        parameters=macs // 50,
        weights_bytes=macs // 12,
        latency_seconds=macs * 1e-10 if place % 7 else None,
        accuracy=mean,
        interval=(mean - half, mean + half),
        trained=int(trained),
        observed=mean + 0.001 * math.cos(place) if trained else None,
        one_shot_rank=place + 1,
        within_limits=most is None or macs <= most,
    )


def record_search(run: Path, found: Searched | None, decided: Sequence[str], trainings: int = 6) -> None:
    """Store a search with a run.

    Args:
        run: The run's folder.
        found: What it has found; None if nothing was trained yet.
        decided: The paths that it has chosen.
        trainings: How many trainings it may choose.
    """
    results = run / "results"
    results.mkdir(exist_ok=True)
    journal = SearchJournal(policy={"name": "posterior"}, seeds=(0,), decided=tuple(decided), trainings=trainings)
    (results / "search-journal.json").write_text(journal.model_dump_json())
    if found is not None:
        (results / "search.json").write_text(json.dumps(found.document()))


def names(count: int, blocks: int = 3) -> list[str]:
    """Return the first paths that a search trains."""
    places = [[place // 4**block % 4 for block in reversed(range(blocks))] for place in TRAINED[:count]]
    return ["_".join(KERNELS[choice] for choice in choices) for choices in places]


def run_of_a_search(runs_dir: Path, finished: int, running: int = 0, found: Searched | None = None) -> Path:
    """Return a run whose search has finished some trainings, and runs others."""
    run = record_run(runs_dir, preset="lab", state="finished", done=10, blocks=[KERNELS] * 3)
    chosen = names(finished + running)
    for place, path in enumerate(chosen):
        record_stand_alone(run, path, 0, State.FINISHED if place < finished else State.RUNNING, 0.9 + 0.001 * place)
    record_search(run, found, chosen)
    return run


def begun(runs_dir: Path) -> Path:
    """Return a run whose search waits for its first training."""
    return run_of_a_search(runs_dir, 0, 1)


def under_way(runs_dir: Path) -> Path:
    """Return a run whose search trains its fourth path."""
    return run_of_a_search(runs_dir, 3, 1, searched(TRAINED[:3]).model_copy(update={"finished": False}))


def over(runs_dir: Path) -> Path:
    """Return a run whose search is finished, within a limit."""
    return run_of_a_search(runs_dir, 6, found=searched(TRAINED[:6], most=7e6))
