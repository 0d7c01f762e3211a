"""What a search is asked for, and for how long it may train."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supernet_cli.config.limits import check_limits, exact
from supernet_cli.config.parts import Named, check_parameters, lookup
from supernet_cli.config.schema import Search
from supernet_cli.errors import UsageError
from supernet_cli.glyphs import counted
from supernet_cli.reports.search.document import Axis


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
        check_policy(self.policy)
        check_seeds(self.seeds)
        for name, value in (("minutes", self.minutes), ("supernets", self.supernets), ("tolerance", self.tolerance)):
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{name} = {value:g}: give a positive number.")
        if self.trainings is not None and self.trainings < 1:
            raise UsageError(f"trainings = {self.trainings}: give a positive number.")
        if self.until is not None and not 0 < self.until < 1:
            raise UsageError(f"until = {self.until:g}: give a probability between 0 and 1, such as 0.9.")
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


def check_seeds(seeds: Sequence[int]) -> None:
    """Make sure that there are seeds, each once.

    Raises:
        UsageError: There are none, one is there twice, or one is no seed.
    """
    if not seeds or len(set(seeds)) < len(seeds) or not all(0 <= seed < 2**32 for seed in seeds):
        raise UsageError(f"seeds = {list(seeds)}: give different whole numbers from 0 to {2**32 - 1}.")


def check_policy(policy: Named) -> None:
    """Make sure that there is a policy, and that it takes its parameters.

    Raises:
        UsageError: There is none with that name, or a parameter does not fit.
    """
    try:
        check_parameters("policy", lookup("policy", policy.name), policy.parameters)
    except ValueError as error:
        message = str(error)
        raise UsageError(f"{message[:1].upper()}{message[1:]}") from error


def requested(preset: Search, **given: Any) -> Request:
    """Return what is searched for: as given, otherwise as a preset says.

    Args:
        preset: The preset's section.
        given: Fields of a request; None where it is not given. A policy may be a name.

    Raises:
        UsageError: Something given is impossible.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if isinstance(given.get("policy"), str):
        given["policy"] = Named(name=given["policy"])
    if "limits" in given:
        given["limits"] = check_limits(given["limits"])
    unbounded = "trainings" not in given and ("minutes" in given or "supernets" in given)
    stated = {
        "trainings": None if unbounded else preset.trainings,
        "seeds": preset.seeds,
        "policy": preset.policy,
        "limits": check_limits(preset.limits),
        "against": preset.against,
        "until": preset.until,
        "tolerance": preset.tolerance,
    }
    return Request(**{**stated, **given}, options=_typed(given))


def _typed(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what was given as it is typed after `supernet search`, quoted for a shell."""
    words: list[str] = []
    for name in ("trainings", "minutes", "supernets", "until", "tolerance", "against"):
        if name in given:
            words += [f"--{name}", f"{given[name]}"]
    if "policy" in given:
        words += ["--policy", shlex.quote(given["policy"].name)]
    if "seeds" in given:
        words += ["--seeds", ",".join(map(str, given["seeds"]))]
    for name, value in given.get("limits", {}).items():
        words += ["--limit", f"{name}={exact(name, value)}"]
    if "latencies" in given:
        words += ["--latency-table", shlex.quote(str(given["latencies"]))]
    return tuple(words)
