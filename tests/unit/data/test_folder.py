"""Folders of images: what is read as which class and split, what is refused, and that nothing happens in silence."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from folders import images, load, split, two_classes
from PIL import Image

from supernet_cli.data import load_dataset, split_validation
from supernet_cli.errors import DataError, PresetError
from supernet_cli.store.data_report import DataReport, Links

pytestmark = pytest.mark.usefixtures("cache")


def counts(report: DataReport) -> dict[str, tuple[int, int, int]]:
    return {each.name: (each.train, each.validation, each.test) for each in report.classes}


def reasons(report: DataReport) -> dict[str, str]:
    return {Path(each.file).name: each.reason for each in report.skipped}


# Classes


def test_the_report_counts_every_image_by_class_and_split(root: Path) -> None:
    two_classes(root)
    splits = split(root)
    by_hand = {
        name: tuple(int((part.labels == label).sum()) for part in (splits.train, splits.validation, splits.test))
        for label, name in enumerate(("cats", "dogs"))
    }
    assert counts(splits.report) == by_hand
    assert sum(map(sum, by_hand.values())) == 48
    assert splits.report.layout == "classes"
    assert splits.report.folder == str(root)
    assert splits.report.modes == {"RGB": 48}
    assert splits.report.warnings == []


def test_a_class_that_only_the_test_split_has_is_refused_by_name(root: Path) -> None:
    two_classes(root)
    file, seed = root / "rare" / "000.png", 0
    while not file.is_file() or hashlib.sha256(file.read_bytes()).digest()[0] >= 40:  # its content sends it to test
        seed += 1
        images(root / "rare", 1, seed)
    with pytest.raises(DataError, match=f"{root}: 1 class has no training images: rare") as caught:
        split(root).report.check_trainable()
    assert "data.root" in caught.value.hint


def test_a_class_without_test_or_validation_images_is_warned_about_by_name(root: Path) -> None:
    for part, names in (("train", "ab"), ("val", "a"), ("test", "b")):
        for name in names:
            images(root / part / name, 4, 10 * len(part) + ord(name))
    warnings = split(root).report.warnings
    assert any("no validation images: b" in warning for warning in warnings)
    assert any("no test images: a" in warning for warning in warnings)


def test_a_folder_that_holds_the_classes_one_level_down_is_pointed_at(root: Path) -> None:
    two_classes(root / "train set")
    with pytest.raises(DataError, match="1 class folder") as caught:
        load(root)
    assert f"--data-root '{root}/train set'" in caught.value.hint


def test_names_of_any_kind_are_classes_and_files(root: Path) -> None:
    names = ["[red]x", "UPPER", "naïve 猫", "new\nline"]
    for seed, name in enumerate(names):
        images(root / name / "deep" / "er", 12, seed)
    broken = os.fsencode(root / "UPPER") + b"/\xff.png"
    Path(os.fsdecode(broken)).write_bytes(b"no image")
    report = split(root, skip_broken=True).report
    assert [each.name for each in report.classes] == sorted(names)
    assert [each.file for each in report.skipped] == [f"{root}/UPPER/\\xff.png"]
    assert DataReport.model_validate_json(report.model_dump_json()) == report


def test_too_large_a_validation_split_is_refused_with_one_that_fits(root: Path) -> None:
    two_classes(root)
    with pytest.raises(
        PresetError, match=r"data.validation = 5,000, but the data set has \d+ training images"
    ) as caught:
        split(root, validation=5000)
    assert "--set data.validation=" in caught.value.hint


# Links


def test_linked_folders_and_files_within_a_class_are_read(root: Path, tmp_path: Path) -> None:
    two_classes(root, 12)
    images(tmp_path / "store" / "batch2", 12, 3)
    (root / "cats" / "batch2").symlink_to(tmp_path / "store" / "batch2")
    (root / "dogs" / "one.png").symlink_to(tmp_path / "store" / "batch2" / "000.png")
    report = split(root, validation=4).report
    assert sum(each.images for each in report.classes) == 12 + 12 + 12 + 1
    assert report.links == Links(followed=2, dangling=0)


def test_a_loop_of_links_ends_and_is_listed(root: Path, tmp_path: Path) -> None:
    two_classes(root, 12)
    images(tmp_path / "store" / "owls", 12, 3)
    images(tmp_path / "store" / "others", 12, 4)
    (root / "owls").symlink_to(tmp_path / "store" / "owls")
    (root / "dogs" / "owls").symlink_to(root / "owls")
    loops = {"up": root, "same": root / "cats", "above": root.parent}
    for name, target in loops.items():
        (root / "cats" / name).symlink_to(target)
    (tmp_path / "store" / "owls" / "round").symlink_to(tmp_path / "store")
    report = split(root, validation=4).report
    assert [each.images for each in report.classes] == [12, 24, 12]
    assert set(reasons(report)) == {*loops, "round"}
    assert all("contains it" in reason for reason in reasons(report).values())


def test_what_is_no_file_and_links_that_point_nowhere_are_refused_or_skipped(root: Path) -> None:
    two_classes(root, 12)
    os.mkfifo(root / "cats" / "pipe.png")
    (root / "cats" / "gone.png").symlink_to("nowhere.png")
    (root / "dogs" / "self.png").symlink_to("self.png")
    (root / "birds").symlink_to("nowhere")
    with pytest.raises(DataError, match=f"4 files in {root}") as caught:
        load(root)
    assert all(name in caught.value.message for name in ("pipe.png", "gone.png", "self.png", "birds", "nowhere.png"))
    report = split(root, validation=4, skip_broken=True).report
    assert set(reasons(report)) == {"pipe.png", "gone.png", "self.png", "birds"}
    assert (report.skipped_count, report.links.dangling) == (4, 3)
    assert report.line().endswith("; 4 files skipped (see data.json)")


def test_files_beside_the_classes_and_hidden_ones_are_reported(root: Path) -> None:
    two_classes(root)
    (root / "labels.csv").write_text("a,b")
    (root / "cats" / ".DS_Store").write_text("x")
    report = split(root).report
    assert reasons(report) == {"labels.csv": "not in a class folder"}
    assert any("1 hidden" in note for note in report.notes)


def test_a_long_list_of_skipped_files_is_cut_and_counted(root: Path) -> None:
    two_classes(root)
    for number in range(150):
        (root / f"{number}.txt").write_text("x")
    report = split(root).report
    assert (len(report.skipped), report.skipped_count) == (100, 150)


# Given splits


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "valid", "TEST"), ("train", "validation", "test")]
)
def test_given_splits_are_read_as_they_are(root: Path, names: tuple[str, str, str]) -> None:
    for seed, (part, number) in enumerate(zip(names, (7, 5, 3), strict=True)):
        images(root / part / "cats", number, seed)
        images(root / part / "dogs", number + 1, seed + 10)
    splits = split(root, validation=5000)  # its own validation split counts, not data.validation
    assert splits.classes == ("cats", "dogs")
    assert counts(splits.report) == {"cats": (7, 5, 3), "dogs": (8, 6, 4)}
    assert splits.report.layout == "splits"
    assert any("data.validation is not used" in note for note in splits.report.notes)
    expected = np.array(Image.open(root / names[1] / "cats" / "002.png"))
    assert torch.equal(splits.validation.images[2], torch.from_numpy(expected))


def test_what_given_splits_lack_is_taken_from_training(root: Path) -> None:
    for part in ("train", "test"):
        for seed, name in enumerate(("cats", "dogs")):
            images(root / part / name, 20, seed + 10 * len(part))
    report = split(root, validation=6).report
    assert (report.images("train"), report.images("validation"), report.images("test")) == (34, 6, 40)
    (root / "test").rename(root / "val")
    report = split(root).report
    assert report.images("validation") == 40
    assert report.images("train") + report.images("test") == 40
    assert report.images("test") > 0
    assert any("no test/" in note for note in report.notes)


def test_a_class_that_train_lacks_is_refused_by_name(root: Path) -> None:
    for seed, part in enumerate(("train", "test")):
        images(root / part / "cats", 6, seed)
        images(root / part / "dogs", 6, seed + 10)
    (root / "train" / "dogs").rename(root / "train" / "Dogs")
    with pytest.raises(DataError, match="1 class has no training images: dogs"):
        split(root, validation=2).report.check_trainable()


def test_an_image_in_two_splits_or_two_classes_is_warned_about(root: Path) -> None:
    for seed, part in enumerate(("train", "test")):
        images(root / part / "cats", 6, seed)
        images(root / part / "dogs", 6, seed + 10)
    leaked = root / "train" / "cats" / "000.png"
    (root / "test" / "cats" / "again.png").write_bytes(leaked.read_bytes())
    (root / "train" / "dogs" / "again.png").write_bytes((root / "train" / "cats" / "001.png").read_bytes())
    report = split(root, validation=2).report
    assert any("1 image is in more than one split" in w and "test/cats/again.png" in w for w in report.warnings)
    assert any("1 image is in more than one class" in w and "train/dogs/again.png" in w for w in report.warnings)
    assert any("2 files are exact copies" in note for note in report.notes)


def test_classes_that_are_really_called_train_and_test_are_classes(root: Path) -> None:
    images(root / "train", 12, 1)
    images(root / "test", 12, 2)
    report = split(root, validation=4).report
    assert [each.name for each in report.classes] == ["test", "train"]
    assert any("are read as classes" in warning for warning in report.warnings)


def test_split_folders_beside_others_are_warned_about(root: Path) -> None:
    for seed, part in enumerate(("train", "test", "extra")):
        for name in ("cats", "dogs"):
            images(root / part / name, 6, seed + len(name))
    report = split(root, validation=4).report
    assert [each.name for each in report.classes] == ["extra", "test", "train"]
    assert any("extra/" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (("train/a", "train/b", "test"), "test/ holds images outside class folders"),
        (("train/a", "train/b", "val/a", "valid/a"), "the validation split is there twice"),
        (("val/a", "test/a"), "train/ is missing"),
        (("train/a", "test/a"), "1 class folder"),
    ],
)
def test_half_given_splits_are_refused(root: Path, layout: tuple[str, ...], words: str) -> None:
    for seed, place in enumerate(layout):
        images(root / place, 4, seed)
    with pytest.raises(DataError, match=words):
        load(root)


def test_a_split_folder_without_classes_is_refused(root: Path) -> None:
    two_classes(root / "train")
    (root / "test").mkdir()
    with pytest.raises(DataError, match="test/ holds no class folders"):
        load(root)


# Deep greyscale and other conversions


def deep(root: Path, low: int, high: int, dtype: type = np.uint16, suffix: str = "png") -> None:
    """Write images of one value each, from low to high in 24 steps: every image is darker than the next."""
    for index, value in enumerate(np.linspace(low, high, 24)):
        where = root / ("a" if index % 2 else "b")
        where.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 6), value).astype(dtype)).save(where / f"{index:02d}.{suffix}")


def values(root: Path) -> list[int]:
    """Return the grey value of each image, in the order in which `deep` wrote them."""
    found = load(root, channels=1)
    pixels = torch.cat([found.training.images, found.test.images])[:, 4, 4, 0].tolist()
    return sorted(pixels)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "suffix", "expected"),
    [
        (0, 65535, np.uint16, "png", lambda value: value // 256),  # 16 bits in use
        (0, 4095, np.uint16, "png", lambda value: value // 16),  # 12 bits in a 16-bit file
        (0, 255, np.uint16, "tiff", lambda value: value),  # 8 bits
        (
            32768,
            32768 + 4095,
            np.uint16,
            "png",
            lambda value: (value - 32768) * 256 / 4095,
        ),  # an offset, as of scanners
        (-1000, 3000, np.int32, "tiff", lambda value: (value + 1000) * 256 / 4000),
        (0, 1, np.float32, "tiff", lambda value: value * 256),
        (-7, 1e6, np.float32, "tiff", lambda value: (value + 7) * 256 / 1000007),
    ],
)
def test_deep_greyscale_is_scaled_by_its_range_and_never_clipped(
    root: Path, low: int, high: int, dtype: type, suffix: str, expected: object
) -> None:
    deep(root, low, high, dtype, suffix)
    written = np.linspace(low, high, 24).astype(dtype).astype(float)
    wanted = [min(255, int(expected(value))) for value in written]  # type: ignore[operator]
    assert np.abs(np.array(values(root)) - wanted).max() <= 1
    assert len(set(values(root))) == 24
    (scaling,) = [what for what in load(root).facts.conversions if "scaled from" in what]
    assert "one range for all images" in scaling


def test_images_of_one_value_keep_their_differences_in_brightness(root: Path) -> None:
    """A range for each image would make all of them black, or all white."""
    deep(root, 1000, 3000)
    assert len(set(values(root))) == 24


def test_pixels_that_are_no_number_are_black_and_reported(root: Path) -> None:
    deep(root, 0, 1, np.float32, "tiff")
    pixels = np.full((6, 6), np.nan, np.float32)
    Image.fromarray(pixels).save(root / "a" / "nothing.tiff")
    pixels[0] = 1
    Image.fromarray(pixels).save(root / "a" / "partly.tiff")
    with pytest.raises(DataError, match=r"nothing\.tiff: no pixel is a finite number"):
        load(root)
    assert load(root, skip_broken=True).facts.conversions["NaN and infinite pixels made black"] == 1


def test_conversions_are_counted(root: Path) -> None:
    two_classes(root)
    Image.new("RGBA", (8, 8)).save(root / "cats" / "clear.png")
    Image.new("CMYK", (8, 9)).save(root / "cats" / "print.jpg")
    Image.new("L", (8, 8), 3).save(root / "cats" / "grey.png")
    frames = [Image.new("RGB", (8, 8), (value, 0, 0)) for value in (10, 99)]
    frames[0].save(root / "cats" / "moving.webp", save_all=True, append_images=frames[1:], lossless=True)
    facts = load(root).facts
    assert facts.modes == {"RGB": 49, "RGBA": 1, "CMYK": 1, "L": 1}
    assert facts.conversions == {
        "transparency placed on white": 1,
        "CMYK converted to RGB": 1,
        "stretched to a square": 1,
        "greyscale to colour": 1,
        "only the first frame used": 1,
    }
    assert facts.sizes is not None
    assert (facts.sizes.most_common, facts.sizes.most_common_images, facts.sizes.max_height) == ((8, 8), 51, 9)


def test_the_report_is_the_same_when_images_come_from_the_cache(root: Path) -> None:
    two_classes(root)
    deep(root / "cats", 0, 4095)
    (root / "dogs" / "broken.png").write_bytes(b"x")
    first, second = (split(root, skip_broken=True) for _ in range(2))
    assert first.report == second.report
    assert torch.equal(first.train.images, second.train.images)


# Shipped data sets


def test_a_shipped_data_set_has_a_report_too(digits: Path) -> None:
    report = split_validation(load_dataset("mnist", digits), 100, 0).report
    assert report.layout == "shipped"
    assert (report.images("train"), report.images("validation"), report.images("test")) == (500, 100, 200)
    assert report.modes == {"L": 800}
    assert report.sizes is not None
    assert report.sizes.most_common == (12, 12)
    assert report.line() == "800 images of 10 classes: 500 train, 100 validation, 200 test"
