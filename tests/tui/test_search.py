"""The search of a run in the monitor: what is counted, and how the panel follows it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from recorded import BEGIN, record_run, record_stand_alone
from searches import KERNELS, TRAINED, names, record_search, searched, under_way
from textual.pilot import Pilot

from supernet_cli.store.follow import RunFollower
from supernet_cli.store.state import State
from supernet_cli.store.views import RunView
from supernet_cli.tui.app import MonitorApp
from supernet_cli.tui.panels.search import SearchPanel, is_searched, progress
from supernet_cli.tui.screens.monitor import MonitorScreen

RUNS = Path("runs")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def seen(run: Path) -> RunView:
    """Return what a follower sees of a run."""
    follower, newest = RunFollower(run), None
    while True:
        view, more = follower.poll(100.0)
        newest = view or newest
        if not more:
            assert newest is not None
            return newest


def test_progress_counts_the_trainings_that_the_search_has_chosen() -> None:
    run = under_way(RUNS)
    record_stand_alone(run, "conv1x1_conv1x1_conv1x1", 0, State.FINISHED, 0.87)  # trained before the search
    assert progress(seen(run)) == (3, 1, 4, 6)


def test_a_search_stands_back_while_a_supernet_is_trained() -> None:
    assert is_searched(seen(under_way(RUNS)))
    run = record_run(RUNS, "20261125-030000-lab", blocks=[KERNELS] * 3)
    assert not is_searched(seen(run))
    record_search(run, searched(), names(6))
    assert not is_searched(seen(run))


def test_damaged_results_of_a_search_are_reported_and_break_nothing() -> None:
    run = under_way(RUNS)
    (run / "results" / "search.json").write_text("{")
    (run / "results" / "search-journal.json").write_text("[]")
    view = seen(run)
    assert (view.searched, view.search) == (None, None)
    assert view.problems == ("results/search.json is damaged",)


def test_the_panel_appears_with_the_first_decision_and_follows_the_search() -> None:
    run = record_run(RUNS, preset="lab", state="finished", done=10, blocks=[KERNELS] * 3)
    app = MonitorApp(RUNS, run, now=lambda: BEGIN + 600)

    async def until(pilot: Pilot[None], words: str) -> str:
        text = ""
        for _ in range(400):
            await pilot.pause(0.05)
            panels = app.screen.query(SearchPanel)
            text = panels.first().render().plain if panels else ""
            if words in text:
                return text
        raise AssertionError(f"{words!r} is not in {text!r}")

    async def watched() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            for _ in range(400):
                await pilot.pause(0.05)
                if isinstance(app.screen, MonitorScreen) and app.screen.view is not None:
                    break
            panel = app.screen.query_one(SearchPanel)
            assert not panel.display
            record_search(run, None, names(1))
            await until(pilot, "none is finished yet")
            assert panel.display
            record_search(run, searched(TRAINED[2:3]), names(3))
            assert "c7_c7_c5" in await until(pilot, "◆ pick")
            assert not app.screen.query_one("#upper").display
            record_search(run, searched(TRAINED[:6]), names(6))
            await until(pilot, "c7_c7_c7")
            await pilot.press("e")
            assert not panel.display
            assert app.screen.query_one("#upper").display

    asyncio.run(watched())


def test_the_front_is_drawn_again_only_after_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    drawings: list[int] = []
    monkeypatch.setattr("supernet_cli.tui.panels.search.front_lines", lambda *_: (drawings.append(1), ["a drawing"])[1])
    run, panel = under_way(RUNS), SearchPanel()
    monkeypatch.setattr(SearchPanel, "is_mounted", False)
    follower = RunFollower(run)
    views = [follower.poll(100.0)[0]]
    record_stand_alone(run, "conv1x1_conv1x1_conv1x1", 0, State.FINISHED, 0.87)
    follower = RunFollower(run)
    assert views[0] is not None
    for _ in range(5):
        panel.draw(views[0], 78, 12)
    assert len(drawings) == 1
    panel.draw(views[0], 118, 13)
    assert len(drawings) == 2
