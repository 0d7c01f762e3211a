"""The pocket benchmark, on a table for a space that trains in a second."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import only_run, table_of

from supernet_cli.config.load import dump_toml
from supernet_cli.config.schema import Preset
from supernet_cli.store.runs import find_run
from supernet_cli.workflows.interruption import Interruption

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tiny_bench(tiny: Callable[..., Preset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make `tiny` the only benchmark, and return its table's file."""
    presets, tables = tmp_path / "shipped", tmp_path / "tables"
    presets.mkdir()
    tables.mkdir()
    (presets / "tiny.toml").write_text(dump_toml(tiny()))
    (tables / "tiny.json").write_text(json.dumps(table_of(tiny())))
    monkeypatch.setattr("supernet_cli.benchmarks.table.FOLDER", tables)
    monkeypatch.setattr("supernet_cli.workflows.bench.shipped_folder", lambda: presets)
    return tables / "tiny.json"


def test_a_strategy_is_trained_and_placed_among_the_recorded_ones(
    supernet: Invoke, tiny_bench: Path, tmp_path: Path
) -> None:
    code, out, err = supernet("bench", "fair", "--epochs", "3", "--json")
    assert code == 0, err
    found = json.loads(out)
    run = find_run(tmp_path / "runs", found["run"])
    assert run.preset().train.sampler.name == "fair"
    assert run.preset().train.seeds == (0, 1)
    assert run.preset().train.evaluate_every == 100  # as the recorded ones
    assert (found["benchmark"], found["paths"], found["truth_epochs"]) == ("tiny", 4, 3)
    assert found["row"]["seeds"] == [0, 1]
    assert len(found["row"]["per_seed"]) == 2
    assert [row["label"] for row in found["recorded"]] == ["uniform", "sandwich"]
    assert found["place"]["of"] == 3
    assert found["repetition"] is None
    assert {row["label"] for row in found["baselines"]} == {"parameters", "multiply-accumulates", "synflow"}

    # a person reads the same, from the finished run alone
    code, out, err = supernet("bench", "--resume", found["run"])
    assert code == 0, err
    assert out.startswith("fair, 3 epochs, ranks tiny at τ = ")
    assert "▸ fair" in out
    assert len(list((tmp_path / "runs").iterdir())) == 1
    assert json.loads(supernet("bench", "--resume", "latest", "--json")[1]) == found


def test_scores_are_matched_with_the_table_path_by_path(supernet: Invoke, tiny_bench: Path, tmp_path: Path) -> None:
    from scipy.stats import kendalltau

    from supernet_cli.reports.scores import last_judged

    found = json.loads(supernet("bench", "uniform", "--epochs", "3", "--seeds", "4", "--json")[1])
    job = find_run(tmp_path / "runs", found["run"]).supernet_job(4)
    losses = {s.path: s.loss for s in last_judged(job)}
    table = json.loads(tiny_bench.read_text())
    names = ["_".join(table["decisions"][i][int(c)] for i, c in enumerate(key.split("-"))) for key in table["paths"]]
    means = [sum(path["test"]) for path in table["paths"].values()]
    assert found["row"]["per_seed"] == [pytest.approx(kendalltau([-losses[name] for name in names], means).statistic)]
    snapshot, unit = job.snapshot()[0], 1000  # a training of one epoch in the made-up table
    assert found["row"]["cost"] == pytest.approx((3 * snapshot.forward_macs + snapshot.evaluation_macs) / unit)


def test_supernets_of_a_recorded_kind_are_compared_with_those(supernet: Invoke, tiny_bench: Path) -> None:
    _, out, _ = supernet("bench", "uniform", "--epochs", "3", "--seeds", "0", "--json")
    found = json.loads(out)
    assert [row["label"] for row in found["recorded"]] == ["sandwich"]
    assert found["repetition"]["recorded"]["seeds"] == [0, 1, 2, 3, 4]
    assert found["place"]["of"] == 2


def test_a_length_that_is_not_recorded_has_no_place(supernet: Invoke, tiny_bench: Path) -> None:
    code, out, err = supernet("bench", '{ name = "uniform" }', "--epochs", "1", "--seeds", "0")
    assert code == 0, err
    assert "No supernets of 1 epoch are recorded, so there is no place; lengths that are: 3." in out


