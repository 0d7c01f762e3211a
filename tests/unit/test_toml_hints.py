from __future__ import annotations

from pathlib import Path

import pytest

from supernet_cli.config.load import load_preset
from supernet_cli.errors import PresetError

MISTAKES = [
    (r'root = "C:\Users\me\images"', "'C:\\Users\\me\\images' or \"C:/Users/me/images\""),
    (r'root = "C:\data\images"', "'C:\\data\\images' or \"C:/data/images\""),
    (r'root = "\\server\Users"', "single quotes"),
    (r'root = "images\dogs"', "backslash"),
    ("dataset = mnist", 'Strings need quotes: "mnist".'),
    ("root = /home/me/images", 'Strings need quotes: "/home/me/images".'),
    ("standardize = True", "Write true, in lower case"),
    ("standardize = False", "Write false, in lower case"),
    ("standardize = yes", "Write true, in lower case"),
    ("root = None", "remove the key"),
    ("test = .5", "0.5"),
    ("test = 5.", "Numbers need a digit after the point"),
    ("validation = 5,000", "without commas"),
    ("validation = 05", "cannot start with 0"),
    ("root = “images”", "straight quotes"),
    ("root =", "A value is missing after the equals sign"),
    ("root = # later", "A value is missing after the equals sign"),
    ('a = ["x" "y"]', 'A comma or ] is missing before `"y"]`'),
    ('a = ["x", "y"', "The closing ] is missing"),
    ("a = [1,, 2]", "A value is missing before `,`"),
    ('o = { name = "SGD" lr = 0.1 }', "A comma or } is missing before `lr = 0.1 }`"),
    ('o = { name = "SGD"', "The closing } is missing"),
    ("epochs: 3", "with an equals sign"),
    ("epochs 3", "with an equals sign"),
    ('o = { name: "SGD" }', "with an equals sign"),
    ("a = 1\na = 2", "only once"),
    ("[t]\na = 1\n[t]\nb = 2", "given twice"),
    ("t.a = 1\n[t]\nb = 2", "given twice"),
    ('o = { name = "a", name = "b" }', "only once"),
    ("[train\nepochs = 3", "Headings look like [train]"),
    ("[[space.blocks]\npool = 2", "Headings look like [train]"),
    ('root = "images', "closing quote"),
    ('root = "images\nsize = 3', "closing quote"),
    ("root = 'it's here'", "double quotes"),
    ('root = "a"b', "Remove `b`"),
    ("// a comment", "Comments start with #"),
    ('{"train": {"epochs": 3}}', "looks like JSON"),
]


@pytest.mark.parametrize(("text", "words"), MISTAKES)
def test_a_mistake_in_toml_gets_advice_that_fits_it(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(PresetError) as caught:
        load_preset(str(path))
    assert "is not valid TOML" in caught.value.message
    assert words in caught.value.hint


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("train.schedule={name=OneCycleLR}", 'Strings need quotes: "OneCycleLR". In a shell, put single quotes'),
        (r'data.root="C:\Users\me"', "backslash"),
        ("train.seeds=[0, 1", "The closing ] is missing"),
        ('data.dataset="mnist', "closing quote"),
    ],
)
def test_a_setting_that_begins_like_toml_and_is_none_is_not_taken_as_text(setting: str, words: str) -> None:
    with pytest.raises(PresetError) as caught:
        load_preset("default", [setting])
    assert caught.value.message.startswith(f"--set {setting}: not a valid TOML value")
    assert words in caught.value.hint
