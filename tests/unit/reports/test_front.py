"""The front in plain text: what is marked, where it stands, and that it fits."""

from __future__ import annotations

import re

import pytest
from searches import searched

from supernet_cli.cli.streams import _READABLE
from supernet_cli.reports.search.document import Axis, Searched
from supernet_cli.reports.search.front import MARKS, front_lines
from supernet_cli.reports.search.points import ACROSS, Kind, points, staircase
from supernet_cli.tui.plain import to_ascii

SIZES = [(60, 14), (80, 14), (120, 14), (38, 10), (78, 9)]
SEVERAL = {
    "small": searched((2,), blocks=1),
    "few": searched(),
    "forty": searched(range(0, 64, 3)),
    "limited": searched(most=4e6),
}


def drawn(found: Searched, width: int = 80, height: int = 14) -> list[str]:
    """Return the rows of the drawing alone, without axis and legend."""
    return [line for line in front_lines(found, width, height) if re.match(r" *[0-9.]* ?[┤│]", line)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("name", SEVERAL)
def test_a_drawing_fits_its_room(name: str, width: int, height: int) -> None:
    lines = front_lines(SEVERAL[name], width, height)
    assert 0 < len(lines) <= height
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("name", SEVERAL)
def test_the_legend_names_each_mark_that_is_drawn_and_no_other(name: str) -> None:
    lines = front_lines(SEVERAL[name], 80)
    body, legend = "".join(drawn(SEVERAL[name])), " ".join(lines[-2:])
    for kind, mark in MARKS.items():
        assert (mark in body) == (f"{mark} {kind}" in legend), kind


def test_each_path_stands_at_its_accuracy_and_cost() -> None:
    found = searched()
    lines = drawn(found)
    margin = len(re.match(r"[ 0-9.]*[┤│]", lines[0])[0])  # type: ignore[index]
    rows = dict(enumerate(lines))
    (row,) = (number for number, line in rows.items() if MARKS[Kind.PICK] in line)
    column = lines[row].index(MARKS[Kind.PICK]) - margin
    shown = points(found)
    pick = shown[-1]
    assert pick.kind is Kind.PICK
    assert pick.path.path == found.pick.path
    low, high = min(point.x for point in shown), max(point.x for point in shown)
    air = 0.06 * (high - low)
    share = (pick.x - low + air) / (high - low + 2 * air)
    assert column == pytest.approx(share * (80 - margin), abs=1)
    labelled = {float(match[1]): number for number, line in rows.items() if (match := re.match(r" *([0-9.]+) ┤", line))}
    assert len(labelled) >= 2
    (one, at_one), (other, at_other) = sorted(labelled.items())[0], sorted(labelled.items())[-1]
    expected = at_one + (pick.y - one) / (other - one) * (at_other - at_one)
    assert row == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("against", ACROSS)
def test_every_figure_has_an_axis_and_paths_of_unknown_cost_are_left_out(against: Axis) -> None:
    found = searched(against=against)
    lines = front_lines(found, 80)
    assert any(f"{ACROSS[against].label} →" in line for line in lines)
    known = [path for path in found.front if path.along(against) is not None]
    assert [point.path for point in staircase(found)] == known
    assert (against == "latency") == (len(known) < len(found.front))


def test_equal_costs_and_equal_accuracies_are_drawn_around_a_tick() -> None:
    found = searched()
    same = {"macs": 1_000_000, "accuracy": 0.9}
    pick = found.pick.model_copy(update=same)
    alike = found.model_copy(update={"pick": pick, "front": (pick,), "paths": (pick,)})
    lines = front_lines(alike, 60)
    (row,) = (line for line in lines if re.match(rf"[ 0-9.]+[┤│].*{MARKS[Kind.PICK]}", line))
    assert row.split()[0] in ("90.0", "90")
    assert re.search(r"\b1M\b", lines[-2])
    assert "front" not in lines[-1]


def test_nothing_is_labelled_above_a_hundred_per_cent() -> None:
    found = searched()
    pick = found.pick.model_copy(update={"accuracy": 0.9999})
    lines = front_lines(found.model_copy(update={"pick": pick, "front": (pick,), "paths": (pick,)}), 80)
    labels = [float(match[1]) for line in lines if (match := re.match(r" *([0-9.]+) ┤", line))]
    assert labels
    assert max(labels) <= 100


def test_the_pick_is_named_and_names_touch_nothing() -> None:
    for found in SEVERAL.values():
        text = "\n".join(drawn(found, 120))
        assert found.pick.path in text
        assert not re.search(rf"[a-z0-9][{''.join(MARKS.values())}⠀-⣿]|[{''.join(MARKS.values())}⠀-⣿][a-z0-9]", text)


def test_there_is_no_drawing_without_room_or_costs() -> None:
    found = searched(against="latency")
    unknown = found.pick.model_copy(update={"latency_seconds": None})
    assert front_lines(found, 20) == []
    assert front_lines(found, 80, 5) == []
    assert front_lines(found.model_copy(update={"pick": unknown, "front": (), "paths": (unknown,)}), 80) == []


@pytest.mark.parametrize("accuracy", [0.0, 1.0, 1e290, -3.0])
@pytest.mark.parametrize("macs", [0, -5, 10**290])
def test_what_somebody_else_wrote_breaks_nothing(macs: int, accuracy: float) -> None:
    found = searched()
    odd = found.pick.model_copy(update={"macs": macs, "accuracy": accuracy, "path": "a\nb[red]\x1b[0m"})
    for paths in ((odd,), (odd, *found.paths)):
        lines = front_lines(found.model_copy(update={"pick": odd, "front": (odd,), "paths": paths}), 80)
        assert all(line.isprintable() and len(line) <= 80 for line in lines)


@pytest.mark.parametrize("plain", ["screen", "stream"])
def test_marks_stay_apart_in_ascii(plain: str) -> None:
    forms = [to_ascii(mark) if plain == "screen" else _READABLE[mark] for mark in MARKS.values()]
    assert len(set(forms)) == len(forms)
    text = "\n".join(front_lines(searched(most=4e6), 80))
    ascii_text = to_ascii(text) if plain == "screen" else "".join(_READABLE.get(c, c) for c in text)
    assert ascii_text.isascii()
    assert all(len(line) <= 80 for line in ascii_text.splitlines())
    assert re.search(r"-{3,}", ascii_text)
