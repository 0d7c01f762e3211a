"""One image file to pixels of the wanted size, with a note of everything that was done to it.

A file is broken only if its decoder rejects its content. Running out of memory or failing to read the disk is an error
of its own: it is never blamed on the file.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from supernet_cli.data.greyscale import Kind, Ranges, deep_kind, scaled, scaling
from supernet_cli.data.walk import read_errors
from supernet_cli.errors import DataError, DiskError, OutOfMemoryError

_ORIENTATION = 0x0112  # of EXIF; 1 is upright
_LARGEST_PIXELS = 64_000_000
_LARGEST_BYTES = 1 << 30
_MEMORY_HINT = "Free some memory, or make this image smaller."


@dataclass(frozen=True)
class ImageFile:
    """A file with the SHA-256 of its content."""

    path: Path
    digest: bytes


@dataclass(frozen=True)
class Look:
    """What was seen of an image while it was decoded.

    Args:
        size: Width and height as stored, in pixels.
        mode: Pillow's name of its mode.
        conversions: What was done to it.
        deep: Its kind and its darkest and brightest value, for deep greyscale.
    """

    size: tuple[int, int]
    mode: str
    conversions: tuple[str, ...]
    deep: tuple[Kind, float, float] | None = None


def decode(file: ImageFile, target_HWC: np.ndarray, ranges: Ranges | None) -> Look | str:
    """Decode a file into its place, and return what was seen of it, or what is wrong with it.

    Args:
        file: The file.
        target_HWC: Where its pixels belong, (H, W, C) uint8.
        ranges: Of deep greyscale; None while they are not known, and then such an image is only measured.

    Raises:
        DiskError: The file cannot be read.
        OutOfMemoryError: No memory is left.
        DataError: The file has changed since it was first read.
    """
    try:
        with read_errors(file.path):
            if file.path.stat().st_size > _LARGEST_BYTES:
                return f"larger than {_LARGEST_BYTES:,} bytes"
            content = file.path.read_bytes()
        if hashlib.sha256(content).digest() != file.digest:
            raise DataError(f"{file.path} changed while it was being read.", "Start again once nothing changes it.")
        return _decode_content(content, target_HWC, ranges)
    except UnidentifiedImageError:
        return "not in any format that Pillow reads"
    except (MemoryError, OutOfMemoryError) as error:
        raise OutOfMemoryError(f"Out of memory while decoding {file.path}.", _MEMORY_HINT) from error
    except (DataError, DiskError):
        raise
    except Exception as error:  # Pillow raises whatever broken content makes its decoders raise
        reason = str(error).partition("\n")[0]
        if isinstance(error, OSError) and "out of memory" in reason:  # what its C decoders make of it
            raise OutOfMemoryError(f"Out of memory while decoding {file.path}.", _MEMORY_HINT) from error
        return reason or type(error).__name__


def _decode_content(content: bytes, target_HWC: np.ndarray, ranges: Ranges | None) -> Look | str:
    wanted_height, wanted_width, channels = target_HWC.shape
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
        if width * height > _LARGEST_PIXELS:
            return f"{width:,}×{height:,} pixels; at most {_LARGEST_PIXELS:,} pixels are supported"
        mode, done = image.mode, list(_conversions(image, channels))
        image.draft(
            "RGB" if channels == 3 else "L", (wanted_width, wanted_height)
        )  # decodes a large JPEG at a smaller size
        upright = ImageOps.exif_transpose(image)
        kind = deep_kind(mode)
        if kind is not None:
            values_HW = np.asarray(upright)
            finite = np.isfinite(values_HW)
            if not finite.any():
                return "no pixel is a finite number"
            if not finite.all():
                done.append("NaN and infinite pixels made black")
            if ranges is None:
                low, high = (float(edge(values_HW[finite])) for edge in (np.min, np.max))
                return Look((width, height), mode, tuple(done), (kind, low, high))
            done.append(scaling(mode, kind, ranges[kind]))
            upright = Image.fromarray(scaled(values_HW, ranges[kind]))
        opaque = _on_white(upright)
        resized = opaque.convert("RGB" if channels == 3 else "L").resize(
            (wanted_width, wanted_height), Image.Resampling.BILINEAR, reducing_gap=2.0
        )
        target_HWC[:] = np.asarray(resized, dtype=np.uint8).reshape(target_HWC.shape)
    return Look((width, height), mode, tuple(done))


def _conversions(image: Image.Image, channels: int) -> Iterator[str]:
    """Yield what will be done to an image, beside resizing it and scaling deep greyscale."""
    if getattr(image, "is_animated", False):
        yield "only the first frame used"
    if image.getexif().get(_ORIENTATION) in range(2, 9):
        yield "turned upright (EXIF orientation)"
    if image.width != image.height:
        yield "stretched to a square"
    grey = deep_kind(image.mode) is not None or image.mode in ("1", "L", "LA")
    if _is_transparent(image) and deep_kind(image.mode) is None:
        yield "transparency placed on white"
    if image.mode == "CMYK":
        yield "CMYK converted to RGB"
    if grey != (channels == 1):
        yield "greyscale to colour" if grey else "colour to greyscale"


def _on_white(image: Image.Image) -> Image.Image:
    """Return a transparent image on white, and any other as it is."""
    if not _is_transparent(image):
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
