from __future__ import annotations

import os
from pathlib import Path

import pytest
import tomli

from supernet_cli.config.catalog import entries
from supernet_cli.config.document import copy_text
from supernet_cli.config.load import dump_toml, load_preset, validate
from supernet_cli.config.presets import find_preset, list_presets, shipped_folder
from supernet_cli.config.settings import apply_setting
from supernet_cli.errors import PresetError

SHIPPED = ["default", "quick", "reference"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_preset_loads_and_survives_being_written(name: str) -> None:
    preset = load_preset(name).preset
    assert validate(tomli.loads(dump_toml(preset)), Path("copy.toml")) == preset


def test_shipped_presets_are_found_wherever_the_package_is_installed() -> None:
    assert {preset.name for preset in list_presets()} >= set(SHIPPED)
    assert (shipped_folder() / "default.toml").is_file()


def test_a_preset_in_the_current_folder_hides_a_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "presets" / "quick.toml"
    own.parent.mkdir()
    own.write_text('[[space.blocks]]\ncandidates = ["conv3x3"]\n')
    assert len(load_preset("quick").preset.space.blocks) == 1


def test_the_reference_recipe_is_the_published_one() -> None:
    preset = load_preset("reference").preset
    train = preset.train
    assert (train.epochs, train.batch_size, train.renew_optimizer, train.schedule) == (100, 256, True, None)
    assert (train.optimizer.name, train.optimizer.parameters) == ("SGD", {"lr": 0.001, "momentum": 0.9})
    assert train.sampler.name == "epoch"
    assert (preset.data.standardize, preset.data.shift) == (False, 0)
    assert [block.channels for block in preset.space.blocks] == [32, 32]
    assert preset.space.hidden == 64
    assert preset.standalone_recipe().epochs == 100


def test_retrain_inherits_what_it_does_not_give() -> None:
    preset = load_preset("default", ["retrain.epochs=2", "train.batch_size=31"]).preset
    recipe = preset.standalone_recipe()
    assert (recipe.epochs, recipe.batch_size, recipe.optimizer) == (2, 31, preset.train.optimizer)


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("train.epochs=3", lambda p: p.train.epochs == 3),
        ("train.sampler=epoch", lambda p: p.train.sampler.name == "epoch"),
        ('train.sampler="epoch"', lambda p: p.train.sampler.name == "epoch"),
        ("train.optimizer.lr=0.5", lambda p: p.train.optimizer.parameters["lr"] == 0.5),
        ("train.optimizer=SGD", lambda p: p.train.optimizer.parameters == {}),
        ("space.blocks.1.channels=7", lambda p: p.space.blocks[1].channels == 7),
        ('space.blocks.0.candidates=["conv7x7"]', lambda p: p.space.blocks[0].candidates[0].label == "conv7x7"),
        ('space.blocks.0.candidates.1="conv1x1"', lambda p: p.space.blocks[0].candidates[1].label == "conv1x1"),
        ("data.root=/some/where", lambda p: p.data.root == "/some/where"),
        ("train.seeds=[3, 4]", lambda p: p.train.seeds == (3, 4)),
        ("runtime.device=cuda:1", lambda p: p.runtime.device == "cuda:1"),
    ],
)
def test_a_setting_changes_one_key(setting: str, found: object) -> None:
    assert found(load_preset("default", [setting]).preset)  # type: ignore[operator]


def test_a_setting_of_a_default_that_the_file_does_not_mention_keeps_its_other_parameters(tmp_path: Path) -> None:
    path = tmp_path / "short.toml"
    path.write_text('[[space.blocks]]\ncandidates = ["conv3x3"]\n')
    optimizer = load_preset(str(path), ["train.optimizer.lr=0.5"]).preset.train.optimizer
    assert (optimizer.name, optimizer.parameters) == ("AdamW", {"lr": 0.5, "weight_decay": 0.01})


def test_a_thing_given_by_its_name_alone_can_get_parameters() -> None:
    table = {"train": {"optimizer": "SGD"}}
    apply_setting(table, "train.optimizer.lr=0.1")
    assert table == {"train": {"optimizer": {"name": "SGD", "lr": 0.1}}}


CANDIDATES = "space.blocks.0.candidates"

BROKEN_FILES = [
    (b"[train\nepochs = 3", "is not valid TOML"),
    (b"[train]\nepochs = \xff", "is not UTF-8"),
    (b"", "'space' is missing"),
    (b"[space]\n", "'space.blocks' is missing"),
    (b"x = " + b"[" * 5000, "is not valid TOML"),
    (b"#" * 1_000_001, "larger than a preset can be"),
    (b"[train]\nepochs = 3\nepochs = 4\n", "is not valid TOML"),
    (b'[[space.blocks]]\ncandidates = ["conv3x3"]\n[train]\nepoch = 1', "Did you mean 'train.epochs'?"),
    (b'train = 3\n[[space.blocks]]\ncandidates = ["conv3x3"]', "train = 3"),
]


@pytest.mark.parametrize(("content", "words"), BROKEN_FILES)
def test_a_wrong_file_is_told_with_its_name(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(PresetError) as caught:
        load_preset(str(path))
    assert words in caught.value.message
    assert str(path) in caught.value.message


@pytest.mark.parametrize("name", ["defalt", "Default"])
def test_a_mistyped_preset_names_the_nearest(name: str) -> None:
    with pytest.raises(PresetError) as caught:
        load_preset(name)
    assert "'default'" in caught.value.hint


@pytest.mark.parametrize("name", ["nowhere/x.toml", "nowhere.toml", "."])
def test_a_preset_that_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(PresetError):
        load_preset(name)


def test_what_is_there_and_no_preset_file_is_called_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    for name, words in (
        ("folder.toml", "is a folder, not a preset file"),
        ("pipe.toml", "is a pipe or a device"),
        ("loop.toml", "cannot be read: Too many levels of symbolic links"),
        ("x" * 300 + ".toml", "cannot be read: File name too long"),
        ("none.toml", "There is no preset file"),
        ("none\0.toml", "There is no preset file"),
    ):
        with pytest.raises(PresetError, match=words):
            load_preset(str(tmp_path / name))


def test_a_preset_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "marked.toml"
    path.write_text((shipped_folder() / "quick.toml").read_text(), encoding="utf-8-sig")
    file = find_preset(str(path))
    assert load_preset(str(path)).preset == load_preset("quick").preset
    assert file.summary() == find_preset("quick").summary()
    assert copy_text(file) == copy_text(find_preset("quick"))


def test_the_catalog_is_read_from_the_files_without_importing_them() -> None:
    assert {"conv", "identity"} <= set(entries("operation"))
    assert {"uniform", "epoch"} <= set(entries("sampler"))
    assert "mnist" in entries("dataset")
    assert entries("operation")["conv"].required == {"kernel"}
    assert entries("sampler")["path-dropout"].parameters == ("rate", "ghost", "combine")
    assert all(entry.summary for kind in ("operation", "sampler", "dataset") for entry in entries(kind).values())


def test_a_stacked_candidate_gets_a_label_that_says_so() -> None:
    preset = load_preset("default", [f'{CANDIDATES}=["conv3x3", {{op="conv", kernel=3, repeat=2}}]']).preset
    assert [candidate.label for candidate in preset.space.blocks[0].candidates] == ["conv3x3", "conv3x3x2"]
