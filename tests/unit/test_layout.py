from __future__ import annotations

import copy
import pickle

import pytest

from supernet_cli.store.layout import JobKey, Way
from supernet_cli.store.results import Selection


@pytest.mark.parametrize(
    ("way", "word", "folder", "init"),
    [
        (Way.ONE_SHOT, "one-shot", "supernet", ""),
        (Way.ALONE, "stand-alone", "standalone", "scratch"),
        (Way.INHERITED, "inherited", "inherited", "inherit"),
        (Way.SHORT, "short", "short", "short"),
    ],
)
def test_a_way_is_written_with_the_words_that_files_have_always_had(
    way: Way, word: str, folder: str, init: str
) -> None:
    assert (str(way), f"{way}", way.folder, way.init) == (word, word, folder, init)
    assert Way(word) is way
    assert pickle.loads(pickle.dumps(way)) is copy.deepcopy(way) is way


@pytest.mark.parametrize("way", [Way.ALONE, Way.INHERITED, Way.SHORT])
def test_a_selection_keeps_the_word_of_the_command_line(way: Way) -> None:
    selection = Selection(how="named", init=way, paths=("a",))
    assert f'"init":"{way.init}"' in selection.model_dump_json()
    assert selection.model_dump(mode="json")["init"] == way.init
    assert Selection.model_validate_json(selection.model_dump_json()) == selection
    assert Way.of_init(way.init) is way


@pytest.mark.parametrize("word", ["", "inherited", "stand-alone", "one-shot", "Scratch", 3, None, []])
def test_a_selection_of_no_known_way_is_damaged(word: object) -> None:
    with pytest.raises(ValueError, match="should be one of scratch, inherit, short"):
        Selection.model_validate({"how": "named", "init": word, "paths": ("a",)})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("supernet/seed-0", JobKey.supernet(0)),
        ("supernet/seed-9999999999", JobKey.supernet(9_999_999_999)),
        ("standalone/conv3x3_conv5x5/seed-12", JobKey(Way.ALONE, "conv3x3_conv5x5", 12)),
        ("inherited/a/seed-0", JobKey(Way.INHERITED, "a", 0)),
        ("short/seed-1/seed-0", JobKey(Way.SHORT, "seed-1", 0)),
        ("standalone/ odd\nname %s [red]/seed-3", JobKey(Way.ALONE, " odd\nname %s [red]", 3)),
        (f"standalone/path-{'0' * 32}/seed-0", JobKey(Way.ALONE, f"path-{'0' * 32}", 0)),
    ],
)
def test_a_key_prints_as_the_place_that_it_was_read_from(text: str, key: JobKey) -> None:
    assert (JobKey.parse(text), JobKey.parse(text).path, str(key)) == (key, key.path, text)
    assert pickle.loads(pickle.dumps(key)) == key
    assert str(copy.deepcopy(key)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "supernet",
        "supernet/seed-",
        "supernet/seed-01",
        "supernet/seed--1",
        "supernet/seed-1x",
        "supernet/seed-٣",
        "supernet/seed-12345678901",
        "supernet/a/seed-0",
        "standalone/seed-0",
        "standalone//seed-0",
        "standalone/a/b/seed-0",
        "standalone/a/seed-0/log.txt",
        "results/a/seed-0",
        "/supernet/seed-0",
        "../standalone/a/seed-0",
        "supernet/seed-0\n",
    ],
)
def test_no_other_text_is_a_key(text: str) -> None:
    with pytest.raises(ValueError, match="there is no job"):
        JobKey.parse(text)


def test_a_path_is_known_by_its_folder_whether_or_not_its_name_is_known() -> None:
    name = "_".join(["conv3x3"] * 30)
    assert len(name) > 200
    named = JobKey(Way.ALONE, name, 0)
    nameless = JobKey.parse(str(named))
    assert (len(named.folder), nameless.folder, nameless.is_nameless) == (37, named.folder, True)
    assert named == nameless
    assert len({named, nameless}) == 1
    assert nameless.named(name).path == name
    assert nameless.named(f"{name}x").path == nameless.path
    assert named != JobKey(Way.ALONE, f"{name}x", 0)
    short = JobKey(Way.ALONE, "a" * 200, 0)
    assert (short.folder, short.is_nameless) == ("a" * 200, False)
