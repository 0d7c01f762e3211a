"""Follow a run's folder: everything known about it now, as one frozen view for anything that draws it.

`RunFollower.poll` looks at the folder and returns a new view if something changed. It only reads, survives files that
are damaged, replaced or gone, and reports them in the view.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from supernet_cli.errors import SupernetError
from supernet_cli.glyphs import counted
from supernet_cli.space import SearchSpace
from supernet_cli.store.activity import is_worked_on
from supernet_cli.store.files import file_stamp, read_small
from supernet_cli.store.job import JobFolder, JobStatus, list_jobs
from supernet_cli.store.layout import JobKey, Way, path_folder
from supernet_cli.store.records import DevicesSampled, decode_lines
from supernet_cli.store.run import EXPERIMENT_LOCK, Run
from supernet_cli.store.runs import read_run
from supernet_cli.store.search import SearchJournal
from supernet_cli.store.state import State
from supernet_cli.store.tail import FileTail, JobReader, last_lines, size_of
from supernet_cli.store.views import JobView, RunView, StandAlone

LOG_LINES = 400
"""Lines of a job's log in a view."""

DEVICE_SAMPLES = 300
"""Device samples in a view; one is taken every second."""

_DEVICE_BYTES = 1 << 18
_DEVICES = re.compile(r"devices-[0-9]{1,9}\.jsonl")
_RESULTS = ("comparison", "search")
_REST_SECONDS = 2.0  # between two looks at jobs that are not running


