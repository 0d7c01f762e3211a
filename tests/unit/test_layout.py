from __future__ import annotations

import copy
import pickle

import pytest

from supernet_cli.runs.layout import Way
from supernet_cli.runs.results import Selection


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
