"""The tables of the benchmarks: shipped ones are what the study gives, damaged ones are refused with the place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import STUDY, study_script, table_of

from supernet_cli.benchmarks.table import FOLDER, Table, find_table, names, read_table
from supernet_cli.config.load import load_preset
from supernet_cli.config.presets import shipped_folder
from supernet_cli.config.schema import Preset
from supernet_cli.errors import DataError, UsageError
from supernet_cli.space import SearchSpace

Change = Callable[[dict[str, Any]], Any]


def test_the_shipped_tables_are_what_the_studys_data_give() -> None:
    made = study_script("tables").tables()
    assert {path.stem for path in made} == set(names())
    for path, text in made.items():
        assert path.read_text() == text, f"python {STUDY / 'tables.py'} writes another {path.name}"
        assert len(text.encode()) < 300_000


@pytest.mark.parametrize("name", names())
def test_a_shipped_table_belongs_to_a_shipped_preset(name: str) -> None:
    table = find_table(name)
    settings = [f"{key}={json.dumps(value)}" for key, value in table.settings.items()]
    preset = load_preset(str(shipped_folder() / f"{table.preset}.toml"), settings).preset
    table.check(preset, "It")
    space = SearchSpace.from_config(preset.space)
    assert table.path_names == [str(path) for path in space.enumerate()]
    assert table.decisions == tuple(block.labels for block in space.blocks)


@pytest.mark.parametrize("name", names())
def test_a_shipped_table_is_also_one_for_tools_that_know_decisions_and_paths_only(name: str) -> None:
    table, data = json.loads((FOLDER / f"{name}.json").read_text()), study_script("stored").load(name)
    longest = max((truth for truth in data["truth"].values() if truth["paths"] == data["paths"]), key=_macs)
    for index, (key, path) in enumerate(table["paths"].items()):
        labels = [table["decisions"][place][int(choice)] for place, choice in enumerate(key.split("-"))]
        assert "_".join(labels) == data["paths"][index]
        assert path["test"] == longest["test"][index]
        assert path["macs"] == data["profile"]["macs"][index]
        losses = [row[index] for row in data["supernets"][0]["loss"]]
        assert path["scores"][data["supernets"][0]["name"]] == pytest.approx(-sum(losses) / len(losses), abs=1e-6)


def _macs(truth: dict[str, Any]) -> int:
    return int(truth["cost"]["macs"])


SAME = {"train.epochs": 9, "train.seeds": [7], "train.sampler": "fair", "train.log_every": 3, "runtime.threads": 2}
OTHER = {
    "space.hidden": (17, "search space"),
    "data.validation": (99, "data or split, training recipe"),
    "data.shift": (0, "training recipe"),
    "train.batch_size": (51, "training recipe"),
    "train.calibration": (7, "training recipe"),
}


def test_a_changed_preset_is_noticed(tiny: Callable[..., Preset], tmp_path: Path) -> None:
    table = Table.model_validate_json(json.dumps(table_of(tiny())))

    def changed(key: str, value: object) -> Preset:
        section, _, name = key.partition(".")
        return tiny(**{section: {name: {"name": value} if name == "sampler" else value}})

    for key, value in SAME.items():
        table.check(changed(key, value), "It")
    for key, (value, what) in OTHER.items():
        with pytest.raises(DataError, match=f"It is not what the benchmark 'tiny' was recorded with: another {what}"):
            table.check(changed(key, value), "It")


DAMAGES: list[tuple[Change, str]] = [
    (lambda table: table.pop("truths"), "truths: Field required"),
    (lambda table: table.update(more=1), "more: Extra inputs"),
    (lambda table: table["paths"].update({"0-9": table["paths"]["0-0"]}), "path 0-9: decision 1 has no candidate '9'"),
    (lambda table: table["paths"].update({"0": table["paths"]["0-0"]}), "path 0: has 1 choices for"),
    (lambda table: table["paths"]["0-0"].update(test=[0.5, 0.5, 1.5]), "paths.0-0.test.2: Input should be less"),
    (lambda table: table["paths"]["0-0"].update(test=[0.5, 0.5, 0.5]), "are not those of the longest"),
    (lambda table: table["paths"]["0-0"].update(macs=0), "paths.0-0.macs: Input should be greater"),
    (lambda table: table["paths"]["0-0"]["scores"].popitem(), ", although others do"),
    (lambda table: table["paths"].pop("0-0"), "truths of 3 epochs, validation: expected 3 rows of 3"),
    (lambda table: table["truths"].reverse(), "the longest does not come first"),
    (lambda table: table["truths"][1]["test"].pop(), "truths of 1 epochs, test: expected 4 rows of 3"),
    (lambda table: table["supernets"][0]["loss"].pop(), "supernets uniform-3, loss: expected 5 rows of 4"),
    (lambda table: table["supernets"][0]["loss"][1].pop(), "supernets uniform-3, loss: expected 5 rows of 4"),
    (lambda table: table["supernets"][0]["strategy"].pop("name"), "supernets.0.strategy.name: Field required"),
    (lambda table: table["supernets"].append(table["supernets"][0]), "supernets: 'uniform-3' is there twice"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=[message for _, message in DAMAGES])
def test_a_damaged_table_is_refused_with_the_place(
    damage: Change, message: str, tiny: Callable[..., Preset], tmp_path: Path
) -> None:
    table = table_of(tiny())
    damage(table)
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(table))
    with pytest.raises(DataError) as found:
        read_table(path)
    assert str(path) in found.value.message
    assert message in found.value.message
    assert "\n" not in found.value.message


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", '{"name": NaN}'])
def test_a_file_that_is_no_table_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="is damaged"):
        read_table(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path)


def test_an_unknown_benchmark_gets_a_suggestion() -> None:
    with pytest.raises(UsageError) as found:
        find_table("lba")
    assert found.value.hint == "Did you mean 'lab'?"
