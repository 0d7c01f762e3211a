"""Networks rebuilt from a run's folder: from its preset, its manifest and its weights, without the data set."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from supernet_cli.data.resident import ResidentImages
from supernet_cli.device import Device
from supernet_cli.errors import DataError, RunError
from supernet_cli.networks.builder import Builder
from supernet_cli.networks.normalisation import layers_of, measure
from supernet_cli.networks.supernet import Supernet
from supernet_cli.space import Architecture, SearchSpace
from supernet_cli.store.layout import Way
from supernet_cli.store.network import NetworkSpec
from supernet_cli.store.run import Run
from supernet_cli.training.checkpoint import StoredWeights
from supernet_cli.training.prepare import prepare

_CPU = Device(torch.device("cpu"), torch.float32)


def network_spec(run: Run, data_root: Path | None = None) -> NetworkSpec:
    """Return what a run's networks are built from.

    Of a run of an earlier version, which did not keep it, it is found out from the images.

    Args:
        run: The run.
        data_root: Folder of the images, if not where the run's preset says; only for a run of an earlier version.

    Raises:
        RunError: The run is damaged, or of an earlier version and its images are missing or others.
    """
    spec = run.network_spec()
    if spec is not None:
        return spec
    preset = run.preset()
    runtime = preset.runtime.model_copy(update={"device": "cpu", "precision": "float32"})
    try:
        prepared = prepare(preset.model_copy(update={"runtime": runtime}), torch.get_num_threads(), data_root=data_root)
    except DataError as error:
        raise RunError(
            f"Run {run.id} is of an earlier version, which did not keep the size and classes of its images: "
            f"{error.message}",
            "Name the folder that has them with --data-root DIR.",
        ) from error
    prepared.images.check(run.manifest.fingerprints.get("images"))
    return NetworkSpec(space=preset.space, **dict(prepared.images.signature))


def stored_supernet(run: Run, spec: NetworkSpec, seed: int) -> Supernet:
    """Return the supernet of a seed with its weights, in evaluation mode on the CPU.

    The running statistics of batch normalisation are a mixture over paths and belong to none of them: before a path is
    evaluated, they must be measured for it.

    Args:
        run: The run.
        spec: What its networks are built from.
        seed: Of the supernet.

    Raises:
        RunError: The weights are missing or damaged.
    """
    return _loaded(spec, SearchSpace.from_config(spec.space), run.supernet_job(seed).weights)


def stored_subnet(
    run: Run, spec: NetworkSpec, path: Architecture, way: Way, seed: int, calibration: ResidentImages | None = None
) -> nn.Sequential:
    """Return the network of one path as a plain module with its weights, in evaluation mode on the CPU.

    Inherited weights come with the running statistics of batch normalisation that all paths of the supernet share, and
    those of a short training have not settled: the accuracies of a run are those after calibration.

    Args:
        run: The run.
        spec: What its networks are built from.
        path: The path.
        way: How its network got its weights.
        seed: Of the supernet, or of the path's own training.
        calibration: Training images on the CPU to measure the statistics of batch normalisation on; None to keep them.

    Raises:
        RunError: The weights are missing or damaged.
    """
    if way is Way.ONE_SHOT:
        supernet = stored_supernet(run, spec, seed)
    else:
        space = SearchSpace.from_config(spec.space).only(path)
        supernet, path = _loaded(spec, space, run.alone_job(path, seed, way).weights), space.at(0)
    subnet = supernet.extract(path).eval()
    if calibration is not None:
        _recalibrate(subnet, calibration)
    return subnet


def _loaded(spec: NetworkSpec, space: SearchSpace, weights: Path) -> Supernet:
    content = StoredWeights.read(weights)
    supernet = Builder(space, spec.image_shape, spec.num_classes, _CPU).supernet(0)
    content.put_into(supernet)
    return supernet.eval()


def _recalibrate(subnet: nn.Sequential, calibration: ResidentImages) -> None:
    layers = layers_of(subnet)
    momenta = [layer.momentum for layer in layers]
    measure(layers, calibration, subnet)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
