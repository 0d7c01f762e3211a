"""Builds the supernets of a run, always from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch

from supernet_cli import seed
from supernet_cli.device import Device
from supernet_cli.networks.profile import path_costs, path_sizes
from supernet_cli.networks.supernet import Supernet
from supernet_cli.space import Architecture, PathCosts, PathSizes, SearchSpace


@dataclass(frozen=True)
class Builder:
    """Builds supernets of a space.

    Args:
        space: The search space.
        image_shape: (C, H, W) of the images.
        num_classes: K.
        device: Where supernets are put.
    """

    space: SearchSpace
    image_shape: tuple[int, int, int]
    num_classes: int
    device: Device

    def supernet(self, initial_seed: int) -> Supernet:
        """Return a supernet on the device, channels last, initialised by a seed."""
        with seed.seeded_initialisation(initial_seed):
            supernet = Supernet(self.space, self.image_shape, self.num_classes)
        place = self.device.place
        return supernet.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def only(self, path: Architecture) -> Builder:
        """Return a builder of supernets with a single path."""
        return replace(self, space=self.space.only(path))

    @cached_property
    def costs(self) -> PathCosts:
        """The costs of all candidates."""
        return path_costs(self.supernet(0), self.image_shape, self.device)

    @cached_property
    def sizes(self) -> PathSizes:
        """What all candidates hold and cost."""
        return path_sizes(self.supernet(0), self.costs)
