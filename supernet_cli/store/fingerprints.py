"""Hashes of what must agree before results of two runs may be compared or shared."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from supernet_cli.config.schema import Preset
from supernet_cli.space import SearchSpace


def fingerprints(preset: Preset) -> dict[str, str]:
    """Return hashes of what must agree before results of two runs may be compared or shared.

    Where the images lie is no part of it: a run's manifest has a fingerprint of the images themselves.
    """
    return _fingerprints(preset, preset.data.model_dump(mode="json", exclude={"root"}))


def fingerprints_with_root(preset: Preset) -> dict[str, str]:
    """Return the hashes as earlier versions wrote them, which counted the folder of a user's own images."""
    data = preset.data.model_dump(mode="json", exclude={"root"})
    if preset.data.dataset == "folder":
        data["root"] = os.path.realpath(os.path.expanduser(preset.data.root))
    return _fingerprints(preset, data)


def _fingerprints(preset: Preset, data: dict[str, Any]) -> dict[str, str]:
    recipe = preset.standalone_recipe().model_dump(
        mode="json", exclude={"evaluate_every", "log_every", "checkpoint_every"}
    )
    if recipe["decay_norm"]:
        del recipe["decay_norm"]  # a later key at its default is no difference
    runtime = preset.runtime.model_dump(mode="json", include={"device", "precision"})
    split = {key: value for key, value in data.items() if key not in ("standardize", "shift", "flip")}
    return {
        "space": SearchSpace.from_config(preset.space).fingerprint(),
        "split": _hash(split),
        "retrain": _hash({"recipe": recipe, "data": data, "threads": preset.retrain.threads, **runtime}),
    }


def _hash(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
