"""A dry run: the sizes of the paths, and how long training would take, from a short measurement."""

from __future__ import annotations

import time
from dataclasses import dataclass

from supernet_cli.engine import seed
from supernet_cli.engine.evaluate import evaluate_paths
from supernet_cli.engine.loop import Learner, LossWindow, train_step
from supernet_cli.engine.losses import build_loss
from supernet_cli.engine.optim import build_optimizer
from supernet_cli.engine.prepare import Prepared
from supernet_cli.engine.profile import Profile, profile
from supernet_cli.engine.train import watched_paths
from supernet_cli.glyphs import counted
from supernet_cli.runs.data_report import DataReport
from supernet_cli.sampling import steps_per_epoch

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
    supernet = prepared.supernet(0)
    paths = prepared.space.sample_distinct(_PROFILED, seed.python_rng(0, "profiled"))
    profiles = [profile(supernet.extract(path), prepared.image_shape, prepared.device) for path in paths]
    parameters, macs = [p.parameters for p in profiles], [p.macs for p in profiles]
    return Rehearsal(
        num_paths=prepared.space.size,
        num_profiled=len(paths),
        smallest=Profile(min(parameters), min(macs)),
        largest=Profile(max(parameters), max(macs)),
        data=prepared.splits.report,
        device=f"{prepared.device.name}, {counted(prepared.threads, 'thread')}",
        estimate=estimate(prepared),
    )


def estimate(prepared: Prepared) -> Estimate:
    """Train a few steps and evaluate a few paths, to estimate how long the whole training takes."""
    recipe, device = prepared.train_recipe, prepared.device
    supernet, sampler = prepared.supernet(0), prepared.sampler(0)
    halfway = (
        steps_per_epoch(len(prepared.splits.train), recipe.batch_size, sampler.passes_per_step) * recipe.epochs // 2
    )
    learner = Learner(
        supernet=supernet,
        objective=build_loss(recipe.loss, len(prepared.splits.classes)).to(device.place),
        optimizer=build_optimizer(recipe.optimizer, supernet.parameters()),
        schedule=None,
        device=device,
        window=LossWindow(_WARM_UP_STEPS + _TIMED_STEPS, device.place),
    )
    batch_size = min(recipe.batch_size, _LARGEST_TIMED_BATCH)  # larger ones are no faster
    resident, images, steps, started = prepared.training_images(), 0, 0, 0.0
    while steps < _WARM_UP_STEPS + _TIMED_STEPS:
        for batch_BCHW, labels_B in resident.epoch(seed.torch_rng(0, "estimate"), batch_size):
            if steps == _WARM_UP_STEPS:
                device.synchronize()
                images, started = 0, time.perf_counter()
            plan = sampler.plan(halfway + steps, recipe.epochs // 2)
            train_step(learner, batch_BCHW, labels_B, plan)
            images, steps = images + sum(each.images(len(labels_B)) for each in plan.passes), steps + 1
            if steps == _WARM_UP_STEPS + _TIMED_STEPS:
                break
    device.synchronize()
    rate = images / (time.perf_counter() - started)
    validation, calibration = prepared.resident("validation"), prepared.calibration_images()
    started = time.perf_counter()
    evaluate_paths(supernet, watched_paths(prepared), validation, device, calibration=calibration)
    evaluation = (time.perf_counter() - started) * -(-recipe.epochs // recipe.evaluate_every)
    return Estimate(rate, recipe.epochs * len(prepared.splits.train) / rate + evaluation)
