"""What every screen calls the figures of a comparison, and which of them are unknown, and why."""

from __future__ import annotations

import re
from typing import Any

BASELINES = {
    "random": "random order",
    "parameters": "parameters",
    "macs": "multiply-accumulates",
    "synflow": "synflow",
    "short_training": "short training",
}
"""Orders that need no supernet, by their name in the document."""

LABELS = {
    "kendall_tau_expected": "τ",
    "kendall_tau": "τ as observed",
    "spearman_rho": "Spearman ρ",
    "kendall_tau_top_quarter": "τ in the best quarter",
    "spearman_rho_top_quarter": "ρ in the best quarter",
    "seed_agreement_top_quarter": "agreement of seeds in the best quarter",
    "at_equal_macs": "correlation at equal MACs",
    "divergence": "τ of Bender's diagnostic",
    "tau_interval": "95 % interval of τ",
    "tau_bootstrap": "95 % interval, resampling paths",
    "seed_agreement": "agreement of seeds",
    "supernet_agreement": "agreement of supernets",
    "tau_ceiling": "ceiling of τ",
    "tau_corrected.stand_alone": "τ without stand-alone noise",
    "tau_corrected.both": "τ without any noise",
    "relabel_p": "p by relabelling",
    "relabelling": "relabelling",
    "sparse_tau": "τ at 0.1 % accuracy",
    "resolved_share": "resolved pairs",
    "resolved_pairs": "resolved pairs",
    "resolved_gamma": "γ of resolved pairs",
    "seed_sd": "noise of stand-alone seeds",
    "mcnemar": "networks that differ",
    "regret_at_1": "regret@1",
    "regret_at_3": "regret@3",
    "audit.stand_alone": "stand-alone noise",
    "audit.supernet": "supernet noise",
    "audit.images": "image noise",
    "audit.sharing": "weight-sharing bias, at most",
    "audit.total": "total",
    "audit.candidates.bias": "over- or under-rating of candidates",
    "audit.candidates.error": "standard error of that rating",
    "cost.training": "training supernets",
    "cost.evaluation": "evaluating their paths",
    "cost.stand_alone": "training paths from scratch",
    "cost.short_training": "short trainings",
    **{f"baselines.{name}": f"{word} as a baseline" for name, word in BASELINES.items()},
}
"""By field of the document of `supernet compare`."""

SOURCES = ("stand_alone", "supernet", "images", "sharing")
"""Sources of disagreement, of `audit` and its `shares`."""

SCORE_AXIS, TRUTH_AXIS = "one-shot validation loss, nats →", "↑ stand-alone test accuracy, %"
"""Axes of the figure of scores against ground truth."""


def unknowns(entry: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return each reason why something is unknown or limited, and the names of what it concerns.

    Args:
        entry: Of the document of `supernet compare`.
    """
    found: dict[str, list[str]] = {}
    for key, why in entry["notes"].items():
        names = found.setdefault(why, [])
        name = label(key)
        if name not in names:
            names.append(name)
    return list(found.items())


def label(key: str) -> str:
    """Return the label of a field, or of the nearest field above it that has one."""
    key = re.sub(r"\.\d+", "", key)
    while key not in LABELS and "." in key:
        key = key.rpartition(".")[0]
    return LABELS.get(key, key.replace("_", " "))
