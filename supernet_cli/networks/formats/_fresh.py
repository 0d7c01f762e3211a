"""Runs exported files in a process of its own, in which this package cannot be imported.

A script: `python -I _fresh.py FORMAT FOLDER`, with a `.npz` on stdin and one on stdout. It uses numpy, and whatever the
`read` function of the format's file imports.
"""

import importlib
import importlib.util
import io
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any


def main() -> None:
    """Read what to do, do it, and write what came out."""
    file, folder = sys.argv[1:]
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print must not get between
    given = sys.stdin.buffer.read()
    size = int.from_bytes(given[:8], "little")
    job, content = json.loads(given[8 : 8 + size]), given[8 + size :]
    sys.path[:] = job["search"]
    sys.modules["supernet_cli"] = None  # type: ignore[assignment]  # importing it is an ImportError from now on
    import numpy as np

    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        pixels = arrays["pixels"]
        scale, offset = arrays["scale"], arrays["offset"]
    try:
        importlib.import_module("supernet_cli")
    except ImportError:
        pass
    else:
        sys.exit("supernet_cli can be imported here, so nothing would be shown")
    logits = reader(file, folder, job["threads"])

    def prepared(some: Any) -> Any:
        return some.astype(np.float32) * scale + offset if job["floats"] else some

    answer: dict[str, Any] = {}
    if job["batches"]:
        for batch in job["batches"]:
            answer[f"batch{batch}"] = timed(logits, prepared(np.resize(pixels, (batch, *pixels.shape[1:]))), np)
    else:
        size = job["batch"]
        parts = [logits(prepared(pixels[start : start + size])) for start in range(0, len(pixels), size)]
        answer["logits"] = np.concatenate(parts)
    loaded = [name for name in ("torch", "onnxruntime", "safetensors") if name in sys.modules]
    np.savez(out, loaded=np.array(loaded, dtype="U"), **answer)
    out.flush()


def reader(file: str, folder: str, threads: int) -> Callable[[Any], Any]:
    """Return the function from images to logits that a format's file loads from a folder."""
    import pathlib

    spec = importlib.util.spec_from_file_location("exported_format", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.read(pathlib.Path(folder), threads)  # type: ignore[no-any-return]


def timed(
    logits: Callable[[Any], Any], images: Any, np: Any, seconds: float = 1.0, least: int = 10, most: int = 200
) -> Any:
    """Return the seconds that each of many passes took, after some to warm up."""
    started = time.perf_counter()
    for _ in range(3):
        logits(images)
    times: list[float] = []
    while len(times) < least or (len(times) < most and time.perf_counter() - started < seconds):
        begun = time.perf_counter()
        logits(images)
        times.append(time.perf_counter() - begun)
    return np.array(times)


if __name__ == "__main__":
    main()
