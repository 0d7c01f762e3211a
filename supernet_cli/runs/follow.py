"""Follow a run's folder: everything that is known of it now, as one frozen view, for whoever draws it.

`RunFollower.poll` looks at the folder and returns a new view where something changed. It only reads, survives files
that are damaged, replaced or gone, and says so in the view. `RunLister` does the same for a folder of runs.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from supernet_cli.errors import SupernetError
from supernet_cli.runs.job import JobFolder, JobStatus
from supernet_cli.runs.records import DevicesSampled, State, decode_lines
from supernet_cli.runs.snapshot import JobSnapshot
from supernet_cli.runs.store import Run, list_damaged_runs, overall_state, read_run
from supernet_cli.runs.tail import FileTail, JobReader, JobTail, last_lines, segments
from supernet_cli.space import SearchSpace

LOG_LINES = 400
"""How many lines of a job's log a view holds."""

DEVICE_SAMPLES = 300
"""How many samples of the devices a view holds; one is taken a second."""

_DEVICE_BYTES = 1 << 18
_REST_SECONDS = 2.0  # between two looks at what is not being trained
_ALIVE: tuple[State, ...] = ("running", "paused")


@dataclass(frozen=True)
class JobView:
    """A job as it is.

    Args:
        key: Its place in the run, such as `supernet/seed-0`.
        status: What its owner says, corrected where the owner is gone.
        snapshot: What its records add up to.
        damaged: Lines of its metrics that are damaged.
        filled: How much of its past was read, as a share.
        asked: What it was asked for and has not answered yet: `pause`, `resume`, `stop` or nothing.
    """

    key: str
    status: JobStatus = JobStatus()
    snapshot: JobSnapshot = JobSnapshot()
    damaged: int = 0
    filled: float = 1.0
    asked: str = ""

    @property
    def state(self) -> State:
        """Its true state."""
        return self.status.state

    @property
    def kind(self) -> str:
        """`supernet`, `standalone` or `inherited`."""
        return self.key.partition("/")[0]

    @property
    def path(self) -> str:
        """The path it trains alone; empty for a supernet."""
        return self.key.split("/")[1] if self.kind in ("standalone", "inherited") else ""

    @property
    def seed(self) -> str:
        """Its seed, as it is written."""
        return self.key.rpartition("seed-")[2]

    @property
    def step(self) -> int:
        """Steps done."""
        return max(self.status.step, self.snapshot.step)

    @property
    def steps(self) -> int:
        """Steps there are to do; 0 where that is not known yet."""
        return max(self.status.steps, self.snapshot.steps)

    @property
    def share(self) -> float:
        """How far it is, as a share."""
        if self.state == "finished":
            return 1.0
        return min(1.0, self.step / self.steps) if self.steps else 0.0


@dataclass(frozen=True)
class StandAlone:
    """What a path reached when it was trained alone.

    Args:
        accuracy: Mean validation accuracy over the seeds, a fraction.
        deviation: Standard deviation over the seeds; None for one.
        seeds: How many were trained.
    """

    accuracy: float
    deviation: float | None
    seeds: int


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True)
class RunView:
    """A run as it is.

    Args:
        id: Its name.
        folder: Where it is.
        preset: Name of its preset; empty where run.json cannot be read.
        created: When it was begun.
        host: Where it was begun.
        jobs: Its jobs: supernets first, then paths trained alone.
        shown: Key of the job whose curves and log are shown.
        blocks: The labels of each choice block's candidates; empty where the preset cannot be read.
        devices: The newest samples, oldest first.
        log: The last lines of the shown job's log.
        stand_alone: What paths reached alone, of those that are done.
        comparison: results/comparison.json, or None.
        problems: What is damaged, in words.
        gone: The folder is no longer there; everything else is as it was last seen.
    """

    id: str
    folder: Path
    preset: str = ""
    created: float | None = None
    host: str = ""
    jobs: tuple[JobView, ...] = ()
    shown: str = ""
    blocks: tuple[tuple[str, ...], ...] = ()
    devices: tuple[DevicesSampled, ...] = ()
    log: tuple[str, ...] = ()
    stand_alone: Mapping[str, StandAlone] = field(default_factory=_nothing)
    comparison: Mapping[str, Any] | None = None
    problems: tuple[str, ...] = ()
    gone: bool = False

    @property
    def job(self) -> JobView:
        """The job that is shown."""
        return next((job for job in self.jobs if job.key == self.shown), JobView(self.shown))

    @property
    def state(self) -> State:
        """The state of the run: that of the job that most needs a look."""
        supernets = [job.state for job in self.jobs if job.kind == "supernet"]
        busy = [job.state for job in self.jobs if job.state in _ALIVE]
        return overall_state(busy or supernets)

    @property
    def is_alive(self) -> bool:
        """Whether somebody trains it now."""
        return any(job.state in _ALIVE for job in self.jobs)

    @property
    def num_paths(self) -> int:
        """Size of the search space; 0 where it is not known."""
        size = 1
        for block in self.blocks:
            size *= len(block)
        return size if self.blocks else self.job.snapshot.num_paths


