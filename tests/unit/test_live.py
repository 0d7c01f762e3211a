from __future__ import annotations

import io
import os
from itertools import pairwise

import pytest
from rich.console import Console, ConsoleDimensions
from rich.live import Live
from rich.text import Text

from supernet_cli.cli.live import Draw, draw_supernets, drawing
from supernet_cli.cli.live_jobs import draw_jobs
from supernet_cli.cli.resizing import clearing_after_resize
from supernet_cli.cli.watch import PlainLines, Watch
from supernet_cli.glyphs import MARKS, bar, clock, sparkline
from supernet_cli.store.layout import JobKey, Way
from supernet_cli.store.records import (
    DevicesSampled,
    Gpu,
    JobEnded,
    JobStarted,
    PathScore,
    PathsEvaluated,
    StepsTrained,
)
from supernet_cli.store.snapshot import JobSnapshot, RunSnapshot
from supernet_cli.store.state import State
from supernet_cli.workflows.observer import JobRecorder

SIZES = [60, 80, 120, 200]


def watched(paths: int = 4, epochs: int = 3, cores: int = 2, gpus: int = 0) -> RunSnapshot:
    """Return the view of a run that has done some epochs."""
    watch = Watch("20260102-120000-[red]x", [(JobKey.supernet(0), JobSnapshot()), (JobKey.supernet(1), JobSnapshot())])
    job = JobRecorder(watch.take, JobKey.supernet(0))
    job.record(
        JobStarted(
            time=0.0,
            step=0,
            steps=1000,
            epochs=10,
            paths=paths,
            train_images=100,
            validation_images=10,
            device="cpu",
            threads=1,
        )
    )
    for epoch in range(1, epochs + 1):
        for step in range(100 * epoch - 80, 100 * epoch + 1, 20):
            job.record(
                StepsTrained(
                    time=step / 10,
                    step=step,
                    epoch=epoch,
                    objective=1.0,
                    loss=2.0 / step,
                    learning_rate=0.1,
                    forward_images=10 * step,
                    seconds=step / 11,
                )
            )
        scores = tuple(
            PathScore(path=f"conv3x3_conv{n}x{n}", accuracy=0.98 + 0.001 * n / paths + 0.001 * epoch, loss=0.1)
            for n in range(paths)
        )
        job.record(PathsEvaluated(time=epoch * 10.0, step=100 * epoch, epoch=epoch, seconds=1.0, scores=scores))
    JobRecorder(watch.take).record(
        DevicesSampled(
            cores=(50.0,) * cores,
            memory_used_bytes=2**31,
            memory_total_bytes=2**34,
            process_memory_bytes=2**30,
            gpus=tuple(Gpu(name="H100", utilisation=97.0) for _ in range(gpus)),
        )
    )
    return watch.view


def drawn(view: RunSnapshot, width: int, draw: Draw = draw_supernets) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, color_system=None, legacy_windows=False)
    console.print(draw(view, width, 40))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_a_resized_terminal_is_cleared_before_the_next_frame() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=80, height=24, force_terminal=True, color_system=None)
    clear = "\x1b[H\x1b[2J"
    with Live("frame " * 10, console=console, auto_refresh=False) as live, clearing_after_resize(console):
        live.refresh()
        live.refresh()
        assert clear not in stream.getvalue()
        for size in ((40, 24), (40, 40)):
            console.size = ConsoleDimensions(*size)
            before = len(stream.getvalue())
            live.refresh()
            live.refresh()
            assert stream.getvalue()[before:].startswith(clear)
            assert stream.getvalue()[before:].count(clear) == 1


def test_paths_are_listed_by_validation_loss_under_names_of_their_own() -> None:
    watch = Watch("run", [(JobKey.supernet(0), JobSnapshot())])
    paths = ["_".join(["mbconv3x3e6"] * 20 + [last]) for last in ("conv3x3", "conv5x5", "identity")]
    scores = tuple(
        PathScore(path=path, accuracy=accuracy, loss=loss)
        for path, accuracy, loss in zip(paths, (0.9, 0.8, 0.7), (0.3, 0.1, 0.2), strict=True)
    )
    JobRecorder(watch.take, JobKey.supernet(0)).record(PathsEvaluated(step=1, epoch=1, seconds=1.0, scores=scores))
    rows = [line.split() for line in drawn(watch.view, 80)]
    accuracies = [word for row in rows for word, unit in pairwise(row) if unit == "%" and "." in word]
    assert accuracies == ["80.00", "70.00", "90.00"]
    names = [row[1] for row in rows if len(row) > 1 and row[1].startswith("m3")]
    assert len(set(names)) == 3
    assert any("3 paths, by validation loss" in " ".join(row) for row in rows)


