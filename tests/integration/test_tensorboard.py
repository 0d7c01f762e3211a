"""Event files, read back by TensorBoard's own reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import only_run, records_of

Invoke = Callable[..., tuple[int, str, str]]


def test_tensorboards_own_reader_finds_the_values_of_the_metrics_file(
    supernet: Invoke, tiny_file: Path, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from supernet_cli.store.records import PathsEvaluated, StepsTrained
    from supernet_cli.store.runs import find_run

    assert supernet("train", "--preset", tiny_file, "--tensorboard")[0] == 0
    run = find_run(tmp_path / "runs", "latest")
    (job,) = run.supernet_jobs()
    records = records_of(job)
    events = EventAccumulator(str(run.folder / "tensorboard" / str(job.key)))
    events.Reload()
    losses = [(event.step, event.value) for event in events.Scalars("loss/train")]
    expected = [(r.step, r.loss) for r in records if isinstance(r, StepsTrained)]
    assert [step for step, _ in losses] == [step for step, _ in expected]
    assert [value for _, value in losses] == pytest.approx([loss for _, loss in expected])
    accuracies = [event.value for event in events.Scalars("accuracy/conv5x5_conv3x3")]
    told = [
        s.accuracy for r in records if isinstance(r, PathsEvaluated) for s in r.scores if s.path == "conv5x5_conv3x3"
    ]
    assert accuracies == pytest.approx(told)


def test_a_resumed_training_goes_on_in_tensorboard_without_doubling(
    supernet: Invoke, tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from supernet_cli.store.job import JobWriter

    class Impatient(JobWriter):
        """Is asked to stop once ten steps are recorded."""

        def record(self, record: Any) -> None:
            super().record(record)
            self.stop_requested = self.stop_requested or getattr(record, "step", 0) >= 10

    with monkeypatch.context() as at_first:
        at_first.setattr("supernet_cli.workflows.train.JobWriter", Impatient)
        assert supernet("train", "--preset", tiny_file, "--tensorboard")[0] == 130
    assert supernet("train", "--resume", "latest", "--tensorboard")[0] == 0
    events = EventAccumulator(str(only_run(tmp_path) / "tensorboard" / "supernet" / "seed-0"))
    events.Reload()
    steps = [event.step for event in events.Scalars("loss/train")]
    assert steps == [4, 8, 10, 14, 18, 20, 24, 28, 30]


def test_without_tensorboard_one_sentence_says_what_to_install(
    supernet: Invoke, tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "tensorboard" else find(name, *rest)
    )
    code, out, err = supernet("train", "--preset", tiny_file, "--tensorboard")
    assert (code, out) == (2, "")
    assert 'pip install "supernet-cli[tensorboard]"' in err
    assert not (tmp_path / "runs").exists()
