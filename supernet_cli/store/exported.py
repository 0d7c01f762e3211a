"""An exported model: a folder that stands on its own, and its config.json; how such folders appear and are read."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from supernet_cli.errors import DiskError, RunError, UsageError
from supernet_cli.store.files import disk_errors, read_small
from supernet_cli.store.network import Normalisation

CONFIG = "config.json"
CARD = "README.md"
FORMAT = 1

_LARGEST = 1 << 26
_HINT = "Free some space, or choose another folder with --output DIR."
_UNSURE = "Check that you can write to this folder, or choose another one with --output DIR."

Weights = Literal["scratch", "final", "inherited"]
"""Those of a training of its own, to be ranked or for use, or those that the path has in a supernet."""


class Fact(BaseModel):
    """A part of config.json; what a later version added to it is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ImageInput(Fact):
    """What goes into the network.

    Args:
        channels: C.
        height: H.
        width: W.
        layout: Order of the dimensions.
        pixels: Range of the pixels.
    """

    channels: int = Field(ge=1)
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    layout: Literal["NCHW"] = "NCHW"
    pixels: Literal["uint8"] = "uint8"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width


class FormatFacts(Fact):
    """One format of the export.

    Args:
        files: Names of its files.
        takes: What its input is: pixels as they are, or floats that were normalised.
        opset: Of ONNX's operators.
    """

    files: tuple[str, ...]
    takes: Literal["uint8", "float32"]
    opset: int | None = None


class Check(Fact):
    """How well a format's files reproduce the network, in a fresh process without this package.

    Args:
        format: The format.
        images: How many validation images were run.
        accuracy: On these, of the files.
        tolerance: Largest difference of logits that is accepted, relative to the largest logit; 0 for bit for bit.
        difference: Largest difference of logits that was seen, relative to the largest logit.
        ties: Images with another class than the network's, because its two best logits are closer than the tolerance.
        loaded: Libraries that the process had loaded.
    """

    format: str
    images: int
    accuracy: float
    tolerance: float
    difference: float
    ties: int = 0
    loaded: tuple[str, ...] = ()


class Latency(Fact):
    """How long one pass of an exported file takes, from its input to logits.

    Args:
        format: The format.
        batch: Images in one pass.
        median_seconds: The median of all passes.
        low_seconds: A tenth of the passes took less.
        high_seconds: A tenth of the passes took more.
        passes: How many were timed.
    """

    format: str
    batch: int
    median_seconds: float
    low_seconds: float
    high_seconds: float
    passes: int


class FileFacts(Fact):
    """A file of the folder.

    Args:
        bytes: Its size.
        sha256: Of its content.
    """

    bytes: int
    sha256: str


class ExportedModel(Fact):
    """config.json.

    Args:
        format: Version of this document.
        product: Who wrote it.
        path: The path.
        weights: Where the weights are from.
        seed: Of the training, or of the supernet.
        recalibrated: Training images that batch normalisation was measured on for this path; 0 if it was not.
        run: Id of the run.
        preset: Name of its preset.
        dataset: Name of the data set.
        input: What goes in.
        classes: Names of the classes, by label: the first ones, where there are too many to keep.
        num_classes: Number of logits.
        normalisation: (pixel / 255 - mean) / std, by channel.
        space: The search space.
        recipe: How the weights were trained.
        parameters: Learned parameters.
        macs: Multiply-accumulates of one image.
        latency_seconds: Of one image, in PyTorch, median; on `device` with `threads`.
        validation_accuracy: On the images that paths are chosen by; None if unknown.
        test_accuracy: On the images that nothing is chosen by; None if unknown.
        validation_images: How many images that is; None if unknown.
        test_images: Likewise.
        formats: What was written.
        checks: One per format; empty if they were not checked.
        benchmark: Latencies of the exported files.
        device: The processor that they were measured on.
        threads: Its threads.
        created: When, in seconds since 1970.
        versions: Of the libraries.
        files: Every file but this one.
    """

    format: int = FORMAT
    product: str = "supernet"
    path: str
    weights: Weights
    seed: int
    recalibrated: int = 0
    run: str
    preset: str
    dataset: str
    input: ImageInput
    classes: tuple[str, ...]
    num_classes: int = Field(ge=1)
    normalisation: Normalisation
    space: dict[str, Any]
    recipe: dict[str, Any]
    parameters: int
    macs: int
    latency_seconds: float | None = None
    validation_accuracy: float | None = None
    test_accuracy: float | None = None
    validation_images: int | None = None
    test_images: int | None = None
    formats: dict[str, FormatFacts]
    checks: tuple[Check, ...] = ()
    benchmark: tuple[Latency, ...] = ()
    device: str
    threads: int
    created: float
    versions: dict[str, str]
    files: dict[str, FileFacts] = {}

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return self.model_dump(mode="json")


