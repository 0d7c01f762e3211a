"""A dry run: the sizes of the paths, and how long training would take, from a short measurement."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from supernet_cli import seed
from supernet_cli.config.schema import Recipe
from supernet_cli.data.images import TrainingData
from supernet_cli.device import Device
from supernet_cli.device import prepare as prepare_device
from supernet_cli.glyphs import counted
from supernet_cli.networks.profile import Profile, profile
from supernet_cli.networks.scoring import JudgingPlan
from supernet_cli.networks.supernet import Supernet
from supernet_cli.sampling import Sampler, build_sampler, steps_per_epoch
from supernet_cli.space import PASSES_PER_TRAINING_IMAGE, Architecture
from supernet_cli.store.data_report import DataReport
from supernet_cli.training.loop import Learner, LossWindow, train_step
from supernet_cli.training.losses import build_loss
from supernet_cli.training.optimiser import build_optimizer
from supernet_cli.training.prepare import Prepared
from supernet_cli.training.train import judged_paths, watched_paths

_WARM_UP_STEPS, _TIMED_STEPS = 5, 25
_LARGEST_TIMED_BATCH = 1024
_PROFILED = 256  # paths, at most


@dataclass(frozen=True)
class Estimate:
    """How long a training will take here.

    Args:
        images_per_second: Forward images while training.
        seconds: For one supernet, including the evaluation of its paths.
    """

    images_per_second: float
    seconds: float


@dataclass(frozen=True)
class Rehearsal:
    """What a dry run finds out.

    Args:
        num_paths: Size of the space.
        num_profiled: How many paths were measured: all, or a sample.
        smallest: Fewest parameters and fewest multiply-accumulates among them.
        largest: Most parameters and most multiply-accumulates.
        data: The images.
        device: Where it would run.
        estimate: How long one supernet would take.
    """

    num_paths: int
    num_profiled: int
    smallest: Profile
    largest: Profile
    data: DataReport
    device: str
    estimate: Estimate


def rehearse(prepared: Prepared) -> Rehearsal:
    """Measure the sizes of the paths, and estimate how long training would take.

    Args:
        prepared: From `prepare`.
    """
    networks, on = prepared.networks, prepared.networks.device
    supernet, space = networks.supernet(0), networks.space
    paths = space.sample_distinct(_PROFILED, seed.python_rng(0, "profiled"))
    profiles = [profile(supernet.extract(path), networks.image_shape, on) for path in paths]
    parameters, macs = [p.parameters for p in profiles], [p.macs for p in profiles]
    return Rehearsal(
        num_paths=space.size,
        num_profiled=len(paths),
        smallest=Profile(min(parameters), min(macs)),
        largest=Profile(max(parameters), max(macs)),
        data=prepared.images.splits.report,
        device=f"{on.name}, {counted(prepared.plan.threads, 'thread')}",
        estimate=estimate(prepared),
    )


def estimate(prepared: Prepared) -> Estimate:
    """Train a few steps and evaluate a few paths, to estimate how long training one supernet takes."""
    images, plan, recipe = prepared.images, prepared.plan, prepared.plan.train_recipe
    supernet = prepared.networks.supernet(0)
    rate = _images_per_second(supernet, plan.sampler(0), recipe, images.training_data(), prepared.networks.device)
    watched, last = watched_paths(plan, images), judged_paths(plan, images)
    evaluations = -(-recipe.epochs // recipe.evaluate_every)
    paths = (evaluations - 1) * len(watched) + len(last)
    judging = JudgingPlan(watched, images.resident("validation"), images.calibration(plan.calibration))
    started = time.perf_counter()
    judging.run(supernet, prepared.networks.device)
    evaluation = paths * (time.perf_counter() - started) / len(watched)
    return Estimate(rate, recipe.epochs * plan.train_images / rate + evaluation)


@dataclass(frozen=True)
class AloneEstimate:
    """How long stand-alone trainings will take here.

    Args:
        workers: How many run side by side.
        seconds: Until all of them are done, if side by side each is as fast as on its own.
        macs: Multiply-accumulates of all of them.
    """

    workers: int
    seconds: float
    macs: int


def estimate_alone(
    prepared: Prepared,
    trainings: Sequence[Architecture],
    workers: int,
    steps: int | None = None,
    epochs: int | None = None,
) -> AloneEstimate:
    """Train one path for a few steps, to estimate how long some trainings take.

    Args:
        prepared: From `prepare`, with the run's preset.
        trainings: The path of each; none take no time.
        workers: How many run side by side.
        steps: Length of each in steps, if not the recipe's.
        epochs: Length of each, if not the recipe's and not given in steps.
    """
    plan, networks, recipe = prepared.plan, prepared.networks, prepared.plan.standalone_recipe
    costs, on = networks.costs, networks.device
    if not trainings:
        return AloneEstimate(0, 0.0, 0)
    by_cost = sorted(trainings, key=costs.of)
    path = by_cost[len(by_cost) // 2]
    network = networks.only(path).supernet(0)
    sampler = build_sampler("uniform", network.space, seed.python_rng(0, "estimate"), {})
    prepare_device(on, plan.preset.retrain.threads)
    try:
        rate = _images_per_second(network, sampler, recipe, prepared.images.training_data(), on)
    finally:
        prepare_device(on, plan.threads)
    images = (epochs or recipe.epochs) * plan.train_images if steps is None else steps * recipe.batch_size
    macs = images * sum(costs.of(each) for each in trainings)
    workers = min(workers, len(trainings))
    return AloneEstimate(workers, macs / (rate * costs.of(path)) / workers, PASSES_PER_TRAINING_IMAGE * macs)


def _images_per_second(
    network: Supernet, sampler: Sampler, recipe: Recipe, data: TrainingData, device: Device
) -> float:
    """Train a network for a few steps and return its forward images per second."""
    halfway = steps_per_epoch(len(data.training), recipe.batch_size, sampler.passes_per_step) * recipe.epochs // 2
    learner = Learner(
        supernet=network,
        objective=build_loss(recipe.loss, data.num_classes).to(device.place),
        optimizer=build_optimizer(recipe.optimizer, network.parameters()),
        schedule=None,
        device=device,
        window=LossWindow(_WARM_UP_STEPS + _TIMED_STEPS, device.place),
    )
    batch_size = min(recipe.batch_size, _LARGEST_TIMED_BATCH)  # larger ones are no faster
    images, steps, started = 0, 0, 0.0
    while steps < _WARM_UP_STEPS + _TIMED_STEPS:
        for batch_BCHW, labels_B in data.training.epoch(seed.torch_rng(0, "estimate"), batch_size):
            if steps == _WARM_UP_STEPS:
                device.synchronize()
                images, started = 0, time.perf_counter()
            plan = sampler.plan(halfway + steps, recipe.epochs // 2)
            train_step(learner, batch_BCHW, labels_B, plan)
            images, steps = images + sum(each.images(len(labels_B)) for each in plan.passes), steps + 1
            if steps == _WARM_UP_STEPS + _TIMED_STEPS:
                break
    device.synchronize()
    return images / (time.perf_counter() - started)
