"""Other data: downloads from a server of our own, archives made on the spot, and folders of images."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import pickle
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from supernet_cli.config.catalog import entries
from supernet_cli.data import Dataset, load_dataset
from supernet_cli.data import decode as decode_module
from supernet_cli.errors import DataError

RAW = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUPERNET_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Serve a folder on loopback; yields the folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{served.server_address[1]}/"
        served.shutdown()
        thread.join()


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def published(server: tuple[Path, str], digits: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Publish small files in the place of Fashion-MNIST's."""
    from torchvision import datasets

    folder, address = server
    for name in RAW:
        (folder / f"{name}.gz").write_bytes(gzip.compress((digits / "MNIST" / "raw" / name).read_bytes()))
    resources = [(f"{name}.gz", md5(folder / f"{name}.gz")) for name in RAW]
    monkeypatch.setattr(datasets.FashionMNIST, "resources", resources)
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:9/", address])
    return folder


def test_every_data_set_has_a_loader() -> None:
    names = {"mnist", "fashion-mnist", "kmnist", "emnist-balanced", "cifar10", "cifar100", "folder"}
    assert set(entries("dataset")) == names


def test_a_download_is_reported_checked_and_done_once(published: Path, digits: Path) -> None:
    told: list[tuple[str, int, int]] = []
    found = load_dataset("fashion-mnist", None, {}, lambda *progress: told.append(progress))
    assert torch.equal(found.training.images, load_dataset("mnist", digits).training.images)
    assert {doing for doing, _, _ in told} == {f"downloading {name}.gz" for name in RAW}
    assert all(done <= total for _, done, total in told)
    shutil.rmtree(published)
    again = load_dataset("fashion-mnist", None)
    assert torch.equal(again.test.images, found.test.images)


def test_a_download_that_is_not_the_file_is_refused_and_leaves_nothing(published: Path, cache: Path) -> None:
    (published / f"{RAW[0]}.gz").write_bytes(b"a page that says: log in first")
    with pytest.raises(DataError, match="its MD5 is") as caught:
        load_dataset("fashion-mnist", None)
    assert str(cache / "data" / "downloads" / "FashionMNIST" / "raw") in caught.value.hint
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_without_a_network_the_files_and_their_folder_are_named(
    published: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision import datasets

    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(DataError, match="cannot be downloaded") as caught:
        load_dataset("fashion-mnist", None)
    assert all(f"{name}.gz" in caught.value.hint for name in RAW)
    for name in RAW:  # what the hint says is enough
        shutil.copy(published / f"{name}.gz", cache / "data" / "downloads" / "FashionMNIST" / "raw")
    assert len(load_dataset("fashion-mnist", None).training) == 600


def test_fashion_and_kuzushiji_are_used_from_the_users_folder(digits: Path, tmp_path: Path) -> None:
    for name, torchvision_name in (("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")):
        raw = tmp_path / name / torchvision_name / "raw"
        shutil.copytree(digits / "MNIST" / "raw", raw)
        found = load_dataset(name, tmp_path / name)
        assert (len(found.training), len(found.test), len(found.classes)) == (600, 200, 10)


def emnist(folder: Path, digits: Path) -> None:
    folder.mkdir(parents=True)
    for part, ours in (("train", "train"), ("test", "t10k")):
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            content = (digits / "MNIST" / "raw" / f"{ours}-{kind}").read_bytes()
            (folder / f"emnist-balanced-{part}-{kind}.gz").write_bytes(gzip.compress(content))


def test_emnist_stands_upright(digits: Path, tmp_path: Path) -> None:
    emnist(tmp_path / "EMNIST" / "raw", digits)
    found, stored = load_dataset("emnist-balanced", tmp_path), load_dataset("mnist", digits)
    assert torch.equal(found.training.images, stored.training.images.transpose(1, 2))
    assert len(found.classes) == 47


def test_emnist_is_taken_out_of_its_archive(
    server: tuple[Path, str], digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    from torchvision import datasets

    folder, address = server
    emnist(tmp_path / "files", digits)
    with zipfile.ZipFile(folder / "gzip.zip", "w") as archive:
        for path in (tmp_path / "files").iterdir():
            archive.write(path, f"gzip/{path.name}")
        archive.writestr("../../escaped", "no")
    monkeypatch.setattr(datasets.EMNIST, "url", f"{address}gzip.zip")
    monkeypatch.setattr(datasets.EMNIST, "md5", md5(folder / "gzip.zip"))
    assert len(load_dataset("emnist-balanced", None).test) == 200
    assert not list(tmp_path.rglob("escaped"))
    assert not list(cache.rglob("gzip.zip"))


def cifar(folder: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Write small files in the place of CIFAR-10's, and publish their sums; return the pixels of the test images."""
    from torchvision import datasets

    batches = folder / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 3, 32, 32), dtype=np.uint8)
    for name in ("data_batch_1", "test_batch"):
        table = {"data": pixels.reshape(20, -1), "labels": [number % 10 for number in range(20)]}
        (batches / name).write_bytes(pickle.dumps(table))
    (batches / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"class {n}" for n in range(10)]}))
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [["data_batch_1", md5(batches / "data_batch_1")]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", md5(batches / "test_batch")]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": md5(batches / "batches.meta")}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    return pixels


