"""Search policies, which decide what to train next: one per file, each with a `build` function. No torch, no disk."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from supernet_cli.config.catalog import entries
from supernet_cli.policies.problem import Evidence, Observation, Path, Problem

__all__ = ["Evidence", "Observation", "Path", "Policy", "Problem", "build_policy"]


class Policy(Protocol):
    """A policy: decides which paths to train next, and which of the trained ones to take."""

    def propose(self, evidence: Evidence, rng: np.random.Generator, n: int) -> list[Path]:
        """Return paths to train next, the most wanted first.

        The same state, evidence and state of `rng` give the same paths.

        Returns:
            `n` distinct paths within the limits, none of them taken; fewer only where no more are left or found.
        """

    def pick(self, evidence: Evidence, rng: np.random.Generator) -> Path:
        """Return the trained path to take.

        Raises:
            ValueError: No path is trained.
        """

    def state(self) -> dict[str, Any]:
        """Return everything but evidence and `rng` that determines later proposals, as plain JSON values."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state: later proposals equal those of the policy that returned it."""


def build_policy(name: str, **parameters: Any) -> Policy:
    """Build a policy by its name.

    Args:
        name: A name from the catalog.
        parameters: The policy's own parameters.

    Raises:
        ValueError: A parameter's value is invalid.
    """
    policy: Policy = importlib.import_module(f"supernet_cli.{entries('policy')[name].module}").build(**parameters)
    return policy
