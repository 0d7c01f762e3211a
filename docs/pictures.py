"""Draw the pictures of README and docs from a finished run: `python docs/pictures.py runs/ID`.

The live view and the monitor show the run as it was in the middle of its training, from its own records; the comparison
is the one it stores (`supernet compare`).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path

import psutil
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from textual.pilot import Pilot

from supernet_cli.cli.live import draw_supernets
from supernet_cli.store.job import JobFolder
from supernet_cli.store.layout import JobKey
from supernet_cli.store.records import DevicesSampled, JobEnded, Record, decode_lines, encode
from supernet_cli.store.runs import read_run
from supernet_cli.store.snapshot import JobSnapshot, RunSnapshot, fold, fold_all
from supernet_cli.store.state import State
from supernet_cli.tui.app import MonitorApp
from supernet_cli.tui.screens.compare import ComparisonScreen
from supernet_cli.tui.screens.monitor import MonitorScreen

DOCS = Path(__file__).resolve().parent
SIZE = (120, 40)
LIVE_WIDTH = 100


def main() -> None:
    """Draw all three pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished run with a comparison")
    parser.add_argument("--at", type=float, default=0.7, help="how far its training is in the pictures")
    parser.add_argument("--comparison", type=Path, help="another run, whose comparison is drawn")
    given = parser.parse_args()
    run = read_run(given.run)
    compared = given.comparison or given.run
    if not (compared / "results" / "comparison.json").is_file():
        parser.error(f"{compared} has no comparison")
    if run is None:
        parser.error(f"{given.run} is not a run")
    job = run.supernet_jobs()[0]
    records = until(job, given.at)
    draw_live_view(run.id, job.key, records, read(given.run.glob("devices-*.jsonl"))[:1])
    with tempfile.TemporaryDirectory() as folder:
        draw_screen(in_training(given.run, Path(folder) / run.id, job.key, records), "tui-monitor.svg")
    draw_screen(compared, "tui-compare.svg", "c")


def read(paths: Iterable[Path]) -> list[Record]:
    """Return the records of files, in order."""
    return [record for path in sorted(paths) for record in decode_lines(path.read_bytes().splitlines())[0]]


def until(job: JobFolder, share: float) -> list[Record]:
    """Return a job's records as they were at a fraction of its steps."""
    snapshot, kept = JobSnapshot(), []
    for record in read(job.path.glob("metrics-*.jsonl")):
        snapshot = fold(snapshot, record)
        if isinstance(record, JobEnded) or snapshot.step > share * snapshot.steps:
            break
        kept.append(record)
    return kept


def draw_live_view(run: str, key: JobKey, records: list[Record], devices: list[Record]) -> None:
    """Draw what `supernet train` showed."""
    sample = next((record for record in devices if isinstance(record, DevicesSampled)), None)
    view = RunSnapshot(run, ((key, fold_all(JobSnapshot(), records)),), key, sample)
    console = Console(record=True, width=LIVE_WIDTH, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    console.print(draw_supernets(view, LIVE_WIDTH, 30))
    begin, end = CONSOLE_SVG_FORMAT.index("@font-face"), CONSOLE_SVG_FORMAT.index(".{unique_id}-matrix")
    form = (CONSOLE_SVG_FORMAT[:begin] + CONSOLE_SVG_FORMAT[end:]).replace("Fira Code", "DejaVu Sans Mono, Menlo")
    console.save_svg(str(DOCS / "train.svg"), title="supernet train", code_format=form)


def in_training(source: Path, folder: Path, key: JobKey, records: list[Record]) -> Path:
    """Return a copy of a run with one job that trains in this process and has reported these records."""
    folder.mkdir()
    for name in ("run.json", "preset.toml"):
        shutil.copy(source / name, folder)
    samples = [record for record in read(source.glob("devices-*.jsonl")) if record.time <= records[-1].time]
    (folder / "devices-0.jsonl").write_text("".join(encode(record) + "\n" for record in samples))
    job, me = folder / str(key), psutil.Process()
    job.mkdir(parents=True)
    (job / "metrics-0.jsonl").write_text("".join(encode(record) + "\n" for record in records))
    evaluated = [line for line in (source / str(key) / "log.txt").read_text().splitlines() if "finished" not in line]
    epochs = fold_all(JobSnapshot(), records).epoch
    (job / "log.txt").write_text("\n".join(evaluated[:epochs]) + "\n")
    owner = {"state": State.RUNNING, "pid": me.pid, "process_started": me.create_time(), "host": socket.gethostname()}
    status = JobFolder(source / str(key), key).status().model_copy(update={**owner, "step": 0, "seconds": 0.0})
    (job / "status.json").write_text(status.model_dump_json())
    return folder


def draw_screen(run: Path, name: str, *keys: str) -> None:
    """Draw a screen of the monitor."""

    async def draw(pilot: Pilot[None]) -> None:
        for _ in range(100):
            screen = pilot.app.screen
            if isinstance(screen, MonitorScreen) and screen.view is not None and screen.view.job.filled == 1.0:
                break
            await pilot.pause(0.05)
        await pilot.press(*keys)
        await pilot.pause(1.0)
        assert isinstance(pilot.app.screen, ComparisonScreen if keys else MonitorScreen)
        pilot.app.save_screenshot(name, str(DOCS))

    async def run_application() -> None:
        async with MonitorApp(run.parent, run).run_test(size=SIZE) as pilot:
            await draw(pilot)

    asyncio.run(run_application())


if __name__ == "__main__":
    main()
