"""A run: its manifest, its preset, its jobs, and how commands name it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from supernet_cli.config.load import dump_toml, read_toml, validate
from supernet_cli.config.schema import Preset
from supernet_cli.errors import PresetError, RunError
from supernet_cli.space import Architecture
from supernet_cli.store.files import append, new_numbered, replace_file
from supernet_cli.store.fingerprints import fingerprints, fingerprints_with_root
from supernet_cli.store.job import JobFolder, list_jobs
from supernet_cli.store.layout import JobKey, Way
from supernet_cli.store.network import NetworkSpec, Signature
from supernet_cli.store.records import Record, encode
from supernet_cli.store.state import State

EXPERIMENT_LOCK = "experiment.lock"
"""In a run's folder: held by whoever goes through the whole of it."""

SEARCH_LOCK = "search.lock"
"""In a run's folder: held by whoever searches it."""

_YEAR_9999 = 253_370_764_800


_REFERENCES = {
    "train": ("--resume",),
    "experiment": ("--resume",),
    "bench": ("--resume",),
    "retrain": ("--run",),
    "evaluate": ("--run",),
}
"""How each command is given a run; the others take it by position."""


class Manifest(BaseModel):
    """run.json: what a run is, written once."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    product: str
    format: int
    id: str
    preset: str
    created: float = Field(ge=0, lt=_YEAR_9999, allow_inf_nan=False)
    fingerprints: dict[str, str]
    versions: dict[str, str]
    host: str
    network: Signature | None = None  # the space is in preset.toml; earlier versions did not keep the rest


@dataclass(frozen=True)
class Run:
    """A run and its manifest."""

    folder: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        """The run's id: its folder's name, so that a copied or renamed folder is a run of its own."""
        return self.folder.resolve().name

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def command(self, name: str, *options: str) -> str:
        """Return a command about this run as it can be typed here and now.

        Args:
            name: The command, such as `evaluate` or `runs stop`.
            options: Whatever follows the name, typed as it is.
        """
        words = ["supernet", name, *options, *_REFERENCES.get(name, ()), shlex.quote(self.id)]
        return " ".join(words) + runs_dir_option(self.folder.parent)

    def repeated(self, *options: str) -> str:
        """Return the command that trains the same preset in a new run, with these options."""
        words = ["supernet", "train", shlex.quote(str(self.folder / "preset.toml")), *options]
        return " ".join(words) + runs_dir_option(self.folder.parent)

    def preset(self) -> Preset:
        """Return the resolved preset the run was started with.

        Raises:
            RunError: preset.toml is missing or damaged, or asks for another experiment than when the run began.
        """
        path = self.folder / "preset.toml"
        try:
            preset = validate(read_toml(path), path)
        except PresetError as error:
            raise RunError(
                f"Run {self.id} is damaged: {error.message}", "Restore its preset.toml from a copy."
            ) from error
        begun_with = self.manifest.fingerprints
        changed = [
            what
            for what, now in fingerprints(preset).items()
            if begun_with.get(what, now) not in (now, fingerprints_with_root(preset)[what])
        ]
        if changed:
            raise RunError(
                f"The preset.toml of run {self.id} was changed after the run started ({', '.join(changed)}): "
                "its results would no longer belong to one experiment.",
                f"Undo the change, or start a new run: `{self.repeated()}`.",
            )
        return preset

    def fingerprints(self) -> dict[str, str]:
        """Return what must agree before results of two runs may be compared, that of the images included.

        Raises:
            RunError: preset.toml is missing, damaged or changed.
        """
        return {**self.manifest.fingerprints, **fingerprints(self.preset())}

    def network_spec(self) -> NetworkSpec | None:
        """Return what its networks are built from, or None if the run's version did not keep it.

        Raises:
            RunError: preset.toml is missing, damaged or changed.
        """
        signature = self.manifest.network
        return None if signature is None else NetworkSpec(space=self.preset().space, **dict(signature))

    def supernet_job(self, seed: int) -> JobFolder:
        """Return the job that trains the supernet of a seed."""
        return self._job(JobKey.supernet(seed))

    def supernet_jobs(self) -> list[JobFolder]:
        """Return the supernet jobs there are, by seed."""
        return self.jobs(Way.ONE_SHOT)

    def alone_job(self, architecture: Architecture, seed: int, way: Way = Way.ALONE) -> JobFolder:
        """Return the job that trains a path alone in one of these ways."""
        return self._job(JobKey(way, str(architecture), seed))

    def _job(self, key: JobKey) -> JobFolder:
        return JobFolder(self.folder / str(key), key)

    def alone_jobs(self, way: Way = Way.ALONE) -> list[JobFolder]:
        """Return the jobs that train paths alone in one of these ways, path by path, each by seed."""
        return self.jobs(way)

    def jobs(self, *ways: Way) -> list[JobFolder]:
        """Return the jobs that train in some ways, by default in any: supernets first."""
        return list_jobs(self.folder, ways or tuple(Way))

    def state(self, jobs: Sequence[JobFolder] | None = None) -> State:
        """Return the state of the job that most needs a look, of some jobs or of all."""
        return State.overall(job.status().state for job in (self.jobs() if jobs is None else jobs))


@dataclass(frozen=True)
class DamagedRun:
    """A folder that looks like a run, but whose run.json cannot be read.

    Args:
        folder: Where it is.
        reason: What is wrong with its run.json, after "it".
    """

    folder: Path
    reason: str

    @property
    def id(self) -> str:
        """The id that the run has: its folder's name."""
        return self.folder.resolve().name

    def error(self) -> RunError:
        """Return the error of a command that is given it."""
        return RunError(
            f"Run {self.id} is damaged: its run.json {self.reason}.",
            "Nothing else in it was read or changed: restore its run.json from a copy, "
            f"or remove the folder by hand: rm -r {shlex.quote(str(self.folder))}",
        )


class DeviceLog:
    """A recorder that appends device samples to the run's own file; one a process that trains."""

    def __init__(self, run: Run) -> None:
        self._path, self._file = new_numbered(run.folder, "devices")

    def record(self, record: Record) -> None:
        """Append a sample."""
        append(self._file, encode(record), self._path)

    def __enter__(self) -> DeviceLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()


def replace_preset(run: Run, preset: Preset) -> None:
    """Store another preset with a run, whose fingerprints it must not change.

    Raises:
        DiskError: It cannot be written.
    """
    replace_file(run.folder / "preset.toml", dump_toml(preset).encode(), durable=True)


def default_runs_dir() -> Path:
    """Return where commands look for runs unless they are given --runs-dir."""
    return Path(os.environ.get("SUPERNET_RUNS_DIR") or "runs")


def runs_dir_option(runs_dir: Path) -> str:
    """Return what a suggested command must end with to work on this runs directory: nothing for the default one."""
    if runs_dir.resolve() == default_runs_dir().resolve():
        return ""
    return f" --runs-dir {shlex.quote(str(runs_dir))}"