def test_cifar_is_read_extracted_or_as_its_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = cifar(tmp_path / "plain", monkeypatch)
    (tmp_path / "packed").mkdir()
    with tarfile.open(tmp_path / "packed" / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "plain" / "cifar-10-batches-py", "cifar-10-batches-py")
    before = sorted((tmp_path / "packed").rglob("*"))
    for root in (tmp_path / "plain", tmp_path / "packed"):
        found = load_dataset("cifar10", root)
        assert torch.equal(found.test.images.permute(0, 3, 1, 2), torch.from_numpy(pixels))
        assert found.classes[3] == "class 3"
    assert sorted((tmp_path / "packed").rglob("*")) == before


def test_an_archive_is_not_extracted_by_a_python_that_cannot_do_it_safely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cifar(tmp_path, monkeypatch)
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
    shutil.rmtree(tmp_path / "cifar-10-batches-py")
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(DataError, match=r"cannot be extracted safely by Python") as caught:
        load_dataset("cifar10", tmp_path)
    assert f"Extract it in {tmp_path} yourself" in caught.value.hint


def test_an_altered_cifar_file_is_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (Path(str(tmp_path / "executed")),))  # type: ignore[return-value]

    cifar(tmp_path, monkeypatch)
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(DataError):
        load_dataset("cifar10", tmp_path)
    assert not (tmp_path / "executed").exists()


def test_a_cifar_folder_without_files_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cifar-100-python\.tar\.gz"):
        load_dataset("cifar100", tmp_path)


def picture(mode: str, size: tuple[int, int], value: int = 200) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.full(size[::-1], value << 8, np.uint16))
    image = Image.new("RGB", size, (value, value, value))
    return image.convert(mode) if mode != "RGBA" else image.convert("RGBA")


