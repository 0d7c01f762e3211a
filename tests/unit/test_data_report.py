"""The data report: as a file of a run, and as what a terminal shows."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from supernet_cli.cli.data_report import drawn_report
from supernet_cli.errors import DiskError
from supernet_cli.store.data_report import (
    ClassCount,
    DataReport,
    Links,
    Sizes,
    SkippedFile,
    keep_data_report,
)


def report(classes: int, **facts: object) -> DataReport:
    rows = [ClassCount(name=f"class-{n:03d}", train=10 + n, validation=2, test=3) for n in range(classes)]
    sizes = Sizes(
        min_width=8, max_width=1200, min_height=9, max_height=9, most_common=(20, 9), most_common_images=classes
    )
    return DataReport(folder="/my/images", layout="splits", sizes=sizes, modes={"RGB": 15}, classes=rows, **facts)  # type: ignore[arg-type]


def lines_of(shown: DataReport, width: int = 80) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False, color_system=None)
    for part in drawn_report(shown):
        console.print(part)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_report_is_kept_in_the_runs_folder_with_all_that_it_says(tmp_path: Path) -> None:
    kept = report(2, links=Links(followed=1, dangling=2), skipped=[SkippedFile(file="/a/b", reason="c")], notes=["é\n"])
    keep_data_report(tmp_path, kept)
    assert DataReport.model_validate_json((tmp_path / "data.json").read_bytes()) == kept


def test_a_report_that_cannot_be_written_is_a_disk_error(tmp_path: Path) -> None:
    with pytest.raises(DiskError):
        keep_data_report(tmp_path / "nowhere", report(2))


def test_one_line_says_how_many_images_each_split_has() -> None:
    assert report(2).line() == "31 images of 2 classes: 21 train, 4 validation, 6 test"
    assert report(1, skipped_count=1).line().endswith("; 1 file skipped (see data.json)")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_few_classes_are_shown_one_by_one(width: int) -> None:
    lines = lines_of(
        report(12, skipped=[SkippedFile(file="/my/images/a/x.png", reason="a pipe")], skipped_count=9), width
    )
    assert lines[0].split() == ["class", "train", "validation", "test"]
    assert [line.split() for line in lines[1:13]] == [[f"class-{n:03d}", f"{10 + n}", "2", "3"] for n in range(12)]
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "a/x.png: a pipe and 8 more" in text
    assert "8 to 1200 wide, 9 high" in text
    assert "15 colour (RGB)" in text


def test_many_classes_are_folded_into_a_summary_that_fits_a_small_terminal() -> None:
    warnings = ["192 classes have no validation images: a, b, c, d, e and 187 more."]
    lines = lines_of(report(200, conversions={"stretched to a square": 7}, notes=["n"], warnings=warnings))
    assert len(lines) <= 24
    assert lines[0].split() == ["classes", "200"]
    assert "10 to 209 per class, median 109" in lines[1]
    assert "class-000 (10)" in lines[2]
