from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from supernet_cli.config import torch_names
from supernet_cli.config.load import load_preset
from supernet_cli.config.torch_names import (
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    UNUSABLE,
    Shelf,
    parameters_of,
    problem_with,
)
from supernet_cli.errors import PresetError

MODULES = [(OPTIMIZERS, torch.optim), (SCHEDULES, torch.optim.lr_scheduler), (LOSSES, nn.modules.loss)]


@pytest.mark.parametrize(("shelf", "module"), MODULES, ids=lambda value: getattr(value, "module", ""))
def test_names_and_parameters_read_from_the_source_are_those_of_torch(shelf: Shelf, module: object) -> None:
    base = getattr(module, shelf.base)
    classes = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, base) and not name.startswith("_")
    }
    assert sorted(torch_names._files(shelf)) == sorted(classes)
    for name, value in classes.items():
        if name in UNUSABLE:  # some are decorated, and take anything
            continue
        found = parameters_of(torch_names._files(shelf)[name], name)
        assert found is not None, name
        assert list(found) == list(inspect.signature(value).parameters), name


MISTAKES = [
    ("train.optimizer.name=AdamV", "train.optimizer", "torch.optim has no \"AdamV\". Did you mean 'AdamW'?"),
    ("train.optimizer.name=LBFGS", "train.optimizer", "LBFGS cannot be used here: it evaluates the loss several times"),
    ("train.optimizer.momentun=0.9", "train.optimizer", "AdamW has no parameter 'momentun'"),
    ("train.optimizer.params=[1]", "train.optimizer", "AdamW has no parameter 'params'"),
    ("train.schedule=OneCycelLR", "train.schedule", "Did you mean 'OneCycleLR'?"),
    ("train.schedule.pct_strat=0.2", "train.schedule", "Did you mean 'pct_start'?"),
    ("train.loss=CrossEntropy", "train.loss", "torch.nn has no \"CrossEntropy\". Did you mean 'CrossEntropyLoss'?"),
    ("train.loss.label_smothing=0.1", "train.loss", "Did you mean 'label_smoothing'?"),
    ("retrain.optimizer=SDG", "retrain.optimizer", "Did you mean 'SGD'?"),
]


@pytest.mark.parametrize(("setting", "key", "words"), MISTAKES)
def test_a_mistyped_name_of_torch_is_found_with_its_place(setting: str, key: str, words: str) -> None:
    with pytest.raises(PresetError) as caught:
        load_preset("default", [setting])
    assert caught.value.message.startswith(f"--set {setting}: {key}: ")
    assert words in caught.value.message


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[train]\noptimizer = "AdamV"\n[[space.blocks]]\ncandidates = ["conv3x3"]\n')
    with pytest.raises(PresetError, match=rf"^{path}: train\.optimizer: "):
        load_preset(str(path))


def test_names_of_torch_are_checked_without_importing_it(tmp_path: Path) -> None:
    code = (
        "import sys; from supernet_cli.cli.app import run;"
        "code = run(['preset', 'validate', 'default', '--set', 'train.optimizer.name=AdamV']);"
        "sys.exit(1 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr


def test_where_torch_has_no_source_the_check_is_left_to_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_names, "_files", lambda shelf: {})
    assert problem_with(OPTIMIZERS, "AdamV", []) is None


def test_a_schedules_own_key_is_no_parameter_of_torch() -> None:
    load_preset("default", ["train.schedule.every=epoch"])
