"""Your own images: a folder with one sub-folder per class; any formats, sizes and modes that Pillow reads."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch

from supernet_cli.data import Dataset, Progress, Split
from supernet_cli.data.decode import DecodedFacts, decode_files, in_parallel
from supernet_cli.data.layout import Found, Listing, list_images
from supernet_cli.data.memory import available_memory
from supernet_cli.data.pixels import ImageFile
from supernet_cli.data.walk import read_errors
from supernet_cli.errors import DataError, OutOfMemoryError
from supernet_cli.glyphs import counted
from supernet_cli.store.data_report import MOST_SKIPPED, ImageFacts, Links, SkippedFile, SplitName, shown

_LISTED = 10
_HELD = 2  # copies of all pixels at once: while images are split, and while a training holds its own


def load(
    root: Path | None,
    progress: Progress,
    *,
    size: int = 32,
    channels: int = 3,
    test: float = 0.2,
    skip_broken: bool = False,
) -> Dataset:
    """Load images from `<root>/<class>/…`, or from `<root>/train/<class>/…` and so on, decoded once and cached.

    If the folder has no `test/`, whether an image is for testing follows from its content alone: adding images never
    moves one between training and test, and copies of an image are never on both sides.

    Args:
        root: The folder.
        progress: Called as images are read.
        size: Height and width that images are resized to.
        channels: 1 for greyscale, 3 for colour.
        test: Share kept for testing; not used if the folder has `test/`.
        skip_broken: Skip files that are not readable images, instead of refusing them.

    Raises:
        DataError: No folder, no classes, broken files, or a split without images.
        DiskError: A file or folder cannot be read.
        OutOfMemoryError: The decoded images do not fit into memory.
    """
    if root is None:
        raise DataError('data.dataset = "folder" needs data.root.', "For example --data-root my-images.")
    listing = list_images(root)
    _check_memory(len(listing.files), size, channels)
    files = _hash(listing.files, progress)
    pixels_NHWC, decoded = decode_files(files, size, channels, progress)
    broken = listing.walk.unreadable + [(files[index].path, reason) for index, reason in decoded.broken.items()]
    if (broken and not skip_broken) or not decoded.kept:
        raise _refusal(root, broken)
    parts = [_part(listing, index, files[index].digest, test) for index in decoded.kept]
    _check_parts(listing, parts, test)
    images_NHWC = torch.from_numpy(pixels_NHWC)
    labels_N = torch.tensor([listing.files[index].label for index in decoded.kept])

    def split(part: SplitName) -> Split:
        chosen_N = torch.tensor([each == part for each in parts])
        return Split(images_NHWC[chosen_N], labels_N[chosen_N])

    facts = _facts(listing, decoded, files, parts, broken)
    validation = split("validation") if "validation" in parts else None
    return Dataset(split("train"), split("test"), listing.classes, validation, facts)


def _check_memory(number: int, size: int, channels: int) -> None:
    """Make sure that the decoded images fit into memory, before any is decoded.

    Raises:
        OutOfMemoryError: They do not; names a size at which they would.
    """
    needed, left = _HELD * number * size**2 * channels, available_memory()
    if needed <= left:
        return
    fitting = math.isqrt(left // (4 * _HELD * number * channels)) // 8 * 8  # the training needs memory of its own
    raise OutOfMemoryError(
        f"{counted(number, 'image')} of {size:,}×{size:,} pixels ({counted(channels, 'channel')}) "
        f"take {needed / 1e9:,.2f} GB of memory; only {left / 1e9:,.2f} GB is available.",
        f"Use smaller images: --set data.size={fitting}"
        if fitting
        else "Use fewer images, or a machine with more memory.",
    )


def _hash(found: Sequence[Found], progress: Progress) -> list[ImageFile]:
    """Return the files with the SHA-256 of what they hold."""

    def digest(path: Path) -> bytes:
        with read_errors(path), path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    files: list[ImageFile] = []
    for each, sha256 in zip(found, in_parallel(digest, (each.path for each in found)), strict=True):
        files.append(ImageFile(each.path, sha256))
        progress("reading images", len(files), len(found))
    return files


def _refusal(root: Path, broken: Sequence[tuple[Path, str]]) -> DataError:
    lines = [f"{shown(path)}: {reason}" for path, reason in broken[:_LISTED]]
    more = [f"and {len(broken) - _LISTED:,} more"] if len(broken) > _LISTED else []
    return DataError(
        "\n".join([f"{counted(len(broken), 'file')} in {root} cannot be decoded:", *lines, *more]),
        "Fix or remove what is broken, or skip it with --set data.skip_broken=true.",
    )


def _part(listing: Listing, index: int, digest: bytes, test: float) -> SplitName:
    """Return the split of an image: as its folder says, or drawn by its content."""
    given = listing.files[index].split
    if given in ("validation", "test") or "test" in listing.given:
        return given or "train"
    return "test" if int.from_bytes(digest[:8], "big") / 2**64 < test else "train"


def _check_parts(listing: Listing, parts: Sequence[SplitName], test: float) -> None:
    """Make sure that no split is empty.

    Raises:
        DataError: One is.
    """
    train, tested = parts.count("train"), parts.count("test")
    if not train or not tested:
        share = "" if "test" in listing.given else f" with data.test = {test}"
        raise DataError(
            f"data.root = {listing.root}: {counted(train, 'training image')}, {counted(tested, 'test image')}{share}.",
            f"Add images{', or change data.test' if share else ''}.",
        )


def _facts(
    listing: Listing,
    decoded: DecodedFacts,
    files: Sequence[ImageFile],
    parts: Sequence[SplitName],
    broken: Sequence[tuple[Path, str]],
) -> ImageFacts:
    """Return everything about the images that does not depend on how validation is drawn."""
    skipped = [*broken, *listing.walk.skipped]
    notes, warnings = _copies(listing, decoded, files, parts)
    if listing.walk.hidden:
        notes.append(f"{counted(listing.walk.hidden, 'hidden file or folder', 'hidden files and folders')} ignored.")
    if listing.layout == "splits":
        notes.append(
            "The folder has its own validation images: data.validation is not used."
            if "validation" in listing.given
            else "The folder has no val/: validation images are taken from train/ (data.validation)."
        )
        if "test" not in listing.given:
            notes.append("The folder has no test/: test images are taken from train/ (data.test).")
    return ImageFacts(
        folder=shown(listing.root),
        layout=listing.layout,
        sizes=decoded.sizes,
        modes=decoded.modes,
        conversions=decoded.conversions,
        links=Links(followed=listing.walk.links, dangling=listing.walk.dangling),
        skipped=[SkippedFile(file=shown(path), reason=reason) for path, reason in skipped[:MOST_SKIPPED]],
        skipped_count=len(skipped),
        notes=notes,
        warnings=listing.warnings + warnings,
    )


def _copies(
    listing: Listing, decoded: DecodedFacts, files: Sequence[ImageFile], parts: Sequence[SplitName]
) -> tuple[list[str], list[str]]:
    """Return notes and warnings about files that hold the same bytes."""
    copies: dict[bytes, list[tuple[Found, SplitName]]] = defaultdict(list)
    for index, part in zip(decoded.kept, parts, strict=True):
        copies[files[index].digest].append((listing.files[index], part))
    groups = [group for group in copies.values() if len(group) > 1]
    contradictory = [group for group in groups if len({found.label for found, _ in group}) > 1]
    leaked = [group for group in groups if len({part for _, part in group}) > 1]
    spare = sum(len(group) - 1 for group in groups)
    notes = [f"{counted(spare, 'file is an exact copy', 'files are exact copies')} of another."] if spare else []
    warnings = []
    if contradictory:
        (one, _), *others = contradictory[0]
        other = next(found for found, _ in others if found.label != one.label)
        warnings.append(_in_both(listing.root, len(contradictory), "class", one, other))
    if leaked:
        (one, part), *others = leaked[0]
        other = next(found for found, another in others if another != part)
        warnings.append(_in_both(listing.root, len(leaked), "split", one, other))
    return notes, warnings


def _in_both(root: Path, number: int, what: str, one: Found, other: Found) -> str:
    images = counted(number, "image is", "images are")
    first, second = (shown(found.path.relative_to(root)) for found in (one, other))
    return f"{images} in more than one {what}, for example {first} and {second}."
