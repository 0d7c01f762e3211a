"""Latency tables: how long each candidate takes on some device, so that a path's latency is a sum.

    {"device": "Pixel 8, one thread", "rest": 0.00012, "decisions": [{"conv3x3": 0.00031, "conv5x5": 0.00054}, …]}

Seconds per image; one entry per decision, with a number for each of its candidates. `rest` is what every path has
besides.

Source: Cai, Zhu and Han 2019, "ProxylessNAS", arXiv 1812.00332, whose latency model is such a sum.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from supernet_cli.errors import DataError
from supernet_cli.policies.additive import Additive

_LARGEST = 1 << 26  # bytes


class LatencyTable(BaseModel):
    """A latency table as it is written."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    device: str = Field(min_length=1)
    rest: float = Field(0.0, ge=0)
    decisions: tuple[dict[str, float], ...]


def read_latencies(file: Path, decisions: Sequence[Sequence[str]]) -> tuple[str, Additive]:
    """Return the device of a latency table, and the latency of paths in seconds.

    Args:
        file: The table, a JSON file.
        decisions: Labels of the candidates of each decision of the space.

    Raises:
        DataError: The file is missing or damaged, or lacks a candidate.
    """
    try:
        if file.stat().st_size > _LARGEST:
            raise DataError(f"{file} is too large to be a latency table.")
        table = LatencyTable.model_validate_json(file.read_bytes())
    except OSError as error:
        raise DataError(f"The latency table {file} cannot be read: {error.strerror}.", "Check the path.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        where = f"{file}: {where}: {first['msg']}" if where else f"{file}: {first['msg']}"
        raise DataError(f"This is no latency table: {where}.", _example(decisions)) from error
    if len(table.decisions) != len(decisions):
        raise DataError(
            f"{file} has {len(table.decisions)} decisions; the space has {len(decisions)}.", _example(decisions)
        )
    for place, (known, labels) in enumerate(zip(table.decisions, decisions, strict=True)):
        for label in labels:
            if not known.get(label, -1.0) >= 0:
                what = "a negative latency" if label in known else "no latency"
                raise DataError(f"{file}: decisions[{place}] has {what} for {label}.", _example(decisions))
    candidates = tuple(
        tuple(known[label] for label in labels) for known, labels in zip(table.decisions, decisions, strict=True)
    )
    return table.device, Additive(candidates, table.rest)


def _example(decisions: Sequence[Sequence[str]]) -> str:
    first = json.dumps(dict.fromkeys(decisions[0][:2], 0.0003))
    return f'It should look like {{"device": "…", "rest": 0.0001, "decisions": [{first}, …]}}, in seconds.'