@pytest.mark.parametrize("width", SIZES)
def test_jobs_side_by_side_fit_their_terminal_under_names_of_their_own(width: int) -> None:
    blocks = ["conv3x3", "conv5x5", "mbconv3x3e6", "identity", "conv7x7"]
    paths = ["_".join([first, *["conv3x3"] * 3, last]) for first in blocks for last in blocks][:12]
    states = [State(word) for word in ("finished", "running", "created", "diverged", "interrupted", "failed")]
    jobs = tuple(
        (JobKey(Way.ALONE, path, 0), JobSnapshot(state=states[place % 6], step=50, steps=100, reason="it broke"))
        for place, path in enumerate(paths)
    )
    rows = drawn(RunSnapshot("run", jobs, jobs[0][0]), width, draw_jobs)
    assert all(Text(row).cell_len == width for row in rows)
    names = [row.split()[2] for row in rows if row.split()[1] in MARKS.values()]
    assert len(set(names)) == len(names) == 12
    assert "queued" in "".join(rows)


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("options", [{}, {"epochs": 0}, {"paths": 1}, {"paths": 500}, {"cores": 64, "gpus": 2}])
def test_the_live_view_fits_its_terminal(width: int, options: dict[str, int]) -> None:
    lines = drawn(watched(**options), width)
    assert all(Text(line).cell_len == width for line in lines)
    assert len(lines) <= 23


@pytest.mark.parametrize("width", SIZES[1:])
def test_the_live_view_shows_what_a_person_looks_for(width: int) -> None:
    text = "\n".join(drawn(watched(), width))
    for words in (
        "20260102-120000-[red]x",
        "30 %  epoch 3/10  step 300/1,000",
        "0.0067",
        "images/s",
        "1:10 left",
        "conv3x3_conv3x3",
        "98.38 %",
        "cpu",
        "ram 2.0/16.0 GiB",
        "● 0 98.38 %",
        "○ 1",
    ):
        assert words in text


def test_a_space_that_does_not_fit_shows_its_best_and_worst_paths() -> None:
    lines = drawn(watched(paths=500), 120)
    text = "\n".join(lines)
    assert "conv3x3_conv499x499" in text
    assert "conv3x3_conv0x0" in text
    assert "10 of 500 paths" in text


def test_a_gpu_that_says_little_is_shown_as_far_as_it_goes() -> None:
    text = "\n".join(drawn(watched(gpus=1), 120))
    assert "gpu 0 H100  97 %  N/A  N/A  N/A" in text


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([1.0], "▁"),
        ([1.0, 1.0], "▁▁"),
        ([0.0, 1.0], "▁█"),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([0.0] * 8 + [1.0] * 8, "▁▁▁▁████"),
    ],
)
def test_a_sparkline_goes_from_lowest_to_highest(values: list[float], line: str) -> None:
    assert sparkline(values, 8) == line


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "    "), (1.0, "━━━━"), (0.5, "━━  "), (0.65, "━━╸ "), (7.0, "━━━━")]
)
def test_a_bar_is_exact_to_half_a_column(share: float, text: str) -> None:
    assert bar(share, 4) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-:--"), (0.4, "0:00"), (59.6, "1:00"), (3723, "1:02:03"), (-5, "0:00")]
)
def test_durations_read_as_a_clock(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text


def test_plain_lines_are_one_an_epoch_and_one_for_an_early_end() -> None:
    out = io.StringIO()
    lines = PlainLines(out)
    view = watched()
    score = PathScore(path="a_[b]", accuracy=0.5, loss=1.0)
    lines(view, PathsEvaluated(step=300, epoch=3, seconds=1.0, scores=(score,)))
    lines(view, StepsTrained(step=1, epoch=1, objective=1, loss=1, learning_rate=1, forward_images=1, seconds=1))
    lines(view, JobEnded(step=300, state="stopped", reason="stop requested"))
    lines(view, JobEnded(step=300, state="finished"))
    first, second = out.getvalue().splitlines()
    assert first.startswith("supernet/seed-0  epoch 3/10  loss 0.0067  1 paths 50.00 to 50.00 %  best a_[b]")
    assert second == "supernet/seed-0  stopped at step 300: stop requested"


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_can_be_drawn(loss: float) -> None:
    watch = Watch("run", [(JobKey.supernet(0), JobSnapshot())])
    for value in (1.0, loss):
        record = StepsTrained(
            step=1, epoch=1, objective=value, loss=value, learning_rate=1, forward_images=1, seconds=1
        )
        JobRecorder(watch.take, JobKey.supernet(0)).record(record)
    assert "1.0000" in "\n".join(drawn(watch.view, 80))


def test_a_terminal_of_no_session_of_ours_is_drawn_on_and_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not the controlling one, as under `setsid`, and does not say which process is in front."""
    termios = pytest.importorskip("termios")
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as terminal, os.fdopen(ours):
        monkeypatch.setattr("sys.stdin", terminal)
        before = termios.tcgetattr(terminal)
        stream = io.StringIO()
        with drawing(Watch("a-run", [(JobKey.supernet(0), JobSnapshot())]), stream, draw_supernets):
            assert termios.tcgetattr(terminal) == before
