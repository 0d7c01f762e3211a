"""Every error that a person can act on.

    SupernetError
    ├── UsageError            2    the command line asks for something impossible
    ├── PresetError           2    a preset, or a `--set`, is wrong: names file, key and the nearest valid word
    ├── DataError             2    a data set is missing or damaged
    ├── DivergedError         3    the loss, a weight or the learning rate is no longer a finite number
    ├── OutOfMemoryError      4    the host or the device is out of memory
    ├── DiskError             4    a file or folder cannot be used: disk full, read-only, gone, a name too long
    ├── RunError              5    a run or job is not found, busy or damaged
    ├── JobsError             6    some of many jobs failed; the others are done
    ├── RankError             7    another of the processes that train together is gone; if known, with its exit code
    └── ExportError           1    an exported file does not reproduce the network: a bug, but nothing was written

Each class carries the exit code of the process and the `kind` that `--json` prints. Any other exception is a bug of
ours: exit code 1. An interruption after a checkpoint is not an error; it exits with 130.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SupernetError(Exception):
    """What is wrong and what to do about it, in words for a person.

    Args:
        message: What is wrong, and where.
        hint: The next thing to type or to look at; empty if there is nothing.
    """

    kind = "error"
    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(SupernetError):
    """The command line asks for something impossible."""

    kind = "usage"
    exit_code = 2


class PresetError(SupernetError):
    """A preset, or a `--set`, is wrong."""

    kind = "preset"
    exit_code = 2


class DataError(SupernetError):
    """A data set is missing, incomplete or damaged."""

    kind = "data"
    exit_code = 2


class DivergedError(SupernetError):
    """The loss, or a weight, is no longer a finite number."""

    kind = "diverged"
    exit_code = 3


class OutOfMemoryError(SupernetError):
    """The host or the device is out of memory."""

    kind = "memory"
    exit_code = 4


class DiskError(SupernetError):
    """A file or a folder cannot be written, or cannot be used at all."""

    kind = "disk"
    exit_code = 4


class RunError(SupernetError):
    """A run or a job is not found, busy or damaged."""

    kind = "run"
    exit_code = 5


class JobsError(SupernetError):
    """Some of many jobs failed; the others are done."""

    kind = "jobs"
    exit_code = 6


class RankError(SupernetError):
    """Another of the processes that train together is gone, or has reached a different result."""

    kind = "rank"
    exit_code = 7


class ExportError(SupernetError):
    """An exported file does not reproduce the network that it was written from."""

    kind = "export"
    exit_code = 1


INTERRUPTED = 130
"""Exit code after a signal or a request to stop, once the checkpoint is written."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word closest to a mistyped one, or None if none is close."""
    words = list(known)
    by_folded = {candidate.casefold(): candidate for candidate in words}
    folded = word.casefold()
    close = difflib.get_close_matches(folded, by_folded, n=10, cutoff=0.5)
    close.sort(key=lambda candidate: not _is_one_letter_off(folded, candidate))  # stable: otherwise the closest first
    return by_folded[close[0]] if close else None


def _is_one_letter_off(word: str, candidate: str) -> bool:
    return len(word) == len(candidate) and sum(a != b for a, b in zip(word, candidate, strict=True)) == 1


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Return "Did you mean 'x'?", or the known words if none is close."""
    words = list(known)
    close = nearest(word, words)
    if close is not None:
        return f"Did you mean '{close}'?"
    return otherwise or (f"Known: {', '.join(sorted(words)[:20])}." if words else "")
