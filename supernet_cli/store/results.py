"""Results on a run's networks, in its results folder: scores, correct answers, sizes.

    evaluation.json                         accuracy and loss of every network evaluated, by split
    profile.json                            parameters, multiply-accumulates, latency and proxies of every path
    correct/<split>/<kind>-seed-<n>.npz     which images each network got right: packed bits, one row per path
    selections.json                         how the paths trained from scratch were chosen
    comparison.json                         the result of `supernet compare`
    search.json                             the result of `supernet search`, after its last training
    search-journal.json                     what a search has decided, so that it continues as it began

Several commands may add to them at the same time: each locks the folder, reads, adds and replaces.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from supernet_cli.errors import RunError
from supernet_cli.store.files import disk_errors, read_small, replace_file
from supernet_cli.store.layout import Way
from supernet_cli.store.lock import FileLock
from supernet_cli.store.run import Run

if TYPE_CHECKING:
    import numpy as np  # imported where it is used: most commands do without

Order = Literal["one-shot", "size", "posterior"]
"""What paths can be ordered by, to train the first of them from scratch."""

Split = Literal["test", "validation"]

LATENCIES = ("latency_seconds", "latency_batch_seconds")
"""Figures of a path's profile that are timings."""

_LOCK_SECONDS = 60.0
_WRITTEN_BY = {
    "selections": "repeat your `supernet retrain` command",
    "search": "repeat your `supernet search` command",
    "search-journal": "repeat your `supernet search` command",
}
_LARGEST = 1 << 30  # bytes of a document; ours have some hundred a network
_Document = TypeVar("_Document", bound=BaseModel)


class Stored(BaseModel):
    """A document, or a part of one; what a later version added to it is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ScoreRow(Stored):
    """One network's score on a split."""

    path: str
    kind: Way
    seed: int  # of the supernet, or of the stand-alone training
    accuracy: float = Field(ge=0, le=1)
    loss: float | None  # mean cross-entropy, nats per image; None if not finite
    accuracy_unrecalibrated: float | None  # with the running statistics from training; None if not measured
    divergence: float | None = None  # from the network with nothing dropped, nats per image; if a strategy trains it


class JudgingCost(Stored):
    """The cost of evaluating one supernet's paths, summed over all evaluations."""

    split: Split
    seed: int
    forward_images: int  # counted once per path
    macs: int
    seconds: float


class Evaluation(Stored):
    """evaluation.json."""

    run: str = ""
    splits: dict[Split, list[ScoreRow]] = {}
    costs: list[JudgingCost] = []

    def rows(self, split: Split, way: Way) -> dict[int, dict[str, ScoreRow]]:
        """Return the rows of the networks of one way, by seed and path."""
        found: dict[int, dict[str, ScoreRow]] = {}
        for row in self.splits.get(split, []):
            if row.kind == way:
                found.setdefault(row.seed, {})[row.path] = row
        return found


class PathProfile(Stored):
    """What a path costs, and its scores by the zero-cost proxies, as far as a command had them measured."""

    parameters: int
    macs: int  # multiply-accumulates of one image's forward pass
    latency_seconds: float | None = None  # of one image, median; None if not measured
    latency_batch_seconds: float | None = None  # of a batch of the size used for evaluation, median; likewise
    synflow: float | None = None  # natural logarithm of the flow
    naswot: float | None = None  # natural logarithm of the determinant
    gradient_norm: float | None = None

    def has(self, name: str) -> bool:
        """Whether a figure was measured; that of a proxy is None if the result was not finite."""
        return name in self.model_fields_set and (name not in LATENCIES or getattr(self, name) is not None)

    def updated(self, newer: PathProfile) -> PathProfile:
        """Return what is known together with a newer measurement, which may be of other figures."""
        return self.model_copy(
            update={name: getattr(newer, name) for name in newer.model_fields_set if newer.has(name)}
        )


class Profiles(Stored):
    """profile.json: sizes of paths, and latencies measured on one device with this many threads."""

    device: str = ""
    threads: int = 0
    batch: int = 0
    paths: dict[str, PathProfile] = {}


def _way(word: object) -> Way:
    return word if isinstance(word, Way) else Way.of_init(str(word))


class Final(Stored):
    """How paths are trained for use, not to be ranked."""

    epochs: int
    teacher: str = ""  # the path of this run, or the file, that they learn from, too
    teacher_job: str = ""  # the training whose weights that path has, such as standalone/<path>/seed-0
    temperature: float | None = None  # of distillation


