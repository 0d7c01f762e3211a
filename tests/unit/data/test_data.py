from __future__ import annotations

import errno
import gzip
import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision

from supernet_cli.data import Split, load_dataset, split_validation
from supernet_cli.data.cache import file_digest, unpack
from supernet_cli.data.resident import ResidentImages, Statistics
from supernet_cli.errors import DataError, DiskError, PresetError

CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUPERNET_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_mnist_ships_whole() -> None:
    mnist = load_dataset("mnist", None)
    assert mnist.training.images.shape == (60_000, 28, 28, 1)
    assert mnist.test.images.shape == (10_000, 28, 28, 1)
    assert torch.bincount(mnist.training.labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert len(mnist.classes) == 10


def test_a_damaged_file_in_the_cache_is_made_again(cache: Path) -> None:
    load_dataset("mnist", None)
    (labels,) = cache.rglob("t10k-labels-idx1-ubyte")
    good = file_digest(labels)
    labels.write_bytes(b"x" * 10_008)
    load_dataset("mnist", None)
    assert file_digest(labels) == good


def test_two_processes_may_unpack_at_once(cache: Path) -> None:
    code = "from supernet_cli.data import load_dataset; print(len(load_dataset('mnist', None).test))"
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate(timeout=120)[0] for process in processes] == [b"10000\n"] * 2
    assert not list(cache.rglob(".*"))


def test_unpacking_refuses_what_is_not_what_it_should_be(tmp_path: Path) -> None:
    good = tmp_path / "a.xz"
    good.write_bytes(lzma.compress(b"hello"))
    with pytest.raises(DataError, match="SHA-256"):
        unpack(good, tmp_path / "out", "0" * 64)
    truncated = tmp_path / "b.xz"
    truncated.write_bytes(good.read_bytes()[:-8])
    with pytest.raises(DataError, match="damaged"):
        unpack(truncated, tmp_path / "out")
    with pytest.raises(DataError, match="more than 3 bytes"):
        unpack(good, tmp_path / "out", largest=3)
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("a.xz", "b.xz")] == []


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SUPERNET_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(DiskError) as caught:
        load_dataset("mnist", None)
    assert "SUPERNET_CACHE_DIR" in caught.value.hint


def test_gz_files_in_the_users_folder_are_used_without_writing_there(cache: Path, digits: Path, tmp_path: Path) -> None:
    root = tmp_path / "mine"
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (digits / "MNIST" / "raw").iterdir():
        (raw / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    before = sorted(root.rglob("*"))
    packed, plain = load_dataset("mnist", root), load_dataset("mnist", digits)
    assert torch.equal(packed.training.images, plain.training.images)
    assert torch.equal(packed.test.labels, plain.test.labels)
    assert sorted(root.rglob("*")) == before


def test_files_may_lie_in_the_folder_itself(cache: Path, digits: Path) -> None:
    flat, nested = load_dataset("mnist", digits / "MNIST" / "raw"), load_dataset("mnist", digits)
    assert torch.equal(flat.training.images, nested.training.images)


def test_missing_files_are_named_with_their_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_dataset("mnist", tmp_path)
    assert "t10k-labels-idx1-ubyte" in caught.value.message
    assert str(tmp_path / "MNIST" / "raw") in caught.value.message


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: (raw / "train-images-idx3-ubyte").write_bytes(b""),
        lambda raw: (raw / "train-images-idx3-ubyte").write_bytes(
            b"not an idx file, though long enough to have a header"
        ),
        lambda raw: shutil.copy(raw / "t10k-labels-idx1-ubyte", raw / "train-labels-idx1-ubyte"),
        lambda raw: (raw / "train-labels-idx1-ubyte").write_bytes(
            (raw / "train-labels-idx1-ubyte").read_bytes()[:-1] + b"\xc8"
        ),
    ],
    ids=["empty", "other", "of another split", "a label of 200"],
)
def test_files_that_are_not_what_their_names_say_are_refused(
    damage: Callable[[Path], object], digits: Path, tmp_path: Path
) -> None:
    shutil.copytree(digits, tmp_path / "copy")
    damage(tmp_path / "copy" / "MNIST" / "raw")
    with pytest.raises(DataError):
        load_dataset("mnist", tmp_path / "copy")


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_a_disk_that_fails_is_not_taken_for_a_damaged_file(
    digits: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number), "some/file")

    monkeypatch.setattr(torchvision.datasets.mnist, "read_image_file", fail)
    with pytest.raises(DiskError, match=f"some/file cannot be read: {os.strerror(number)}"):
        load_dataset("mnist", digits)


