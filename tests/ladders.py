"""Runs for comparisons: accuracies that fall from path to path, and what a comparison of them says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from supernet_cli.config.schema import Preset
from supernet_cli.reports.compare import compare
from supernet_cli.reports.comparison import Comparison, read_comparison
from supernet_cli.space import SearchSpace
from supernet_cli.store.run import Run

Make = Callable[..., Preset]
KERNELS = ["conv1x1", "conv3x3", "conv5x5", "conv7x7"]


def names(preset: Preset) -> list[str]:
    return [str(path) for path in SearchSpace.from_config(preset.space).enumerate()]


def ladder(preset: Preset, top: float = 0.95, step: float = 0.01) -> dict[str, float]:
    """Return accuracies that fall from path to path."""
    return {path: top - step * index for index, path in enumerate(names(preset))}


def scored(accuracies: dict[str, float], noise: float = 0.0, seed: int = 0) -> dict[str, tuple[float, float]]:
    rng = np.random.default_rng(seed)
    noisy = {path: min(1.0, accuracy + noise * rng.normal()) for path, accuracy in accuracies.items()}
    return {path: (accuracy, 1 - accuracy) for path, accuracy in noisy.items()}


def entry_of(*runs: Run, **how: Any) -> dict[str, Any]:
    return dict(compare(runs, **how).document()["runs"][0])


def read(entry: dict[str, Any]) -> Comparison:
    found = read_comparison({"runs": [entry]})
    assert found is not None
    assert found.document() == {"runs": [entry]}
    return found
