"""A comparison as a type and as a document: one schema, the same bytes both ways, and what earlier versions stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from helpers import store_run

from supernet_cli.config.schema import Preset
from supernet_cli.reports.compare import compare
from supernet_cli.reports.comparison import Comparison, json_schema, read_comparison
from supernet_cli.reports.export import as_markdown
from supernet_cli.space import SearchSpace

KERNELS = ["conv1x1", "conv3x3", "conv5x5", "conv7x7"]
Made = dict[str, Comparison]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Return comparisons of small runs of which more or less is known."""
    from supernet_cli.config.load import validate

    folder, block = tmp_path_factory.mktemp("runs"), {"channels": 4, "pool": 1, "candidates": KERNELS}

    def preset(sampler: str) -> Preset:
        table = {"data": {"validation": 100}, "space": {"hidden": 16, "blocks": [block] * 2}}
        return validate(table | {"train": {"epochs": 2, "sampler": sampler}}, Path("tiny.toml"))

    paths = [str(path) for path in SearchSpace.from_config(preset("uniform").space).enumerate()]
    right = {path: 0.95 - 0.01 * place for place, path in enumerate(paths)}
    shared = {
        seed: {path: (a, 1 - a + 0.02 * (seed ^ (place % 3))) for place, (path, a) in enumerate(right.items())}
        for seed in range(3)
    }
    some = dict(list(right.items())[:2])
    whole = store_run(folder, preset("uniform"), shared, {0: right, 1: right}, name="whole")
    other = store_run(folder, preset("epoch"), shared, {0: right, 1: right}, name="other")
    few = store_run(folder, preset("uniform"), {0: shared[0]}, {0: some}, how="named", name="few")
    top = store_run(folder, preset("uniform"), shared, {0: right}, how="top", name="top")
    return {
        "whole": compare([whole]),
        "few": compare([few]),
        "top": compare([top]),
        "several": compare([whole, other]),
        "borrowed": compare([whole, top], truth=other),
    }


NAMES = ["whole", "few", "top", "several", "borrowed"]


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("name", NAMES)
def test_every_document_fits_the_schema(name: str, made: Made) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    document = made[name].document()
    validator.validate(document)
    for run in document["runs"]:
        assert set(run) == set(json_schema()["$defs"]["RunComparison"]["properties"])
        for changed in ({**run, "tau_ceiling": "high"}, {**run, "rows": [{}]}, {"run": run["run"]}):
            assert not validator.is_valid({**document, "runs": [changed]})


@pytest.mark.parametrize("name", NAMES)
def test_a_document_is_read_as_it_was_written(name: str, made: Made) -> None:
    document = made[name].document()
    read = read_comparison(json.loads(json.dumps(document, allow_nan=False)))
    assert read is not None
    assert read.document() == document
    assert as_markdown(read) == as_markdown(made[name])


def test_a_figure_carries_its_note_and_its_label(made: Made) -> None:
    (run,) = made["few"].runs
    assert (run.tau_ceiling.value, run.tau_ceiling.label) == (None, "ceiling of τ")
    assert run.tau_ceiling.note == run.notes["tau_ceiling"]
    assert dict(run.unknowns)
    assert [name for _, names in run.unknowns for name in names if not name] == []


def test_documents_of_earlier_and_later_versions_are_read(made: Made) -> None:
    (entry,) = made["whole"].document()["runs"]
    newer = ("answer", "decision", "kendall_tau_expected", "at_equal_macs", "divergence", "tau_corrected")
    old = {name: value for name, value in entry.items() if name not in newer}
    old["rows"] = [{"path": row["path"], "macs": row["macs"], "colour": "red"} for row in entry["rows"]]
    read = read_comparison({"runs": [old | {"later": {"on": 1}}], "made_by": "2.0"})
    assert read is not None
    (run,) = read.runs
    assert run.answer is run.decision is None
    assert not run.kendall_tau_expected.is_known
    assert run.rows[0].stand_alone_test_accuracy is None
    assert run.rows[0].macs == entry["rows"][0]["macs"]
    assert run.kendall_tau.mean == entry["kendall_tau"]["mean"]


BROKEN: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
    ("tau_ceiling", lambda run: run.update(tau_ceiling="high")),
    ("tau_ceiling", lambda run: run.update(tau_ceiling=float("nan"))),
    ("pairs", lambda run: run.update(pairs=10**400)),
    ("rows", lambda run: run["rows"].insert(0, 5)),
    ("rows", lambda run: run["rows"].append({"macs": 5})),
    ("answer", lambda run: run["answer"].update(word="maybe")),
    ("baselines", lambda run: run["baselines"].append("macs")),
    ("notes", lambda run: run.update(notes={"": "", "low": "x", "rows.0": "y", "cost": 5, "odd.0.key": "z"})),
]


@pytest.mark.parametrize(("name", "change"), BROKEN)
def test_what_is_damaged_is_missing_and_the_rest_is_read(
    name: str, change: Callable[[dict[str, Any]], None], made: Made
) -> None:
    document = json.loads(json.dumps(made["whole"].document()))
    change(document["runs"][0])
    read = read_comparison(document)
    assert read is not None
    (run,), (whole,) = read.runs, made["whole"].runs
    assert len(run.rows) == len(whole.rows)
    assert len(run.baselines) == len(whole.baselines)
    assert run.spearman_rho.mean == whole.spearman_rho.mean
    if name in ("tau_ceiling", "answer"):
        assert run.tau_ceiling.value is None or run.answer is None


def test_the_command_prints_the_schema_without_a_run(supernet: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = supernet("compare", "--schema")
    assert (code, json.loads(out)) == (0, json_schema())
    code, _, err = supernet("compare", "--schema", "latest")
    assert code == 2
    assert "--schema" in err


def test_a_data_frame_has_a_row_for_each_path_of_each_run(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import SimpleNamespace

    from supernet_cli.errors import UsageError

    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=list))
    rows: list[dict[str, Any]] = made["several"].to_dataframe()  # type: ignore[assignment]
    document = made["several"].document()
    assert rows == [{"run": run["run"], **row} for run in document["runs"] for row in run["rows"]]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="needs pandas"):
        made["several"].to_dataframe()
