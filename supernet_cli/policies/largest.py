"""Largest first: paths in the order of their size. Hard to beat where size is nearly the answer."""

from __future__ import annotations

from supernet_cli.policies._ordered import Ordered


def build() -> Ordered:
    """Build the policy."""
    return Ordered("size")