class RunFollower:
    """Looks at a run's folder repeatedly.

    Args:
        folder: The run's folder.
        clock: A monotonic clock in seconds; idle jobs are read less often.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.selected: JobKey | None = None  # the job to show; None for the running one
        self._clock = clock
        self._run: Run | None = None
        self._blocks: tuple[tuple[str, ...], ...] = ()
        self._jobs: dict[JobKey, _JobFollower] = {}
        self._devices = _Devices(folder)
        self._files = _Files()
        self._listed = float("-inf")
        self._is_experiment = False
        self._view: RunView | None = None
        self._damage: dict[str, str] = {}

    def poll(self, seconds: float = 0.05) -> tuple[RunView | None, bool]:
        """Look for changes.

        Args:
            seconds: Approximate time limit; the rest is left to the next call.

        Returns:
            The view, or None if nothing changed; and whether there is more to read at once.
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
        shown = self._shown()
        for job in sorted(self._jobs.values(), key=lambda job: job.view.key != shown):
            while job.is_due(now) and job.read(now):
                more = True
                if self._clock() > deadline:
                    return True
        return more

    def _list(self) -> None:
        folders = {job.key: job for job in list_jobs(self.folder)}
        self._jobs = {key: self._jobs.get(key) or _JobFollower(job) for key, job in folders.items()}
        self._is_experiment = (self.folder / EXPERIMENT_LOCK).is_file()
        run = read_run(self.folder)
        self._damage.pop("run", None)
        if run is None:
            self._damage["run"] = "run.json is missing or damaged"
        if run is not None and (run != self._run or not self._blocks):
            self._damage.pop("preset", None)
            self._blocks = ()
            try:
                space = SearchSpace.from_config(run.preset().space)
                self._blocks = tuple(block.labels for block in space.blocks)
            except SupernetError as error:
                self._damage["preset"] = error.message
        self._run = run or self._run
        self._name()

    def _name(self) -> None:
        """Find the names of paths of which only the hash is stored, among the paths that other jobs evaluated."""
        nameless = [job for job in self._jobs.values() if job.view.key.is_nameless]
        if nameless:
            known = (path for job in self._jobs.values() for path in job.view.snapshot.paths)
            names = {path_folder(path): path for path in known}
            for job in nameless:
                if job.view.key.folder in names:
                    job.view = replace(job.view, key=job.view.key.named(names[job.view.key.folder]))
                    self._view = None  # views that differ only in names count as equal

    def _shown(self) -> JobKey | None:
        if self.selected is not None and self.selected in self._jobs:
            return self.selected
        jobs = list(self._jobs.values())
        alive = [job.view for job in jobs if job.view.state.is_alive]
        supernets = [job.view for job in jobs if job.view.key.way is Way.ONE_SHOT]
        candidates = (
            [job for job in alive if job.key.way is Way.ONE_SHOT] or supernets or alive or [job.view for job in jobs]
        )
        if not candidates:
            return None
        return max(candidates, key=lambda job: (job.state.is_alive, job.status.heartbeat or 0.0)).key

    def _see(self) -> RunView:
        jobs = tuple(job.view for job in self._jobs.values())
        shown, manifest = self._shown(), self._run.manifest if self._run else None
        results = {name: self._files.json(self.folder / "results" / f"{name}.json") for name in _RESULTS}
        comparison, searched = results["comparison"], results["search"]
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
            log=self._files.lines(self.folder / str(shown) / "log.txt") if shown else (),
            stand_alone=_stand_alone(jobs),
            comparison=comparison if isinstance(comparison, dict) else None,
            searched=searched if isinstance(searched, dict) else None,
            search=self._files.journal(self.folder / "results" / "search-journal.json"),
            problems=self._problems(jobs, results),
            run=self._run,
            is_experiment=self._is_experiment,
            worked_on=is_worked_on(self.folder, [job.status for job in jobs]),
        )

    def _problems(self, jobs: tuple[JobView, ...], results: Mapping[str, object]) -> tuple[str, ...]:
        problems = list(self._damage.values())
        for job in jobs:
            if job.damaged:
                problems.append(f"skipped {counted(job.damaged, 'damaged line')} in the metrics of {job.key}")
        problems += [f"{key}/status.json is damaged" for key, job in self._jobs.items() if job.is_damaged]
        for name, document in results.items():
            if document is not None and not isinstance(document, dict):
                problems.append(f"results/{name}.json is damaged")
        return tuple(problems)


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
        busy = self._more or self.view.state.is_alive
        return busy and self._looked != now or now - self._looked >= _REST_SECONDS

    def read(self, now: float) -> bool:
        """Read some of what is new; returns whether there is more."""
        _, self._more = self._reader.read()
        if not self._more:
            self._looked = now
        stamp = file_stamp(self._folder.path / "status.json")
        status = self.view.status
        if stamp != self._stamp or status.state.is_alive:
            self._stamp = stamp
            status = self._folder.status()
            self.is_damaged = status.state is State.FAILED and status.reason.startswith("status.json is damaged")
            if self.is_damaged:  # fall back to what its records say
                state = self._reader.snapshot.state
                status = JobStatus(state=State.LOST if state.is_alive else state)
        key = self.view.key
        if key.is_nameless:
            for path in self._reader.snapshot.paths:
                key = key.named(path)
        view = JobView(key, status, self._reader.snapshot, self._reader.damaged, self._reader.filled)
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
            names = [name for name in os.listdir(self._folder) if _DEVICES.fullmatch(name)]
        except OSError:
            return
        newest = max(names, key=lambda name: (len(name), name), default=None)
        if newest is not None and (self._tail is None or self._tail.path.name != newest):
            path = self._folder / newest
            self._tail = FileTail(path, max(0, size_of(path) - _DEVICE_BYTES))
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
    """Small files, read again only after a change."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...] | None, Any]] = {}

    def json(self, path: Path) -> object:
        """Return a JSON document; None if there is none, and an empty text if it is damaged."""
        return self._read(path, _read_json)

    def journal(self, path: Path) -> SearchJournal | None:
        """Return the journal of a search; None if there is none, or it is damaged."""
        journal: SearchJournal | None = self._read(path, _read_journal)
        return journal

    def lines(self, path: Path) -> tuple[str, ...]:
        """Return the last lines of a text."""
        lines: tuple[str, ...] = self._read(path, lambda path: last_lines(path, LOG_LINES)) or ()
        return lines

    def _read(self, path: Path, read: Callable[[Path], object]) -> Any:
        stamp = file_stamp(path)
        known = self._known.get(path)
        if known is None or known[0] != stamp:
            known = self._known[path] = (stamp, None if stamp is None else read(path))
        return known[1]


def _stand_alone(jobs: tuple[JobView, ...]) -> Mapping[str, StandAlone]:
    reached: dict[str, list[float]] = {}
    for job in jobs:
        view = job.snapshot.paths.get(job.key.path)
        if job.key.way is Way.ALONE and job.state is State.FINISHED and view is not None:
            reached.setdefault(job.key.path, []).append(view.score.accuracy)
    table = {
        path: StandAlone(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))
        for path, values in reached.items()
    }
    return MappingProxyType(table)


def _read_json(path: Path) -> object:
    try:
        return json.loads(read_small(path))
    except (OSError, ValueError, RecursionError):
        return ""


def _read_journal(path: Path) -> SearchJournal | None:
    try:
        return SearchJournal.model_validate_json(read_small(path))
    except (OSError, ValueError):
        return None
