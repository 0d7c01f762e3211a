"""Networks rebuilt from a run's folder alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from supernet_cli.config.schema import Preset
from supernet_cli.errors import RunError
from supernet_cli.space import SearchSpace
from supernet_cli.store.alone import AloneJob
from supernet_cli.store.job import JobWriter
from supernet_cli.store.layout import Way
from supernet_cli.store.results import evaluation
from supernet_cli.store.run import Run
from supernet_cli.store.runs import create_run, list_runs
from supernet_cli.training import prepare as preparing
from supernet_cli.training.retrain import AloneTraining
from supernet_cli.training.stored import network_spec, stored_subnet, stored_supernet
from supernet_cli.training.train import train_supernet

Invoke = Callable[..., tuple[int, str, str]]
PATH = "conv3x3_conv5x5"


@pytest.fixture
def run(tiny: Callable[..., Preset], tmp_path: Path) -> Run:
    """Return a finished run with batch normalisation and one path trained alone."""
    space = {"norm": "batch", "stem": {"channels": 4}}
    preset = tiny(space=space, train={"epochs": 1, "calibration": 300}, retrain={"epochs": 2, "seeds": [3]})
    prepared = preparing.prepare(preset)
    run = create_run(tmp_path / "runs", "normed", preset, None, prepared.images.digest, prepared.images.signature)
    with JobWriter(run.supernet_job(0)) as writer:
        train_supernet(prepared, run.supernet_job(0), 0, writer, lambda: None)
    path = prepared.networks.space.parse(PATH)
    job = AloneJob(run.alone_job(path, 3), path, 3)
    with JobWriter(job.folder) as writer:
        AloneTraining.of(prepared).run(job, writer, lambda: None)
    return run


def outputs(network: nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return network(torch.rand(5, 1, 12, 12, generator=torch.Generator().manual_seed(0)))  # type: ignore[no-any-return]


def test_a_path_is_rebuilt_without_the_images_and_computes_what_its_supernet_computes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "load_dataset", None)
    spec = network_spec(run)
    whole = stored_supernet(run, spec, 0)
    assert not any(module.training for module in whole.modules())
    for path in whole.space.enumerate():
        inherited = stored_subnet(run, spec, path, Way.ONE_SHOT, 0)
        assert not any(module.training for module in inherited.modules())
        images = torch.rand(5, 1, 12, 12, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            assert torch.equal(outputs(inherited), whole(images, path))
    alone = stored_subnet(run, spec, whole.space.parse(PATH), Way.ALONE, 3)
    assert not torch.equal(outputs(alone), outputs(inherited))


def test_what_is_rebuilt_is_what_was_judged(run: Run, supernet: Invoke) -> None:
    assert supernet("evaluate", "--json")[0] == 0
    prepared = preparing.prepare_run(run)
    test, calibration = prepared.images.resident("test"), prepared.images.calibration(prepared.plan.calibration)
    accuracies = {(row.kind, row.path): row.accuracy for row in evaluation(run).splits["test"]}

    @torch.inference_mode()
    def accuracy(network: nn.Module) -> float:
        right = sum(int((network(images).argmax(1) == labels).sum()) for images, labels in test.batches(250))
        return right / len(test)

    path = prepared.networks.space.parse(PATH)
    spec = network_spec(run)
    assert accuracy(stored_subnet(run, spec, path, Way.ALONE, 3)) == accuracies["stand-alone", PATH]
    calibrated = stored_subnet(run, spec, path, Way.ONE_SHOT, 0, calibration)
    assert accuracy(calibrated) == accuracies["one-shot", PATH]
    assert all(layer.momentum == 0.1 for layer in calibrated.modules() if isinstance(layer, nn.BatchNorm2d))


def test_what_is_kept_is_what_the_networks_were_trained_with(run: Run) -> None:
    prepared, spec = preparing.prepare_run(run), network_spec(run)
    assert SearchSpace.from_config(spec.space) == prepared.networks.space
    assert (spec.image_shape, spec.num_classes) == ((1, 12, 12), 10)
    assert spec.classes == prepared.images.splits.classes
    assert torch.tensor(spec.normalisation.mean).equal(prepared.images.statistics.mean)
    assert torch.tensor(spec.normalisation.std).equal(prepared.images.statistics.std)


def test_a_run_of_an_earlier_version_finds_it_out_from_its_images(run: Run, digits: Path, tmp_path: Path) -> None:
    kept = network_spec(run)
    manifest = json.loads((run.folder / "run.json").read_text())
    del manifest["network"]
    (run.folder / "run.json").write_text(json.dumps(manifest))
    (earlier,) = list_runs(tmp_path / "runs")
    assert earlier.network_spec() is None
    assert network_spec(earlier) == kept
    away = tmp_path / "away"
    digits.rename(away)
    try:
        with pytest.raises(RunError, match="earlier version") as caught:
            network_spec(earlier)
        assert "--data-root" in caught.value.hint
        assert network_spec(earlier, away) == kept
    finally:
        away.rename(digits)


def test_weights_that_are_not_there_are_named(run: Run) -> None:
    with pytest.raises(RunError, match="no weights"):
        stored_supernet(run, network_spec(run), 7)
