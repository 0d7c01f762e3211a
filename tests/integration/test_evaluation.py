"""`evaluate` with several workers: the same numbers as one process, and the same errors."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers import PATIENCE, program, wait_for

Invoke = Callable[..., tuple[int, str, str]]


def without_times(value: Any) -> Any:
    if isinstance(value, list):
        return [without_times(each) for each in value]
    if isinstance(value, dict):
        left_out = ("run", "seconds", "latency_seconds", "latency_batch_seconds")
        return {key: without_times(each) for key, each in value.items() if key not in left_out}
    return value


def test_two_workers_find_what_one_process_finds_to_the_byte(supernet: Invoke, trained: str, tmp_path: Path) -> None:
    assert supernet("retrain", "conv3x3_conv3x3", "conv5x5_conv5x5", "--workers", "1", "--quiet")[0] == 0
    one = tmp_path / "runs" / trained
    two = Path(shutil.copytree(one, tmp_path / "runs" / "two"))
    code, out, err = supernet("evaluate", "--run", trained, "--json")
    assert code == 0, err
    code, same, err = supernet("evaluate", "--run", "two", "--workers", "2", "--json")
    assert code == 0, err
    assert json.loads(out)["paths"] == json.loads(same)["paths"]
    files = [path.relative_to(one) for path in sorted((one / "results").rglob("*")) if path.is_file()]
    assert [path.relative_to(two) for path in sorted((two / "results").rglob("*")) if path.is_file()] == files
    for name in files:
        if name.suffix == ".json":
            mine, others = (without_times(json.loads((run / name).read_text())) for run in (one, two))
            assert mine == others
        else:
            assert (one / name).read_bytes() == (two / name).read_bytes()

    # damaged weights are the error that they are in one process
    weights = two / "standalone" / "conv5x5_conv5x5" / "seed-0" / "weights.safetensors"
    weights.write_bytes(b"damaged")
    errors = [supernet("evaluate", "--run", "two", *words) for words in ((), ("--workers", "2"))]
    assert [code for code, _, _ in errors] == [5, 5]
    assert "weights.safetensors are damaged" in errors[0][2].replace("\n", " ")
    assert [err.partition("error: ")[2] for _, _, err in errors] == [errors[0][2].partition("error: ")[2]] * 2


def test_a_signal_ends_workers_that_evaluate(trained: str, tmp_path: Path) -> None:
    import psutil

    process = program("evaluate", "--workers", "2", cwd=tmp_path)
    children = psutil.Process(process.pid).children
    wait_for(lambda: any("spawn_main" in " ".join(child.cmdline()) for child in children()))
    workers = children(recursive=True)
    for each in (*workers, process):
        each.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    assert not alive
