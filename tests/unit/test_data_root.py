from __future__ import annotations

import os
from pathlib import Path

import pytest

from supernet_cli.config.load import load_preset
from supernet_cli.errors import PresetError

SPACE = '[[space.blocks]]\ncandidates = ["conv3x3"]\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a preset whose images are in `images`; the working directory is another folder."""
    folder, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for each in (folder, elsewhere):
        each.mkdir()
    (folder / "mine.toml").write_text(f'[data]\nroot = "images"\n{SPACE}')
    monkeypatch.chdir(elsewhere)
    return folder


def root_of(preset: Path, *settings: str) -> str:
    return load_preset(str(preset), settings).preset.data.root


def test_a_relative_root_in_a_file_begins_at_the_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "images").mkdir()
    Path("images").mkdir()
    assert root_of(project / "mine.toml") == str(project / "images")
    assert root_of(Path(os.path.relpath(project / "mine.toml"))) == str(project / "images")
    assert capsys.readouterr().err == ""


def test_a_folder_that_is_only_in_the_working_directory_is_used_with_a_warning(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("images").mkdir()
    assert root_of(project / "mine.toml") == str(Path("images").absolute())
    warning = capsys.readouterr().err
    assert warning.startswith("warning: ")
    assert str(project) in warning
    assert str(Path("images").absolute()) in warning


def test_a_folder_that_is_nowhere_is_looked_for_beside_the_preset(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load_preset(str(project / "mine.toml"))
    assert loaded.preset.data.root == str(project / "images")
    assert loaded.root is not None
    assert loaded.root.explanation() == f'data.root = "images" is relative to the preset\'s folder, {project}.'
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("setting", ["data.root=pictures", 'data={root="pictures"}'])
def test_a_relative_root_that_is_typed_begins_at_the_working_directory(
    setting: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("images").mkdir()  # which would be warned about, were it still used
    (project / "pictures").mkdir()
    assert root_of(project / "mine.toml", setting) == str(Path("pictures").absolute())
    assert capsys.readouterr().err == ""


def test_whole_paths_and_home_folders_mean_what_they_say(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert root_of(project / "mine.toml", "data.root=/some/where") == "/some/where"
    assert root_of(project / "mine.toml", "data.root=~/images") == "/home/somebody/images"


@pytest.mark.parametrize("path", [r"C:\new\training", r"C:\temp", r"D:\fruit\bananas"])
def test_a_windows_path_whose_backslashes_make_other_characters_is_an_error(path: str, project: Path) -> None:
    (project / "windows.toml").write_text(f'[data]\nroot = "{path}"\n{SPACE}')
    with pytest.raises(PresetError, match=r"data\.root.*single quotes, or forward slashes"):
        load_preset(str(project / "windows.toml"))


def test_a_preset_without_a_root_gets_none(project: Path) -> None:
    (project / "plain.toml").write_text(SPACE)
    loaded = load_preset(str(project / "plain.toml"))
    assert (loaded.preset.data.root, loaded.root) == ("", None)
