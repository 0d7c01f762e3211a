"""The whole experiment in one command, and its comparison as a person or a script meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE, only_run, program, store_run, wait_for

from supernet_cli.config.schema import Preset
from supernet_cli.space import SearchSpace
from supernet_cli.store.job import JobWriter
from supernet_cli.store.runs import create_run
from supernet_cli.training import judge
from supernet_cli.workflows.interruption import Interruption

Invoke = Callable[..., tuple[int, str, str]]
PATHS = [f"conv{a}x{a}_conv{b}x{b}" for a in (3, 5) for b in (3, 5)]
FIELDS = {
    "run", "n", "supernet_seeds", "stand_alone_seeds", "score", "truth", "rows", "kendall_tau", "spearman_rho",
    "kendall_tau_top_quarter", "seed_agreement", "tau_ceiling", "tau_corrected", "relabel_p", "resolved_share",
    "resolved_gamma", "sparse_tau", "regret_at_1", "regret_at_3", "baselines", "audit", "cost", "verdict", "notes",
}  # fmt: skip
ROW = {
    "path", "one_shot_validation_loss", "one_shot_validation_accuracy", "one_shot_test_accuracy",
    "stand_alone_test_accuracy", "stand_alone_sd", "stand_alone_test_loss", "difference", "parameters", "macs",
    "latency_seconds", "seconds",
}  # fmt: skip


def test_an_experiment_goes_from_nothing_to_a_verdict(supernet: Invoke, tiny_file: Path, tmp_path: Path) -> None:
    arguments = ["--preset", tiny_file, "--seeds", "0,1", "--supernet-seeds", "0,1", "--workers", "1"]
    code, out, err = supernet("experiment", *arguments, "--json")
    assert code == 0, err
    (entry,) = json.loads(out)["runs"]
    assert set(entry) >= FIELDS
    assert (entry["n"], entry["supernet_seeds"], entry["stand_alone_seeds"]) == (4, [0, 1], [0, 1])
    assert sorted(row["path"] for row in entry["rows"]) == PATHS
    for row in entry["rows"]:
        assert set(row) >= ROW
        assert None not in [row[name] for name in ROW]
    assert entry["missing"] == []
    assert entry["cost"]["training"]["forward_images"] == 2 * 3 * 500
    assert entry["cost"]["stand_alone"]["forward_images"] == 8 * 3 * 500
    run = only_run(tmp_path)
    stored = json.loads((run / "results" / "comparison.json").read_text())["runs"][0]
    assert {row["path"]: row for row in stored["rows"]} == {row["path"]: row for row in entry["rows"]}

    # compare says the same again, from what is stored alone
    assert json.loads(supernet("compare", "--json")[1]) == json.loads(out)
    # so does an experiment that goes on where nothing is left to do
    code, again, err = supernet("experiment", "--resume", "latest", "--json")
    assert (code, err.count("finished")) == (0, 0)
    same = ("rows", "kendall_tau", "audit", "verdict")
    assert [json.loads(again)["runs"][0][name] for name in same] == [entry[name] for name in same]


def test_an_experiment_goes_on_wherever_it_was_interrupted(
    supernet: Invoke, tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> str:
        with monkeypatch.context() as at_once:
            at_once.setattr(Interruption, "__enter__", lambda self: setattr(self, "requested", True) or self)
            code, _, err = supernet("experiment", *arguments)
        assert code == 130
        assert "Resume with: supernet experiment --resume" in err
        return str(json.loads(supernet("runs", "ls", "--json")[1])["runs"][0]["status"])

    assert interrupted("--preset", tiny_file) == "interrupted"  # in the supernet's first steps
    assert supernet("train", "--resume", "latest")[0] == 0
    assert interrupted("--resume", "latest") == "created"  # before any path is trained alone
    code, out, err = supernet("experiment", "--resume", "latest", "--workers", "1")
    assert code == 0, err
    assert "NOT ENOUGH EVIDENCE" in out
    assert (only_run(tmp_path) / "results" / "comparison.json").exists()


def test_of_two_experiments_on_one_run_the_second_waits_and_repeats_nothing(
    supernet: Invoke, tiny_file: Path, tmp_path: Path
) -> None:
    arguments = ["--preset", tiny_file, "--seeds", "0", "--workers", "1"]
    first = program("experiment", *arguments, "--set", "train.epochs=12", "--json", cwd=tmp_path)
    wait_for(lambda: len(list(tmp_path.glob("runs/*/supernet/seed-0/metrics-0.jsonl"))) == 1)
    second = program("experiment", "--resume", "latest", cwd=tmp_path)
    told = [process.communicate(timeout=PATIENCE) for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0], told
    assert "waiting for it" in told[1][1]
    assert "waiting for it" not in told[0][1]
    assert "NOT ENOUGH EVIDENCE" in told[1][0]
    stored = json.loads((only_run(tmp_path) / "results" / "comparison.json").read_text())["runs"][0]
    assert stored["rows"] == json.loads(told[0][0])["runs"][0]["rows"]
    assert len(list(only_run(tmp_path).glob("*/**/metrics-*.jsonl"))) == 1 + 4  # nothing was trained twice


def test_an_interruption_as_a_phase_ends_stops_the_experiment(
    supernet: Invoke, tiny_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from supernet_cli.networks.scoring import JudgingPlan

    judged = JudgingPlan.run

    def judge_then_interrupt(*arguments: Any, **named: Any) -> Any:
        import os
        import signal

        found = judged(*arguments, **named)
        os.kill(os.getpid(), signal.SIGTERM)  # SIGINT may be ignored where tests run in the background
        return found

    monkeypatch.setattr(JudgingPlan, "run", judge_then_interrupt)
    code, out, err = supernet("experiment", "--preset", tiny_file, "--set", "train.epochs=1", "--json")
    assert (code, "Resume with: supernet experiment --resume" in err) == (130, False)  # --json says no hints
    assert json.loads(out)["status"] == "finished"  # of its only jobs so far
    assert not list(Path("runs").glob("*/standalone"))


def test_an_interruption_while_judging_keeps_what_was_judged_and_goes_on(
    supernet: Invoke, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from supernet_cli.training import judge

    kept, keep = [], judge.keep_scores
    with monkeypatch.context() as once_one_is_kept:
        once_one_is_kept.setattr(judge, "keep_scores", lambda *all, **more: (keep(*all, **more), kept.append(1)))
        asked = property(lambda self: bool(kept), lambda self, value: None)
        once_one_is_kept.setattr(Interruption, "requested", asked, raising=False)
        assert supernet("evaluate")[0] == 130
    stored = json.loads((Path("runs") / trained / "results" / "evaluation.json").read_text())
    assert {row["seed"] for row in stored["splits"]["test"]} == {0}


def test_trainings_that_all_fail_are_what_an_experiment_tells(supernet: Invoke, tiny_file: Path) -> None:
    wild = ["--set", 'retrain.optimizer={name="SGD", lr=1e30}', "--set", 'retrain.schedule={name="ConstantLR"}']
    code, out, _ = supernet("experiment", "--preset", tiny_file, *wild, "--workers", "1", "--json")
    assert code == 6
    assert "4 of 4 trainings failed" in json.loads(out)["error"]["message"]


def test_an_experiment_compares_what_there_is_and_tells_what_failed(
    supernet: Invoke, trained: str, tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / trained / "standalone" / PATHS[0] / "seed-0"
    folder.mkdir(parents=True)
    for name in ("checkpoint.pt", "checkpoint.previous.pt"):
        (folder / name).write_bytes(b"damaged")
    code, out, _ = supernet("experiment", "--resume", "latest", "--workers", "1", "--json")
    assert code == 6
    document = json.loads(out)
    assert document["runs"][0]["n"] == 3
    assert PATHS[0] in document["error"]["message"]


def test_a_space_too_large_to_train_path_by_path_is_told_before_anything_is_trained(
    supernet: Invoke, tiny_file: Path, tmp_path: Path
) -> None:
    block = '{channels=4, pool=1, candidates=["conv1x1", "conv3x3", "conv5x5", "conv7x7"]}'
    code, _, err = supernet("experiment", "--preset", tiny_file, "--set", f"space.blocks=[{', '.join([block] * 7)}]")
    assert (code, "16,384 paths" in err, "`supernet train " in err) == (2, True, True)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "option", [["--preset", "quick"], ["--seeds", "0"], ["--supernet-seeds", "0"], ["--set", "a=1"]]
)
def test_resume_takes_no_other_plan(option: list[str], supernet: Invoke) -> None:
    code, _, err = supernet("experiment", "--resume", "latest", *option)
    assert (code, "own preset" in err) == (2, True)


def test_an_experiment_that_is_refused_does_not_make_a_training_an_experiment(
    supernet: Invoke, tiny: Callable[..., Preset], tmp_path: Path
) -> None:
    run = create_run(tmp_path / "runs", "plain", tiny())
    with JobWriter(run.supernet_job(0)):
        code, _, err = supernet("experiment", "--resume", "latest")
    assert (code, "Another process is training" in err) == (5, True)
    assert "supernet train --resume" in "".join(map(str, supernet("runs", "show")))


def test_evaluate_judges_both_kinds_and_keeps_sizes_and_answers(supernet: Invoke, trained: str, tmp_path: Path) -> None:
    assert supernet("retrain", PATHS[0], "--workers", "1", "--quiet")[0] == 0
    code, out, _ = supernet("evaluate", *PATHS[:2], "--json")
    assert code == 0
    kinds = [(row["kind"], row["seed"], row["path"]) for row in json.loads(out)["paths"]]
    assert sorted(kinds) == sorted(
        [("one-shot", seed, path) for seed in (0, 1) for path in PATHS[:2]] + [("stand-alone", 0, PATHS[0])]
    )
    results = tmp_path / "runs" / trained / "results"
    profile = json.loads((results / "profile.json").read_text())
    assert set(profile["paths"]) == set(PATHS[:2])
    for measured in profile["paths"].values():
        assert measured["macs"] > 0
        assert 0 < measured["latency_seconds"] < measured["latency_batch_seconds"] * 250
    assert sorted(path.name for path in (results / "correct" / "test").iterdir()) == [
        "one-shot-seed-0.npz",
        "one-shot-seed-1.npz",
        "stand-alone-seed-0.npz",
    ]


def test_what_is_measured_is_not_measured_again(
    supernet: Invoke, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert supernet("evaluate", PATHS[0])[0] == 0
    seen: list[str] = []
    measure = judge.profile_paths
    monkeypatch.setattr(
        judge, "profile_paths", lambda p, paths, figures: seen.extend(map(str, paths)) or measure(p, paths, figures)
    )
    assert supernet("evaluate")[0] == 0
    assert seen == PATHS[1:]


@pytest.fixture
def stored(tmp_path: Path, tiny: Any) -> str:
    """Return the id of a run with results, written without training anything."""
    names = [str(path) for path in SearchSpace.from_config(tiny().space).enumerate()]
    accuracies = dict(zip(names, (0.9, 0.8, 0.7, 0.6), strict=True))
    one_shot = {0: {path: (accuracy, 1 - accuracy) for path, accuracy in accuracies.items()}}
    return store_run(tmp_path / "runs", tiny(), one_shot, {0: accuracies, 1: accuracies}).id


@pytest.mark.parametrize("form", ["table", "html"])
def test_json_and_another_format_are_one_too_many(form: str, supernet: Invoke, stored: str) -> None:
    code, out, _ = supernet("compare", "--json", "--format", form)
    assert (code, "contradict" in json.loads(out)["error"]["message"]) == (2, True)


def test_a_run_that_cannot_be_written_is_compared_all_the_same(
    supernet: Invoke, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from supernet_cli.errors import DiskError

    def full(run: Any, name: str, document: Any) -> None:
        raise DiskError("results/lock cannot be written: Read-only file system.")

    monkeypatch.setattr("supernet_cli.workflows.compare.keep_finding", full)
    code, out, err = supernet("compare")
    assert (code, "NOT ENOUGH EVIDENCE" in out, "was not stored" in err) == (0, True, True)


def test_compare_never_imports_torch(stored: str, tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from supernet_cli.cli.app import run; code = run(['compare', '--quiet']);"
        "assert not {'torch', 'torchvision'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "NOT ENOUGH EVIDENCE" in done.stdout


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("table", "NOT ENOUGH EVIDENCE"),
        ("json", '"verdict"'),
        ("csv", "run,path,"),
        ("markdown", "| path | accuracy |"),
    ],
)
def test_compare_speaks_in_every_format_on_stdout_and_into_files(
    form: str, words: str, supernet: Invoke, stored: str, tmp_path: Path
) -> None:
    code, out, _ = supernet("compare", "--format", form)
    assert (code, words in out) == (0, True)
    code, _, _ = supernet("compare", "--format", form, "--output", "result")
    text = (tmp_path / "result").read_text()
    assert ('"verdict"' if form == "table" else words) in text


def test_a_report_goes_into_the_run_or_where_it_is_wanted(supernet: Invoke, stored: str, tmp_path: Path) -> None:
    inside = tmp_path / "runs" / stored / "results" / "report.html"
    code, out, _ = supernet("compare", "--format", "html")
    assert (code, str(inside.relative_to(tmp_path)) in out) == (0, True)
    code, out, _ = supernet("compare", "--output", "mine.html")
    assert (code, "mine.html" in out) == (0, True)
    assert (tmp_path / "mine.html").read_text() == inside.read_text()
    assert "<svg" in inside.read_text()


@pytest.mark.parametrize(("name", "words"), [("a.csv", "run,path,"), ("a.md", "# "), ("a.json", '"verdict"')])
def test_the_ending_of_the_file_decides_the_format(
    name: str, words: str, supernet: Invoke, stored: str, tmp_path: Path
) -> None:
    assert supernet("compare", "--output", name)[0] == 0
    assert words in (tmp_path / name).read_text()


@pytest.mark.parametrize("name", ["a.json", "a.pdf", "a"])
def test_a_format_that_was_asked_for_wins_over_the_ending(
    name: str, supernet: Invoke, stored: str, tmp_path: Path
) -> None:
    assert supernet("compare", "--format", "csv", "--output", name)[0] == 0
    assert (tmp_path / name).read_text().startswith("run,path,")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--format", "pdf"], 2, "markdown"),
        (["--sort", "acuracy"], 2, "no such column"),
        (["--run", "nothing"], 5, "nothing"),
        (["--truth", "nothing"], 5, "nothing"),
        (["--output", "nowhere/a.json"], 2, "no folder"),
        (["--output", "a.pdf"], 2, ".json, .csv, .md, .html"),
        (["--output", "a.pdf", "--format", "table"], 2, "JSON document"),
        (["--output", "a.csv", "--json"], 2, "JSON document"),
    ],
)
def test_a_wrong_comparison_is_told(arguments: list[str], code: int, words: str, supernet: Invoke, stored: str) -> None:
    found, out, err = supernet("compare", *arguments)
    assert (found, words in out + err) == (code, True), err


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("width", [80, 120])
def test_the_comparison_fits_the_terminal(
    width: int, details: bool, supernet: Invoke, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from io import StringIO

    from rich.console import Console

    from supernet_cli.cli.comparison import _rendered
    from supernet_cli.reports.compare import compare
    from supernet_cli.store.runs import find_run

    screen = StringIO()
    console = Console(file=screen, width=width, color_system=None)
    for part in _rendered(compare([find_run(Path("runs"), stored)]), details):
        console.print(part)
    text = screen.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for path in PATHS:
        assert path in text
