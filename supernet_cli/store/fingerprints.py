"""Hashes of what must agree before results of two runs may be compared or shared."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from supernet_cli.config.schema import Preset
from supernet_cli.space import SearchSpace

_UNSEEN = {"evaluate_every", "log_every", "checkpoint_every", "evaluate_unrecalibrated"}
"""Keys of a recipe that leave its weights as they are."""


def fingerprints(preset: Preset) -> dict[str, str]:
    """Return hashes of what must agree before results of two runs may be compared or shared.

    Where the images lie is no part of it: a run's manifest has a fingerprint of the images themselves.
    """
    return _fingerprints(preset, preset.data.model_dump(mode="json", exclude={"root"}))


def conditions(preset: Preset) -> dict[str, str]:
    """Return hashes of what must agree before supernets of several strategies, lengths and seeds may be compared.

    What is logged, checkpointed or evaluated meanwhile is no part of it, nor is the machine.
    """
    data = preset.data.model_dump(mode="json", exclude={"root"})
    recipe = preset.train.model_dump(mode="json", exclude={"sampler", "epochs", "seeds", *_UNSEEN})
    return {
        "space": SearchSpace.from_config(preset.space).fingerprint(),
        "split": _split(data),
        "train": _hash({"recipe": _as_earlier(recipe), "data": data}),
    }


def fingerprints_with_root(preset: Preset) -> dict[str, str]:
    """Return the hashes as earlier versions wrote them, which counted the folder of a user's own images."""
    data = preset.data.model_dump(mode="json", exclude={"root"})
    if preset.data.dataset == "folder":
        data["root"] = os.path.realpath(os.path.expanduser(preset.data.root))
    return _fingerprints(preset, data)


def _fingerprints(preset: Preset, data: dict[str, Any]) -> dict[str, str]:
    recipe = _as_earlier(preset.standalone_recipe().model_dump(mode="json", exclude=_UNSEEN))
    runtime = preset.runtime.model_dump(mode="json", include={"device", "precision"})
    return {
        "space": SearchSpace.from_config(preset.space).fingerprint(),
        "split": _split(data),
        "retrain": _hash({"recipe": recipe, "data": data, "threads": preset.retrain.threads, **runtime}),
    }


def _split(data: dict[str, Any]) -> str:
    return _hash({key: value for key, value in data.items() if key not in ("standardize", "shift", "flip")})


def _as_earlier(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe without a later key at its default, which is no difference."""
    return {key: value for key, value in recipe.items() if key != "decay_norm" or not value}


def _hash(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
