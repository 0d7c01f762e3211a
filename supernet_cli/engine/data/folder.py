"""The user's own images: a folder with one sub-folder a class; any formats, sizes and modes that Pillow reads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from supernet_cli.engine.data import Dataset, Progress, Split
from supernet_cli.engine.data.cache import scratch
from supernet_cli.errors import DataError
from supernet_cli.runs.files import replacing

_DECODER = 1  # raised when the same file would be decoded to other pixels
_LARGEST_PIXELS = 64_000_000
_LISTED = 10


@dataclass(frozen=True)
class _File:
    path: Path
    label: int
    digest: bytes


def load(
    root: Path | None,
    progress: Progress,
    *,
    size: int = 32,
    channels: int = 3,
    test: float = 0.2,
    skip_broken: bool = False,
) -> Dataset:
    """Load images from `<root>/<class>/…`, decoded once in parallel and cached by what the files hold.

    Whether an image is for testing follows from its content alone: adding images never moves one between training and
    test, and copies of an image are never on both sides.

    Args:
        root: The folder.
        progress: Told how many images are read.
        size: Height and width that images are resized to.
        channels: 1 for grey, 3 for colour.
        test: Share kept for testing.
        skip_broken: Pass over what is no readable image, instead of refusing it.

    Raises:
        DataError: No folder, no classes, broken files, or a part without images.
    """
    if root is None:
        raise DataError('data.dataset = "folder" needs data.root.', "For example --set data.root=my-images.")
    classes, paths = _scan(root)
    files = list(_hash(paths, progress))
    images_NHWC, kept = _decoded(files, size, channels, skip_broken, progress)
    labels_N = torch.tensor([files[index].label for index in kept])
    tested_N = torch.tensor([_share(files[index].digest) < test for index in kept])
    splits = [Split(images_NHWC[chosen], labels_N[chosen]) for chosen in (~tested_N, tested_N)]
    if min(map(len, splits)) == 0:
        raise DataError(
            f"data.test = {test} leaves {len(splits[0])} images to train on and {len(splits[1])} to test on.",
            "Change data.test, or add images.",
        )
    return Dataset(splits[0], splits[1], classes)


def _scan(root: Path) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    """Return the classes, and every file with its label; hidden files and folders are passed over."""
    if not root.is_dir():
        raise DataError(f"data.root = {root}: there is no such folder.", "Give a folder with one sub-folder a class.")
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    paths = [(path, label) for label, folder in enumerate(folders) for path in _files(folder)]
    empty = [folder.name for label, folder in enumerate(folders) if all(label != found for _, found in paths)]
    if len(folders) < 2 or empty:
        found = f"{len(folders)} sub-folders" if len(folders) < 2 else f"no files in {', '.join(empty)}"
        raise DataError(f"data.root = {root}: {found}.", "It takes at least two classes, each a sub-folder of images.")
    return tuple(folder.name for folder in folders), paths


def _files(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def _hash(paths: list[tuple[Path, int]], progress: Progress) -> Iterator[_File]:
    def digest(path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.", "See that it can be read.") from error

    with _pool() as pool:
        digests = pool.map(digest, (path for path, _ in paths))
        for number, ((path, label), found) in enumerate(zip(paths, digests, strict=True), start=1):
            progress("reading images", number, len(paths))
            yield _File(path, label, found)


def _decoded(
    files: list[_File], size: int, channels: int, skip_broken: bool, progress: Progress
) -> tuple[Tensor, list[int]]:
    """Return the pixels, (N, H, W, C) uint8, and which files they are of; from the cache where they are in it."""
    content = hashlib.sha256(b"".join(file.digest for file in files))
    content.update(f"{_DECODER} {size} {channels}".encode())
    cached = scratch("folders") / f"{content.hexdigest()[:32]}.safetensors"
    try:
        stored = load_file(cached)
        images_NHWC, kept = stored["images"], stored["kept"].tolist()
    except (OSError, SafetensorError, KeyError):
        images_NHWC, kept = _decode_all(files, size, channels, skip_broken, progress)
        with replacing(cached, make_folder=True, hint="Set SUPERNET_CACHE_DIR to a folder with more space.") as file:
            file.write(save({"images": images_NHWC, "kept": torch.tensor(kept)}))
    if len(kept) < len(files) and not skip_broken:
        _refuse(files, size, channels, set(range(len(files))) - set(kept))
    return images_NHWC, kept


def _decode_all(
    files: list[_File], size: int, channels: int, skip_broken: bool, progress: Progress
) -> tuple[Tensor, list[int]]:
    pixels, kept, broken = [], [], []
    with _pool() as pool:
        for index, found in enumerate(pool.map(lambda file: _decode(file.path, size, channels), files)):
            progress("decoding images", index + 1, len(files))
            if isinstance(found, str):
                broken.append(f"{files[index].path}: {found}")
            else:
                pixels.append(found)
                kept.append(index)
    if broken and not skip_broken:
        raise _broken(broken)
    if not pixels:
        raise DataError(f"None of {len(files)} files is a readable image.", "Look at data.root.")
    return torch.from_numpy(np.stack(pixels)), kept


def _refuse(files: list[_File], size: int, channels: int, indices: set[int]) -> None:
    reasons = {files[index].path: _decode(files[index].path, size, channels) for index in sorted(indices)}
    raise _broken([f"{path}: {reason}" for path, reason in reasons.items()])


def _broken(reasons: list[str]) -> DataError:
    more = f"\nand {len(reasons) - _LISTED} more" if len(reasons) > _LISTED else ""
    return DataError(
        f"{len(reasons)} of the files cannot be read as images:\n" + "\n".join(reasons[:_LISTED]) + more,
        "Remove or mend them, or pass over them with --set data.skip_broken=true.",
    )


def _decode(path: Path, size: int, channels: int) -> np.ndarray | str:
    """Return an image's pixels, (H, W, C) uint8, or what is wrong with it."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > _LARGEST_PIXELS:
                return f"{image.width}×{image.height} pixels are more than {_LARGEST_PIXELS:,}"
            image.draft("RGB" if channels == 3 else "L", (size, size))  # a large JPEG is decoded small at once
            upright = ImageOps.exif_transpose(image)
            converted = _to_eight_bits(upright).convert("RGB" if channels == 3 else "L")
            resized = converted.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=2.0)
            return np.asarray(resized, dtype=np.uint8).reshape(size, size, channels)
    except UnidentifiedImageError:
        return "not in any format that Pillow reads"
    except Exception as error:  # Pillow raises whatever a broken file makes its decoders raise
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Return images of 16 bits with 8, which Pillow would clip; transparency is laid on white."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image


def _share(digest: bytes) -> float:
    """Return a file's place between 0 and 1, drawn by its content."""
    return int.from_bytes(digest[:8], "big") / 2**64


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=min(32, (os.cpu_count() or 1) + 2))
