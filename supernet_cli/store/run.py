"""Runs on disk: create, find, list and remove them. A run is a folder with our run.json in it, and nothing else is.

A folder with our preset.toml, our jobs and a run.json that cannot be read is a damaged run: it is listed and explained,
and never used or removed.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from supernet_cli.config.load import LoadedPreset, dump_toml, read_toml, validate
from supernet_cli.config.schema import Preset
from supernet_cli.errors import PresetError, RunError, did_you_mean
from supernet_cli.space import Architecture, SearchSpace
from supernet_cli.store.files import append, disk_errors, new_numbered, replace_file
from supernet_cli.store.job import JobFolder, create_job, list_jobs
from supernet_cli.store.layout import JobKey, Way
from supernet_cli.store.lock import FileLock
from supernet_cli.store.network import NetworkSpec, Signature
from supernet_cli.store.records import Record, encode
from supernet_cli.store.state import State
from supernet_cli.version import __version__

FORMAT = 1

EXPERIMENT_LOCK = "experiment.lock"
"""In a run's folder: held by whoever goes through the whole of it."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_PRODUCT = "supernet"
_LIBRARIES = ("torch", "torchvision", "numpy")
_LARGEST = 1_000_000  # bytes of a run.json; names of classes may take half of it
_YEAR_9999 = 253_370_764_800


_REFERENCES = {"train": ("--resume",), "experiment": ("--resume",), "retrain": ("--run",), "evaluate": ("--run",)}
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
            if begun_with.get(what, now) not in (now, _fingerprints_with_root(preset)[what])
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


def create_run(
    runs_dir: Path,
    name: str,
    preset: Preset,
    now: dt.datetime | None = None,
    images: str | None = None,
    network: Signature | None = None,
) -> Run:
    """Create a run's folder with its manifest, its resolved preset and a folder for each supernet job.

    Args:
        runs_dir: Where runs live; made where it is missing.
        name: The preset's name, part of the run's id.
        preset: The resolved preset.
        now: When it is created; by default, now.
        images: Fingerprint of the images it works with.
        network: What goes into its networks and what comes out.

    Raises:
        DiskError: The folder cannot be written.
    """
    now = now or dt.datetime.now().astimezone()
    with disk_errors(runs_dir / "run"):
        runs_dir.mkdir(parents=True, exist_ok=True)
        folder = _new_folder(runs_dir, f"{now:%Y%m%d-%H%M%S}-{re.sub(r'[^A-Za-z0-9._-]+', '-', name)[:64]}")
    manifest = Manifest(
        product=_PRODUCT,
        format=FORMAT,
        id=folder.name,
        preset=name,
        created=now.timestamp(),
        fingerprints=fingerprints(preset) | ({"images": images} if images else {}),
        versions=_versions(),
        host=platform.node(),
        network=network,
    )
    run = Run(folder, manifest)
    replace_file(folder / "preset.toml", dump_toml(preset).encode(), durable=True)
    for seed in preset.train.seeds:
        create_job(run.supernet_job(seed))
    replace_file(
        folder / "run.json", (manifest.model_dump_json(indent=2, exclude_none=True) + "\n").encode(), durable=True
    )
    return run


def check_writable(runs_dir: Path) -> None:
    """Make sure that runs can be created in a folder, before anything slow is done; nothing is left there.

    Args:
        runs_dir: Where runs live; it may be missing, like folders above it.

    Raises:
        DiskError: It cannot be written.
    """
    path = runs_dir.absolute()
    existing = next(folder for folder in (path, *path.parents) if os.path.lexists(folder))
    with disk_errors(path), tempfile.TemporaryFile(dir=existing):
        pass


def replace_preset(run: Run, preset: Preset) -> None:
    """Store another preset with a run, whose fingerprints it must not change.

    Raises:
        DiskError: It cannot be written.
    """
    replace_file(run.folder / "preset.toml", dump_toml(preset).encode(), durable=True)


def name_for(preset: LoadedPreset) -> str:
    """Return the name that runs of a preset carry: where it is the preset.toml of a run, that run's."""
    run = _read(preset.path.parent) if preset.path.name == "preset.toml" else None
    return run.manifest.preset if isinstance(run, Run) else preset.name


