"""Runs on disk: create, find, list and remove them. A run is a folder with our run.json in it, and nothing else is.

A folder with our preset.toml, our jobs and a run.json that cannot be read is a damaged run: it is listed and explained,
and never used or removed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import platform
import re
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from supernet_cli.config.load import LoadedPreset, dump_toml
from supernet_cli.config.schema import Preset
from supernet_cli.errors import RunError, did_you_mean
from supernet_cli.store.files import disk_errors, replace_file
from supernet_cli.store.fingerprints import fingerprints
from supernet_cli.store.job import create_job
from supernet_cli.store.lock import FileLock
from supernet_cli.store.network import Signature
from supernet_cli.store.run import EXPERIMENT_LOCK, SEARCH_LOCK, DamagedRun, Manifest, Run, runs_dir_option
from supernet_cli.version import __version__, version_of

FORMAT = 1


_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


_PRODUCT = "supernet"


_LIBRARIES = ("torch", "torchvision", "numpy")


_LARGEST = 1_000_000  # bytes of a run.json; names of classes may take half of it


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


def name_for(preset: LoadedPreset) -> str:
    """Return the name that runs of a preset carry: where it is the preset.toml of a run, that run's."""
    run = _read(preset.path.parent) if preset.path.name == "preset.toml" else None
    return run.manifest.preset if isinstance(run, Run) else preset.name


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
    locks |= {run.folder / name: f"The run {run.id}" for name in (EXPERIMENT_LOCK, SEARCH_LOCK, "results/lock")}
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
    folder, number = runs_dir / name, 1
    while True:
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder
        number += 1
        folder = runs_dir / f"{name}-{number}"


def _versions() -> dict[str, str]:
    libraries = {library: found for library in _LIBRARIES if (found := version_of(library)) is not None}
    return {"supernet": __version__, "python": platform.python_version(), **libraries}


def _some(runs: Sequence[Run | DamagedRun]) -> str:
    return ", ".join(run.id for run in runs[:5]) + (", …" if len(runs) > 5 else "")
