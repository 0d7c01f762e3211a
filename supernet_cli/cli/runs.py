"""`supernet runs`: list, show, stop and delete runs."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import typer

from supernet_cli.cli.options import (
    RUNS_DIR,
    Group,
    Json,
    OutputFile,
    Quiet,
    RunArgument,
    RunName,
    RunsDir,
    complete_run,
    one_of,
)
from supernet_cli.store.layout import JobKey, Way
from supernet_cli.store.state import State, Wish

if TYPE_CHECKING:
    from rich.console import RenderableType

    from supernet_cli.store.job import JobFolder
    from supernet_cli.store.run import DamagedRun, Run

app = typer.Typer(
    cls=Group,
    help="List, show, stop and delete runs.",
    epilog="Example: supernet runs show latest",
    no_args_is_help=True,
)


_PATIENCE_SECONDS = 60.0
_MOST_UNFINISHED = 8


@app.command("ls", epilog="Example: supernet runs ls")
def ls(runs_dir: RunsDir = RUNS_DIR, json: Json = False, quiet: Quiet = False, output: OutputFile = None) -> None:
    """List runs, newest first."""
    from rich.text import Text

    from supernet_cli.cli.console import printable
    from supernet_cli.cli.output import Output
    from supernet_cli.cli.render import columns
    from supernet_cli.glyphs import ago, clock
    from supernet_cli.store.run import runs_dir_option
    from supernet_cli.store.runs import list_damaged_runs, list_runs

    voice = Output(json, quiet, output)
    found, damaged = list_runs(runs_dir), list_damaged_runs(runs_dir)
    rows = [*map(_row, found), *map(_damaged_row, damaged)]
    table = columns(
        ("run", "preset", "status", "started", "time", "jobs"), right=("time", "jobs"), folding=("run", "preset")
    )
    for run, row in zip(found, rows, strict=False):
        done = f"{row['jobs_finished']}/{row['jobs']}"
        cells = (row["run"], row["preset"], row["status"], ago(run.manifest.created), clock(row["seconds"]), done)
        table.add_row(*(Text(printable(cell).replace("\n", "\\n")) for cell in cells))
    for lost in damaged:
        table.add_row(Text(printable(lost.id)), "", "damaged", "", "", "")
    voice.result({"runs": rows}, table if rows else f"There are no runs in {runs_dir}.")
    if not rows:
        voice.note(f"Start one: supernet train default{runs_dir_option(runs_dir)}")
    if damaged:
        show = f"supernet runs show {shlex.quote(damaged[0].id)}{runs_dir_option(runs_dir)}"
        voice.note(f"See what is wrong: {show}")


@app.command("show", epilog="Example: supernet runs show latest")
def show(
    run: RunArgument = None,
    run_option: RunName = None,
    runs_dir: RunsDir = RUNS_DIR,
    json: Json = False,
    quiet: Quiet = False,
    output: OutputFile = None,
) -> None:
    """Show a run: its jobs, their progress, and the paths evaluated so far."""
    from supernet_cli.cli.output import Output
    from supernet_cli.cli.render import facts, scores_table
    from supernet_cli.errors import RunError
    from supernet_cli.glyphs import ago, clock
    from supernet_cli.reports.next_step import next_step
    from supernet_cli.store.runs import find_run

    voice = Output(json, quiet, output)
    found = find_run(runs_dir, one_of("run", run, run_option, "latest"))
    jobs = {way: [_job_row(job) for job in found.jobs(way)] for way in Way}
    document = _row(found) | {
        "jobs": list(chain.from_iterable(jobs.values())),
        "folder": str(found.folder.resolve()),
        "fingerprints": found.manifest.fingerprints,
        "versions": found.manifest.versions,
    }
    versions = ", ".join(f"{name} {version}" for name, version in found.manifest.versions.items())
    pairs = [
        ("run", found.id),
        ("preset", found.manifest.preset),
        ("status", document["status"]),
        ("started", f"{document['started']} ({ago(found.manifest.created)})"),
        ("time", clock(document["seconds"])),
        ("folder", document["folder"]),
        ("versions", versions),
        ("fingerprints", ", ".join(f"{what} {digest}" for what, digest in found.manifest.fingerprints.items())),
    ]
    parts: list[RenderableType] = [facts([*pairs, *_progress_lines(jobs)])]
    is_one_kind = not any(jobs[way] for way in Way if way is not Way.ONE_SHOT)
    for way in Way:
        rows = [{"seed": job["seed"], **path} for job in jobs[way] for path in job["paths"]]
        if rows:
            title = "one-shot, at the last evaluation of the training" if way is Way.ONE_SHOT else way.words
            parts += ["", *([] if is_one_kind else [title]), scores_table(rows, "validation")]
    voice.result(document, *parts)
    with contextlib.suppress(RunError):  # a damaged run can still be shown
        voice.next_step(next_step(found))


@app.command("stop", epilog="Example: supernet runs stop latest")
def stop(
    run: RunArgument = None,
    run_option: RunName = None,
    runs_dir: RunsDir = RUNS_DIR,
    json: Json = False,
    quiet: Quiet = False,
    output: OutputFile = None,
) -> None:
    """Ask a run's trainings to save and stop at their next step, and wait until they have."""
    from supernet_cli.cli.output import Output
    from supernet_cli.errors import RunError
    from supernet_cli.reports.next_step import next_step
    from supernet_cli.store.lock import is_held
    from supernet_cli.store.run import EXPERIMENT_LOCK, SEARCH_LOCK, runs_dir_option
    from supernet_cli.store.runs import find_run

    voice = Output(json, quiet, output)
    found = find_run(runs_dir, one_of("run", run, run_option, "latest"))
    running = [job for job in found.jobs() if job.status().state.is_alive]
    if not running:
        raise RunError(
            f"Run {found.id} is not being trained (status: {found.state()}).",
            f"See which runs are being trained: `supernet runs ls{runs_dir_option(runs_dir)}`.",
        )
    deadline = time.monotonic() + _PATIENCE_SECONDS
    asked: set[JobKey] = set()
    while running:  # a request may come as one job ends and the next starts: that one is asked as well
        for job in running:
            if job.key not in asked:
                job.request(Wish.STOP)
                asked.add(job.key)
        if time.monotonic() > deadline:
            raise RunError(
                f"Run {found.id} has not stopped within {_PATIENCE_SECONDS:.0f} s.",
                f"Look at {running[0].path / 'log.txt'}.",
            )
        time.sleep(0.1)
        running = [job for job in found.jobs() if job.status().state.is_alive]
    locks = [found.folder / name for name in (EXPERIMENT_LOCK, SEARCH_LOCK)]
    while any(map(is_held, locks)) and time.monotonic() < deadline:  # its owner leaves in a moment
        time.sleep(0.1)
    voice.result({"run": found.id, "status": found.state()}, f"{found.id}  {found.state()}")
    voice.next_step(next_step(found))


