"""What the screens look like: every screen and state, at the smallest and at a comfortable size."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from recorded import BEGIN, record_comparison, record_run, record_stand_alone
from searches import begun, over, under_way
from textual.pilot import Pilot

from supernet_cli.tui.app import MonitorApp
from supernet_cli.tui.screens.monitor import MonitorScreen
from supernet_cli.tui.screens.runs import RunsScreen

RUNS = Path("runs")  # relative, so that no picture knows where it was taken
SIZES = [(80, 24), (120, 40)]
Snap = Callable[..., bool]
WIDE = [["conv3x3", "conv5x5", "conv7x7", "identity"]] * 5


@pytest.fixture
def looks_right(snap_compare: Any) -> Snap:
    """Return what compares a screen with its picture, and makes sure that the application came to no harm."""

    def compare(app: MonitorApp, **options: Any) -> bool:
        same = bool(snap_compare(app, **options))
        assert app._exception is None
        return same

    return compare


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def application(run: Path | None, **options: Any) -> MonitorApp:
    return MonitorApp(RUNS, run, now=lambda: BEGIN + 600, **options)


def settled(
    *keys: str, after: Callable[[Path], object] | None = None, run: Path | None = None
) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Return what waits until a run is read, changes its folder, and presses keys."""

    async def wait(pilot: Pilot[None]) -> None:
        await seen(pilot)
        if after is not None and run is not None:
            before = screen_of(pilot, MonitorScreen).view
            after(run)
            for _ in range(100):
                if screen_of(pilot, MonitorScreen).view is not before:
                    break
                await pilot.pause(0.05)
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await still(pilot)

    return wait


async def still(pilot: Pilot[None]) -> None:
    """Wait until the screen no longer changes."""
    before = None
    for _ in range(50):
        await pilot.pause(0.05)
        drawn = [strip.text for strip in pilot.app.screen._compositor.render_strips()]
        if drawn == before:
            return
        before = drawn


async def seen(pilot: Pilot[None]) -> None:
    """Wait until what the screen shows was read."""
    for _ in range(200):
        screen = pilot.app.screen
        if isinstance(screen, MonitorScreen) and screen.view is not None and screen.view.job.filled == 1.0:
            break
        if isinstance(screen, RunsScreen) and screen._listed:
            break
        await pilot.pause(0.02)
    await still(pilot)


def screen_of(pilot: Pilot[None], kind: type) -> Any:
    return next(screen for screen in pilot.app.screen_stack if isinstance(screen, kind))


def empty() -> Path:
    folder = RUNS / "20261124-030000-default"
    folder.mkdir(parents=True)
    return folder


def damaged() -> Path:
    run = record_run(RUNS, state="finished", done=10)
    (run / "run.json").write_text("{")
    with (run / "supernet" / "seed-0" / "metrics-0.jsonl").open("ab") as file:
        file.write(b"nonsense\n" * 3)
    (run / "supernet" / "seed-0" / "status.json").write_text("")
    return run


def with_stand_alone() -> Path:
    run = record_run(RUNS, state="finished", done=10, seeds=(0, 1))
    record_stand_alone(run, "conv3x3_conv3x3", 0, "finished", 0.9912)
    record_stand_alone(run, "conv3x3_conv3x3", 1, "finished", 0.9908)
    record_stand_alone(run, "conv3x3_conv5x5", 0, "running", 0.99)
    record_stand_alone(run, "conv5x5_conv3x3", 0, "failed", 0.99)
    record_stand_alone(run, "conv5x5_conv5x5", 0, "created", 0.99)
    return run


def large() -> Path:
    run = record_run(RUNS, preset="fashion", blocks=WIDE, judged=250, cores=16, gpus=2)
    record_stand_alone(run, "conv5x5_conv5x5_conv7x7_conv5x5_conv3x3", 0, "finished", 0.992)
    for seed in range(12):
        record_stand_alone(run, "conv7x7_conv5x5_conv7x7_conv5x5_conv3x3", seed, "created", 0.992)
    return run


def compared() -> Path:
    run = record_run(RUNS, state="finished", done=10)
    record_comparison(run)
    return run


def barely_compared() -> Path:
    run = record_run(RUNS, state="finished", done=10)
    record_comparison(run, [f"conv{k}x{k}" for k in range(1, 18, 2)], seeds=1, newest=False)
    return run


