"""The verdict: what a comparison shows, and what it cannot show, in plain words."""

from __future__ import annotations

from typing import Any

from supernet_cli.glyphs import number
from supernet_cli.reports.sheets import baseline_name, p_value

_SIGNIFICANT = 0.05


def verdict(entry: dict[str, Any]) -> str:
    """Return a few sentences on a run's entry of the comparison.

    They name n, τ with its range, what could be reached, the best baseline, and what the evidence cannot show.

    Args:
        entry: The entry, as in the document of `supernet compare`, without its verdict.
    """
    tau = entry["kendall_tau"]["mean"]
    if tau is None:
        return f"{_paths(entry)}: τ cannot be computed, so nothing can be said about the supernet's ranking."
    return " ".join([_agreement(entry, tau), _evidence(entry, tau), _pairs(entry)])


def _agreement(entry: dict[str, Any], tau: float) -> str:
    """Return the sentence on τ, with what it can be compared with."""
    parts = [f"{_paths(entry)}: {_correlation(entry, tau)}"]
    if entry["tau_ceiling"]:
        parts.append(f"the noise of these trainings limits even a perfect ranking to {number(entry['tau_ceiling'])}")
    best = _best_baseline(entry)
    if best:
        parts.append(f"the best baseline, {best[0]}, has {number(best[1])}")
    return "; ".join(parts) + "."


def _correlation(entry: dict[str, Any], tau: float) -> str:
    """Return whether both rankings agree; a τ of zero or less is no agreement."""
    low, high = entry["kendall_tau"]["low"], entry["kendall_tau"]["high"]
    seeds = sum(known is not None for known in entry["kendall_tau"]["per_seed"])
    supernets = f"{number(low)} to {number(high)} over {seeds} supernets" if seeds > 1 else "one supernet"
    if number(tau) == number(0) or tau < 0:
        return f"the supernet's ranking does not agree with stand-alone training (τ = {number(tau)}, {supernets})"
    return f"the supernet's ranking correlates with stand-alone training at τ = {number(tau)} ({supernets})"


def _evidence(entry: dict[str, Any], tau: float) -> str:
    """Return the sentence on what that τ is worth."""
    p, smallest = entry["relabel_p"], entry["relabelling"]["smallest_p"]
    best = _best_baseline(entry)
    if smallest > _SIGNIFICANT:
        order = (
            ", and a perfect order comes up by chance 1 time in 8 if effects add up" if _is_two_by_two(entry) else ""
        )
        return (
            f"This proves little: in so small a space, chance alone gives p ≥ {smallest:.2g}{order}. "
            "Neither a high nor a low τ shows whether the ranking can be trusted."
        )
    if entry["coverage"] == "top":
        return (
            "Only the supernet's top paths were trained from scratch, so this τ is range-restricted: "
            "it does not describe the whole space."
        )
    if p is None:
        return "Whether this is better than chance is unknown, because not every path has a usable score."
    if p > _SIGNIFICANT:
        return (
            f"This is no better than chance ({p_value(p)}): nothing shows that the supernet tells good paths from bad."
        )
    if best and best[1] >= tau:
        return (
            f"This is better than chance ({p_value(p)}), but ordering by {best[0]} does at least as well: "
            "the supernet was not worth its cost."
        )
    return f"This is better than chance ({p_value(p)}) and better than every baseline measured{_without_noise(entry)}."


def _without_noise(entry: dict[str, Any]) -> str:
    corrected = (entry["tau_corrected"] or {}).get("both")
    if corrected is None:
        return ""
    return f". Without the noise on both sides τ would be {number(corrected)}; the rest is the bias of weight sharing"


def _pairs(entry: dict[str, Any]) -> str:
    """Return the sentence on the pairs of paths that differ by more than noise."""
    resolved, gamma = entry["resolved_pairs"], entry["resolved_gamma"]
    if resolved is None and len(entry["stand_alone_seeds"]) < 2:
        return "With only one stand-alone seed, noise cannot be told from real differences between paths."
    if resolved is None:
        return "Noise cannot be told from real differences: which test images each network got right was not stored."
    if not resolved:
        return f"None of the {entry['pairs']:,} pairs of paths differs by more than noise."
    counts = f"{resolved:,.0f} of {entry['pairs']:,} pairs of paths differ by more than noise"
    if gamma is None:
        return f"{counts}."
    return f"{counts}; the supernet orders {100 * (1 + gamma) / 2:.0f} % of those correctly."


def _best_baseline(entry: dict[str, Any]) -> tuple[str, float] | None:
    known = [(baseline_name(b["name"]), b["kendall_tau"]) for b in entry["baselines"] if b["kendall_tau"] is not None]
    return max(reversed(known), key=lambda pair: pair[1]) if known else None  # of equals not the random order


def _paths(entry: dict[str, Any]) -> str:
    count, size = entry["n"], entry["space_size"]
    if count == size:
        return f"n = {count:,} paths, the whole space"
    chosen = {
        "part": "those finished so far",
        "sample": "sampled across the ranking",
        "top": "the best by one-shot score",
        "named": "chosen by name",
    }
    return f"n = {count:,} of {size:,} paths, {chosen[entry['coverage']]}"


def _is_two_by_two(entry: dict[str, Any]) -> bool:
    return bool(entry["space_size"] == 4 and entry["relabelling"]["relabellings"] == 4)
