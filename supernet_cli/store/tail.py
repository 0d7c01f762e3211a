"""Read growing files once: keep the offset, take only whole lines, and notice when a file has been replaced.

`FileTail` follows one file, `JobTail` the segments of one job, and `JobReader` shows the end of a long job at once and
loads its older history afterwards. All three are polled: nothing here waits, watches or starts a thread.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO

from supernet_cli.store.files import file_stamp
from supernet_cli.store.records import JobStarted, decode, decode_lines
from supernet_cli.store.snapshot import JobSnapshot, PathView, Series, fold, fold_all

LONGEST_LINE = 1 << 20
"""Maximum bytes of a record; longer lines are damaged."""

RECENT_BYTES = 1 << 20
"""Bytes at the end of a long job that are read first."""

_CHUNK = 1 << 18
_MARK = 256  # bytes at both ends of what was read that must not change


@dataclass(frozen=True)
class Chunk:
    """The result of one read.

    Args:
        lines: Whole lines, without line ends.
        damaged: Number of lines that were too long.
        restarted: Whether the file has been replaced, so that earlier reads no longer count.
        more: Whether there is more to read at once.
        taken: Number of bytes read.
    """

    lines: tuple[bytes, ...] = ()
    damaged: int = 0
    restarted: bool = False
    more: bool = False
    taken: int = 0


class FileTail:
    """Follows one file of lines.

    Args:
        path: The file; it may not exist yet.
        start: Offset to begin at; a line cut there is skipped.
    """

    def __init__(self, path: Path, start: int = 0) -> None:
        self.path = path
        self._start = start
        self._begin()

    def _begin(self) -> None:
        self.offset = max(0, self._start - 1)  # if a line ends just before the start, the first line is whole
        self._partial = 0  # bytes after the offset, of a line that is not complete yet
        self._skipping = self._start > 0
        self._too_long = False
        self._seen: tuple[int, int, int] | None = None  # inode, size and time at the last look
        self._head = b""
        self._last = b""

    def read(self, limit: int = LONGEST_LINE) -> Chunk:
        """Return what is new, up to about `limit` bytes; nothing if the file cannot be read at the moment."""
        try:
            look = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return self._vanished()
        except OSError:
            return Chunk()
        if not stat.S_ISREG(look.st_mode):
            return self._vanished()
        seen = (look.st_ino, look.st_size, look.st_mtime_ns)
        if seen == self._seen and self.offset + self._partial == look.st_size:
            return Chunk()
        try:
            with self.path.open("rb") as file:
                return self._take(file, max(limit, 1))
        except OSError:
            return Chunk()

    def _vanished(self) -> Chunk:
        was_there = self._seen is not None
        self._begin()
        return Chunk(restarted=was_there)

    def _take(self, file: IO[bytes], limit: int) -> Chunk:
        look = os.fstat(file.fileno())
        restarted = self._seen is not None and not self._is_same(file, look)
        if restarted:
            self._begin()
        self._seen = (look.st_ino, look.st_size, look.st_mtime_ns)
        file.seek(self.offset)
        data = file.read(limit)
        if b"\n" not in data and len(data) == limit < LONGEST_LINE:
            data += file.readline(LONGEST_LINE - limit)
        lines, damaged = self._split(data)
        self._remember(file)
        end = self.offset + self._partial
        return Chunk(lines, damaged, restarted, more=end < look.st_size, taken=len(data))

    def _split(self, data: bytes) -> tuple[tuple[bytes, ...], int]:
        """Split data at the offset into whole lines and move the offset past them."""
        damaged = 0
        if self._skipping:
            end = data.find(b"\n") + 1
            self.offset += end or len(data)
            self._partial = 0
            if not end:
                return (), 0
            damaged, self._skipping, self._too_long = int(self._too_long), False, False
            data = data[end:]
        end = data.rfind(b"\n") + 1
        self.offset += end
        self._partial = len(data) - end
        if self._partial >= LONGEST_LINE:
            self.offset += self._partial
            self._partial, self._skipping, self._too_long = 0, True, True
        return tuple(data[:end].split(b"\n")[:-1]), damaged

    def _is_same(self, file: IO[bytes], look: os.stat_result) -> bool:
        """Whether this is still the same file: same inode, not shorter, same bytes at both ends of what was read."""
        assert self._seen is not None
        if look.st_ino != self._seen[0] or look.st_size < self.offset:
            return False
        file.seek(max(0, self._start - 1))
        if file.read(len(self._head)) != self._head:
            return False
        file.seek(self.offset - len(self._last))
        return file.read(len(self._last)) == self._last

    def _remember(self, file: IO[bytes]) -> None:
        begin = max(0, self._start - 1)
        file.seek(begin)
        self._head = file.read(min(_MARK, self.offset - begin))
        length = min(_MARK, self.offset - begin)
        file.seek(self.offset - length)
        self._last = file.read(length)


class JobTail:
    """Folds the records of a job's segments, in order, as they come.

    If a segment vanishes, is replaced, or grows after a later one has started, everything is folded again.

    Args:
        folder: The job's folder.
        recent: Bytes at the end to start with; None for everything.
    """

    def __init__(self, folder: Path, recent: int | None = None) -> None:
        self.folder = folder
        self._recent = recent
        self.restarts = -1  # how often everything was folded again
        self._begin()

    def _begin(self) -> None:
        self.restarts += 1
        self.snapshot = JobSnapshot()
        self.damaged = 0
        self._tails: dict[str, FileTail] = {}
        self._passed: frozenset[str] = frozenset()
        self._current = ""  # the newest segment with records
        if self._recent is not None:
            self._begin_near_the_end(self._recent)

    @property
    def read_bytes(self) -> int:
        """Number of bytes read."""
        return sum(tail.offset for tail in self._tails.values())

    def read(self) -> tuple[bool, bool]:
        """Fold what is new, up to one chunk.

        Returns:
            Whether anything changed, and whether there is more to read at once.
        """
        names = [name for name in segments(self.folder) if name not in self._passed]
        if any(name not in names for name in self._tails) or self._is_out_of_order(names):
            self._begin()
            return True, True
        changed, left = False, _CHUNK
        for name in names:
            tail = self._tails.setdefault(name, FileTail(self.folder / name))
            while True:
                chunk = tail.read(left)
                late = name != self._current and segment_number(name) < segment_number(self._current)
                if chunk.restarted or (late and (chunk.lines or chunk.damaged)):
                    self._begin()
                    return True, True
                if chunk.lines or chunk.damaged:
                    self._current = name
                    self._fold(chunk)
                    changed = True
                left -= chunk.taken
                if left <= 0:
                    return changed, True
                if not chunk.more:
                    break
        return changed, False

    def _is_out_of_order(self, names: list[str]) -> bool:
        """Whether a segment has appeared that precedes the current one."""
        new = (name for name in names if name not in self._tails)
        return bool(self._current) and any(segment_number(name) < segment_number(self._current) for name in new)

    def _fold(self, chunk: Chunk) -> None:
        records, damaged = decode_lines(chunk.lines)
        self.snapshot = fold_all(self.snapshot, records)
        self.damaged += damaged + chunk.damaged

    def _begin_near_the_end(self, budget: int) -> None:
        names = segments(self.folder)
        passed = set(names)
        for name in reversed(names):
            passed.discard(name)
            size = size_of(self.folder / name)
            if size > budget:
                started = _first_record(self.folder / name)
                if started is not None:
                    self.snapshot = fold(self.snapshot, started)
                self._tails[name] = FileTail(self.folder / name, size - budget)
            budget -= size
            if budget <= 0:
                break
        self._passed = frozenset(passed)


class JobReader:
    """Reads a job; of a long one, its end first and older history afterwards.

    Args:
        folder: The job's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._begin()

    def _begin(self) -> None:
        total = sum(size_of(self.folder / name) for name in segments(self.folder))
        self._whole = JobTail(self.folder)
        self._recent = JobTail(self.folder, RECENT_BYTES) if total > 4 * RECENT_BYTES else None
        self._total = total
        self._shown: tuple[JobSnapshot, JobSnapshot | None] | None = None
        self._joined = JobSnapshot()

    @property
    def damaged(self) -> int:
        """Number of damaged lines read so far."""
        return self._whole.damaged

    @property
    def filled(self) -> float:
        """How much of the history has been read, as a fraction."""
        return 1.0 if self._recent is None else min(1.0, self._whole.read_bytes / max(1, self._total))

    @property
    def snapshot(self) -> JobSnapshot:
        """The job's state as far as read; its history has a gap while it is being loaded."""
        key = (self._whole.snapshot, None if self._recent is None else self._recent.snapshot)
        if self._shown is None or key[0] is not self._shown[0] or key[1] is not self._shown[1]:
            self._shown = key
            self._joined = key[0] if key[1] is None else join(key[0], key[1])
        return self._joined

    def read(self) -> tuple[bool, bool]:
        """Read some of what is new.

        Returns:
            Whether anything changed, and whether there is more to read at once.
        """
        if self._recent is not None:
            changed, more = self._recent.read()
            if more:
                return changed, True
            if changed:
                self._total = sum(size_of(self.folder / name) for name in segments(self.folder))
        else:
            changed = False
        more_changed, more = self._whole.read()
        if self._recent is None and self._whole.restarts:
            self._begin()
            return True, True
        if self._recent is not None and not more:
            self._recent = None
            more_changed = True
        return changed or more_changed, more


