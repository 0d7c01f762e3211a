"""What a search is asked for, and for how long it may train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supernet_cli.config.limits import parse_limit
from supernet_cli.config.parts import Named
from supernet_cli.config.schema import Search
from supernet_cli.errors import UsageError
from supernet_cli.glyphs import counted
from supernet_cli.reports.search.document import Axis
from supernet_cli.workflows.try_policies import check_policy


@dataclass(frozen=True)
class Request:
    """What is searched for, and for how long.

    Args:
        trainings: How many stand-alone trainings the search may choose; None for no such bound.
        minutes: How long it may take from now on; None for no such bound.
        supernets: What its trainings may cost, in terms of one supernet of the run; None for no such bound.
        seeds: Each path is trained once per seed.
        limits: The largest value of each limited figure.
        latencies: A latency table; None to measure latencies here.
        against: What accuracy is weighed against.
        until: Stop once the pick is the best with this probability.
        tolerance: Stop once the expected regret is at most so many points.
        policy: Who decides what to train.
        options: What was typed, for the command that continues the search.
    """

    trainings: int | None = 8
    minutes: float | None = None
    supernets: float | None = None
    seeds: tuple[int, ...] = (0,)
    limits: Mapping[str, float] = field(default_factory=dict)
    latencies: Path | None = None
    against: Axis = "macs"
    until: float | None = None
    tolerance: float | None = None
    policy: Named = field(default_factory=lambda: Named(name="posterior"))
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_policy(self.policy.name)
        if self.latencies is not None and "latency" not in self.limits and self.against != "latency":
            raise UsageError(
                "The latency table is not used: nothing limits or weighs latency.",
                "Add --limit latency=…, or --against latency.",
            )
        if self.trainings is not None and self.trainings < len(self.seeds):
            raise UsageError(
                f"{counted(self.trainings, 'training')} cannot train a path with {len(self.seeds)} seeds.",
                f"Allow at least {len(self.seeds)}, or use fewer seeds.",
            )


def requested(preset: Search, options: tuple[str, ...], **given: Any) -> Request:
    """Return what is searched for: as given, otherwise as a preset says.

    Args:
        preset: The preset's section.
        options: What was typed, for the command that continues the search.
        given: Fields of a request.

    Raises:
        UsageError: Something given is impossible.
    """
    limits = {name: parse_limit(name, str(value), f"search.limits.{name}") for name, value in preset.limits.items()}
    unbounded = "trainings" not in given and ("minutes" in given or "supernets" in given)
    stated = {
        "trainings": None if unbounded else preset.trainings,
        "seeds": preset.seeds,
        "policy": preset.policy,
        "limits": limits,
        "against": preset.against,
        "until": preset.until,
        "tolerance": preset.tolerance,
    }
    if "policy" in given:
        given["policy"] = Named(name=given["policy"])
    return Request(**{**stated, **given}, options=options)