def default_runs_dir() -> Path:
    """Return where commands look for runs unless they are given --runs-dir."""
    return Path(os.environ.get("SUPERNET_RUNS_DIR") or "runs")


def runs_dir_option(runs_dir: Path) -> str:
    """Return what a suggested command must end with to work on this runs directory: nothing for the default one."""
    if runs_dir.resolve() == default_runs_dir().resolve():
        return ""
    return f" --runs-dir {shlex.quote(str(runs_dir))}"


def list_runs(runs_dir: Path) -> list[Run]:
    """Return the runs in a folder, newest first; other folders and damaged runs are skipped.

    Raises:
        RunError: The folder cannot be read.
    """
    found = [run for run in _read_all(runs_dir) if isinstance(run, Run)]
    return sorted(found, key=lambda run: (run.manifest.created, run.id), reverse=True)


def list_damaged_runs(runs_dir: Path) -> list[DamagedRun]:
    """Return the damaged runs in a folder, by id.

    Raises:
        RunError: The folder cannot be read.
    """
    return sorted((run for run in _read_all(runs_dir) if isinstance(run, DamagedRun)), key=lambda run: run.id)


def read_run(folder: Path) -> Run | None:
    """Return the run in a folder, or None if there is none, or a damaged one."""
    run = _read(folder)
    return run if isinstance(run, Run) else None


def find_run(runs_dir: Path, reference: str) -> Run:
    """Return the run that a person means.

    Args:
        runs_dir: Where runs live.
        reference: An id, a unique prefix of one, a folder, or `latest`.

    Raises:
        RunError: None, several or a damaged one are meant; names the nearest.
    """
    exact = _read(runs_dir / reference) if _ID.fullmatch(reference) else None
    if exact is not None:
        return _whole(exact)
    if "/" in reference or os.sep in reference or reference in (".", ".."):
        return _from_folder(Path(os.path.expanduser(reference)), runs_dir)
    runs = list_runs(runs_dir)
    if reference == "latest" and runs:
        return runs[0]
    known: list[Run | DamagedRun] = [*runs, *list_damaged_runs(runs_dir)]
    if reference == "latest" and known:
        show = f"supernet runs show {shlex.quote(known[0].id)}{runs_dir_option(runs_dir)}"
        raise RunError(f"Every run in {runs_dir} is damaged.", f"See what is wrong: `{show}`.")
    matching = [run for run in known if run.id == reference]  # a folder may have any name
    matching = matching or [run for run in known if reference and run.id.startswith(reference)]
    if len(matching) == 1:
        return _whole(matching[0])
    if matching:
        raise RunError(f"'{reference}' matches {len(matching)} runs.", f"Be more specific: {_some(matching)}.")
    if not known:
        start = f"supernet train default{runs_dir_option(runs_dir)}"
        raise RunError(f"There are no runs in {runs_dir}.", f"Start one: `{start}`.")
    raise RunError(f"There is no run '{reference}' in {runs_dir}.", did_you_mean(reference, [run.id for run in known]))


def check_removable(runs_dir: Path, run: Run) -> None:
    """Make sure that a run may be deleted: one of ours, directly inside the runs directory, and at rest.

    Raises:
        RunError: It is somewhere else, a link, no run, or still being trained.
    """
    folder = run.folder
    if folder.is_symlink() or folder.resolve().parent != runs_dir.resolve() or not isinstance(_read(folder), Run):
        raise RunError(
            f"{folder} is not a run inside {runs_dir}; nothing was removed.", "Give the runs directory with --runs-dir."
        )
    if run.state().is_alive:
        raise RunError(f"Run {run.id} is being trained.", f"Stop it first: `{run.command('runs stop')}`.")
    locks = {job.path / "lock": f"The job {job.key}" for job in run.jobs()}
    locks |= {run.folder / EXPERIMENT_LOCK: f"The run {run.id}", run.folder / "results" / "lock": f"The run {run.id}"}
    for path, what in locks.items():  # whatever a status says, the lock knows whether its owner lives
        if path.exists():
            lock = FileLock(path, what)
            lock.acquire()
            lock.release()


