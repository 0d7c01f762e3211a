"""What a network is built from, so that it is rebuilt from its run's folder without the data set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from supernet_cli.config.space import Space

_MOST_NAMES = 500_000  # bytes of run.json that names of classes may take

_Number = Annotated[float, Field(allow_inf_nan=False)]
_Deviation = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Size = Annotated[int, Field(ge=1)]


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Normalisation(_Fact):
    """What images are standardised with: (pixel / 255 - mean) / std, channel by channel.

    Args:
        mean: Mean of each channel; 0 where images are not standardised.
        std: Standard deviation of each channel; 1 where images are not standardised.
    """

    mean: tuple[_Number, ...] = Field(min_length=1)
    std: tuple[_Deviation, ...] = Field(min_length=1)


class Signature(_Fact):
    """What goes into the networks of a run and what comes out.

    Args:
        image_shape: (C, H, W) of the images.
        num_classes: Number of logits.
        classes: Names of the classes, by label: the first ones, where all of them would not fit into a run.json.
        normalisation: Of the images.
    """

    image_shape: tuple[_Size, _Size, _Size]
    num_classes: int = Field(ge=1)
    classes: tuple[str, ...]
    normalisation: Normalisation

    @classmethod
    def of(cls, image_shape: tuple[int, int, int], classes: Sequence[str], normalisation: Normalisation) -> Signature:
        """Return the signature of networks for these classes."""
        kept, used = 0, 0
        for name in classes:
            used += len(json.dumps(name)) + 8  # indentation, comma, end of line
            if used > _MOST_NAMES:
                break
            kept += 1
        return cls(
            image_shape=image_shape,
            num_classes=len(classes),
            classes=tuple(classes[:kept]),
            normalisation=normalisation,
        )


class NetworkSpec(Signature):
    """Enough, with the weights, to rebuild a network.

    Args:
        space: The search space.
    """

    space: Space
