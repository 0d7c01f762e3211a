"""Small things that several test modules build."""

from __future__ import annotations

from pathlib import Path

from supernet_cli.config.schema import Space
from supernet_cli.space import SearchSpace

TWO = ["conv3x3", "conv5x5"]


def space_of(*blocks: list[str], channels: int = 32, pool: int = 2) -> SearchSpace:
    """Return a space with these candidates in its blocks."""
    table = [{"channels": channels, "pool": pool, "candidates": block} for block in blocks]
    return SearchSpace.from_config(Space.model_validate({"hidden": 16, "blocks": table}))


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run