def test_the_validation_split_depends_on_its_own_seed_alone_and_is_disjoint(digits: Path) -> None:
    dataset = load_dataset("mnist", digits)
    splits = split_validation(dataset, 100, 0)
    torch.manual_seed(99)
    again, other = split_validation(dataset, 100, 0), split_validation(dataset, 100, 1)
    assert torch.equal(splits.validation.images, again.validation.images)
    assert not torch.equal(splits.validation.images, other.validation.images)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (500, 100, 200)
    together = torch.cat([splits.train.images, splits.validation.images]).flatten(1).tolist()
    assert sorted(together) == sorted(dataset.training.images.flatten(1).tolist())


def test_a_split_that_leaves_nothing_is_refused(digits: Path) -> None:
    with pytest.raises(PresetError, match="has 600 training images"):
        split_validation(load_dataset("mnist", digits), 600, 0)


def random_split(count: int, channels: int = 1) -> Split:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 5, 6, channels), generator=generator, dtype=torch.uint8)
    return Split(images, torch.arange(count))


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_are_those_of_the_pixels(channels: int) -> None:
    split = random_split(40, channels)
    pixels = (split.images.double() / 255).reshape(-1, channels)
    found = Statistics.of(split)
    torch.testing.assert_close(found.mean.double(), pixels.mean(0), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.std.double(), pixels.std(0, correction=0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_to_judge_is_the_standardised_images_in_order(channels: int) -> None:
    split = random_split(10, channels)
    statistics = Statistics.of(split)
    resident = ResidentImages(split, statistics, CPU, shift=2)
    images = torch.cat([batch for batch, _ in resident.batches(4)])
    expected = (split.images.float() / 255 - statistics.mean) / statistics.std
    torch.testing.assert_close(images, expected.permute(0, 3, 1, 2), atol=1e-5, rtol=1e-5)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_without_standardising_pixels_are_fractions() -> None:
    split = random_split(3)
    images, _ = next(ResidentImages(split, Statistics.neutral(1), CPU).batches(3))
    torch.testing.assert_close(images, split.images.permute(0, 3, 1, 2).float() / 255)


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own() -> None:
    resident = ResidentImages(random_split(50), Statistics.neutral(1), CPU)
    orders = [
        torch.cat([labels for _, labels in resident.epoch(torch.Generator().manual_seed(seed), 16)])
        for seed in (1, 2, 1)
    ]
    assert all(torch.equal(order.sort().values, torch.arange(50)) for order in orders)
    assert torch.equal(orders[0], orders[2])
    assert not torch.equal(orders[0], orders[1])


def test_a_shift_moves_the_image_and_fills_with_zero() -> None:
    split = random_split(200)
    resident = ResidentImages(split, Statistics.neutral(1), CPU, shift=1)
    padded = torch.nn.functional.pad(split.images[..., 0].float() / 255, (1, 1, 1, 1))
    seen = set()
    for images, labels in resident.epoch(torch.Generator().manual_seed(0), 64):
        for image, label in zip(images[:, 0], labels.tolist(), strict=True):
            places = [
                (down, right)
                for down in range(3)
                for right in range(3)
                if torch.allclose(image, padded[label, down : down + 5, right : right + 6], atol=1e-6)
            ]
            assert len(places) == 1
            seen.update(places)
    assert len(seen) == 9


def test_an_epoch_can_be_entered_anywhere() -> None:
    resident = ResidentImages(random_split(50), Statistics.neutral(1), CPU, shift=1)
    whole = list(resident.epoch(torch.Generator().manual_seed(5), 16))
    rest = list(resident.epoch(torch.Generator().manual_seed(5), 16, first=2))
    assert len(whole) == 4
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(whole[2:], rest, strict=True))


def test_a_users_file_that_changes_later_is_not_read_in_the_place_of_another(
    cache: Path, digits: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        shutil.copytree(digits / "MNIST" / "raw", folder)
    load_dataset("mnist", first)
    labels = first / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:8] + bytes(600))
    assert load_dataset("mnist", second).training.labels.sum() > 0
    assert load_dataset("mnist", first).training.labels.sum() == 0
    shutil.move(second, tmp_path / "third")
    assert load_dataset("mnist", tmp_path / "third").training.labels.sum() > 0
