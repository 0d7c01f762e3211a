"""Write the benchmark tables of `supernet bench` from the study's results.

    python docs/study/tables.py           write supernet_cli/benchmarks/<space>.json for every space
    python docs/study/tables.py --check   check that they match the results

A space's folder is named after its preset. Figures are copied; only mean one-shot losses are computed.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from stored import HERE, load

from supernet_cli.benchmarks.table import FOLDER
from supernet_cli.config.load import load_preset
from supernet_cli.config.presets import shipped_folder
from supernet_cli.store.fingerprints import conditions

SIZES = ("parameters", "macs")


def table(space: str) -> dict[str, Any]:
    """Return the benchmark of a space's results: ground truths of all paths, and what ranks them."""
    data = load(space)
    preset = load_preset(str(shipped_folder() / f"{space}.toml")).preset
    everywhere = {epochs: truth for epochs, truth in data["truth"].items() if truth["paths"] == data["paths"]}
    truths = sorted(everywhere.items(), key=lambda item: -int(item[0]))
    return {
        "name": space,
        "preset": space,
        "settings": _settings(data),
        "conditions": conditions(preset),
        "decisions": data["blocks"],
        "paths": _paths(data, truths[0][1]),
        "truths": [
            {"epochs": int(epochs), "macs": truth["cost"]["macs"]}
            | {key: truth[key] for key in ("seeds", "validation", "test")}
            for epochs, truth in truths
        ],
        "supernets": [
            {
                "name": each["name"],
                "strategy": {"name": each["sampler"], **each["parameters"]},
                "epochs": each["epochs"],
                "seeds": each["seeds"],
                "loss": each["loss"],
                "training_macs": each["training"]["macs"],
                "evaluation_macs": each["evaluation"]["macs"],
            }
            for each in _trained(data)
        ],
    }


def _trained(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the supernets of a strategy: all but those that were not trained."""
    return [each for each in data["supernets"] if not each["name"].startswith("untrained")]


def _settings(data: dict[str, Any]) -> dict[str, Any]:
    """Return what train.py changes in the preset, beside strategies, lengths and seeds: when and how to evaluate."""
    twice = any("accuracy_unrecalibrated" in each for each in data["supernets"])
    return {"train.evaluate_every": 100, **({"train.evaluate_unrecalibrated": True} if twice else {})}


def _paths(data: dict[str, Any], truth: dict[str, Any]) -> dict[str, Any]:
    profile = data["profile"]
    return {
        "-".join(map(str, choices)): {
            "validation": truth["validation"][index],
            "test": truth["test"][index],
            "macs": profile["macs"][index],
            "parameters": profile["parameters"][index],
            "scores": {
                **{name: round(values[index], 6) for name, values in profile.items() if name not in SIZES},
                **{
                    each["name"]: -round(statistics.fmean(row[index] for row in each["loss"]), 6)
                    for each in _trained(data)
                },
            },
        }
        for index, choices in enumerate(data["choices"])
    }


def text(document: dict[str, Any]) -> str:
    """Return a table as its file: a line for each path, and for each of the longer lists."""
    lines = []
    for key, value in document.items():
        if isinstance(value, dict) and key == "paths":
            inner = ",\n".join(f"{json.dumps(name)}:{_compact(path)}" for name, path in value.items())
            lines.append(f'"{key}":{{\n{inner}\n}}')
        elif key in ("truths", "supernets"):
            inner = ",\n".join(map(_compact, value))
            lines.append(f'"{key}":[\n{inner}\n]')
        else:
            lines.append(f'"{key}":{_compact(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def tables() -> dict[Path, str]:
    """Return the files of all benchmarks with what is in them."""
    spaces = sorted(path.parent.name for path in HERE.glob("*/space.json"))
    return {FOLDER / f"{space}.json": text(table(space)) for space in spaces}


if __name__ == "__main__":
    if "--check" in sys.argv:
        wrong = [path.name for path, content in tables().items() if not path.exists() or path.read_text() != content]
        sys.exit(f"These tables do not match the results: {', '.join(wrong)}." if wrong else 0)
    for path, content in tables().items():
        path.write_text(content)