class RunFollower:
    """Looks at a run's folder again and again.

    Args:
        folder: The run's folder.
        clock: Seconds that go on, to look less often at what is at rest.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.selected = ""  # key of the job to show; empty for the one that is trained
        self._clock = clock
        self._run: Run | None = None
        self._blocks: tuple[tuple[str, ...], ...] = ()
        self._jobs: dict[str, _JobFollower] = {}
        self._devices = _Devices(folder)
        self._files = _Files()
        self._listed = float("-inf")
        self._view: RunView | None = None
        self._damage: dict[str, str] = {}

    def poll(self, seconds: float = 0.05) -> tuple[RunView | None, bool]:
        """Look at what changed.

        Args:
            seconds: About how long this may take; the rest is left to the next call.

        Returns:
            The view, or None where nothing changed; and whether there is more to read at once.
        """
        if not self.folder.is_dir():
            return self._gone(), False
        more = self._read_jobs(self._clock() + seconds)
        self._devices.read()
        view = self._see()
        if view == self._view:
            return None, more
        self._view = view
        return view, more

    def _gone(self) -> RunView | None:
        view = self._view or RunView(self.folder.name, self.folder)
        if view.gone:
            return None
        self._view = replace(view, gone=True)
        self._jobs, self._run, self._listed = {}, None, float("-inf")
        self._devices = _Devices(self.folder)
        return self._view

    def _read_jobs(self, deadline: float) -> bool:
        now = self._clock()
        if not self._jobs or now - self._listed >= _REST_SECONDS:
            self._listed = now
            self._list()
        more = False
        for job in sorted(self._jobs.values(), key=lambda job: job.view.key != self._shown()):
            while job.is_due(now) and job.read(now):
                more = True
                if self._clock() > deadline:
                    return True
        return more

    def _list(self) -> None:
        folders = {job.key: job for job in list_jobs(self.folder)}
        self._jobs = {key: self._jobs.get(key) or _JobFollower(job) for key, job in folders.items()}
        run = read_run(self.folder)
        self._damage.pop("run", None)
        if run is None:
            self._damage["run"] = "run.json is missing or damaged"
        if run is not None and (self._run is None or not self._blocks):
            self._damage.pop("preset", None)
            try:
                space = SearchSpace.from_config(run.preset().space)
                self._blocks = tuple(block.labels for block in space.blocks)
            except SupernetError:
                self._damage["preset"] = "preset.toml is missing or damaged"
        self._run = run or self._run

    def _shown(self) -> str:
        if self.selected in self._jobs:
            return self.selected
        jobs = list(self._jobs.values())
        alive = [job.view for job in jobs if job.view.state in _ALIVE]
        supernets = [job.view for job in jobs if job.view.kind == "supernet"]
        candidates = (
            [job for job in alive if job.kind == "supernet"] or supernets or alive or [job.view for job in jobs]
        )
        if not candidates:
            return ""
        return max(candidates, key=lambda job: (job.state in _ALIVE, job.status.heartbeat or 0.0)).key

    def _see(self) -> RunView:
        jobs = tuple(job.view for job in self._jobs.values())
        shown, manifest = self._shown(), self._run.manifest if self._run else None
        comparison = self._files.json(self.folder / "results" / "comparison.json")
        return RunView(
            id=self.folder.resolve().name,
            folder=self.folder,
            preset=manifest.preset if manifest else "",
            created=manifest.created if manifest else None,
            host=manifest.host if manifest else "",
            jobs=jobs,
            shown=shown,
            blocks=self._blocks,
            devices=self._devices.samples,
            log=self._files.lines(self.folder / shown / "log.txt") if shown else (),
            stand_alone=_stand_alone(jobs),
            comparison=comparison if isinstance(comparison, dict) else None,
            problems=self._problems(jobs, comparison),
        )

    def _problems(self, jobs: tuple[JobView, ...], comparison: object) -> tuple[str, ...]:
        told = list(self._damage.values())
        for job in jobs:
            if job.damaged:
                told.append(f"{job.damaged:,} damaged lines in the metrics of {job.key}, passed over")
        told += [f"{key}/status.json is damaged" for key, job in self._jobs.items() if job.is_damaged]
        if comparison is not None and not isinstance(comparison, dict):
            told.append("results/comparison.json is damaged")
        return tuple(told)


class _JobFollower:
    """One job: its status and its records."""

    def __init__(self, folder: JobFolder) -> None:
        self.view = JobView(folder.key)
        self.is_damaged = False
        self._folder = folder
        self._reader = JobReader(folder.path)
        self._looked = float("-inf")
        self._more = True
        self._stamp: tuple[int, ...] | None = None

    def is_due(self, now: float) -> bool:
        """Whether it is time to look again."""
        busy = self._more or self.view.state in _ALIVE or self.view.asked
        return bool(busy) and self._looked != now or now - self._looked >= _REST_SECONDS

    def read(self, now: float) -> bool:
        """Take a little of what is new; returns whether there is more."""
        _, self._more = self._reader.read()
        if not self._more:
            self._looked = now
        stamp = _stamp(self._folder.path / "status.json")
        status = self.view.status
        if stamp != self._stamp or status.state in _ALIVE:
            self._stamp = stamp
            status = self._folder.status()
            self.is_damaged = status.state == "failed" and status.reason.startswith("status.json is damaged")
            if self.is_damaged:  # what its records say is the next best
                state = self._reader.snapshot.state
                status = JobStatus(state="lost" if state in _ALIVE else state)
        view = JobView(
            self.view.key,
            status,
            self._reader.snapshot,
            self._reader.damaged,
            self._reader.filled,
            _asked(self._folder.path / "control"),
        )
        if view != self.view:
            self.view = view
        return self._more


class _Devices:
    """The end of the newest file of device samples."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tail: FileTail | None = None
        self.samples: tuple[DevicesSampled, ...] = ()

    def read(self) -> None:
        try:
            names = [name for name in os.listdir(self._folder) if name.startswith("devices-")]
        except OSError:
            return
        newest = max(names, key=lambda name: (len(name), name), default=None)
        if newest is not None and (self._tail is None or self._tail.path.name != newest):
            path = self._folder / newest
            stamp = _stamp(path)
            self._tail = FileTail(path, max(0, (stamp[1] if stamp else 0) - _DEVICE_BYTES))
        if self._tail is None:
            return
        while True:
            chunk = self._tail.read()
            records, _ = decode_lines(chunk.lines)
            new = tuple(record for record in records if isinstance(record, DevicesSampled))
            if new or chunk.restarted:
                kept = () if chunk.restarted else self.samples
                self.samples = (*kept, *new)[-DEVICE_SAMPLES:]
            if not chunk.more:
                return


