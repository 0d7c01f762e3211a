"""Files to pixels: decoded side by side, straight into one array, and cached by the content of the files."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from supernet_cli.cores import usable_cores
from supernet_cli.data import Progress
from supernet_cli.data.cache import scratch
from supernet_cli.data.greyscale import ranges_of
from supernet_cli.data.pixels import ImageFile, Look, decode
from supernet_cli.store.data_report import Sizes
from supernet_cli.store.files import replacing

_DECODER = 2  # raised when the same file would be decoded to other pixels
_CACHE_HINT = "Set SUPERNET_CACHE_DIR to a folder with more space."

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class DecodedFacts(BaseModel):
    """What is known of decoded files; cached with their pixels.

    Args:
        kept: Which files the pixels are of, by position.
        broken: Why the others cannot be decoded, by position.
        sizes: Of the images as stored.
        modes: Images by mode.
        conversions: Images by what was done to them.
    """

    model_config = ConfigDict(frozen=True)

    kept: list[int]
    broken: dict[int, str]
    sizes: Sizes | None
    modes: dict[str, int]
    conversions: dict[str, int]


def decode_files(
    files: Sequence[ImageFile], size: int, channels: int, progress: Progress
) -> tuple[np.ndarray, DecodedFacts]:
    """Return the pixels of files, from the cache if they were decoded before.

    Args:
        files: What to decode.
        size: Height and width of the result.
        channels: 1 for greyscale, 3 for colour.
        progress: Called as images are decoded.

    Returns:
        Pixels (N, size, size, channels) uint8 of the files that could be decoded, in order, and what is known of them.

    Raises:
        DiskError: A file cannot be read, or the cache cannot be written.
        OutOfMemoryError: No memory is left.
        DataError: A file changed while it was being read.
    """
    content = hashlib.sha256(b"".join(file.digest for file in files))
    content.update(f"{_DECODER} {size} {channels}".encode())
    cached = scratch("folders") / f"{content.hexdigest()[:32]}.pixels"
    stored = _read_cache(cached, size, channels)
    if stored is not None:
        return stored
    pixels_NHWC, facts = _decode_all(files, size, channels, progress)
    if not facts.kept:
        return pixels_NHWC, facts
    with replacing(cached, make_folder=True, hint=_CACHE_HINT, needed=pixels_NHWC.nbytes) as file:
        file.write(facts.model_dump_json().encode() + b"\n")
        file.write(pixels_NHWC.data)
    return pixels_NHWC, facts


def _read_cache(cached: Path, size: int, channels: int) -> tuple[np.ndarray, DecodedFacts] | None:
    """Return what was decoded earlier: a line of facts, then the pixels; None if it is missing or damaged."""
    try:
        with cached.open("rb") as file:
            facts = DecodedFacts.model_validate_json(file.readline())
            pixels_NHWC = np.empty((len(facts.kept), size, size, channels), np.uint8)
            whole = file.readinto(pixels_NHWC.data.cast("B")) == pixels_NHWC.nbytes and not file.read(1)
    except (OSError, ValueError):
        return None
    return (pixels_NHWC, facts) if whole else None


def _decode_all(
    files: Sequence[ImageFile], size: int, channels: int, progress: Progress
) -> tuple[np.ndarray, DecodedFacts]:
    """Decode files into one array; deep greyscale in a second pass, when its range is known."""
    pixels_NHWC = np.empty((len(files), size, size, channels), np.uint8)

    def first(index: int) -> Look | str:
        return decode(files[index], pixels_NHWC[index], None)

    looks: list[Look | str] = []
    for look in in_parallel(first, range(len(files))):
        looks.append(look)
        progress("decoding images", len(looks), len(files))
    ranges = ranges_of(look.deep for look in looks if isinstance(look, Look) and look.deep is not None)
    deep = [index for index, look in enumerate(looks) if isinstance(look, Look) and look.deep is not None]

    def second(index: int) -> Look | str:
        return decode(files[index], pixels_NHWC[index], ranges)

    for number, (index, look) in enumerate(zip(deep, in_parallel(second, deep), strict=True), start=1):
        looks[index] = look
        progress("scaling deep greyscale images", number, len(deep))
    return _without_broken(pixels_NHWC, looks)


def _without_broken(pixels_NHWC: np.ndarray, looks: Sequence[Look | str]) -> tuple[np.ndarray, DecodedFacts]:
    """Move the pixels of whole images together, in place, and count what was seen."""
    good = {index: look for index, look in enumerate(looks) if isinstance(look, Look)}
    for row, index in enumerate(good):
        if row != index:
            pixels_NHWC[row] = pixels_NHWC[index]
    facts = DecodedFacts(
        kept=list(good),
        broken={index: look for index, look in enumerate(looks) if isinstance(look, str)},
        sizes=Sizes.of(Counter(look.size for look in good.values())) if good else None,
        modes=_tally(look.mode for look in good.values()),
        conversions=_tally(conversion for look in good.values() for conversion in look.conversions),
    )
    return pixels_NHWC[: len(good)], facts


def _tally(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())


def in_parallel(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Yield what a function makes of each item, in order, computed by several threads."""
    with ThreadPoolExecutor(max_workers=min(32, usable_cores() + 2)) as pool:
        yield from pool.map(work, items)
