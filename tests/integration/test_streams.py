"""What stdout and stderr may be: full, closed, or in an encoding that lacks characters."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from helpers import store_run

from supernet_cli.cli import streams
from supernet_cli.config.load import load_preset
from supernet_cli.space import SearchSpace


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command line in which `supernet` is this package."""
    words = f'supernet() {{ "{sys.executable}" -m supernet_cli "$@"; }}; {command}'
    return subprocess.run(["bash", "-c", words], cwd=folder, env={**os.environ, **environment}, capture_output=True)


PRINTING = [
    "--help",
    "--version",
    "train --help",
    "preset ls",
    "preset ls --json",
    "preset show quick",
    "preset schema",
]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", PRINTING)
def test_a_full_disk_behind_stdout_is_reported(arguments: str, tmp_path: Path) -> None:
    done = shell(f"supernet {arguments} > /dev/full", tmp_path)
    assert done.returncode == 4, done.stderr
    assert b"The output cannot be written: No space left on device." in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_error_document_that_finds_no_room_is_told_on_stderr(tmp_path: Path) -> None:
    done = shell("supernet preset show nothing --json > /dev/full", tmp_path)
    assert done.returncode == 2
    assert b"There is no preset named 'nothing'" in done.stderr
    assert shell("supernet preset show nothing > /dev/full 2> /dev/full", tmp_path).returncode == 2


@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_lead_nowhere(closing: str, tmp_path: Path) -> None:
    done = shell(f"supernet preset copy quick mine.toml {closing}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    text = (tmp_path / "mine.toml").read_text()
    assert text.startswith("#:schema")
    assert "copied from" not in text  # nothing that was printed went into the file
    assert shell(f"supernet preset show nothing {closing}", tmp_path).returncode == 2


ENCODINGS = ["ascii", "latin-1", "cp1252", "cp437", "utf-8"]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run whose paths were trained from scratch and evaluated."""
    folder = tmp_path_factory.mktemp("judged")
    preset = load_preset("quick", ["retrain.seeds=[0]"]).preset
    paths = list(map(str, SearchSpace.from_config(preset.space).enumerate()))
    one_shot = {0: {path: (0.5 + n / 100, 1.0 - n / 100) for n, path in enumerate(paths)}}
    store_run(folder / "runs", preset, one_shot, {0: {path: 0.6 + n / 100 for n, path in enumerate(paths)}})
    return folder


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_an_encoding_lacks_is_printed_readably(encoding: str, judged: Path) -> None:
    commands = (
        "compare",
        "compare --details",
        "compare --format markdown",
        "compare --format html",
        "runs show",
        "runs ls",
        "train --help",
    )
    for command in commands if encoding == "ascii" else ():
        done = shell(f"supernet {command}", judged, PYTHONIOENCODING=encoding)
        assert done.returncode == 0, (command, done.stderr)
        done.stdout.decode(encoding)
    verdict = shell("supernet compare --details", judged, PYTHONIOENCODING=encoding).stdout.decode(encoding)
    assert ("τ" if encoding in ("utf-8", "cp437") else "tau") in verdict
    text = shell("supernet train --help", judged, PYTHONIOENCODING=encoding).stdout.decode(encoding)
    assert ("N,N,…" if encoding in ("cp1252", "utf-8") else "N,N,...") in text


def test_names_that_an_encoding_lacks_are_escaped(tmp_path: Path) -> None:
    done = shell("supernet preset show größe", tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert rb"'gr\xf6\xdfe'" in done.stderr


def test_files_are_written_in_utf_8_whatever_stdout_is(judged: Path) -> None:
    done = shell("supernet compare --format markdown --output table.md", judged, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "τ" in (judged / "table.md").read_text(encoding="utf-8")


def test_every_character_that_the_program_prints_has_a_readable_form() -> None:
    package = Path(streams.__file__).parent.parent
    sources = [path.read_text(encoding="utf-8") for path in package.rglob("*.py") if "/tui/" not in str(path)]
    printed = {c for source in sources for line in source.splitlines() for c in line.partition("#")[0] if ord(c) > 127}
    only_in_formulas = set("⌈⌉∂∏‖₁ȳΠ")
    codes = {c for c in printed - only_in_formulas if not c.isalpha() or "GREEK" in unicodedata.name(c)}
    assert {c for c in codes if c not in streams._READABLE} == set()


def test_warnings_of_libraries_go_to_the_log_and_not_to_the_screen(tmp_path: Path) -> None:
    code = (
        "import logging, warnings; from supernet_cli.cli import streams; streams.prepare();"
        "logger = logging.getLogger('supernet_cli'); logger.setLevel(logging.INFO);"
        "logger.addHandler(logging.FileHandler('log.txt'));"
        "warnings.warn('lr_scheduler was called before the optimizer')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "UserWarning: lr_scheduler was called" in (tmp_path / "log.txt").read_text()
