"""The supernet: every candidate of every block in one module; a forward pass executes one path.

Names of tensors end with their shape: B images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from supernet_cli.errors import PresetError
from supernet_cli.networks.ops import build_candidate
from supernet_cli.networks.ops._layers import NORMS, convolution, in_sequence, projection
from supernet_cli.space import Architecture, Bundle, SearchSpace
from supernet_cli.space.bundle import Combine


class BlockEnd(nn.Module):
    """What follows a block's chosen operation: max pooling, then ReLU.

    The two commute, since ReLU never changes which of two numbers is the larger; in this order ReLU processes
    only 1/pool² of the elements.

    Args:
        pool: Window and stride of the pooling; 1 for none.
    """

    def __init__(self, pool: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(pool) if pool > 1 else nn.Identity()

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """Return (B, C, H // pool, W // pool)."""
        return torch.relu(self.pool(features_BCHW))


class Residual(nn.Module):
    """A candidate operation and the shortcut that is added to its output."""

    def __init__(self, candidate: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.candidate = candidate
        self.shortcut = shortcut

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """Return the sum of both."""
        return self.candidate(features_BCHW) + self.shortcut(features_BCHW)  # type: ignore[no-any-return]


class ChoiceLayer(nn.Module):
    """One choice block: its candidates and what follows the chosen one.

    Args:
        candidates: The operations to choose from.
        pool: Window and stride of the max pooling at the end; 1 for none.
        shortcut: Added to the chosen candidate's output; None for no shortcut.
    """

    def __init__(self, candidates: Sequence[nn.Module], pool: int, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.candidates = nn.ModuleList(candidates)
        self.shortcut = shortcut
        self.end = BlockEnd(pool)

    def forward(self, features_BCHW: Tensor, choice: int) -> Tensor:
        """Execute one candidate; the others are not executed."""
        return self._finish(self.candidates[choice](features_BCHW), features_BCHW)

    def several(self, features_BCHW: Tensor, choices: Sequence[int], combine: Combine) -> Tensor:
        """Execute several candidates and combine their outputs; the others are not executed."""
        first, *others = choices
        combined_BCHW = self.candidates[first](features_BCHW)
        for choice in others:
            combined_BCHW = combined_BCHW + self.candidates[choice](features_BCHW)
        if others and combine == "mean":
            combined_BCHW = combined_BCHW / len(choices)
        return self._finish(combined_BCHW, features_BCHW)

    def _finish(self, chosen_BCHW: Tensor, features_BCHW: Tensor) -> Tensor:
        if self.shortcut is not None:
            chosen_BCHW = chosen_BCHW + self.shortcut(features_BCHW)
        return self.end(chosen_BCHW)  # type: ignore[no-any-return]

    def only(self, choice: int) -> nn.Sequential:
        """Return the layers executed for a choice as a plain module that shares their weights."""
        candidate = self.candidates[choice]
        return nn.Sequential(candidate if self.shortcut is None else Residual(candidate, self.shortcut), self.end)


class Supernet(nn.Module):
    """All paths of a search space with shared weights: a stem, choice blocks, then Linear, ReLU, Linear.

    The path is an argument of `forward`: a candidate that is not chosen is not executed, so its gradient is None and
    the optimiser leaves it unchanged. Stem, head and the blocks' shortcuts are shared by all paths.

    Args:
        space: The search space.
        image_shape: (C, H, W) of the images.
        num_classes: Number of logits.

    Raises:
        PresetError: Pooling would shrink the images to nothing, or a candidate's parameter is invalid.
    """

    def __init__(self, space: SearchSpace, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.space = space
        channels, size = image_shape[0], image_shape[1:]
        self.stem: nn.Module | None = None
        if space.stem is not None:
            stem = space.stem
            self.stem = nn.Sequential(
                *convolution(channels, stem.channels, stem.kernel, stem.stride, NORMS[stem.norm or "none"]),
                BlockEnd(stem.pool),
            )
            channels, size = stem.channels, _shrunk(size, stem.stride, stem.pool, "space.stem", image_shape)
        layers = []
        for number, block in enumerate(space.blocks):
            layers.append(_choice_layer(space, number, channels))
            size = _shrunk(size, block.stride, block.pool, f"space.blocks[{number}]", image_shape)
            channels = block.channels
        self.blocks = nn.ModuleList(layers)
        flattens = space.pooling == "flatten"
        self.head = nn.Sequential(
            *([] if flattens else [nn.AdaptiveAvgPool2d(1)]),
            nn.Flatten(),
            nn.Linear(channels * (size[0] * size[1] if flattens else 1), space.hidden),
            nn.ReLU(),
            nn.Linear(space.hidden, num_classes),
        )

    def forward(self, images_BCHW: Tensor, architecture: Architecture | Bundle) -> Tensor:
        """Execute one path, or several candidates per block.

        Args:
            images_BCHW: (B, C, H, W) float.
            architecture: The path, or the candidates.

        Returns:
            Logits, (B, K).
        """
        return self.head(self.features(images_BCHW, architecture))  # type: ignore[no-any-return]

    def features(self, images_BCHW: Tensor, architecture: Architecture | Bundle) -> Tensor:
        """Execute all but the head; returns its input, (B, C, H, W)."""
        features_BCHW = self.begin(images_BCHW)
        if isinstance(architecture, Bundle):
            for layer, choices in zip(self.choice_layers(), architecture.choices, strict=True):
                features_BCHW = layer.several(features_BCHW, choices, architecture.combine)
            return features_BCHW
        for block, choice in zip(self.blocks, architecture.choices, strict=True):
            features_BCHW = block(features_BCHW, choice)
        return features_BCHW

    def begin(self, images_BCHW: Tensor) -> Tensor:
        """Return the input of the first block: the stem's output, or the images themselves without a stem."""
        return images_BCHW if self.stem is None else self.stem(images_BCHW)

    def choice_layers(self) -> Iterator[ChoiceLayer]:
        """Yield the choice blocks, first to last."""
        for block in self.blocks:
            assert isinstance(block, ChoiceLayer)
            yield block

    def inherit(self, architecture: Architecture, other: Supernet) -> None:
        """Copy the weights of a path from another supernet.

        Args:
            architecture: The path, in the other's space.
            other: The supernet to copy from; this one's space contains only that path.
        """
        for mine, theirs, choice in zip(self.choice_layers(), other.choice_layers(), architecture.choices, strict=True):
            mine.candidates[0].load_state_dict(theirs.candidates[choice].state_dict())
            if mine.shortcut is not None and theirs.shortcut is not None:
                mine.shortcut.load_state_dict(theirs.shortcut.state_dict())
        if self.stem is not None and other.stem is not None:
            self.stem.load_state_dict(other.stem.state_dict())
        self.head.load_state_dict(other.head.state_dict())

    def extract(self, architecture: Architecture) -> nn.Sequential:
        """Return the subnet of a path as a plain module with copies of the weights.

        Its outputs equal the supernet's on that path bit for bit.
        """
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if self.stem is not None:
            layers["stem"] = self.stem
        for number, (block, choice) in enumerate(zip(self.choice_layers(), architecture.choices, strict=True)):
            layers[f"block{number}"] = block.only(choice)
        layers["head"] = self.head
        return copy.deepcopy(nn.Sequential(layers))


def _choice_layer(space: SearchSpace, number: int, channels: int) -> ChoiceLayer:
    """Build a block with this number of input channels.

    Raises:
        PresetError: A candidate's parameter is invalid; names the candidate.
    """
    block, candidates = space.blocks[number], []
    for position, candidate in enumerate(block.candidates):
        try:
            candidates.append(build_candidate(candidate, channels, block.channels, block.stride))
        except (TypeError, ValueError) as error:
            where = f"space.blocks[{number}].candidates[{position}]"
            raise PresetError(f"{where} ({candidate.label}): {error}.") from error
    shortcut = None
    if block.residual:
        layers = projection(channels, block.channels, block.stride, NORMS[space.norm])
        shortcut = in_sequence(layers or [nn.Identity()])
    return ChoiceLayer(candidates, block.pool, shortcut)


def _shrunk(
    size: tuple[int, int], stride: int, pool: int, where: str, image_shape: tuple[int, int, int]
) -> tuple[int, int]:
    """Return height and width after a stride and a pooling.

    Raises:
        PresetError: Nothing is left.
    """
    height, width = (-(-side // stride) // pool for side in size)
    if min(height, width) < 1:
        raise PresetError(
            f"{where}.pool = {pool} shrinks images of {image_shape[1]}×{image_shape[2]} to nothing.",
            "Pool less in this block or an earlier one; pool = 1 means no pooling.",
        )
    return height, width
