"""Linux control groups, by which containers limit what the processes in them may use; elsewhere there are none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MEMBERSHIP = Path("/proc/self/cgroup")
ROOT = Path("/sys/fs/cgroup")


def control_groups(controller: str, membership: Path = MEMBERSHIP, root: Path = ROOT) -> list[Path]:
    """Return the folders of this process's groups and of those around them, whose limits hold as well.

    Args:
        controller: What they limit, such as `cpu` or `memory`; version 2 has one hierarchy for all.
        membership: The file that names the groups, one `number:controllers:path` per line.
        root: Where control groups are mounted.
    """
    return list(dict.fromkeys(_folders(controller, membership, root)))


def _folders(controller: str, membership: Path, root: Path) -> Iterator[Path]:
    for line in (read_text(membership) or "0::/").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        is_first_version = controller in controllers.split(",")
        if controllers and not is_first_version:
            continue
        mounts = {root / controllers, root / controller} if is_first_version else {root, root / "unified"}
        inside = PurePosixPath(path.lstrip("/"))
        for mount in mounts:
            yield from (mount / part for part in (inside, *inside.parents))
    yield from (root, root / controller)  # a container may see only its own group, at the root
    if controller == "cpu":
        yield root / "cpu,cpuacct"


def read_text(file: Path) -> str:
    """Return the text of a small file; nothing where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