class Selection(Stored):
    """How some paths were chosen to be trained from scratch."""

    how: Literal["all", "top", "sample", "named", "search"]
    init: Annotated[Way, BeforeValidator(_way), PlainSerializer(lambda way: way.init)]
    paths: tuple[str, ...]
    steps: int | None = None  # of each short training; None for the full recipe
    by: Order = "one-shot"  # of `top`
    at_random: bool = False  # of `sample`: earlier versions spread it over the ranking
    final: Final | None = None  # where `init` is final


class Selections(Stored):
    """selections.json."""

    selections: list[Selection] = []


def evaluation(run: Run) -> Evaluation:
    """Return all scores of a run; empty if nothing was evaluated.

    Raises:
        RunError: The file is damaged.
    """
    return read_document(run, "evaluation", Evaluation) or Evaluation(run=run.id)


def profiles(run: Run) -> Profiles:
    """Return the sizes of a run's paths.

    Raises:
        RunError: The file is damaged.
    """
    return read_document(run, "profile", Profiles) or Profiles()


def selections(run: Run) -> list[Selection]:
    """Return how a run's paths were chosen to be trained from scratch.

    Raises:
        RunError: The file is damaged.
    """
    return (read_document(run, "selections", Selections) or Selections()).selections


def correct(run: Run, split: Split, way: Way, seed: int) -> dict[str, np.ndarray]:
    """Return which images networks got right: by path, (N,) bool.

    Raises:
        RunError: The file is damaged.
    """
    return _read_bits(run, _bits_path(run, split, way, seed))


def _read_bits(run: Run, path: Path) -> dict[str, np.ndarray]:
    import numpy as np

    try:
        with np.load(io.BytesIO(read_small(path, _LARGEST)), allow_pickle=False) as stored:
            images, bits = int(stored["images"]), stored["bits"]
            if bits.ndim != 2 or not 0 <= images <= 8 * bits.shape[1]:
                raise _damaged(run, path, "its parts do not match")
            unpacked = np.unpackbits(bits, axis=1, count=images).astype(bool)
            names = [str(name) for name in stored["paths"]]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, TypeError) as error:
        raise _damaged(run, path, str(error)) from error
    if unpacked.ndim != 2 or len(names) != len(unpacked):
        raise _damaged(run, path, "its parts do not match")
    return dict(zip(names, unpacked, strict=True))


def check_results(run: Run) -> None:
    """Read everything that an evaluation adds to, so that damage is reported before hours of work.

    Raises:
        RunError: A file is damaged.
    """
    evaluation(run)
    profiles(run)
    for path in (_folder(run) / "correct").glob("*/*.npz"):
        _read_bits(run, path)


def is_writable(run: Run) -> bool:
    """Return whether results can be stored: a run may lie on a read-only disk, or belong to somebody else."""
    folder = _folder(run)
    return os.access(folder if folder.is_dir() else run.folder, os.W_OK | os.X_OK)


def keep_scores(
    run: Run,
    split: Split,
    rows: Iterable[ScoreRow],
    answers: Mapping[tuple[Way, int], Mapping[str, np.ndarray]],
    cost: JudgingCost | None = None,
) -> None:
    """Add scores and correct answers to a run's results, replacing earlier ones of the same network.

    Args:
        run: The run.
        split: The images.
        rows: The scores.
        answers: By way and seed, and then by path, (N,) bool.
        cost: The cost of the evaluation, for a supernet; added to the stored one.

    Raises:
        DiskError: A write failed.
        RunError: The stored results are damaged.
    """
    with exclusively(run):
        for (way, seed), by_path in answers.items():
            _write_bits(_bits_path(run, split, way, seed), {**correct(run, split, way, seed), **by_path})
        before = evaluation(run)
        merged = {(row.kind, row.seed, row.path): row for row in [*before.splits.get(split, []), *rows]}
        splits = {**before.splits, split: [merged[key] for key in sorted(merged)]}
        costs = before.costs if cost is None else _added(before.costs, cost)
        write_document(run, "evaluation", Evaluation(run=run.id, splits=splits, costs=costs))


def forget_one_shot(run: Run) -> None:
    """Drop the scores of a run's supernets, and the comparison made with them: their weights are about to change.

    Raises:
        DiskError: A write failed.
        RunError: A stored result is damaged.
    """
    with exclusively(run):
        before = evaluation(run)
        splits = {split: [row for row in rows if row.kind is not Way.ONE_SHOT] for split, rows in before.splits.items()}
        write_document(run, "evaluation", Evaluation(run=run.id, splits=splits))
        folder = _folder(run)
        for path in [*(folder / "correct").glob(f"*/{Way.ONE_SHOT}-seed-*.npz"), folder / "comparison.json"]:
            path.unlink(missing_ok=True)