@app.command("rm", epilog="Example: supernet runs rm 20261124-031500-quick")
def rm(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN", help="Ids, unique prefixes of ids, or folders", autocompletion=complete_run),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation")] = False,
    runs_dir: RunsDir = RUNS_DIR,
    json: Json = False,
    quiet: Quiet = False,
    output: OutputFile = None,
) -> None:
    """Delete runs. Only run folders inside the runs directory are ever deleted."""
    from supernet_cli.cli.output import Output
    from supernet_cli.errors import UsageError
    from supernet_cli.store.runs import check_removable, find_run, remove_run

    voice = Output(json, quiet, output)
    found = list({run.folder.resolve(): run for run in (find_run(runs_dir, reference) for reference in runs)}.values())
    for run in found:
        check_removable(runs_dir, run)
    if not yes:
        if not sys.stdin.isatty() or json:
            raise UsageError("Not a terminal: deleting runs must be confirmed.", "Add --yes to confirm the deletion.")
        typer.confirm(f"Delete {', '.join(run.id for run in found)}?", abort=True, err=True)
    for run in found:
        remove_run(runs_dir, run)
    removed = [run.id for run in found]
    voice.result({"removed": removed}, *(f"{name}  removed" for name in removed))


def _row(run: Run) -> dict[str, Any]:
    from datetime import UTC, datetime

    statuses = [job.status() for job in run.jobs()]
    return {
        "run": run.id,
        "preset": run.manifest.preset,
        "status": run.state(),
        "started": datetime.fromtimestamp(run.manifest.created, UTC).isoformat(timespec="seconds"),
        "seconds": sum(status.seconds for status in statuses),
        "jobs": len(statuses),
        "jobs_finished": sum(status.state is State.FINISHED for status in statuses),
        "notes": [status.reason for status in statuses if status.reason],
    }


def _damaged_row(run: DamagedRun) -> dict[str, Any]:
    unknown = dict.fromkeys(("preset", "status", "started", "seconds", "jobs", "jobs_finished"))
    return {"run": run.id} | unknown | {"status": "damaged", "notes": [f"run.json {run.reason}"]}


def _job_row(job: JobFolder) -> dict[str, Any]:
    status, (snapshot, damaged) = job.status(), job.snapshot()
    return {
        "job": str(job.key),
        "seed": job.seed,
        "status": status.state,
        "reason": status.reason,
        "step": max(status.step, snapshot.step),
        "steps": max(status.steps, snapshot.steps),
        "epoch": snapshot.epoch,
        "epochs": snapshot.epochs,
        "loss": snapshot.loss.values[-1] if snapshot.loss.values else None,
        "images_per_second": snapshot.images_per_second,
        "damaged_lines": damaged,
        "paths": [view.score.model_dump() for view in snapshot.paths.values()],
    }


def _progress_lines(jobs: dict[Way, list[dict[str, Any]]]) -> list[tuple[str, str]]:
    """Return a line for each supernet; for stand-alone trainings how many are done, and a line for what is not."""
    lines = [(job["job"], _progress(job)) for job in jobs[Way.ONE_SHOT]]
    for way, alone in jobs.items():
        if way is Way.ONE_SHOT:
            continue
        states = Counter(job["status"] for job in alone)
        if alone:
            lines.append((way.folder, ", ".join(f"{count} {state}" for state, count in states.most_common())))
        unfinished = [job for job in alone if job["status"] not in (State.FINISHED, State.CREATED)]
        lines += [(job["job"], _progress(job)) for job in unfinished[:_MOST_UNFINISHED]]
    return lines


def _progress(job: dict[str, Any]) -> str:
    from supernet_cli.glyphs import counted

    if job["status"] == State.CREATED:
        return "queued"
    words = [job["status"], f"epoch {job['epoch']}/{job['epochs']}", f"step {job['step']:,}/{job['steps']:,}"]
    if job["loss"] is not None:
        words.append(f"loss {job['loss']:.4f}")
    if job["reason"]:
        words.append(job["reason"])
    if job["damaged_lines"]:
        words.append(f"{counted(job['damaged_lines'], 'damaged line')} in its metrics")
    return "  ".join(words)
