"""How much memory this process may still use, whatever sets the limit: the machine, a container or a shell."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from supernet_cli.cgroups import MEMBERSHIP, ROOT, control_groups

_LIMITS = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
"""Files of a control group, by its version: how many bytes it may use, and how many it does."""


def available_memory() -> int:
    """Return how many bytes this process can still allocate.

    The least of what the machine has free, what the container (cgroup v1 or v2) allows, and what `ulimit` leaves.
    """
    return max(0, min([int(psutil.virtual_memory().available), *_left_by_cgroups(), *_left_by_ulimit()]))


def _left_by_ulimit() -> Iterator[int]:
    """Yield what `ulimit -v` and `ulimit -d` leave."""
    if sys.platform == "win32":
        return
    import resource

    used = psutil.Process().memory_info()
    limited = {resource.RLIMIT_AS: used.vms, resource.RLIMIT_DATA: getattr(used, "data", used.rss)}
    for limit, taken in limited.items():
        allowed, _ = resource.getrlimit(limit)
        if allowed != resource.RLIM_INFINITY:
            yield allowed - taken


def _left_by_cgroups(membership: Path = MEMBERSHIP, root: Path = ROOT) -> Iterator[int]:
    """Yield what the control groups of this process, and those around them, leave."""
    for group in control_groups("memory", membership, root):
        for limit, usage in _LIMITS:
            with contextlib.suppress(OSError, ValueError):  # no limit is the word "max"; a group may not be visible
                yield int((group / limit).read_text()) - int((group / usage).read_text()) + _reclaimable(group)


def _reclaimable(group: Path) -> int:
    """Return the bytes of cached files in a group, which the kernel drops when memory is needed."""
    with contextlib.suppress(OSError, ValueError):
        for line in (group / "memory.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file"):
                return int(value)
    return 0