def keep_profiles(run: Run, found: Profiles) -> None:
    """Add what was measured of paths; everything from another device or number of threads is dropped."""
    with exclusively(run):
        before = profiles(run)
        same = (before.device, before.threads, before.batch) == (found.device, found.threads, found.batch)
        known = before.paths if same else {}
        added = {name: known[name].updated(new) if name in known else new for name, new in found.paths.items()}
        paths = {**known, **added}
        merged = found.model_copy(update={"paths": dict(sorted(paths.items()))})
        write_document(run, "profile", merged, exclude_unset=True)  # what was not measured is not there


def keep_selection(run: Run, selection: Selection) -> None:
    """Store how paths were chosen, each selection once."""
    with exclusively(run):
        known = selections(run)
        if selection.init is Way.SHORT:  # a run has only one: all its paths share a budget
            known = [earlier for earlier in known if earlier.init is not Way.SHORT or earlier == selection]
        if selection.how == "search":  # it grows with every decision
            known = [each for each in known if each.how != "search" or not set(each.paths) <= set(selection.paths)]
        if selection not in known:
            write_document(run, "selections", Selections(selections=[*known, selection]))


def keep_finding(run: Run, name: Literal["comparison", "search"], document: dict[str, Any]) -> None:
    """Store the document of a run's comparison or search."""
    with exclusively(run):
        text = json.dumps(document, indent=1, allow_nan=False)
        replace_file(_folder(run) / f"{name}.json", f"{text}\n".encode())


def _added(costs: list[JudgingCost], more: JudgingCost) -> list[JudgingCost]:
    same = [cost for cost in costs if (cost.split, cost.seed) == (more.split, more.seed)]
    total = more.model_copy(
        update={
            "forward_images": more.forward_images + sum(cost.forward_images for cost in same),
            "macs": more.macs + sum(cost.macs for cost in same),
            "seconds": more.seconds + sum(cost.seconds for cost in same),
        }
    )
    return [*(cost for cost in costs if cost not in same), total]


def _folder(run: Run) -> Path:
    return run.folder / "results"


def _bits_path(run: Run, split: Split, way: Way, seed: int) -> Path:
    return _folder(run) / "correct" / split / f"{way}-seed-{seed}.npz"


def _write_bits(path: Path, by_path: Mapping[str, np.ndarray]) -> None:
    import numpy as np

    names = sorted(by_path)
    answers = np.stack([by_path[name] for name in names])
    buffer = io.BytesIO()
    np.savez(buffer, paths=np.array(names), images=np.array(answers.shape[1]), bits=np.packbits(answers, axis=1))
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue())


def read_document(run: Run, name: str, kind: type[_Document]) -> _Document | None:
    """Return a document of the results folder, or None if there is none.

    Raises:
        RunError: The file is damaged.
    """
    path = _folder(run) / f"{name}.json"
    try:
        return kind.model_validate_json(read_small(path, _LARGEST))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"{part}." for part in first["loc"]).rstrip(".")
        raise _damaged(run, path, f"{place}: {first['msg']}".removeprefix(": ")) from error
    except OSError as error:
        raise _damaged(run, path, error.strerror or str(error)) from error


def write_document(run: Run, name: str, document: BaseModel, exclude_unset: bool = False) -> None:
    """Replace a document of the results folder, which is held."""
    text = json.dumps(document.model_dump(mode="json", exclude_unset=exclude_unset), indent=1, allow_nan=False)
    replace_file(_folder(run) / f"{name}.json", f"{text}\n".encode())


def _damaged(run: Run, path: Path, reason: str) -> RunError:
    """Return the error of a damaged file; what no other command writes, `evaluate` does."""
    again = _WRITTEN_BY.get(path.stem) or f"run `{run.command('evaluate')}`"
    return RunError(f"{path} is damaged: {reason}.", f"Delete it, then {again}.")


@contextlib.contextmanager
def exclusively(run: Run) -> Iterator[None]:
    """Hold the lock of the results folder while a document of it is read, changed and written."""
    folder = _folder(run)
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
    lock = FileLock(folder / "lock", f"The results of run {run.id}")
    lock.acquire(patience=_LOCK_SECONDS)
    try:
        yield
    finally:
        lock.release()
