"""How many cores this process may use: those it may run on, within the CPU quota of its container.

A quota (`docker --cpus=1`, limits in Kubernetes) leaves all cores of the host visible and pauses threads that use more
than their share of time, so one thread per visible core is slower than one per core of the quota.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from supernet_cli.cgroups import MEMBERSHIP, ROOT, control_groups, read_text


@dataclass(frozen=True)
class Cores:
    """The cores of this machine as far as this process may use them.

    Args:
        present: Cores of the machine.
        allowed: Cores that this process may run on (its affinity).
        quota: Cores that its container's CPU quota pays for; None without a quota.
    """

    present: int
    allowed: int
    quota: float | None = None

    @property
    def usable(self) -> int:
        """Cores to use: a started core of a quota counts as one."""
        return self.allowed if self.quota is None else max(1, min(self.allowed, math.ceil(self.quota)))

    def __str__(self) -> str:
        words = f"{self.usable} usable of {self.present}"
        if self.quota is not None and self.usable < self.allowed:
            return f"{words} (a CPU quota allows {self.quota:.3g})"
        return f"{words} (CPU affinity)" if self.allowed < self.present else words


def cores() -> Cores:
    """Return the cores that this process has."""
    present = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else present
    return Cores(present, allowed, cpu_quota())


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return cores().usable


def cpu_quota(membership: Path = MEMBERSHIP, root: Path = ROOT) -> float | None:
    """Return the smallest CPU quota of the control groups that this process is in, in cores; None without one.

    Args:
        membership: The file that names its groups, one `number:controllers:path` a line.
        root: Where control groups are mounted.
    """
    quotas = [quota for folder in control_groups("cpu", membership, root) if (quota := _quota_of(folder)) is not None]
    return min(quotas, default=None)


def _quota_of(folder: Path) -> float | None:
    """Return a group's quota in cores: `cpu.max` (version 2) is `max 100000` or `150000 100000`, microseconds."""
    words = read_text(folder / "cpu.max").split()
    words = words or [read_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    if len(words) != 2 or not all(word.isdecimal() for word in words) or int(words[1]) == 0:
        return None  # "max", and -1 in version 1, mean no quota
    return int(words[0]) / int(words[1]) or None
