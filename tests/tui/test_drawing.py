from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from supernet_cli.glyphs import short
from supernet_cli.store.job import JobStatus
from supernet_cli.store.layout import JobKey
from supernet_cli.store.snapshot import JobSnapshot, Point
from supernet_cli.store.state import State
from supernet_cli.store.views import JobView, RunView
from supernet_cli.tui.curves import limits, smoothed, trimmed, visible
from supernet_cli.tui.draw import fit, heading
from supernet_cli.tui.panels import jobs
from supernet_cli.tui.plain import to_ascii
from supernet_cli.tui.web import command_line, is_own

BLOCKS = (("conv3x3", "conv5x5", "identity"), ("conv3x3", "sep3x3", "conv3x3x2"))


def test_smoothing_a_constant_gives_it_back() -> None:
    curve = [Point(step, 2.5) for step in range(20)]
    assert [point.value for point in smoothed(curve, 0.9)] == pytest.approx([2.5] * 20)
    assert smoothed(curve, 0.0) == curve


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=200), st.integers(2, 40))
def test_what_is_visible_is_bounded_and_keeps_the_ends(values: list[float], most: int) -> None:
    points = [Point(step, value) for step, value in enumerate(values)]
    shown = visible(points, (0, len(values)), most)
    assert len(shown) <= most or len(shown) == len(points)
    assert (shown[0], shown[-1]) == (points[0], points[-1])


def test_a_window_shows_one_point_beyond_either_edge() -> None:
    points = [Point(step, 1.0) for step in range(0, 100, 10)]
    assert [point.step for point in visible(points, (25, 45), 50)] == [20, 30, 40, 50]
    assert visible(points, (91, 95), 50) == []


@given(st.lists(st.floats(-5, 5), max_size=20))
def test_limits_hold_their_values_with_air(values: list[float]) -> None:
    low, high = limits(values)
    assert low < high
    assert all(low < value < high for value in values)


def test_extreme_values_are_trimmed() -> None:
    assert max(trimmed([1.0] * 199 + [1e9])) == 1.0
    assert trimmed([1.0, 2.0]) == [1.0, 2.0]


def test_counts_are_shortened() -> None:
    assert [short(n) for n in (0, 612, 999.6, 61_234, 999_960, 6_120_000)] == [
        "0",
        "612",
        "1.00k",
        "61.2k",
        "1.00M",
        "6.12M",
    ]


@given(st.text(max_size=40), st.integers(1, 30))
def test_fitted_text_has_its_width_also_with_wide_characters(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width


@given(st.integers(1, 120), st.text(alphabet="abc ", max_size=60))
def test_headings_never_wrap(width: int, info: str) -> None:
    assert heading("Title", width, info).cell_length <= max(width, len("Title") + 2)


def test_ascii_keeps_widths_and_meaning() -> None:
    drawn = "● ✔ ✘ ━━╸ ▁▃█ ┃⠿⠁ é 日 … −0.33"
    plain = to_ascii(drawn)
    assert plain.isascii()
    assert plain == "* v x ==- _.# |*. e ?? ~ -0.33"


def test_the_command_of_the_web_survives_a_shell(tmp_path: object) -> None:
    from pathlib import Path

    line = command_line(Path("/tmp/a b; rm -rf $HOME"), Path("/tmp/x'y"), True)
    import shlex

    assert shlex.split(line)[-5:] == ["--runs-dir", "/tmp/a b; rm -rf $HOME", "--run", "/tmp/x'y", "--ascii"]


@pytest.mark.parametrize(
    ("host", "origin", "own"),
    [
        ("127.0.0.1:8000", None, True),
        ("localhost:8000", "http://localhost:8000", True),
        ("127.0.0.1:8000", "http://127.0.0.1:8000", True),
        ("127.0.0.1:8000", "https://evil.example", False),
        ("127.0.0.1:8000", "null", False),
        ("evil.example:8000", "http://evil.example:8000", False),
        ("127.0.0.1:9000", None, False),
    ],
)
def test_the_web_answers_its_own_pages_alone(host: str, origin: str | None, own: bool) -> None:
    assert is_own(host, origin, 8000) == own


@pytest.mark.parametrize(
    ("host", "state", "told"),
    [("node7", State.RUNNING, True), ("head", State.RUNNING, False), ("node7", State.FINISHED, False)],
)
def test_a_job_that_is_done_on_another_host_says_on_which(host: str, state: State, told: bool) -> None:
    job = JobView(JobKey.parse("standalone/conv3x3_conv3x3/seed-0"), JobStatus(state=state), JobSnapshot(host=host))
    view = RunView("run", Path("run"), host="head", jobs=(job,), blocks=BLOCKS)
    assert (f"seed 0 on {host}" in jobs.JobsPanel().draw(view, 60, 5).plain) is told
