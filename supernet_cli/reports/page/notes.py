"""What is unknown in a comparison, and why: its notes grouped by reason, with readable names."""

from __future__ import annotations

import re
from typing import Any

_NAMES = {
    "kendall_tau": "Kendall τ",
    "spearman_rho": "Spearman ρ",
    "kendall_tau_top_quarter": "τ in the best quarter",
    "spearman_rho_top_quarter": "ρ in the best quarter",
    "kendall_tau_expected": "τ",
    "at_equal_macs": "correlation at equal MACs",
    "seed_agreement_top_quarter": "agreement of stand-alone seeds in the best quarter",
    "seed_agreement": "agreement of stand-alone seeds",
    "supernet_agreement": "agreement of supernets",
    "tau_ceiling": "ceiling of τ",
    "tau_interval": "95 % interval of τ",
    "tau_bootstrap": "95 % interval, resampling paths",
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
    "baselines.parameters": "parameters as a baseline",
    "baselines.macs": "multiply-accumulates as a baseline",
    "baselines.synflow": "synflow as a baseline",
    "baselines.short_training": "short training as a baseline",
    "divergence": "Bender's diagnostic",
    "audit.total": "total disagreement",
    "audit.stand_alone": "stand-alone noise",
    "audit.supernet": "supernet noise",
    "audit.images": "image noise",
    "audit.sharing": "weight-sharing bias",
    "audit.candidates.bias": "over- or under-rating of candidates",
    "audit.candidates.error": "standard error of that rating",
}


def unknowns(entry: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return each reason why something is unknown or limited, and the names of what it concerns.

    Args:
        entry: Of the document of `supernet compare`.
    """
    found: dict[str, list[str]] = {}
    for key, why in entry["notes"].items():
        names = found.setdefault(why, [])
        name = _name(key)
        if name not in names:
            names.append(name)
    return list(found.items())


def _name(key: str) -> str:
    """Return the label of a field, or of the nearest field above it that has one."""
    key = re.sub(r"\.\d+", "", key)
    while key not in _NAMES and "." in key:
        key = key.rpartition(".")[0]
    return _NAMES.get(key, key.replace("_", " "))