def check_output(folder: Path) -> None:
    """Make sure that a folder can appear where it is asked for.

    Raises:
        UsageError: Something is there, or there is no folder for it.
    """
    try:
        if folder.is_dir() and not any(folder.iterdir()):
            return
        in_use = os.path.lexists(folder)
    except OSError as error:
        raise DiskError(f"--output {folder} cannot be used: {error.strerror or error}.", _UNSURE) from error
    if in_use:
        raise _in_use(folder)
    parent = folder.absolute().parent
    if not parent.is_dir():
        hint = f"Create it with: mkdir -p {shlex.quote(str(folder.parent))}"
        raise UsageError(f"--output {folder}: there is no folder {folder.parent}.", hint)


def _in_use(folder: Path) -> UsageError:
    what = "is not empty" if folder.is_dir() else "is a file"
    return UsageError(
        f"--output {folder}: it exists and {what}; it was not changed.",
        "Choose another folder with --output DIR, or remove this one first.",
    )


@contextlib.contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """Fill a folder beside another one; it takes its place in one step when the context ends without an error.

    Args:
        folder: The folder that is to appear; see `check_output`.

    Yields:
        The folder to fill, which is removed after an error.

    Raises:
        DiskError: A write failed.
        UsageError: Something has taken the place meanwhile.
    """
    target = folder.absolute()
    with disk_errors(target, _UNSURE):
        filled = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp"))
    try:
        yield filled
        filled.chmod(0o755)
        try:
            os.rename(filled, target)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise _in_use(folder) from error
            with disk_errors(target, _UNSURE):
                raise
    finally:
        shutil.rmtree(filled, ignore_errors=True)


def write_files(folder: Path, files: Mapping[str, bytes], shown: Path) -> dict[str, FileFacts]:
    """Write files, wait until the disk has them, and return their facts.

    Args:
        folder: Where to.
        files: Their content, by name.
        shown: The folder's name in errors.

    Raises:
        DiskError: A write failed.
    """
    facts = {}
    for name, content in files.items():
        try:
            with (folder / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            with disk_errors(shown.absolute() / name, _HINT if full else _UNSURE, len(content)):
                raise
        facts[name] = FileFacts(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    return facts


def read_exported(folder: Path) -> ExportedModel:
    """Return the config.json of an exported model.

    Raises:
        UsageError: This is not the folder of an exported model.
        RunError: It is damaged, or of a later version.
    """
    file = folder / CONFIG
    try:
        model = ExportedModel.model_validate_json(read_small(file, _LARGEST))
    except (FileNotFoundError, NotADirectoryError):
        what = f"has no {CONFIG}" if folder.is_dir() else "is not a folder"
        raise UsageError(
            f"{folder} is not an exported model: it {what}.", "Export one with `supernet export --output DIR`."
        ) from None
    except OSError as error:
        raise DiskError(f"{file} cannot be read: {error.strerror or error}.", "Check that you can read it.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise _damaged(folder, f"{CONFIG}: {place}: {first['msg']}".replace(": : ", ": ")) from error
    if model.format > FORMAT:
        raise RunError(f"{folder} was exported by a later version of supernet.", "Update supernet.")
    return model


def check_files(folder: Path, model: ExportedModel, names: tuple[str, ...]) -> None:
    """Make sure that files of an exported model are as they were written.

    Raises:
        RunError: One is missing or was changed.
    """
    for name in names:
        try:
            with (folder / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _damaged(folder, f"{name}: {error.strerror or error}") from error
        if name not in model.files or digest != model.files[name].sha256:
            raise _damaged(folder, f"{name} is not the file that was exported")


def _damaged(folder: Path, reason: str) -> RunError:
    return RunError(f"The exported model {folder} is damaged: {reason}.", "Export it again, or restore a copy.")
