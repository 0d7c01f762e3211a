"""Runs that several tests of reports compare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import store_run
from ladders import KERNELS, Make, ladder, scored

from supernet_cli.config.schema import Preset
from supernet_cli.store.run import Run


@pytest.fixture
def lab(tiny: Make) -> Preset:
    """Return a preset of 16 paths."""
    block = {"channels": 4, "pool": 1, "candidates": KERNELS}
    return tiny(space={"blocks": [block, block]})


@pytest.fixture
def whole(tmp_path: Path, lab: Preset) -> Run:
    """Return a run of two supernets and three stand-alone seeds over all 16 paths, all in the same order."""
    exact = ladder(lab)
    rng = np.random.default_rng(1)
    alone = {seed: {path: a + 0.002 * rng.normal() for path, a in exact.items()} for seed in (0, 1, 2)}
    return store_run(tmp_path, lab, {0: scored(exact), 1: scored(exact, 0.001)}, alone, images=2000)
