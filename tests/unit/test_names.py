from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet_cli.space.names import cut_names, elided, legend, short_names

BLOCKS = (("conv3x3", "conv5x5", "identity"), ("conv3x3", "sep3x3", "conv3x3x2"))
LABELS = st.one_of(
    st.sampled_from(["conv3x3", "conv3x3x2", "cell3x3", "conv33", "mbconv3x3e6", "mbconv3x3e3", "c1", "c11", "1x1"]),
    st.text("ab12x", min_size=1, max_size=8),
)
SPACES = st.lists(st.lists(LABELS, min_size=1, max_size=5, unique=True), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("path", "width", "name"),
    [
        ("conv3x3_sep3x3", 20, "conv3x3_sep3x3"),
        ("conv3x3_sep3x3", 8, "c3_s3"),
        ("identity_conv3x3x2", 8, "i_c3x2"),
        ("conv3x3_sep3x3", 4, "c3s3"),
    ],
)
def test_names_are_abbreviated_where_they_do_not_fit(path: str, width: int, name: str) -> None:
    assert short_names([path], width, BLOCKS) == {path: name}


def test_candidates_that_begin_alike_get_more_letters() -> None:
    names = short_names(["conv3x3", "cell3x3"], 6, [["conv3x3", "cell3x3"]])
    assert names == {"conv3x3": "co3", "cell3x3": "ce3"}


def test_an_abbreviation_stays_the_same_whichever_paths_are_shown() -> None:
    assert short_names(["conv3x3"], 6, [["conv3x3", "cell3x3"]]) == {"conv3x3": "co3"}


def test_paths_that_differ_only_in_the_middle_get_longer_names() -> None:
    paths = [f"{'conv3x3_' * 8}{middle}{'_conv3x3' * 8}" for middle in ("conv5x5", "identity")]
    names = short_names(paths, 9)
    assert len(set(names.values())) == 2
    assert all(len(name) < 52 for name in names.values())


def test_paths_of_several_spaces_keep_apart() -> None:
    paths = ["conv3x3", "conv3x3_conv3x3", "conv3x3_conv3x3_conv3x3"]
    assert len(set(short_names(paths, 7).values())) == 3


@given(SPACES, st.integers(1, 60), st.booleans(), st.randoms(use_true_random=False))
def test_no_two_paths_share_a_name(blocks: list[list[str]], width: int, known: bool, rng: random.Random) -> None:
    size = math.prod(map(len, blocks))
    paths = sorted({"_".join(rng.choice(block) for block in blocks) for _ in range(min(size, 30))})
    names = short_names(paths, width, blocks if known else ())
    assert list(names) == paths
    assert len(set(names.values())) == len(paths)
    if max(map(len, paths)) <= width:
        assert names == {path: path for path in paths}


@given(st.lists(st.text("ab_", min_size=1, max_size=30), unique=True, min_size=1, max_size=20), st.integers(1, 40))
def test_cut_names_stay_apart(names: list[str], width: int) -> None:
    cut = cut_names(names, width)
    assert list(cut) == names
    assert len(set(cut.values())) == len(names)
    if max(map(len, names)) <= width:
        assert cut == {name: name for name in names}


@given(st.text("abc_0123", max_size=60), st.integers(5, 60))
def test_a_cut_name_keeps_both_ends(text: str, width: int) -> None:
    cut = elided(text, width)
    assert len(cut) == min(len(text), width)
    assert cut == text or (text.startswith(cut.split("…")[0]) and text.endswith(cut.split("…")[1]))


def test_a_legend_says_what_abbreviations_mean_and_where_they_differ() -> None:
    blocks = [("conv3x3", "identity", "x"), ("conv3x3", "cell3x3"), ("cats3x3", "identity")]
    assert legend(["conv3x3_conv3x3_identity"], blocks) == (
        "c3 = conv3x3 (cats3x3 in block 3), i = identity, co3 = conv3x3, ce3 = cell3x3"
    )
    assert legend(["of_another_space_altogether"], blocks) == ""
    assert legend(["a_b"], [("a",), ("b",)]) == ""
