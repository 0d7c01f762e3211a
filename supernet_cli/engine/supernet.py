"""The supernet: every candidate of every block in one module, of which a forward pass executes one path.

Names of tensors end with their shape: B images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from supernet_cli.engine.ops import build_candidate
from supernet_cli.errors import PresetError
from supernet_cli.space import Architecture, SearchSpace


class BlockEnd(nn.Module):
    """What follows a block's chosen operation: max pooling, then ReLU.

    The two commute, since ReLU never changes which of two numbers is the larger; in this order ReLU has 1/pool² of
    the work.

    Args:
        pool: Window and stride of the pooling; 1 for none.
    """

    def __init__(self, pool: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(pool) if pool > 1 else nn.Identity()

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """Return (B, C, H // pool, W // pool)."""
        return torch.relu(self.pool(features_BCHW))


class ChoiceLayer(nn.Module):
    """One choice block: its candidates and what follows any of them."""

    def __init__(self, candidates: Sequence[nn.Module], pool: int) -> None:
        super().__init__()
        self.candidates = nn.ModuleList(candidates)
        self.end = BlockEnd(pool)

    def forward(self, features_BCHW: Tensor, choice: int) -> Tensor:
        """Execute one candidate; the others are not touched."""
        return self.end(self.candidates[choice](features_BCHW))  # type: ignore[no-any-return]


class Supernet(nn.Module):
    """All paths of a search space with shared weights: choice blocks, then Linear, ReLU, Linear.

    The path is an argument of `forward`: a branch that is not chosen is not executed, so its gradient is None and no
    optimiser touches it. The head is shared by all paths.

    Args:
        space: The search space.
        image_shape: (C, H, W) of the images.
        num_classes: How many logits.

    Raises:
        PresetError: Pooling would shrink the images to nothing.
    """

    def __init__(self, space: SearchSpace, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.space = space
        channels, height, width = image_shape
        layers = []
        for number, block in enumerate(space.blocks):
            candidates = [build_candidate(candidate, channels, block.channels) for candidate in block.candidates]
            layers.append(ChoiceLayer(candidates, block.pool))
            channels, height, width = block.channels, height // block.pool, width // block.pool
            if min(height, width) < 1:
                raise PresetError(
                    f"space.blocks[{number}].pool = {block.pool} shrinks images of "
                    f"{image_shape[1]}×{image_shape[2]} to nothing.",
                    "Pool less, in this block or before it; pool = 1 is none.",
                )
        self.blocks = nn.ModuleList(layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * height * width, space.hidden),
            nn.ReLU(),
            nn.Linear(space.hidden, num_classes),
        )

    def forward(self, images_BCHW: Tensor, architecture: Architecture) -> Tensor:
        """Execute one path.

        Args:
            images_BCHW: (B, C, H, W) float.
            architecture: The path.

        Returns:
            Logits, (B, K).
        """
        features_BCHW = images_BCHW
        for block, choice in zip(self.blocks, architecture.choices, strict=True):
            features_BCHW = block(features_BCHW, choice)
        return self.head(features_BCHW)  # type: ignore[no-any-return]

    def choice_layers(self) -> Iterator[ChoiceLayer]:
        """Yield the choice blocks, first to last."""
        for block in self.blocks:
            assert isinstance(block, ChoiceLayer)
            yield block

    def inherit(self, architecture: Architecture, other: Supernet) -> None:
        """Take over the weights that a path has in another supernet.

        Args:
            architecture: The path, in the other's space.
            other: Whose weights are copied; this one's space holds that path alone.
        """
        for mine, theirs, choice in zip(self.choice_layers(), other.choice_layers(), architecture.choices, strict=True):
            mine.candidates[0].load_state_dict(theirs.candidates[choice].state_dict())
        self.head.load_state_dict(other.head.state_dict())

    def extract(self, architecture: Architecture) -> nn.Sequential:
        """Return the subnet of a path as a plain module with copies of the weights.

        Its outputs equal the supernet's on that path, bit for bit.
        """
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (block, choice) in enumerate(zip(self.choice_layers(), architecture.choices, strict=True)):
            layers[f"block{number}"] = nn.Sequential(block.candidates[choice], block.end)
        layers["head"] = self.head
        return copy.deepcopy(nn.Sequential(layers))