def join(past: JobSnapshot, recent: JobSnapshot) -> JobSnapshot:
    """Return a job's state from its end, with the curves of its older history as far as read."""
    paths = dict(past.paths)
    for name, view in recent.paths.items():
        before = paths.get(name)
        paths[name] = view if before is None else PathView(view.score, _joined(before.history, view.history))
    return replace(
        recent,
        loss=_joined(past.loss, recent.loss),
        validation=_joined(past.validation, recent.validation),
        paths=MappingProxyType(paths),
    )


def segments(folder: Path) -> list[str]:
    """Return the names of a job's segments, in order."""
    try:
        names = [name for name in os.listdir(folder) if name.startswith("metrics-") and name.endswith(".jsonl")]
    except OSError:
        return []
    return sorted(names, key=segment_number)


def segment_number(name: str) -> tuple[int, str]:
    """Return a key that sorts segments by name."""
    return len(name), name


def last_lines(path: Path, count: int, most_bytes: int = 1 << 16) -> tuple[str, ...]:
    """Return the last lines of a text file; none if it cannot be read."""
    try:
        if not path.is_file():
            return ()
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most_bytes))
            lines: Iterable[bytes] = file.read(most_bytes).splitlines()
    except OSError:
        return ()
    kept = list(lines)[1 if size > most_bytes else 0 :][-count:]
    return tuple(line.decode("utf-8", "replace") for line in kept)


def _joined(past: Series, recent: Series) -> Series:
    if not recent.points and not recent.pending:
        return past
    first = (*recent.points, *recent.pending)[0].step
    before = tuple(point for point in (*past.points, *past.pending) if point.step < first)
    return replace(recent, points=before + recent.points)


def _first_record(path: Path) -> JobStarted | None:
    try:
        with path.open("rb") as file:
            record = decode(file.readline(LONGEST_LINE))
    except OSError:
        return None
    return record if isinstance(record, JobStarted) else None


def size_of(path: Path) -> int:
    """Return the bytes of a file; 0 if there is none."""
    stamp = file_stamp(path)
    return stamp[1] if stamp else 0
