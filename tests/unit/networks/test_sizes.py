"""Sizes that add up along a path equal those of its subnet, for every path and every operation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from supernet_cli.config.catalog import entries
from supernet_cli.config.space import Space
from supernet_cli.device import Device
from supernet_cli.networks.profile import path_costs, path_sizes, profile
from supernet_cli.networks.supernet import Supernet
from supernet_cli.policies.additive import Additive
from supernet_cli.space import SearchSpace

CPU = Device(torch.device("cpu"), torch.float32)
SHAPE = (3, 9, 9)
EVERY = ["conv1x1", "conv3x3", "sep3x3", "dil5x5", "mbconv3x3e2", "maxpool3x3", "avgpool3x3", "identity", "conv3x3x2"]
MIXED = [
    {"op": "conv", "kernel": 3, "norm": "batch", "label": "bn"},
    {"op": "mbconv", "kernel": 3, "expansion": 2, "norm": "group"},
    {"op": "identity"},
]
SPACES: dict[str, dict[str, Any]] = {
    "plain": {"blocks": [{"channels": 4, "candidates": EVERY}, {"channels": 4, "pool": 1, "candidates": EVERY}]},
    "batch norm, stem, residual": {
        "norm": "batch",
        "pooling": "global",
        "stem": {"channels": 4, "kernel": 3, "stride": 2, "pool": 2},
        "blocks": [
            {"channels": 4, "pool": 1, "residual": True, "candidates": EVERY},
            {"channels": 6, "pool": 1, "stride": 2, "residual": True, "candidates": EVERY},
        ],
    },
    "several norms": {
        "norm": "group",
        "stem": {"channels": 4, "norm": "batch"},
        "blocks": [{"channels": 4, "pool": 1, "candidates": MIXED}] * 3,
    },
    "one path of nothing": {"blocks": [{"channels": 3, "pool": 1, "candidates": ["identity"]}] * 2},
}


def test_every_operation_is_tried() -> None:
    words = " ".join(EVERY)
    assert all(name in words for name in entries("operation"))


@pytest.mark.parametrize("name", SPACES)
def test_sizes_that_add_up_are_those_of_the_subnet(name: str) -> None:
    space = SearchSpace.from_config(Space.model_validate({"hidden": 8, **SPACES[name]}))
    supernet = Supernet(space, SHAPE, 5)
    sizes = path_sizes(supernet, path_costs(supernet, SHAPE, CPU))
    figures = [Additive.of(costs) for costs in (sizes.macs, sizes.parameters, sizes.weights)]
    for path in space.enumerate():
        subnet = supernet.extract(path)
        measured, stored = profile(subnet, SHAPE, CPU), subnet.state_dict().values()
        whole = [measured.macs, measured.parameters, sum(each.numel() * each.element_size() for each in stored)]
        assert [costs.of(path) for costs in (sizes.macs, sizes.parameters, sizes.weights)] == whole, path
        assert [figure.of_path(path.choices) for figure in figures] == whole
    paths = np.array([path.choices for path in space.enumerate()])
    for figure in figures:
        values = figure.along(paths)
        for most in {*values.tolist(), values.min() - 1, values.max() + 1}:
            assert figure.count(most) == int((values <= most).sum())
        assert tuple(figure.smallest) == tuple(paths[values.argmin()])
        assert tuple(figure.largest) == tuple(paths[values.argmax()])
