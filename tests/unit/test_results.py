from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from works import add_scores

from supernet_cli.config.schema import Preset
from supernet_cli.errors import RunError
from supernet_cli.store.layout import Way
from supernet_cli.store.results import (
    PathProfile,
    Profiles,
    ScoreRow,
    Selection,
    correct,
    evaluation,
    keep_profiles,
    keep_scores,
    keep_selection,
    profiles,
    selections,
)
from supernet_cli.store.run import Run
from supernet_cli.store.runs import create_run


@pytest.fixture
def run(tmp_path: Path, tiny: Callable[..., Preset]) -> Run:
    return create_run(tmp_path / "runs", "tiny", tiny())


def row(path: str, seed: int = 0, accuracy: float = 0.5) -> ScoreRow:
    return ScoreRow(
        path=path, kind=Way.ONE_SHOT, seed=seed, accuracy=accuracy, loss=1.0, accuracy_unrecalibrated=accuracy
    )


def profile(macs: int) -> PathProfile:
    return PathProfile(parameters=1, macs=macs, latency_seconds=0.1, latency_batch_seconds=None)


def test_scores_are_added_and_those_of_the_same_network_replaced(run: Run) -> None:
    assert evaluation(run).splits == {}
    keep_scores(run, "test", [row("a"), row("b")], {})
    keep_scores(run, "test", [row("b", accuracy=0.7), row("b", seed=1)], {})
    keep_scores(run, "validation", [row("a")], {})
    found = evaluation(run).rows("test", Way.ONE_SHOT)
    assert {seed: {path: r.accuracy for path, r in rows.items()} for seed, rows in found.items()} == {
        0: {"a": 0.5, "b": 0.7},
        1: {"b": 0.5},
    }
    assert evaluation(run).rows("test", Way.ALONE) == {}


@pytest.mark.parametrize("images", [1, 8, 203])
def test_correct_answers_come_back_bit_for_bit(run: Run, images: int) -> None:
    rng = np.random.default_rng(0)
    first, second, newer = (rng.random(images) < 0.5 for _ in range(3))
    keep_scores(run, "test", [], {(Way.ALONE, 3): {"a": first, "b": second}})
    keep_scores(run, "test", [], {(Way.ALONE, 3): {"b": newer}})
    found = correct(run, "test", Way.ALONE, 3)
    assert set(found) == {"a", "b"}
    assert np.array_equal(found["a"], first)
    assert np.array_equal(found["b"], newer)
    assert correct(run, "validation", Way.ALONE, 3) == {}


def test_latencies_of_another_machine_are_forgotten(run: Run) -> None:
    keep_profiles(run, Profiles(device="cpu", threads=2, batch=250, paths={"a": profile(1)}))
    keep_profiles(run, Profiles(device="cpu", threads=2, batch=250, paths={"b": profile(2)}))
    assert set(profiles(run).paths) == {"a", "b"}
    keep_profiles(run, Profiles(device="cuda:0", threads=2, batch=250, paths={"b": profile(2)}))
    assert set(profiles(run).paths) == {"b"}


def test_what_was_not_measured_is_told_from_what_is_not_finite(run: Run) -> None:
    """Earlier versions measured less, and what they left out must not look measured once a path is added."""
    path = run.folder / "results" / "profile.json"
    keep_profiles(run, Profiles(device="cpu", threads=2, batch=250, paths={"a": profile(1)}))
    assert "naswot" not in path.read_text()
    singular = profile(2).model_copy(update={"naswot": None})
    keep_profiles(run, Profiles(device="cpu", threads=2, batch=250, paths={"b": singular}))
    found = profiles(run).paths
    assert [(found[name].naswot, found[name].has("naswot")) for name in "ab"] == [(None, False), (None, True)]
    assert not found["b"].has("gradient_norm")


def test_a_selection_is_remembered_once(run: Run) -> None:
    top = Selection(how="top", init=Way.ALONE, paths=("a",))
    everything = Selection(how="all", init=Way.ALONE, paths=("a", "b"))
    for selection in (top, everything, top):
        keep_selection(run, selection)
    assert selections(run) == [top, everything]


@pytest.mark.parametrize("content", ["{", "[]", '{"splits": 3}', '{"splits": {"test": [{"path": "a"}]}}', "\xff"])
def test_a_damaged_evaluation_is_told(run: Run, content: str) -> None:
    keep_scores(run, "test", [row("a")], {})
    path = run.folder / "results" / "evaluation.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(RunError, match=r"evaluation\.json is damaged"):
        evaluation(run)
    with pytest.raises(RunError, match="damaged"):
        keep_scores(run, "test", [row("b")], {})
    assert path.read_bytes() == content.encode("latin-1")  # nothing is thrown away unasked


def test_damaged_answers_are_told(run: Run) -> None:
    keep_scores(run, "test", [], {(Way.ONE_SHOT, 0): {"a": np.ones(10, bool)}})
    path = run.folder / "results" / "correct" / "test" / "one-shot-seed-0.npz"
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"PK" + whole[2:40], whole[:-60] + b"x" * 60):
        path.write_bytes(content)
        with pytest.raises(RunError, match="damaged"):
            correct(run, "test", Way.ONE_SHOT, 0)


def test_answers_that_are_a_pickle_are_refused_and_not_run(run: Run, tmp_path: Path) -> None:
    class Crafted:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "executed",))

    folder = run.folder / "results" / "correct" / "test"
    folder.mkdir(parents=True)
    crafted = np.array([Crafted()], dtype=object)
    np.savez(folder / "one-shot-seed-0.npz", paths=crafted, images=np.array(1), bits=np.zeros((1, 1), np.uint8))
    with pytest.raises(RunError, match="damaged"):
        correct(run, "test", Way.ONE_SHOT, 0)
    assert not (tmp_path / "executed").exists()


def test_two_processes_that_add_scores_lose_none(run: Run) -> None:
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=add_scores, args=(run, seed)) for seed in (0, 1)]
    for process in others:
        process.start()
    for process in others:
        process.join()
    assert sum(map(len, evaluation(run).rows("test", Way.ONE_SHOT).values())) == 20
    assert len(correct(run, "test", Way.ONE_SHOT, 0)) == 20
