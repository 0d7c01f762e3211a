"""`supernet search RUN` from the command line: what it finds, and that nothing is lost or done twice."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from following import suggestions
from helpers import PATIENCE, program, wait_for

from supernet_cli.store.lock import FileLock
from supernet_cli.store.run import SEARCH_LOCK, Run
from supernet_cli.store.runs import find_run, list_runs

Invoke = Callable[..., tuple[int, str, str]]

QUICK = ["--workers", 1]


def done(run: Run) -> dict[str, Any]:
    """Return what a search has stored, without timings, latencies and costs."""
    document = json.loads((run.folder / "results" / "search.json").read_text())
    for path in (document["pick"], *document["front"], *document["paths"]):
        path.pop("latency_seconds")
        path.pop("weights", "")
    return {**document, "cost": ""}


def decided(run: Run) -> list[str]:
    path = run.folder / "results" / "search-journal.json"
    return list(json.loads(path.read_text())["decided"]) if path.is_file() else []


def trainings(run: Run) -> dict[str, float]:
    """Return the finished stand-alone trainings, with the time at which their weights were written."""
    return {str(job.key): job.weights.stat().st_mtime for job in run.alone_jobs() if job.weights.is_file()}


@pytest.fixture
def run(supernet: Invoke, tiny_file: Path) -> Run:
    """Return a finished run whose paths train for a while."""
    settings = ["retrain.epochs=6", "retrain.checkpoint_every=5", 'space.blocks.0.candidates=["conv1x1","conv3x3"]']
    code, out, err = supernet("train", tiny_file, "--json", *(w for s in settings for w in ("--set", s)))
    assert code == 0, out + err
    return find_run(Path("runs"), json.loads(out)["run"])


def test_a_search_finds_a_path_says_so_and_repeats_nothing(supernet: Invoke, run: Run) -> None:
    code, out, err = supernet("search", "--trainings", 3, "--until", 0.999, *QUICK, "--json")
    assert code == 0, out + err
    document = json.loads(out)
    assert (document["finished"], document["used"], document["space_size"]) == (True, 3, 4)
    assert document["pick"]["trained"] == 1
    assert document["pick"]["test_accuracy"] is not None
    assert Path(document["pick"]["weights"]).is_file()
    before = trainings(run)
    assert len(before) == 3
    code, out, err = supernet("search", "--trainings", 3, "--until", 0.999, *QUICK, "--json")
    assert (code, json.loads(out)) == (0, document)
    assert trainings(run) == before
    code, out, _ = supernet("search", run.id, "--limit", f"parameters={document['pick']['parameters']}", *QUICK)
    assert code == 0
    assert "within the limits" in " ".join(out.split())
    assert before.items() <= trainings(run).items()
    code, out, err = supernet("search", "--trainings", 1, "--dry-run")
    assert code == 0, out + err
    code, out, err = supernet("retrain", "--top", 2, "--by", "posterior", "--seeds", "0,1", "--json")
    assert code == 0, out + err
    jobs = json.loads(out)["jobs"]
    assert len(jobs) == 4
    assert document["pick"]["path"] in {job["path"] for job in jobs}


def test_a_search_measures_what_it_needs_and_evaluate_the_rest(supernet: Invoke, run: Run) -> None:
    code, out, err = supernet("search", "--trainings", 1, *QUICK, "--json")
    assert code == 0, out + err
    pick, stored = json.loads(out)["pick"], run.folder / "results" / "profile.json"
    measured = json.loads(stored.read_text())["paths"]
    assert len(measured) == 4
    assert all(set(path) >= {"parameters", "macs", "synflow"} for path in measured.values())
    assert not any(set(path) & {"naswot", "gradient_norm"} for path in measured.values())
    latencies = {name: path["latency_seconds"] for name, path in measured.items()}
    assert {name for name, latency in latencies.items() if latency} == {pick["path"]}
    assert latencies[pick["path"]] == pick["latency_seconds"]
    assert "latency" not in supernet("search", "--trainings", 1, *QUICK)[1]
    page = ["compare", "--format", "html", "--output", "page.html"]
    for command in (["compare"], page, ["evaluate"], ["compare"]):
        code, out, err = supernet(*command)
        assert code == 0, out + err
    after = json.loads(stored.read_text())["paths"]
    assert after[pick["path"]]["latency_seconds"] == pick["latency_seconds"]
    for name, path in after.items():
        assert path["synflow"] == measured[name]["synflow"]
        assert set(path) >= {"naswot", "gradient_norm"}
        assert min(path["latency_seconds"], path["latency_batch_seconds"]) > 0


def test_by_posterior_needs_a_training_to_learn_from(supernet: Invoke, run: Run) -> None:
    code, _, err = supernet("retrain", "--top", 2, "--by", "posterior")
    assert code == 5
    assert ("search", run.id) in suggestions(err)


def killed(folder: Path, command: list[object], kills: int, rng: random.Random) -> None:
    """Run a command to its end, after killing it some times at moments that nobody chose."""
    for _ in range(kills):
        process = program(*command, cwd=folder)
        journals = list(folder.glob("runs/*/results/search-journal.json"))
        before = [path.read_text() for path in journals]
        wait_for(
            lambda p=process, b=before: (
                p.poll() is not None
                or [path.read_text() for path in folder.glob("runs/*/results/search-journal.json")] != b
            )
        )
        time.sleep(rng.uniform(0, 4))
        process.kill()
        process.communicate()
    process = program(*command, cwd=folder)
    _, err = process.communicate(timeout=3 * PATIENCE)
    assert process.returncode == 0, err


@pytest.mark.parametrize("kills", [2, pytest.param(25, marks=pytest.mark.slow)])
def test_a_search_killed_at_random_moments_ends_as_one_that_was_not(run: Run, tmp_path: Path, kills: int) -> None:
    seed = int(os.environ.get("KILLS_SEED", time.time_ns()))
    print(f"KILLS_SEED={seed}")
    command: list[object] = ["search", "--trainings", 2, *QUICK]
    (tmp_path / "killed").mkdir()
    shutil.copytree(tmp_path / "runs", tmp_path / "killed" / "runs")
    killed(tmp_path / "killed", command, kills, random.Random(seed))
    process = program(*command, cwd=tmp_path)
    _, err = process.communicate(timeout=3 * PATIENCE)
    assert process.returncode == 0, err
    other = find_run(tmp_path / "killed" / "runs", run.id)
    assert decided(other) == decided(run)
    assert done(other) == done(run)


def test_an_interrupted_search_exits_130_and_what_is_suggested_continues_it(
    supernet: Invoke, run: Run, tmp_path: Path
) -> None:
    process = program("search", "--trainings", 2, "--limit", "macs=1G", *QUICK, cwd=tmp_path)
    wait_for(lambda: bool(list(run.folder.glob("standalone/*/seed-0/metrics-0.jsonl"))))
    _, _, err = supernet("search", "--trainings", 2)
    assert "The search of run" in err
    for command in (("runs", "show"), ("compare",)):
        assert ("tui", run.id) in suggestions("".join(supernet(*command)[1:])), command
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=3 * PATIENCE)
    assert process.returncode == 130, err
    assert "Run the same command again to continue." in err
    words = ("search", "--trainings", "2", "--limit", "macs=1G", run.id)
    for command in (("runs", "show"), ("compare",)):
        assert words in suggestions("".join(supernet(*command)[1:])), command
    code, out, err = supernet(*words, *QUICK, "--json")
    assert (code, json.loads(out)["trainings"]) == (0, 2), err
    assert words not in suggestions("".join(supernet("runs", "show")[1:]))


def test_a_search_of_a_preset_that_is_killed_in_its_training_resumes_the_supernet(
    supernet: Invoke, tiny_file: Path, tmp_path: Path
) -> None:
    slow = ["--set", "train.epochs=40", "--set", "train.checkpoint_every=5", "--set", "retrain.epochs=1"]
    command = ["search", "--preset", tiny_file, *slow, "--trainings", 2, *QUICK, "--json"]
    process = program(*command, cwd=tmp_path)
    wait_for(lambda: bool(list(tmp_path.glob("runs/*/supernet/seed-0/checkpoint.pt"))))
    process.kill()
    process.communicate()
    code, out, err = supernet(*command)
    assert code == 0, out + err
    assert json.loads(out)["trainings"] == 2
    (only,) = list_runs(Path("runs"))
    assert supernet(*command)[0] == 0
    assert [each.id for each in list_runs(Path("runs"))] == [only.id]


def table(**changes: Any) -> dict[str, Any]:
    first = {"conv1x1": 0.001, "conv3x3": 0.002}
    second = {"conv3x3": 0.002, "conv5x5": 0.004}
    return {"device": "a [phone]", "rest": 0.0, "decisions": [first, second], **changes}


def test_wrong_requests_change_nothing_and_say_what_to_do(supernet: Invoke, run: Run, tmp_path: Path) -> None:
    limit = ["--limit", "latency=3ms", "--latency-table", "table.json"]
    tables: list[tuple[object, str]] = [
        (table(decisions=[{"conv1x1": 0.1}, table()["decisions"][1]]), "decisions[0] has no latency for conv3x3."),
        (table(decisions=[{"conv1x1": -1.0, "conv3x3": 1.0}, {}]), "decisions[0] has a negative latency for conv1x1."),
        (table(decisions=table()["decisions"][:1]), "has 1 decisions; the space has 2."),
        (table(decisions=[[0.1, 0.2], [0.1, 0.2]]), "This is no latency table"),
        (table(rest=-1.0), "rest"),
        (table(device=""), "device"),
        ({}, "device"),
        ([1], "This is no latency table"),
        (table(decisions=[{"conv1x1": float("nan"), "conv3x3": 1.0}, {}]), "This is no latency table"),
        (table(decisions=[{"conv1x1": 1.0, "conv3x3": 1.0}] * 2), "decisions[1] has no latency for conv5x5."),
    ]
    wrong: list[tuple[list[str], int, str]] = [
        (["--limit", "parameters=9"], 2, "No path has parameters ≤ 9. The nearest is conv1x1_conv3x3, with "),
        (["--limit", "latency=2ms", "--latency-table", "good.json"], 2, "with 3ms."),
        (["--limit", "latency=3ms", "--latency-table", "none.json"], 2, "none.json cannot be read"),
        (["--limit", "latency=3ms", "--latency-table", "."], 2, "cannot be read"),
        (["--supernets", "0.00001"], 2, "The budget does not allow a single training."),
    ]
    (tmp_path / "good.json").write_text(json.dumps(table()))
    before = trainings(run)
    for number, (content, words) in enumerate(tables):
        (tmp_path / f"table{number}.json").write_text(json.dumps(content))
        wrong.append(([*limit[:3], f"table{number}.json"], 2, words))
    (tmp_path / "text.json").write_text("latency")
    wrong.append(([*limit[:3], "text.json"], 2, "This is no latency table"))
    for options, code, words in wrong:
        found, out, err = supernet("search", *options)
        assert (found, words in " ".join(err.split()), out) == (code, True, ""), (options, err)
        found, out, err = supernet("search", *options, "--json")
        error = json.loads(out)["error"]
        assert (found, error["exit_code"], err) == (code, code, ""), options
        assert error["hint"] or "decisions" in error["message"], options
    assert trainings(run) == before
    lock = FileLock(run.folder / SEARCH_LOCK, "held")
    lock.acquire()
    code, _, err = supernet("search")
    lock.release()
    assert (code, f"The search of run {run.id} is held by another process." in err) == (5, True)
    journal = run.folder / "results" / "search-journal.json"
    for content in ("{", '{"policy": 3}', '{"policy": {"name": "posterior"}, "seeds": [0], "decided": 3}'):
        journal.write_text(content)
        for command in (("search",), ("runs", "show"), ("search", "--dry-run")):
            code, _, err = supernet(*command)
            assert code in ((0, 5) if command[0] == "runs" else (5,)), (command, err)
            assert "Traceback" not in err
        code, _, err = supernet("search")
        assert "search-journal.json is damaged" in err
        assert "repeat your `supernet search` command" in err
    journal.unlink()
    code, out, err = supernet("search", "--limit", "latency=5ms", "--latency-table", "good.json", *QUICK, "--json")
    assert code == 0, out + err
    assert json.loads(out)["within_limits"] == 3
    assert json.loads(out)["latencies"] == "a [phone]"
    assert len(trainings(run)) == 3


def test_a_supernet_that_diverged_is_not_searched(supernet: Invoke, tiny_file: Path) -> None:
    gone = ["--set", "train.optimizer.lr=1e30"]
    assert supernet("train", tiny_file, *gone)[0] == 3
    code, _, err = supernet("search")
    assert (code, "no finished supernet" in err) == (5, True)
    (words,) = suggestions(err)
    assert words[0] == "train"
    code, _, err = supernet("search", "--preset", tiny_file, *gone)
    assert (code, "no finished supernet" in err) == (5, True)
    assert len(list_runs(Path("runs"))) == 1


def test_a_run_that_cannot_be_written_is_not_searched(
    supernet: Invoke, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Path.open

    def no_lock(path: Path, *arguments: Any, **more: Any) -> Any:
        if path.name == SEARCH_LOCK:
            raise OSError(30, "Read-only file system")
        return held(path, *arguments, **more)

    monkeypatch.setattr(Path, "open", no_lock)
    code, _, err = supernet("search")
    assert (code, "Read-only file system" in err) == (4, True)


def test_a_path_that_diverges_is_told_and_never_chosen_again(supernet: Invoke, tiny_file: Path) -> None:
    settings = [
        "--set",
        "retrain.epochs=1",
        "--set",
        "retrain.optimizer.lr=1e30",
        "--set",
        "retrain.optimizer.name=SGD",
    ]
    assert supernet("train", tiny_file, "--quiet", *settings)[0] == 0
    code, out, err = supernet("search", "--trainings", 4, *QUICK, "--json")
    assert code == 3, err
    assert "Every path diverged" in json.loads(out)["error"]["message"]
