from __future__ import annotations

from pathlib import Path

import pytest

from supernet_cli.cores import Cores, cores, cpu_quota, usable_cores


def groups(folder: Path, membership: str, files: dict[str, str]) -> float | None:
    """Return the quota that these files give."""
    for name, text in files.items():
        (folder / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup" / name).write_text(text)
    (folder / "membership").write_text(membership)
    return cpu_quota(folder / "membership", folder / "cgroup")


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        ("0::/\n", {}, None),
        ("", {"cpu.max": "100000 100000\n"}, 1.0),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n"}, 4.0),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000"}, 0.5),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "200000 100000"}, 2.0),
        ("0::/elsewhere\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("4:cpu,cpuacct:/x\n0::/\n", {"cpu/x/cpu.cfs_quota_us": "50000", "cpu/x/cpu.cfs_period_us": "100000"}, 0.5),
        (
            "4:cpu,cpuacct:/x\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "300000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            3.0,
        ),
        ("4:cpu:/x\n", {"cpu/x/cpu.cfs_quota_us": "-1", "cpu/x/cpu.cfs_period_us": "100000"}, None),
        ("5:memory:/x\n", {"memory/x/cpu.max": "100000 100000\n"}, None),
        ("0::/\n", {"cpu.max": "nonsense"}, None),
        ("0::/\n", {"cpu.max": "100000 0"}, None),
        ("nonsense\n", {}, None),
    ],
)
def test_a_quota_is_read_in_both_versions_of_control_groups(
    membership: str, files: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    assert groups(tmp_path, membership, files) == quota


@pytest.mark.parametrize(
    ("machine", "usable", "words"),
    [
        (Cores(8, 8), 8, "8 usable of 8"),
        (Cores(8, 4), 4, "4 usable of 8 (CPU affinity)"),
        (Cores(8, 8, 1.0), 1, "1 usable of 8 (a CPU quota allows 1)"),
        (Cores(8, 8, 1.5), 2, "2 usable of 8 (a CPU quota allows 1.5)"),
        (Cores(8, 8, 0.1), 1, "1 usable of 8 (a CPU quota allows 0.1)"),
        (Cores(8, 2, 4.0), 2, "2 usable of 8 (CPU affinity)"),
        (Cores(2, 2, 64.0), 2, "2 usable of 2"),
    ],
)
def test_usable_cores_are_those_allowed_within_the_quota(machine: Cores, usable: int, words: str) -> None:
    assert (machine.usable, str(machine)) == (usable, words)


def test_at_least_one_core_of_this_machine_is_usable() -> None:
    assert 1 <= usable_cores() == cores().usable <= cores().present