def test_an_interrupted_benchmark_continues_with_the_command_it_names(
    supernet: Invoke, tiny_bench: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = json.loads(supernet("bench", "uniform", "--epochs", "3", "--runs-dir", "others", "--json")[1])
    with monkeypatch.context() as at_once:
        at_once.setattr(Interruption, "__enter__", lambda self: setattr(self, "requested", True) or self)
        code, _, err = supernet("bench", "uniform", "--epochs", "3")
    assert code == 130
    command = err.rpartition("Resume with: supernet ")[2].split()
    assert command[:2] == ["bench", "--resume"]
    code, out, err = supernet(*command, "--json")
    assert code == 0, err
    assert json.loads(out) | {"run": ""} == whole | {"run": ""}  # bit for bit


def test_a_run_of_train_can_be_compared_if_its_conditions_are_those_of_a_benchmark(
    supernet: Invoke, tiny_bench: Path, tiny_file: Path
) -> None:
    supernet("train", tiny_file, "--set", "train.sampler=fair", "--seeds", "3")
    code, out, err = supernet("bench", "--resume", "latest", "--json")
    assert code == 0, err
    assert json.loads(out)["row"]["seeds"] == [3]
    supernet("train", tiny_file, "--set", "train.batch_size=60", "--set", "train.epochs=1")
    code, _, err = supernet("bench", "--resume", "latest")
    assert code == 2
    assert "was not trained under the conditions of a benchmark" in err
    code, _, err = supernet("bench", "--resume", "latest", "--on", "tiny")
    assert code == 2
    assert "another training recipe" in err


def test_supernets_that_diverge_end_with_the_error_of_training(
    supernet: Invoke, tiny_bench: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    presets = tiny_bench.parent.parent / "shipped" / "tiny.toml"
    presets.write_text(presets.read_text().replace("lr = 0.01", "lr = 1e30"))
    table = json.loads(tiny_bench.read_text())
    from supernet_cli.config.load import load_preset
    from supernet_cli.store.fingerprints import conditions

    tiny_bench.write_text(json.dumps(table | {"conditions": conditions(load_preset(str(presets)).preset)}))
    code, _, err = supernet("bench", "uniform", "--seeds", "0", "--epochs", "3")
    assert (code, "Training diverged" in err) == (3, True)
    code, _, err = supernet("bench", "--resume", "latest")
    assert (code, "Training diverged" in err) == (3, True)


def test_a_preset_that_is_not_the_recorded_one_is_refused_before_anything_is_trained(
    supernet: Invoke, tiny_bench: Path, tmp_path: Path
) -> None:
    preset = tmp_path / "shipped" / "tiny.toml"
    preset.write_text(preset.read_text().replace("conv5x5", "sep3x3"))
    code, _, err = supernet("bench", "fair")
    assert code == 2
    assert "is not what the benchmark 'tiny' was recorded with: another search space" in err
    assert not (tmp_path / "runs").exists()


WRONG = [
    (["fiar"], "Did you mean 'fair'?"),
    (["fair", "--on", "tiyn"], "Did you mean 'tiny'?"),
    ([], "Name the strategy to benchmark"),
    (["{ name = "], "STRATEGY: not a valid TOML value"),
    (['{ name = "path-dropout", rat = 0.5 }'], "Did you mean 'rate'?"),
    (["fair", "--seeds", "0,0"], "the same seed twice"),
    (["fair", "--seeds", "x"], "--seeds x: expected whole numbers"),
    (["fair", "--epochs", "0"], "--epochs"),
    (["fair", "--set", "train.epochs=2"], "Use --epochs."),
    (["fair", "--set", "space.hidden=8"], "only runtime can be changed"),
    (["fair", "--set", "runtime.thread=2"], "Did you mean 'runtime.threads'?"),
    (["fair", "--resume", "latest"], "--resume uses the run's own preset"),
    (["--list", "--resume", "latest"], "--list trains nothing"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda value: " ".join(value)[:40])
def test_wrong_usage_is_reported_before_anything_is_trained(
    arguments: list[str], message: str, supernet: Invoke, tiny_bench: Path, tmp_path: Path
) -> None:
    code, out, err = supernet("bench", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "runs").exists()


def test_a_strategy_that_cannot_train_the_space_is_refused(
    supernet: Invoke, tiny_bench: Path, tiny: Callable[..., Preset], tmp_path: Path
) -> None:
    blocks = [{"channels": 4, "pool": 2, "candidates": ["conv3x3", "conv5x5", "identity"][:n]} for n in (2, 3)]
    uneven = tiny(space={"blocks": blocks})
    (tmp_path / "shipped" / "tiny.toml").write_text(dump_toml(uneven))
    tiny_bench.write_text(json.dumps(table_of(uneven)))
    code, _, err = supernet("bench", "fair")
    assert code == 2
    assert "same number of candidates in every block" in err
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_the_list_shows_what_is_recorded(supernet: Invoke, tiny_bench: Path) -> None:
    code, out, _ = supernet("bench", "--list")
    assert code == 0
    assert "tiny: 4 paths; ground truth: 3 epochs from scratch (also 1 epoch)" in out
    assert "uniform, 3" in out
    (entry,) = json.loads(supernet("bench", "--list", "--json")[1])["benchmarks"]
    assert [(row["label"], row["epochs"], row["place"]) for row in entry["recorded"]] == [
        ("uniform", 3, 1),
        ("sandwich", 3, 2),
    ]


def test_the_list_never_imports_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from supernet_cli.cli.app import run;"
        "sys.exit(run(['bench', '--list']) or int('torch' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True).returncode == 0


def test_python_offers_the_benchmark_too(
    tiny_bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, supernet: Invoke
) -> None:
    import supernet_cli.benchmarks.standing  # noqa: F401 - the room must not hide the function

    found = supernet_cli.bench({"name": "path-dropout", "rate": 0.5}, "tiny", epochs=3, seeds=[0])
    assert found.row.label == "path-dropout (rate 0.5)"
    assert found.place is not None
    run = find_run(tmp_path / "runs", only_run(tmp_path).name)
    assert supernet_cli.bench(run) == found
    with monkeypatch.context() as at_once:
        at_once.setattr(Interruption, "__enter__", lambda self: setattr(self, "requested", True) or self)
        with pytest.raises(KeyboardInterrupt, match="resume with supernet.bench"):
            supernet_cli.bench("uniform", seeds=[0])


def test_the_default_is_iso_where_it_is_there(tiny_bench: Path) -> None:
    from supernet_cli.benchmarks.table import default_name

    assert default_name() == "tiny"
    table: dict[str, Any] = json.loads(tiny_bench.read_text())
    tiny_bench.with_name("iso.json").write_text(json.dumps(table | {"name": "iso"}))
    tiny_bench.with_name("zoo.json").write_text(json.dumps(table | {"name": "zoo"}))
    assert default_name() == "iso"
