"""Presets, command lines and run folders with something wrong anywhere: success or a documented error, and no wait.

A few hundred of each in every run; `pytest -m slow` does the ten thousand presets and two thousand folders.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli
from helpers import store_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supernet_cli.cli.app import run
from supernet_cli.config.load import dump_toml, load_preset, validate
from supernet_cli.config.schema import Preset
from supernet_cli.errors import SupernetError
from supernet_cli.reports.compare import compare
from supernet_cli.space import SearchSpace
from supernet_cli.store.follow import RunFollower
from supernet_cli.store.results import keep_finding
from supernet_cli.store.run import Run

PRESETS = sorted((Path(__file__).parents[2] / "presets").glob("*.toml"))
CODES = {0, 2, 3, 4, 5, 6, 130}
"""Every exit code but 1, which is a bug."""

JUNK = (
    b"", b"0", b"-1", b"1e999", b"nan", b"NaN", b"inf", b"null", b"true", b"[]", b"{}", b'""', b'"x"', b"\x00",
    b"\xff\xfe", b"\xef\xbb\xbf", b"1" * 400, b"[" * 5000, b"=", b"#", b'"', b"'''", b"[[", b"]", b"\n", b"\r\n",
    b"../..", b"\x1b[2J", b"[red]", b"1979-05-27T07:32:00Z", b"0x10", b"1_000", b"99999999999999999999", b"0.1",
    "é٣".encode(), b"{a=1}",
)  # fmt: skip

settings.register_profile("mutations", deadline=None, suppress_health_check=list(HealthCheck), database=None)


@dataclass(frozen=True)
class Change:
    """One thing done to some bytes."""

    kind: str
    place: float
    length: int
    junk: bytes

    def of(self, content: bytes) -> bytes:
        start = int(self.place * len(content))
        if self.kind == "cut":
            return content[:start]
        if self.kind == "flip":
            return content[:start] + bytes([content[start] ^ (1 << self.length % 8)]) + content[start + 1 :]
        if self.kind == "value":  # what stands behind the next = or :, up to a separator
            sign = min((p for p in (content.find(b"=", start), content.find(b":", start)) if p >= 0), default=-1)
            end = min((p for s in b",\n}]" if (p := content.find(bytes([s]), sign)) >= 0), default=len(content))
            return content[: sign + 1] + b" " + self.junk + content[end:] if sign >= 0 else content + self.junk
        lines = content.splitlines(keepends=True)
        row = int(self.place * len(lines))
        if self.kind == "twice":
            return b"".join([*lines[: row + 1], *lines[row : row + 1], *lines[row + 1 :]])
        if self.kind == "less":
            return b"".join([*lines[:row], *lines[row + 1 :]])
        return content[:start] + self.junk + content[start + self.length :]


CHANGES = st.builds(
    Change,
    kind=st.sampled_from(["cut", "flip", "value", "value", "value", "twice", "less", "replace"]),
    place=st.floats(0, 1, exclude_max=True),
    length=st.integers(0, 20),
    junk=st.sampled_from(JUNK),
)


def many(few: int, slow: int) -> Any:
    """Run a test with a few examples always, and with many where the slow ones are asked for."""
    return pytest.mark.parametrize("examples", [few, pytest.param(slow, marks=pytest.mark.slow)])


def in_many(examples: int, strategy: Any, check: Callable[[Any], None]) -> None:
    @settings(settings.get_profile("mutations"), max_examples=examples, derandomize=True)
    @given(strategy)
    def each(found: Any) -> None:
        check(found)

    each()


def spoken(*arguments: str) -> tuple[int, str]:
    """Run a command line; return its exit code, and what it said."""
    said = io.StringIO()
    begun = time.monotonic()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = run(list(arguments))
    assert time.monotonic() - begun < 20, arguments
    return code, said.getvalue()


@many(300, 10_000)
def test_a_mutated_preset_is_loaded_or_told_what_is_wrong(examples: int, tmp_path: Path) -> None:
    def check(found: tuple[Path, list[Change]]) -> None:
        source, changes = found
        content = source.read_bytes()
        for change in changes:
            content = change.of(content) if content else change.junk
        path = tmp_path / "mutated.toml"
        path.write_bytes(content)
        try:
            preset = load_preset(str(path), []).preset
        except SupernetError:
            return
        assert SearchSpace.from_config(preset.space).size >= 1
        again = tmp_path / "again.toml"
        again.write_text(dump_toml(preset), encoding="utf-8")
        assert load_preset(str(again), []).preset == preset

    in_many(examples, st.tuples(st.sampled_from(PRESETS), st.lists(CHANGES, min_size=1, max_size=3)), check)


WORDS = st.sampled_from(
    ["latest", "x", "", "-", "--", "0", "-1", "1e9", "..", "../..", "/", "~", "~nobody/x", "\x1b[2J", "[red]x[/red]",
     "é٣", "a" * 300, "conv3x3_conv5x5", "_", "0,1", "0,0", "1,,2", "html", "json", "/dev/null", "/dev/full", "a=b",
     "train.epochs=1", "train.epochs=x", "=", "train=1", "space.blocks.0.pool=9"]
)  # fmt: skip
COMMANDS = st.one_of(
    st.tuples(st.just("runs"), st.sampled_from(["show", "stop"]), WORDS),
    st.tuples(st.just("compare"), st.just("--run"), WORDS, st.just("--format"), WORDS),
    st.tuples(st.just("compare"), st.just("--truth"), WORDS, st.just("--output"), WORDS),
    st.tuples(st.just("retrain"), WORDS, st.just("--run"), WORDS, st.just("--seeds"), WORDS),
    st.tuples(st.just("evaluate"), WORDS, st.just("--run"), WORDS, st.just("--split"), WORDS),
    st.tuples(st.just("train"), st.just("--resume"), WORDS, st.just("--runs-dir"), WORDS),
    st.tuples(st.just("preset"), st.sampled_from(["show", "validate"]), WORDS, st.just("--set"), WORDS),
    st.tuples(st.just("preset"), st.just("copy"), WORDS, WORDS),
    st.tuples(WORDS, WORDS),
)


@many(100, 2_000)
def test_a_strange_command_line_is_done_or_told_what_is_wrong(
    examples: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def check(arguments: tuple[str, ...]) -> None:
        code, said = spoken(*arguments)
        assert code in CODES, (arguments, said)
        assert "Traceback" not in said
        assert "\x1b" not in said

    in_many(examples, COMMANDS, check)


@pytest.fixture
def template(tmp_path: Path, tiny: Callable[..., Preset]) -> Run:
    preset = tiny()
    paths = [str(path) for path in SearchSpace.from_config(preset.space).enumerate()]
    rng = np.random.default_rng(0)
    accuracies = {path: 0.9 + 0.01 * number for number, path in enumerate(paths)}
    one_shot = {seed: {p: (a + 0.001 * rng.normal(), 1 - a) for p, a in accuracies.items()} for seed in (0, 1)}
    run = store_run(tmp_path / "template", preset, one_shot, dict.fromkeys((0, 1), accuracies), images=50)
    keep_finding(run, "comparison", compare([run]).document())
    (run.folder / "devices-0.jsonl").write_text("{}\n")
    (run.folder / "supernet" / "seed-0" / "log.txt").write_text("a line\n")
    return run


@many(60, 2_000)
def test_a_mutated_run_folder_is_read_or_told_what_is_wrong(
    examples: int, template: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = sorted(str(path.relative_to(template.folder)) for path in template.folder.rglob("*") if path.is_file())
    monkeypatch.chdir(tmp_path)
    other = sorted({os.path.dirname(name) for name in names} - {""})
    damage = st.one_of(
        st.tuples(st.sampled_from(names), CHANGES),
        st.tuples(st.sampled_from(names), st.sampled_from(["gone", "folder", "link", "unreadable"])),
        st.tuples(st.sampled_from(other), st.sampled_from(["gone", "file", "link"])),
    )

    def check(done: list[tuple[str, Any]]) -> None:
        shutil.rmtree("runs", ignore_errors=True)
        folder = Path("runs") / "mutated"
        shutil.copytree(template.folder, folder)
        for name, change in done:
            _do(folder / name, change)
        follower = RunFollower(folder)
        while follower.poll()[1]:
            pass
        for words in (["runs", "ls"], ["runs", "show", "mutated"], ["compare", "--run", "mutated"]):
            code, said = spoken(*words, "--json")
            assert code in CODES, (done, words, said)
            assert "Traceback" not in said
            json.loads(said[said.index("{") : said.rindex("}") + 1])

    in_many(examples, st.lists(damage, min_size=1, max_size=3), check)


def _do(path: Path, change: Any) -> None:
    if not path.exists() or path.is_symlink():
        return
    if isinstance(change, Change):
        if path.is_file():
            content = path.read_bytes()
            path.write_bytes(change.of(content) if content else change.junk)
        return
    if change == "unreadable":
        path.chmod(0)
        return
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    if change == "folder":
        path.mkdir()
    elif change == "file":
        path.write_text("x")
    elif change == "link":
        path.symlink_to(path.name)


def test_a_preset_that_says_nothing_new_is_the_same_after_a_round_trip() -> None:
    for source in PRESETS:
        preset = load_preset(str(source), []).preset
        assert validate(tomli.loads(dump_toml(preset)), source) == preset