class _Files:
    """Small files, read again only when they changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...] | None, Any]] = {}

    def json(self, path: Path) -> object:
        """Return a JSON document; None where there is none, and its text where it is damaged."""
        return self._read(path, _read_json)

    def lines(self, path: Path) -> tuple[str, ...]:
        """Return the last lines of a text."""
        lines: tuple[str, ...] = self._read(path, lambda path: last_lines(path, LOG_LINES)) or ()
        return lines

    def _read(self, path: Path, read: Callable[[Path], object]) -> Any:
        stamp = _stamp(path)
        known = self._known.get(path)
        if known is None or known[0] != stamp:
            known = self._known[path] = (stamp, None if stamp is None else read(path))
        return known[1]


@dataclass(frozen=True)
class RunRow:
    """A run in a list.

    Args:
        id: Its name.
        folder: Where it is.
        preset: Name of its preset.
        created: When it was begun.
        state: Its true state.
        share: How far its supernets are, as a share.
        best_path: The best of the paths judged last; empty where none was.
        best_accuracy: Its validation accuracy.
        is_damaged: Whether its run.json cannot be read.
    """

    id: str
    folder: Path
    preset: str
    created: float
    state: State
    share: float
    best_path: str = ""
    best_accuracy: float | None = None
    is_damaged: bool = False


class RunLister:
    """Lists the runs of a folder again and again, reading only what changed."""

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self._runs: dict[Path, tuple[tuple[int, ...] | None, Run | None]] = {}
        self._best: dict[Path, tuple[object, tuple[str, float] | None]] = {}

    def rows(self) -> tuple[RunRow, ...]:
        """Return the runs there are, newest first; none where the folder cannot be read."""
        try:
            folders = [Path(entry.path) for entry in os.scandir(self.runs_dir) if entry.is_dir()]
        except OSError:
            return ()
        runs = [run for folder in folders if (run := self._run(folder)) is not None]
        rows = [*map(self._row, runs), *self._damaged()]
        return tuple(sorted(rows, key=lambda row: (row.created, row.id), reverse=True))

    def _damaged(self) -> list[RunRow]:
        try:
            found = list_damaged_runs(self.runs_dir)
        except SupernetError:
            return []
        stamps = [(run, _stamp(run.folder / "run.json")) for run in found]
        return [
            RunRow(run.id, run.folder, "", stamp[2] / 1e9 if stamp else 0.0, "failed", 0.0, is_damaged=True)
            for run, stamp in stamps
        ]

    def _run(self, folder: Path) -> Run | None:
        stamp = _stamp(folder / "run.json")
        known = self._runs.get(folder)
        if known is None or known[0] != stamp:
            known = self._runs[folder] = (stamp, None if stamp is None else read_run(folder))
        return known[1]

    def _row(self, run: Run) -> RunRow:
        jobs = run.supernet_jobs()
        statuses = [job.status() for job in jobs]
        best = max((found for job in jobs if (found := self._best_of(job))), key=lambda pair: pair[1], default=None)
        done, steps = sum(status.step for status in statuses), sum(status.steps for status in statuses)
        states = [status.state for status in statuses]
        return RunRow(
            id=run.id,
            folder=run.folder,
            preset=run.manifest.preset,
            created=run.manifest.created,
            state=overall_state(states),
            share=1.0 if states and set(states) == {"finished"} else done / steps if steps else 0.0,
            best_path=best[0] if best else "",
            best_accuracy=best[1] if best else None,
        )

    def _best_of(self, job: JobFolder) -> tuple[str, float] | None:
        stamp = tuple(_stamp(job.path / name) for name in segments(job.path))
        known = self._best.get(job.path)
        if known is None or known[0] != stamp:
            tail = JobTail(job.path, recent=1 << 16)
            while tail.read()[1]:
                pass
            ranked = tail.snapshot.ranked()
            found = (ranked[0].score.path, ranked[0].score.accuracy) if ranked else None
            known = self._best[job.path] = (stamp, found)
        return known[1]


def list_jobs(folder: Path) -> list[JobFolder]:
    """Return the jobs in a run's folder: supernets by seed, then paths trained alone, then those fine-tuned."""
    found = []
    for pattern in ("supernet/seed-*", "standalone/*/seed-*", "inherited/*/seed-*"):
        paths = [path for path in folder.glob(pattern) if path.name[5:].isdecimal()]
        paths.sort(key=lambda path: (path.parent.name, int(path.name[5:])))
        found += [JobFolder(path, path.relative_to(folder).as_posix()) for path in paths]
    return found


def _stand_alone(jobs: tuple[JobView, ...]) -> Mapping[str, StandAlone]:
    reached: dict[str, list[float]] = {}
    for job in jobs:
        view = job.snapshot.paths.get(job.path)
        if job.kind == "standalone" and job.state == "finished" and view is not None:
            reached.setdefault(job.path, []).append(view.score.accuracy)
    table = {
        path: StandAlone(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))
        for path, values in reached.items()
    }
    return MappingProxyType(table)


def _asked(path: Path) -> str:
    try:
        return str(json.loads(path.read_bytes()).get("request", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return ""


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        look = path.stat()
    except OSError:
        return None
    return look.st_ino, look.st_size, look.st_mtime_ns
