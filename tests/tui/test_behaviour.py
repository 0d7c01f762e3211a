"""What the monitor does: views in, messages and requests out."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from recorded import BEGIN, grow, record_run, stamp_all, trained, write_lines
from textual.pilot import Pilot
from textual.widgets import Input

from supernet_cli.cli.tui import check_terminal, say_what_continues
from supernet_cli.errors import UsageError
from supernet_cli.store.job import JobStatus
from supernet_cli.store.launch import Launched, launch
from supernet_cli.store.layout import JobKey
from supernet_cli.store.lock import FileLock
from supernet_cli.store.run import EXPERIMENT_LOCK
from supernet_cli.store.state import State
from supernet_cli.store.views import RunView
from supernet_cli.tui.app import MonitorApp
from supernet_cli.tui.panels.banner import Banner, messages
from supernet_cli.tui.panels.loss import LossPanel
from supernet_cli.tui.panels.panel import Panel
from supernet_cli.tui.panels.paths import PathsPanel
from supernet_cli.tui.screens.monitor import MonitorScreen
from supernet_cli.tui.screens.new import NewScreen
from supernet_cli.tui.screens.runs import RunsScreen, RunTable
from supernet_cli.tui.screens.waiting import WaitingScreen

Act = Callable[[Pilot[None]], Awaitable[None]]


def drive(run: Path | None, act: Act, runs_dir: Path | None = None, size: tuple[int, int] = (100, 30)) -> None:
    """Run the monitor headless and let a person act."""

    async def main() -> None:
        app = MonitorApp(runs_dir or (run.parent if run else Path("runs")), run, now=lambda: BEGIN + 600)
        async with app.run_test(size=size) as pilot:
            await act(pilot)

    asyncio.run(main())


async def until(pilot: Pilot[None], condition: Callable[[], Any]) -> None:
    for _ in range(300):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError("it did not come to be")


def monitor(pilot: Pilot[None]) -> MonitorScreen:
    assert isinstance(pilot.app.screen, MonitorScreen)
    return pilot.app.screen


async def view_of(pilot: Pilot[None]) -> RunView:
    await until(pilot, lambda: isinstance(pilot.app.screen, MonitorScreen) and monitor(pilot).view)
    view = monitor(pilot).view
    assert view is not None
    return view


def text_of(pilot: Pilot[None]) -> str:
    return "\n".join(strip.text for strip in pilot.app.screen._compositor.render_strips())


def notices(pilot: Pilot[None]) -> list[str]:
    return [notice.message for notice in pilot.app._notifications]


def listed_keys(pilot: Pilot[None]) -> set[str]:
    return {key for keys, _ in pilot.app._keys() for key in keys.split()}  # type: ignore[attr-defined]


def request_of(run: Path) -> str:
    return str(json.loads((run / "supernet" / "seed-0" / "control").read_text())["request"])


def write_status(folder: Path, status: JobStatus) -> None:
    folder.mkdir()
    (folder / "status.json").write_text(status.model_dump_json())


def set_state(run: Path, state: str) -> None:
    status = run / "supernet" / "seed-0" / "status.json"
    status.write_text(json.dumps(json.loads(status.read_text()) | {"state": state}))
    (run / "supernet" / "seed-0" / "control").unlink(missing_ok=True)


def test_what_a_trainer_writes_appears(tmp_path: Path) -> None:
    run = record_run(tmp_path)

    async def act(pilot: Pilot[None]) -> None:
        assert (await view_of(pilot)).job.step == 1020
        grow(run, 1040)
        await until(pilot, lambda: monitor(pilot).view.job.step == 1040)  # type: ignore[union-attr]
        await until(pilot, lambda: "1,040" in text_of(pilot))

    drive(run, act)


def test_a_view_that_changes_nothing_repaints_nothing(tmp_path: Path) -> None:
    run = record_run(tmp_path)

    async def act(pilot: Pilot[None]) -> None:
        view = await view_of(pilot)
        await pilot.pause(0.3)
        painted: list[str] = []
        for panel in pilot.app.screen.query(Panel):
            panel.refresh = lambda *_, name=panel.id, **__: painted.append(name)  # type: ignore[method-assign, misc]
        for panel in pilot.app.screen.query(Panel):
            panel.show(view)
        assert painted == []

    drive(run, act)


def test_pause_is_asked_shown_and_acknowledged_and_so_is_going_on(tmp_path: Path) -> None:
    run = record_run(tmp_path)

    async def act(pilot: Pilot[None]) -> None:
        await view_of(pilot)
        await pilot.press("p")
        assert request_of(run) == "pause"
        banner = pilot.app.screen.query_one(Banner)
        assert "asked to pause" in banner.request
        set_state(run, "paused")
        await until(pilot, lambda: not banner.request)
        assert monitor(pilot).view.state == "paused"  # type: ignore[union-attr]
        await pilot.press("p")
        assert request_of(run) == "resume"
        set_state(run, "running")
        await until(pilot, lambda: not banner.request)

    drive(run, act)


def test_stop_wants_a_yes(tmp_path: Path) -> None:
    run = record_run(tmp_path)
    control = run / "supernet" / "seed-0" / "control"

    async def act(pilot: Pilot[None]) -> None:
        await view_of(pilot)
        await pilot.press("s", "enter")
        await pilot.pause()
        assert not control.exists()
        await pilot.press("s", "y")
        await until(pilot, control.exists)
        assert request_of(run) == "stop"

    drive(run, act)


def test_a_run_at_rest_is_not_asked_for_anything(tmp_path: Path) -> None:
    run = record_run(tmp_path, state="finished", done=10)

    async def act(pilot: Pilot[None]) -> None:
        await view_of(pilot)
        await pilot.press("p", "s")
        assert isinstance(pilot.app.screen, MonitorScreen)

    drive(run, act)
    assert not (run / "supernet" / "seed-0" / "control").exists()


def test_a_run_between_two_jobs_is_not_called_abandoned(tmp_path: Path) -> None:
    run = record_run(tmp_path, state="finished", done=10)
    stamp_all(run, BEGIN)
    lock = FileLock(run / EXPERIMENT_LOCK, "it")
    lock.acquire()

    async def act(pilot: Pilot[None]) -> None:
        await view_of(pilot)
        await pilot.press("s")
        await until(pilot, lambda: notices(pilot))
        assert "try again when the next one has started" in notices(pilot)[0]

    drive(run, act)
    lock.release()


def test_a_job_that_ends_before_it_could_pause_answers_by_its_end(tmp_path: Path) -> None:
    run = record_run(tmp_path)

    async def act(pilot: Pilot[None]) -> None:
        await view_of(pilot)
        await pilot.press("p")
        banner = pilot.app.screen.query_one(Banner)
        assert "asked to pause" in banner.request
        set_state(run, "finished")
        await until(pilot, lambda: not banner.request)
        await until(pilot, lambda: notices(pilot) == ["Training finished at step 1,020."])

    drive(run, act)


def test_the_state_of_a_queued_job_is_not_that_of_the_run(tmp_path: Path) -> None:
    run = record_run(tmp_path, seeds=(0, 1))
    write_status(run / "supernet" / "seed-2", JobStatus())

    async def act(pilot: Pilot[None]) -> None:
        await view_of(pilot)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: monitor(pilot).view.shown == JobKey.supernet(2))  # type: ignore[union-attr]
        await until(pilot, lambda: "seed 2 (queued)" in text_of(pilot))
        (row,) = (row for row in text_of(pilot).splitlines() if "supernet seed 2" in row)
        assert "queued" in row
        assert "%" not in row.partition("supernet seed 2")[2]

    drive(run, act)


def test_a_job_whose_trainer_still_loads_is_starting_and_not_training(tmp_path: Path) -> None:
    run = record_run(tmp_path, done=0)
    status = run / "supernet" / "seed-0" / "status.json"
    status.write_text(json.dumps(json.loads(status.read_text()) | {"steps": 0}))
    (run / "supernet" / "seed-0" / "metrics-0.jsonl").write_text("")

    async def act(pilot: Pilot[None]) -> None:
        await view_of(pilot)
        await until(pilot, lambda: "● starting" in text_of(pilot))
        assert "training" not in text_of(pilot)

    drive(run, act)


def test_the_chart_zooms_pans_smooths_and_follows(tmp_path: Path) -> None:
    run = record_run(tmp_path)

    async def act(pilot: Pilot[None]) -> None:
        await view_of(pilot)
        loss = pilot.app.screen.query_one(LossPanel)
        assert loss.window() == (20, 1020)
        await pilot.press("i")
        assert loss.window() == (520, 1020)
        await pilot.press("left")
        assert loss.window() == (395, 895)
        grow(run, 1040)
        await until(pilot, lambda: monitor(pilot).view.job.step == 1040)  # type: ignore[union-attr]
        assert loss.window() == (395, 895)
        await pilot.press("f")
        assert loss.window() == (540, 1040)
        await pilot.press("o", "o")
        assert loss.window() == (20, 1040)
        before = loss.look
        await pilot.press("+", "y", "w")
        after = loss.look
        assert (after.smoothing, after.log, after.raw) == (before.smoothing + 1, not before.log, not before.raw)

    drive(run, act)


def test_the_monitor_survives_every_size_while_it_runs(tmp_path: Path) -> None:
    run = record_run(tmp_path, blocks=[["conv3x3", "conv5x5", "conv7x7"]] * 4, judged=60, cores=64, gpus=3)

    async def act(pilot: Pilot[None]) -> None:
        await view_of(pilot)
        for size in ((20, 5), (200, 60), (79, 24), (80, 10), (40, 50), (1, 1), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.05)
        await until(pilot, lambda: "Paths" in text_of(pilot))

    drive(run, act)


def test_jobs_are_chosen_with_brackets(tmp_path: Path) -> None:
    run = record_run(tmp_path, seeds=(0, 1), done=2)

    async def act(pilot: Pilot[None]) -> None:
        assert (await view_of(pilot)).shown == JobKey.supernet(1)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: monitor(pilot).view.shown == JobKey.supernet(0))  # type: ignore[union-attr]

    drive(run, act)


def test_names_from_outside_are_never_markup(tmp_path: Path) -> None:
    run = record_run(tmp_path, "20261124-[red]x", preset="[bold]mine", state="failed", reason="[/] broke\x1b[2J")
    (run / "run.json").write_text((run / "run.json").read_text().replace(run.name, "copied"))

    async def act(pilot: Pilot[None]) -> None:
        await view_of(pilot)
        await until(pilot, lambda: "failed: [/] broke" in text_of(pilot))
        for words in ("[bold]mine", "20261124-[red]x"):
            assert words in text_of(pilot)
        assert "\x1b" not in text_of(pilot)
        await pilot.press("l")
        await pilot.pause(0.1)
        assert "[/] broke" in text_of(pilot)

    drive(run, act)


def test_the_picker_filters_marks_and_opens(tmp_path: Path) -> None:
    record_run(tmp_path, "20261124-030000-default")
    record_run(tmp_path, "20261123-030000-quick", preset="quick", state="interrupted", created=BEGIN - 90_000)

    async def act(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen) and pilot.app.screen._listed)
        table = pilot.app.screen.query_one(RunTable)
        await pilot.press("tab", "slash", *"interr")
        await until(pilot, lambda: [row.preset for row in table.rows] == ["quick"])
        await pilot.press("enter")
        view = await view_of(pilot)
        assert view.preset == "quick"
        assert [folder.name for folder in monitor(pilot)._overlaid] == ["20261124-030000-default"]

    drive(None, act, tmp_path)


def test_q_is_text_in_the_filter_and_quits_outside_of_it(tmp_path: Path) -> None:
    record_run(tmp_path, "20261124-030000-default")
    record_run(tmp_path, "20261123-030000-quick", preset="quick", created=BEGIN - 90_000)

    async def act(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen) and pilot.app.screen._listed)
        screen, table, box = pilot.app.screen, pilot.app.screen.query_one(RunTable), pilot.app.screen.query_one(Input)
        await pilot.press("slash", "q", "question_mark", "n", "backspace", "backspace")
        await until(pilot, lambda: [row.preset for row in table.rows] == ["quick"])
        assert (pilot.app.screen, box.value) == (screen, "q")
        assert not {"q", "?", "/", "n"} & listed_keys(pilot)
        await pilot.press("escape")
        assert (box.has_focus, box.value, pilot.app._exit) == (False, "q", False)
        assert {"q", "?", "/", "n", "esc"} <= listed_keys(pilot)
        await pilot.press("escape")
        assert box.value == ""
        await pilot.press("q")
        await until(pilot, lambda: pilot.app._exit)

    drive(None, act, tmp_path)


@pytest.mark.parametrize("typed", ["training", "running", "queued", "created"])
def test_the_filter_knows_a_state_by_every_name_it_is_shown_with(typed: str, tmp_path: Path) -> None:
    states = {"training": State.RUNNING, "running": State.RUNNING, "queued": State.CREATED, "created": State.CREATED}
    record_run(tmp_path, "20261124-030000-a")
    stamp_all(record_run(tmp_path, "20261123-030000-b", state="created", created=BEGIN - 90_000), BEGIN)

    async def act(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen) and pilot.app.screen._listed)
        table = pilot.app.screen.query_one(RunTable)
        await pilot.press("slash", *typed)
        await until(pilot, lambda: [row.state for row in table.rows] == [states[typed]])

    drive(None, act, tmp_path)


def test_new_runs_appear_in_the_picker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supernet_cli.tui.screens.runs._LIST_SECONDS", 0.2)

    async def act(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen) and pilot.app.screen._listed)
        table = pilot.app.screen.query_one(RunTable)
        assert table.rows == ()
        record_run(tmp_path)
        await until(pilot, lambda: len(table.rows) == 1)

    drive(None, act, tmp_path)


def test_changes_to_a_preset_are_checked_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, tuple[str, ...]]] = []
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(2)"])
    log = tmp_path / "log.txt"
    log.write_text("error: [no] data\n")

    def pretend(runs_dir: Path, preset: str, settings: tuple[str, ...]) -> Launched:
        started.append((preset, settings))
        return Launched(process, log, f"supernet train --preset {preset}")

    monkeypatch.setattr("supernet_cli.tui.app.start_training", pretend)
    run = record_run(tmp_path)

    async def act(pilot: Pilot[None]) -> None:
        await view_of(pilot)
        await pilot.press("n", "tab", *"train.epoch", "equals_sign", "4", "enter")
        await until(pilot, lambda: "epochs'" in text_of(pilot))
        assert isinstance(pilot.app.screen, NewScreen)
        assert started == []
        await pilot.press("home", *["right"] * 11, "s", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, WaitingScreen))
        await until(pilot, lambda: "error: [no] data" in text_of(pilot))
        await pilot.press("escape")
        await view_of(pilot)

    drive(run, act)
    process.wait()
    assert started == [("default", ("train.epochs=4",))]


def test_help_names_every_key_of_the_screen(tmp_path: Path) -> None:
    run = record_run(tmp_path)

    async def act(pilot: Pilot[None]) -> None:
        await view_of(pilot)
        keys = listed_keys(pilot)
        for key in ("p", "s", "r", "c", "m", "l", "n", "f", "+", "-", "y", "w", "i", "o", "0", "[", "]", "q", "?"):
            assert key in keys, key

    drive(run, act)


def test_the_screen_is_exported_as_svg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = record_run(tmp_path / "runs")

    async def act(pilot: Pilot[None]) -> None:
        await view_of(pilot)
        await pilot.press("ctrl+e")
        await pilot.pause()

    drive(run, act)
    (picture,) = tmp_path.glob("supernet-*.svg")
    assert "<svg" in picture.read_text()


def test_a_long_run_is_painted_from_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = record_run(tmp_path)
    metrics = run / "supernet" / "seed-0" / "metrics-0.jsonl"
    write_lines(metrics, [trained(step, 1, 1.0 / step, BEGIN) for step in range(1, 40_001)])
    monkeypatch.setattr("supernet_cli.store.tail.RECENT_BYTES", 50_000)
    stamp_all(run, BEGIN)
    shown: list[float] = []

    async def act(pilot: Pilot[None]) -> None:
        view = await view_of(pilot)
        shown.append(view.job.filled)
        assert view.job.step == 40_000
        await until(pilot, lambda: monitor(pilot).view.job.filled == 1.0)  # type: ignore[union-attr]
        assert monitor(pilot).view.job.snapshot.loss.points[0].step < 100  # type: ignore[union-attr]

    drive(run, act)


def test_paths_that_do_not_fit_show_their_best_and_their_worst(tmp_path: Path) -> None:
    run = record_run(tmp_path, blocks=[["conv3x3", "conv5x5", "conv7x7"]] * 4, judged=60)

    async def act(pilot: Pilot[None]) -> None:
        view = await view_of(pilot)
        drawn = pilot.app.screen.query_one(PathsPanel).draw(view, 50, 12).plain.splitlines()
        assert len(drawn) == 12
        assert [row.split()[0] for row in drawn[1:]] == ["1", "2", "3", "4", "5", "6", "7", "…", "58", "59", "60"]

    drive(run, act)


class Alive:
    """A process that goes on until it is told otherwise."""

    def __init__(self) -> None:
        self.pid, self.returncode = os.getpid(), None

    def poll(self) -> int | None:
        return self.returncode


def launched_as(process: Any, log: Path) -> Launched:
    return Launched(process, log, "supernet train --preset quick", started=0.0)


def test_a_training_that_continues_is_named_with_how_to_watch_and_stop_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = record_run(tmp_path / "my runs")
    say_what_continues(run.parent, launched_as(Alive(), tmp_path / "log.txt"))
    out, err = capsys.readouterr()
    where = f"--runs-dir '{run.parent}'"
    assert out == ""
    assert err.splitlines() == [
        f"Run {run.name} continues in the background.",
        f"  Watch it: supernet tui {run.name} {where}",
        f"  Stop it:  supernet runs stop {run.name} {where}",
    ]


def test_a_training_that_still_loads_is_named_by_its_command_and_one_that_ended_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = Alive()
    say_what_continues(tmp_path, launched_as(process, tmp_path / "log.txt"))
    err = capsys.readouterr().err
    assert "The training (supernet train --preset quick) continues in the background." in err
    assert f"Watch it: supernet tui --runs-dir {tmp_path}" in err
    assert f"Stop it:  kill {process.pid}" in err
    process.returncode = 0
    say_what_continues(tmp_path, launched_as(process, tmp_path / "log.txt"))
    assert capsys.readouterr().err == ""


def test_the_monitor_does_not_start_where_it_cannot_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", Terminal())
    monkeypatch.setenv("TERM", "xterm-256color")
    check_terminal("Use another terminal.")
    monkeypatch.setenv("TERM", "dumb")
    with pytest.raises(UsageError, match=r"cannot show the monitor \(TERM=dumb\)"):
        check_terminal("Use another terminal.")


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State.STOPPED, "resume with: supernet train --resume"),
        (State.INTERRUPTED, "resume with: supernet train --resume"),
        (State.DIVERGED, "supernet train "),
    ],
)
def test_the_banner_suggests_a_command_for_this_runs_folder(state: State, words: str, tmp_path: Path) -> None:
    run = record_run(tmp_path / "my runs", state=state)

    async def act(pilot: Pilot[None]) -> None:
        view = await view_of(pilot)
        message = messages(view)[0][0]
        assert words in message
        assert message.endswith(f"--runs-dir '{run.parent}'")

    drive(run, act)


def test_the_screen_is_cleared_before_the_terminal_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver_class = MonitorApp(tmp_path).get_driver_class()
    written: list[str] = []
    monkeypatch.setattr(driver_class, "write", lambda self, data: written.append(data))
    monkeypatch.setattr(driver_class, "flush", lambda self: None)
    monkeypatch.setattr(driver_class.__mro__[1], "stop_application_mode", lambda self: written.append("given back"))
    driver_class.stop_application_mode(object.__new__(driver_class))
    assert written == ["\x1b[H\x1b[2J", "given back"]


def test_a_training_that_is_launched_lives_on_its_own(tmp_path: Path) -> None:
    launched = launch(tmp_path, ["preset", "ls", "--json", "--nonsense"])
    assert launched.process.wait(60) == 2
    assert launched.has_ended()
    assert "nonsense" in launched.last_words().casefold()
    assert launched.find_run(tmp_path) is None
    assert list((tmp_path / ".started").iterdir()) == [launched.log]