REASON = "the loss was no longer a finite number at step 1020"
STATES: dict[str, Callable[[], Path]] = {
    "empty": empty,
    "created": lambda: record_run(RUNS, state="created", done=0),
    "just-begun": lambda: record_run(RUNS, done=0.05),
    "running": lambda: record_run(RUNS),
    "paused": lambda: record_run(RUNS, state="paused"),
    "finished": lambda: record_run(RUNS, state="finished", done=10),
    "stopped": lambda: record_run(RUNS, state="stopped"),
    "interrupted": lambda: record_run(RUNS, state="interrupted"),
    "diverged": lambda: record_run(RUNS, state="diverged", reason=REASON),
    "failed": lambda: record_run(RUNS, state="failed", reason="No space left on device"),
    "lost": lambda: record_run(RUNS, state="lost"),
    "damaged": damaged,
    "stand-alone": with_stand_alone,
    "large-space": large,
    "search-begun": lambda: begun(RUNS),
    "search-under-way": lambda: under_way(RUNS),
    "search-over": lambda: over(RUNS),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", STATES)
def test_the_monitor_shows_each_state(state: str, size: tuple[int, int], looks_right: Snap) -> None:
    assert looks_right(application(STATES[state]()), terminal_size=size, run_before=settled())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_monitor_shows_a_folder_that_vanished(size: tuple[int, int], looks_right: Snap) -> None:
    run = record_run(RUNS)
    away = settled(after=lambda run: run.rename("gone"), run=run)  # at once, as removal is not
    assert looks_right(application(run), terminal_size=size, run_before=away)


SCREENS: dict[str, tuple[Callable[[], Path], tuple[str, ...]]] = {
    "comparison": (compared, ("c",)),
    "comparison-of-one-seed": (barely_compared, ("c", "o")),
    "no-comparison": (lambda: record_run(RUNS), ("c",)),
    "space": (large, ("m",)),
    "log": (lambda: record_run(RUNS, state="diverged", reason=REASON), ("l",)),
    "help": (lambda: record_run(RUNS), ("question_mark",)),
    "stop": (lambda: record_run(RUNS), ("s",)),
    "new": (lambda: record_run(RUNS), ("n",)),
    "palette": (lambda: record_run(RUNS), ("ctrl+p",)),
    "zoomed-rough-linear": (lambda: record_run(RUNS), ("i", "left", "minus", "y", "w")),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("screen", SCREENS)
def test_every_other_screen(screen: str, size: tuple[int, int], looks_right: Snap) -> None:
    make, keys = SCREENS[screen]
    assert looks_right(application(make()), terminal_size=size, run_before=settled(*keys))


def several() -> None:
    record_run(RUNS, "20261124-030000-default", created=BEGIN)
    record_run(RUNS, "20261123-030000-quick", preset="quick", state="interrupted", created=BEGIN - 90_000, noise=1)
    record_run(RUNS, "20261120-030000-fashion", preset="fashion", state="finished", done=10, created=BEGIN - 4e5)
    record_run(RUNS, "20261119-030000-mine", preset="mine", state="created", done=0, created=BEGIN - 5e5)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    "keys", [(), ("tab", "down"), ("slash", "q", "u"), ("slash", "x", "y", "escape")], ids="-".join
)
def test_the_run_picker(keys: tuple[str, ...], size: tuple[int, int], looks_right: Snap) -> None:
    several()
    assert looks_right(application(None), terminal_size=size, run_before=settled(*keys))


@pytest.mark.parametrize("size", [(60, 20), (40, 12)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_run_picker_in_little_room(size: tuple[int, int], looks_right: Snap) -> None:
    several()
    assert looks_right(application(None), terminal_size=size, run_before=settled())


def test_the_run_picker_without_runs(looks_right: Snap) -> None:
    assert looks_right(application(None), terminal_size=(80, 24), run_before=settled())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_runs_laid_over_each_other(size: tuple[int, int], looks_right: Snap) -> None:
    several()

    async def overlay(pilot: Pilot[None]) -> None:
        await seen(pilot)
        await pilot.press("down", "tab", "down", "tab", "up", "up", "enter")
        for _ in range(100):
            await pilot.pause(0.05)
            screen = pilot.app.screen
            if isinstance(screen, MonitorScreen) and screen.view and all(screen._overlaid.values()):
                break
        await pilot.pause(0.3)
        await still(pilot)

    assert looks_right(application(None), terminal_size=size, run_before=overlay)


@pytest.mark.parametrize("size", [(60, 40), (40, 24), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_other_sizes(size: tuple[int, int], looks_right: Snap) -> None:
    assert looks_right(application(with_stand_alone()), terminal_size=size, run_before=settled())


@pytest.mark.parametrize("theme", ["supernet-light", "ansi-dark"])
def test_themes(theme: str, looks_right: Snap) -> None:
    app = application(record_run(RUNS))
    app.theme = theme
    assert looks_right(app, terminal_size=(80, 24), run_before=settled())


@pytest.mark.parametrize("size", [(60, 40), (60, 24), (80, 34)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_a_search_in_other_sizes(size: tuple[int, int], looks_right: Snap) -> None:
    assert looks_right(application(under_way(RUNS)), terminal_size=size, run_before=settled())


def test_a_search_in_ascii(looks_right: Snap) -> None:
    assert looks_right(application(under_way(RUNS), ascii_only=True), terminal_size=(80, 24), run_before=settled())


def test_the_losses_of_a_searched_run_come_back_with_a_key(looks_right: Snap) -> None:
    assert looks_right(application(under_way(RUNS)), terminal_size=(80, 24), run_before=settled("e"))


def test_ascii_alone(looks_right: Snap) -> None:
    app = application(with_stand_alone(), ascii_only=True)
    assert looks_right(app, terminal_size=(80, 24), run_before=settled())


def test_no_colour(looks_right: Snap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert looks_right(application(with_stand_alone()), terminal_size=(80, 24), run_before=settled())
