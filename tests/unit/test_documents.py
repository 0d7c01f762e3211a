from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import tomli

from supernet_cli.config.catalog import entries
from supernet_cli.config.document import SCHEMA_FILE, copy_text, json_schema
from supernet_cli.config.load import apply_setting, dump_toml, load_preset, read_toml, validate
from supernet_cli.config.presets import find_preset, list_presets, shipped_folder
from supernet_cli.errors import PresetError

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SHIPPED = sorted(path.stem for path in shipped_folder().glob("*.toml"))


def test_the_shipped_schema_is_that_of_the_models() -> None:
    assert json.loads((shipped_folder() / SCHEMA_FILE).read_text()) == json_schema()


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_preset_fits_the_schema_and_names_it(name: str) -> None:
    path = shipped_folder() / f"{name}.toml"
    jsonschema.validate(tomli.loads(path.read_text()), json_schema())
    jsonschema.validate(tomli.loads(dump_toml(load_preset(name).preset)), json_schema())
    assert path.read_text().startswith(f"#:schema ./{SCHEMA_FILE}\n")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_preset_teaches(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # in a clone, ./presets hides the installed ones
    preset = find_preset(name)
    assert preset.summary()
    assert preset.shipped
    text = preset.path.read_text()
    tables = tomli.loads(text)
    assert all(f"[{section}]" in text for section in ("data", "space", "train", "retrain", "runtime"))
    assert set(tables["data"]) >= {"dataset", "validation", "split_seed", "standardize", "shift"}


BROKEN = [
    "train.epoch=3",
    "train.epochs=0",
    "train.epochs=1000001",
    "retrain.epochs=1000001",
    "train.epochs=x",
    "train.epochs=2.5",
    "train.sampler=unifrom",
    "train.seeds=[]",
    "train.optimizer={lr=1}",
    "data.dataset=mnits",
    "data.shift=17",
    "data.test=1.5",
    "data.channels=2",
    "runtime.device=cdua",
    "runtime.precision=float16",
    "space.blocks=[]",
    "space.blocks.0.pool=0",
    "space.blocks.0.candidates=[]",
    "space.blocks.0.candidates=[3]",
    "space.blocks.0.candidates=[{kernel=3}]",
    "trian={}",
]


@pytest.mark.parametrize("setting", BROKEN)
def test_schema_and_models_refuse_the_same(setting: str) -> None:
    table = read_toml(shipped_folder() / "default.toml")
    apply_setting(table, setting)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(table, json_schema())
    with pytest.raises(PresetError):
        validate(table, Path("default.toml"))


def test_every_key_is_explained() -> None:
    schema = json_schema()
    for part in ("Data", "Space", "Block", "Train", "Retrain", "Runtime"):
        for name, key in schema["$defs"][part]["properties"].items():
            assert key.get("description"), f"{part}.{name}"


def test_the_schema_knows_the_names_of_this_installation() -> None:
    definitions = json_schema()["$defs"]
    assert definitions["Data"]["properties"]["dataset"]["enum"] == sorted(entries("dataset"))
    assert {"enum": sorted(entries("sampler"))} in definitions["Train"]["properties"]["sampler"]["anyOf"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_copy_is_the_same_preset_and_names_a_schema_that_is_there(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "mine.toml"
    copy.write_text(copy_text(find_preset(name)))
    assert load_preset(str(copy)).preset == load_preset(name).preset
    first = copy.read_text().splitlines()[0]
    schema = Path.from_uri(first.removeprefix("#:schema ")) if hasattr(Path, "from_uri") else first.split("file://")[1]
    assert json.loads(Path(schema).read_text()) == json_schema()


def test_a_copy_of_a_preset_without_a_schema_line_gets_one(tmp_path: Path) -> None:
    path = tmp_path / "bare.toml"
    path.write_text('[[space.blocks]]\ncandidates = ["conv3x3"]\n')
    assert copy_text(find_preset(str(path))).startswith("#:schema file://")


def test_own_presets_are_listed_beside_the_shipped_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "mine.toml").write_text("# A space of my own.\n")
    found = {preset.name: preset for preset in list_presets()}
    assert not found["mine"].shipped
    assert found["mine"].summary() == "A space of my own."
    assert found["default"].shipped


@pytest.mark.parametrize("beside", [True, False], ids=["editable install", "wheel"])
def test_shipped_presets_are_found_inside_the_package_or_beside_it(
    beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "somewhere" / "supernet_cli"
    folder = package.parent / "presets" if beside else package / "presets"
    folder.mkdir(parents=True)
    package.mkdir(exist_ok=True)
    monkeypatch.setattr("supernet_cli.config.presets._PACKAGE", package)
    assert shipped_folder() == folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_complete_and_its_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "@@" not in text
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def _anchors(page: Path) -> set[str]:
    """Return what GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_into_a_page_leads_to_a_heading_that_is_there(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^):#]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        assert anchor in _anchors(page.parent / target if target else page), f"{target}#{anchor}"


def test_every_promise_has_the_test_that_it_names() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) > 40
    for file, test in named:
        assert f"\ndef {test}(" in (ROOT / file).read_text(encoding="utf-8"), (file, test)
