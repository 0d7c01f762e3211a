from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from supernet_cli.cli import doctor
from supernet_cli.cores import Cores

Invoke = Callable[..., tuple[int, str, str]]


def test_the_doctor_looks_at_everything(supernet: Invoke, tmp_path: Path) -> None:
    code, out, _ = supernet("doctor", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["devices"][0] == "cpu"
    assert document["versions"]["torch"]
    assert {place["what"] for place in document["disk"]} == {"runs", "data cache"}
    assert document["problems"] == []
    code, out, _ = supernet("doctor")
    assert code == 0
    assert "Nothing required is missing." in out


def test_the_doctor_says_what_is_wrong_and_what_to_do(supernet: Invoke, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, out, _ = supernet("doctor", "--runs-dir", tmp_path / "file" / "runs", "--json")
    (problem,) = json.loads(out)["problems"]
    assert code == 0
    assert "you cannot write to" in problem["what"]
    assert "SUPERNET_RUNS_DIR" in problem["remedy"]


INSTALLATIONS = [
    ({}, 'pip install "supernet-cli[web]"'),
    ({"url": "file:///home/me/clone", "dir_info": {"editable": True}}, 'pip install -e "/home/me/clone[web]"'),
    ({"url": "file:///home/me/my%20clone", "dir_info": {}}, 'pip install "/home/me/my clone[web]"'),
    (
        {"url": "https://example.org/supernet.git", "vcs_info": {"vcs": "git", "commit_id": "0"}},
        'pip install "supernet-cli[web] @ git+https://example.org/supernet.git"',
    ),
    (
        {"url": "file:///tmp/supernet_cli-1-py3-none-any.whl", "archive_info": {}},
        'pip install "supernet-cli[web] @ file:///tmp/supernet_cli-1-py3-none-any.whl"',
    ),
]


def only_extras(monkeypatch: pytest.MonkeyPatch, **extras: str) -> None:
    monkeypatch.setattr(doctor, "_EXTRAS", extras)


@pytest.mark.parametrize(("origin", "command"), INSTALLATIONS)
def test_a_missing_extra_is_installed_the_way_the_package_was(
    origin: dict[str, Any], command: str, supernet: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_extras(monkeypatch, web="no_such_module", report="json")
    text = json.dumps(origin) if origin else None  # an installation from the index has no such file
    monkeypatch.setattr(metadata, "distribution", lambda name: SimpleNamespace(read_text=lambda file: text))
    monkeypatch.setattr(doctor, "version_of", lambda name: "1.0")
    code, out, _ = supernet("doctor", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["extras"] == {"web": False, "report": True}
    assert document["extra_commands"] == {"web": command}
    assert f"missing; install with: {command}" in supernet("doctor")[1]


def test_a_clone_that_is_not_installed_is_installed_from_its_folder(
    supernet: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    only_extras(monkeypatch, web="no_such_module")
    monkeypatch.setattr(metadata, "distribution", unknown)
    monkeypatch.setattr(doctor, "version_of", lambda name: "1.0")
    (command,) = json.loads(supernet("doctor", "--json")[1])["extra_commands"].values()
    clone = Path(doctor.__file__).parent.parent.parent
    source = f"{clone}[web]" if (clone / "pyproject.toml").is_file() else "supernet-cli[web]"
    assert command == f'pip install "{source}"'


def test_the_doctor_says_why_cores_are_not_used(supernet: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "cores", lambda: Cores(64, 64, 1.5))
    assert "2 usable of 64 (a CPU quota allows 1.5)" in supernet("doctor")[1]
    host = json.loads(supernet("doctor", "--json")[1])["host"]
    assert (host["cores"], host["usable_cores"], host["cpu_quota"]) == (64, 2, 1.5)


def test_a_gpu_that_torch_cannot_use_is_a_problem_and_no_warning(
    supernet: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def complain() -> bool:
        warnings.warn("CUDA initialization: the driver is too old (Triggered internally at x.cpp:1.)", stacklevel=2)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", complain)
    code, out, err = supernet("doctor", "--json")
    (problem,) = json.loads(out)["problems"]
    assert (code, err) == (0, "")
    assert problem["what"] == "GPUs cannot be used: CUDA initialization: the driver is too old"