FORMATS = ("bmp", "webp", "tiff")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Return a folder of 60 images in two classes, of all sizes, modes and formats."""
    root = tmp_path / "album"
    png = [(mode, "png") for mode in ("RGB", "L", "1", "RGBA", "LA", "I;16")]
    kinds = [*png, ("P", "gif"), ("RGB", "jpg"), ("L", "jpg"), ("CMYK", "jpg"), *(("RGB", f) for f in FORMATS)]
    for label, name in enumerate(("dark", "light")):
        (root / name / "nested").mkdir(parents=True)
        for number in range(30):
            mode, suffix = kinds[number % len(kinds)]
            image = picture(mode, (5 + 3 * number, 90 - 2 * number), 20 + 200 * label)
            image.save(root / name / ("nested" if number % 2 else ".") / f"{number}.{suffix}")
    return root


def mean(dataset: Dataset, label: int) -> float:
    split = dataset.training
    return split.images[split.labels == label].float().mean().item()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_of_any_sizes_and_modes_becomes_one_tensor(album: Path, channels: int) -> None:
    found = load_dataset("folder", album, {"size": 16, "channels": channels})
    assert found.classes == ("dark", "light")
    assert len(found.training) + len(found.test) == 60
    assert found.training.images.shape[1:] == (16, 16, channels)
    assert found.training.images.dtype == torch.uint8
    assert mean(found, 0) < 60 < 180 < mean(found, 1)


def test_the_second_time_nothing_is_decoded(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_dataset("folder", album)

    def fail(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(decode_module, "decode", fail)
    second = load_dataset("folder", album)
    assert torch.equal(first.training.images, second.training.images)
    with pytest.raises(AssertionError, match="decoded again"):
        load_dataset("folder", album, {"size": 16})


def test_an_image_that_changes_is_decoded_again(album: Path) -> None:
    first = load_dataset("folder", album)
    picture("RGB", (9, 9), 255).save(album / "dark" / "0.png")
    second = load_dataset("folder", album)
    assert mean(second, 0) != mean(first, 0) or not torch.equal(first.test.images, second.test.images)


def test_adding_images_moves_none_between_training_and_test(album: Path) -> None:
    def rows(dataset: Dataset) -> list[set[bytes]]:
        return [{bytes(image.flatten().tolist()) for image in part.images} for part in (dataset.training, dataset.test)]

    before = rows(load_dataset("folder", album))
    for number in range(20):
        picture("RGB", (30, 30), 100 + number).save(album / "light" / f"new{number}.png")
    after = rows(load_dataset("folder", album))
    assert all(old <= new for old, new in zip(before, after, strict=True))


def test_copies_of_an_image_are_never_on_both_sides(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(20):
            image = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            for copy in range(3):
                image.save(tmp_path / name / f"{number}-{copy}.png")
    found = load_dataset("folder", tmp_path, {"size": 8, "test": 0.5})
    sides = [{bytes(i.flatten().tolist()) for i in part.images} for part in (found.training, found.test)]
    assert not sides[0] & sides[1]


BROKEN: dict[str, Callable[[Path], object]] = {
    "empty.png": lambda path: path.write_bytes(b""),
    "text.jpg": lambda path: path.write_text("not an image"),
    "cut.png": lambda path: path.write_bytes(_png()[:60]),
    "bomb.png": lambda path: path.write_bytes(_bomb()),
}


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def _bomb() -> bytes:
    """Return a small file that says it holds 30,000 × 30,000 pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_broken_files_are_listed_and_refused_or_skipped_on_request(album: Path) -> None:
    for name, write in BROKEN.items():
        write(album / "dark" / name)
    with pytest.raises(DataError) as caught:
        load_dataset("folder", album)
    assert caught.value.message.startswith(f"4 files in {album} cannot be decoded")
    assert all(name in caught.value.message for name in BROKEN)
    assert "data.skip_broken" in caught.value.hint
    found = load_dataset("folder", album, {"skip_broken": True})
    assert len(found.training) + len(found.test) == 60
    with pytest.raises(DataError, match="4 files in .* cannot be decoded"):  # also out of the cache
        load_dataset("folder", album)


def test_many_broken_files_are_counted_and_not_all_listed(album: Path) -> None:
    for number in range(25):
        (album / "dark" / f"broken{number}.png").write_bytes(b"")
    with pytest.raises(DataError, match="and 15 more"):
        load_dataset("folder", album)


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        ([], "0 class folders"),
        (["a"], "1 class folder"),
        (["a", "b"], "no files in a, b"),
    ],
)
def test_a_folder_without_classes_is_told(tmp_path: Path, folders: list[str], words: str) -> None:
    for name in folders:
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data").mkdir(exist_ok=True)
    with pytest.raises(DataError, match=words):
        load_dataset("folder", tmp_path / "data")


def test_a_folder_that_is_not_there_or_not_given_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        load_dataset("folder", tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"needs data\.root"):
        load_dataset("folder", None)


def test_hidden_files_are_passed_over(album: Path) -> None:
    (album / "dark" / ".DS_Store").write_bytes(b"x")
    (album / ".git").mkdir()
    assert len(load_dataset("folder", album).classes) == 2


def test_a_turned_photograph_stands_upright(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    pixels = np.zeros((20, 10, 3), np.uint8)
    pixels[:10] = 255  # the upper half is light
    lying = Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    for number in range(12):
        lying.resize((20 + number, 10)).save(tmp_path / ("a" if number % 2 else "b") / f"{number}.png", exif=exif)
    images = load_dataset("folder", tmp_path, {"size": 8}).training.images.float()
    assert images[:, :3].mean() > 200
    assert images[:, 5:].mean() < 50
