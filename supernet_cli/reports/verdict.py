"""The verdict: what a comparison shows, and what it cannot show, in plain words."""

from __future__ import annotations

from typing import Any

from supernet_cli.reports.sheets import baseline_name

_SIGNIFICANT = 0.05


def verdict(entry: dict[str, Any]) -> str:
    """Return a few sentences on a run's entry of the comparison.

    They name n, τ with its range, what could be reached, the best baseline, and what the evidence cannot show.

    Args:
        entry: The entry, as in the document of `supernet compare`, without its verdict.
    """
    tau = entry["kendall_tau"]["mean"]
    if tau is None:
        return f"{_paths(entry)}: no agreement can be computed, so nothing can be said about the supernet's ranking."
    return " ".join([_agreement(entry, tau), _weight(entry, tau), *_pairs(entry)])


def _agreement(entry: dict[str, Any], tau: float) -> str:
    seeds = sum(known is not None for known in entry["kendall_tau"]["per_seed"])
    low, high = entry["kendall_tau"]["low"], entry["kendall_tau"]["high"]
    spread = f" ({low:.2f} to {high:.2f} over {seeds} supernets)" if seeds > 1 else " (one supernet)"
    ceiling = entry["tau_ceiling"]
    reach = f", where {ceiling:.2f} is the most that these stand-alone trainings let any judge reach" if ceiling else ""
    best = _best_baseline(entry)
    beside = f"; the best baseline, {best[0]}, has {best[1]:.2f}" if best else ""
    agrees = f"the supernet's ranking agrees with stand-alone training at τ = {tau:.2f}"
    return f"{_paths(entry)}: {agrees}{spread}{reach}{beside}."


def _weight(entry: dict[str, Any], tau: float) -> str:
    """Say what that is worth."""
    p, smallest = entry["relabel_p"], entry["relabelling"]["smallest_p"]
    best = _best_baseline(entry)
    if smallest > _SIGNIFICANT:
        order = " and a perfect order comes about by chance 1 time in 8 if effects add" if _is_two_by_two(entry) else ""
        return (
            f"That proves little: with so small a space chance alone gives p ≥ {smallest:.2g}{order}, "
            "so neither a high nor a low τ says whether the ranking can be trusted."
        )
    if entry["coverage"] == "top":
        return "Only the supernet's own favourites were trained alone: this τ is range-restricted and not the space's."
    if p is None:
        return "How often chance would do as well is not known, since not every path has a score."
    if p > _SIGNIFICANT:
        return f"Chance would do as well with p = {p:.2g}: the ranking shows no knowledge of the paths."
    if best and best[1] >= tau:
        return f"It is more than chance (p = {p:.2g}), but {best[0]} alone ranks as well: the supernet did not pay."
    return f"It is more than chance (p = {p:.2g}) and more than any of the baselines tells{_lack(entry)}."


def _lack(entry: dict[str, Any]) -> str:
    corrected = (entry["tau_corrected"] or {}).get("both")
    if corrected is None:
        return ""
    return (
        f"; without the noise of either side it would be {corrected:.2f}, and the rest is the bias of sharing weights"
    )


def _pairs(entry: dict[str, Any]) -> list[str]:
    share, gamma = entry["resolved_share"], entry["resolved_gamma"]
    if share is None:
        return ["With one stand-alone seed, noise cannot be told from differences between paths."]
    told = f"Of {entry['pairs']:,} pairs of paths, {entry['resolved_pairs']:,.0f} differ by more than noise"
    if gamma is None:
        return [f"{told}."]
    right = round(100 * (1 + gamma) / 2)
    return [f"{told}; the supernets order {right} % of those rightly."]


def _best_baseline(entry: dict[str, Any]) -> tuple[str, float] | None:
    known = [(baseline_name(b["name"]), b["kendall_tau"]) for b in entry["baselines"] if b["kendall_tau"] is not None]
    return max(reversed(known), key=lambda pair: pair[1]) if known else None  # of equals not the random order


def _paths(entry: dict[str, Any]) -> str:
    count, size = entry["n"], entry["space_size"]
    if count == size:
        return f"n = {count} paths, the whole space"
    how = {
        "part": "those that are done so far",
        "sample": "spread over the ranking",
        "top": "the best by one-shot score among them",
        "named": "chosen by name",
    }
    return f"n = {count} of {size:,} paths, {how[entry['coverage']]}"


def _is_two_by_two(entry: dict[str, Any]) -> bool:
    return bool(entry["space_size"] == 4 and entry["relabelling"]["relabellings"] == 4)