def remove_run(runs_dir: Path, run: Run) -> None:
    """Delete a run's folder, if it may be.

    Raises:
        RunError: It may not.
        DiskError: It could not be deleted.
    """
    check_removable(runs_dir, run)
    with disk_errors(run.folder / "run.json"):
        shutil.rmtree(run.folder)


def fingerprints(preset: Preset) -> dict[str, str]:
    """Return hashes of what must agree before results of two runs may be compared or shared.

    Where the images lie is no part of it: a run's manifest has a fingerprint of the images themselves.
    """
    return _fingerprints(preset, preset.data.model_dump(mode="json", exclude={"root"}))


def _fingerprints_with_root(preset: Preset) -> dict[str, str]:
    """Return the hashes as earlier versions wrote them, which counted the folder of a user's own images."""
    data = preset.data.model_dump(mode="json", exclude={"root"})
    if preset.data.dataset == "folder":
        data["root"] = os.path.realpath(os.path.expanduser(preset.data.root))
    return _fingerprints(preset, data)


def _fingerprints(preset: Preset, data: dict[str, Any]) -> dict[str, str]:
    recipe = preset.standalone_recipe().model_dump(
        mode="json", exclude={"evaluate_every", "log_every", "checkpoint_every"}
    )
    if recipe["decay_norm"]:
        del recipe["decay_norm"]  # a later key at its default is no difference
    runtime = preset.runtime.model_dump(mode="json", include={"device", "precision"})
    split = {key: value for key, value in data.items() if key not in ("standardize", "shift", "flip")}
    return {
        "space": SearchSpace.from_config(preset.space).fingerprint(),
        "split": _hash(split),
        "retrain": _hash({"recipe": recipe, "data": data, "threads": preset.retrain.threads, **runtime}),
    }


def _hash(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _read_all(runs_dir: Path) -> list[Run | DamagedRun]:
    if not runs_dir.is_dir():
        return []
    try:
        return [run for path in runs_dir.iterdir() if (run := _read(path)) is not None]
    except OSError as error:
        raise RunError(
            f"{runs_dir} cannot be read: {error.strerror}.", "Check that you can read the folder."
        ) from error


def _read(folder: Path) -> Run | DamagedRun | None:
    """Return the run in a folder, or None if there is none."""
    path = folder / "run.json"
    try:
        if path.is_symlink() or not path.is_file():
            return None
        if path.stat().st_size > _LARGEST:
            return _damaged(folder, "is larger than supernet writes it")
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError:
        return _damaged(folder, "is not what supernet wrote")
    except OSError as error:
        return _damaged(folder, f"cannot be read ({error.strerror})")
    except ValueError:  # a name that no file has
        return None
    return Run(folder, manifest) if manifest.product == _PRODUCT and _ID.fullmatch(manifest.id) else None


def _damaged(folder: Path, reason: str) -> DamagedRun | None:
    """Return a folder as a damaged run where what else is in it is surely ours."""
    try:
        ours = (folder / "preset.toml").is_file() and any((folder / "supernet").glob("seed-*/status.json"))
        return DamagedRun(folder, reason) if ours and not folder.is_symlink() else None
    except OSError:  # a name too long, or a folder that may not be looked into
        return None


def _whole(run: Run | DamagedRun) -> Run:
    if isinstance(run, DamagedRun):
        raise run.error()
    return run


def _from_folder(folder: Path, runs_dir: Path) -> Run:
    run = _read(folder)
    if run is None:
        missing = f"There is no folder {folder}."
        other = f"{folder} is not a run: it has no run.json written by supernet."
        advice = f"`supernet runs ls{runs_dir_option(runs_dir)}` lists runs."
        raise RunError(other if os.path.lexists(folder) else missing, advice)
    return _whole(run)


def _new_folder(runs_dir: Path, name: str) -> Path:
    for folder in _candidates(runs_dir, name):
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("candidates never end")


def _candidates(runs_dir: Path, name: str) -> Iterator[Path]:
    yield runs_dir / name
    number = 2
    while True:
        yield runs_dir / f"{name}-{number}"
        number += 1


def _versions() -> dict[str, str]:
    versions = {"supernet": __version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _some(runs: Sequence[Run | DamagedRun]) -> str:
    return ", ".join(run.id for run in runs[:5]) + (", …" if len(runs) > 5 else "")
