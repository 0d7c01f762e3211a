"""Folders of images where memory, the disk or the cache fails: no file is blamed for it, and nothing wrong is kept."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from folders import load, two_classes
from PIL import Image

from supernet_cli.data import decode, folder, memory, pixels
from supernet_cli.errors import DataError, DiskError, OutOfMemoryError

pytestmark = pytest.mark.usefixtures("cache")


def test_images_that_do_not_fit_into_memory_are_refused_before_any_is_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_classes(root)
    needed = 2 * 48 * 64 * 64 * 3
    monkeypatch.setattr(folder, "available_memory", lambda: needed)
    load(root, size=64)
    monkeypatch.setattr(folder, "available_memory", lambda: needed - 1)
    monkeypatch.setattr(decode, "decode", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(OutOfMemoryError, match=r"48 images of 64×64 pixels") as caught:
        load(root, size=64)
    monkeypatch.undo()
    size = int(caught.value.hint.rpartition("=")[2])
    assert 8 <= size < 64
    assert 2 * 48 * size * size * 3 < needed


def test_available_memory_respects_ulimit(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import resource, psutil\n"
        "from supernet_cli.data.memory import available_memory\n"
        "used = psutil.Process().memory_info().vms\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 10**8,) * 2)\n"
        "print(available_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) <= 10**8


@pytest.mark.parametrize(
    ("membership", "limits", "expected"),
    [
        ("0::/a/b\n", {"a/memory.max": "1000", "a/memory.current": "400", "a/b/memory.max": "max"}, [600]),
        (
            "0::/\n",
            {"memory.max": "1000", "memory.current": "900", "memory.stat": "anon 5\ninactive_file 300"},
            [400],
        ),
        (
            "4:cpu,memory:/a\n1:name=systemd:/a\n",
            {"memory/a/memory.limit_in_bytes": "50", "memory/a/memory.usage_in_bytes": "20"},
            [30],
        ),
        ("0::/nowhere\n", {}, []),
    ],
)
def test_available_memory_respects_containers(
    tmp_path: Path, membership: str, limits: dict[str, str], expected: list[int]
) -> None:
    for name, content in limits.items():
        (tmp_path / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cgroup" / name).write_text(content)
    (tmp_path / "membership").write_text(membership)
    assert list(memory._left_by_cgroups(tmp_path / "membership", tmp_path / "cgroup")) == expected


@pytest.mark.parametrize("raised", [MemoryError(), OSError("out of memory error when reading image file")])
def test_memory_that_runs_out_is_not_blamed_on_a_file_nor_cached(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception
) -> None:
    two_classes(root)

    def fail(*_: object) -> None:
        raise raised

    with monkeypatch.context() as patched:
        patched.setattr(pixels, "_decode_content", fail)
        with pytest.raises(OutOfMemoryError, match="Out of memory while decoding"):
            load(root, skip_broken=True)
    assert not list(cache.rglob("*.pixels"))
    assert len(load(root).training) + len(load(root).test) == 48


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EMFILE])
@pytest.mark.parametrize("where", ["open", "read_bytes", "iterdir"])
def test_a_disk_that_fails_is_not_blamed_on_a_file_nor_cached(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, where: str, number: int
) -> None:
    two_classes(root)
    original = getattr(Path, where)

    def fail(path: Path, *arguments: object, **options: object) -> object:
        if path.name in ("007.png", "cats"):
            raise OSError(number, os.strerror(number), str(path))
        return original(path, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, where, fail)
        with pytest.raises(DiskError, match=f"cannot be read: {os.strerror(number)}"):
            load(root, skip_broken=True)
    assert not list(cache.rglob("*.pixels"))
    assert len(load(root).training) + len(load(root).test) == 48


def test_a_file_that_changes_while_it_is_read_is_not_cached_as_what_it_was(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_classes(root)
    hashed = folder._hash

    def then_changed(*arguments: object) -> object:
        files = hashed(*arguments)  # type: ignore[arg-type]
        Image.new("RGB", (8, 8)).save(root / "cats" / "000.png")
        return files

    monkeypatch.setattr(folder, "_hash", then_changed)
    with pytest.raises(DataError, match=r"000\.png changed while it was being read"):
        load(root)


def test_a_cut_cache_is_made_again(root: Path, cache: Path) -> None:
    two_classes(root)
    before = load(root).training.images
    (stored,) = cache.rglob("*.pixels")
    content = stored.read_bytes()
    for damaged in (b"", content[:-1], content[:30], content + b"x", b"[]\n" + content):
        stored.write_bytes(damaged)
        assert torch.equal(load(root).training.images, before)
        assert stored.read_bytes() == content
