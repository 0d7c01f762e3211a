"""The verdict: whether a supernet's ranking can be trusted, by fixed rules, in a word, a sentence, and a few more.

docs/comparison.md explains the rules and shows how often each word appears in simulations of known truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from supernet_cli.glyphs import counted, number
from supernet_cli.reports.sheets import baseline_name, p_value

Word = Literal["trust", "use with care", "do not trust", "not enough evidence"]

GOOD = 0.7
"""τ from which a ranking is trusted: 85 % of pairs in the right order."""

POOR = 0.4
"""τ below which a ranking is no help: fewer than 70 % of pairs in the right order, where chance alone has 50 %."""

FEWEST_PATHS = 10
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Judgement:
    """Whether a ranking can be trusted.

    Args:
        word: In a word.
        reason: Why, in one sentence.
    """

    word: Word
    reason: str


def judge(entry: dict[str, Any]) -> Judgement:
    """Return whether a run's ranking can be trusted.

    The rules, the first that applies: too little evidence to say anything; a baseline that ranks better, or a τ below
    `POOR`; too wide an interval; a τ of at least `GOOD` and better than every baseline; all else needs care. Every τ is
    taken at the end of its 95 % interval that makes the claim harder.

    Args:
        entry: The run's entry of the comparison, as in the document, without its verdict.
    """
    tau = entry["kendall_tau_expected"]
    if reason := _too_little(entry):
        return Judgement("not enough evidence", reason)
    better, equal = _rivals(entry)
    if better:
        return Judgement(
            "do not trust",
            f"Ordering by {baseline_name(better['name'])} {_at_what_cost(better)} and ranks these paths better than "
            f"the supernet does{_both_taus(entry, better)}.",
        )
    if tau["high"] < POOR:
        return Judgement(
            "do not trust",
            f"The supernet puts {_pairs_in_order(tau)} of pairs of paths in the right order; a coin would put 50 %.",
        )
    p, low = entry["relabel_p"], tau["low"]
    if p is not None and p > SIGNIFICANT:
        return Judgement(
            "not enough evidence",
            f"The supernet puts {_pairs_in_order(tau)} of pairs of paths in the right order, but a ranking without any "
            f"knowledge would do as well with a probability of {_percentage(p)}.",
        )
    if low < POOR and tau["high"] >= GOOD:
        return Judgement(
            "not enough evidence",
            f"The supernet may put anything from {_share(low)} to {_share(tau['high'])} of pairs of paths in the right "
            "order.",
        )
    if equal:
        return Judgement(
            "use with care",
            f"The supernet puts {_pairs_in_order(tau)} of pairs of paths in the right order, but cannot be told apart "
            f"from ordering by {baseline_name(equal['name'])}, which {_at_what_cost(equal)}.",
        )
    if low >= GOOD:
        return Judgement(
            "trust",
            f"The supernet puts {_pairs_in_order(tau)} of pairs of paths in the right order, more than any baseline.",
        )
    return Judgement(
        "use with care",
        f"The supernet puts {_pairs_in_order(tau)} of pairs of paths in the right order: enough to rule out poor "
        "paths, not to pick the best.",
    )


def verdict(entry: dict[str, Any]) -> str:
    """Return the judgement and what is behind it, in a few sentences.

    They name n, τ with its range, what could be reached, the best baseline, and what the evidence cannot show.

    Args:
        entry: The run's entry of the comparison, as in the document, without its verdict.
    """
    found = judge(entry)
    sentences = [f"{found.word.capitalize()}.", found.reason, _agreement(entry), _pairs(entry)]
    return " ".join(sentence for sentence in sentences if sentence)


def _too_little(entry: dict[str, Any]) -> str:
    """Return why nothing can be said about the ranking; empty if something can."""
    n, size, smallest = entry["n"], entry["space_size"], entry["relabelling"]["smallest_p"]
    if n < size and n < FEWEST_PATHS:
        return f"Needs at least {FEWEST_PATHS} paths trained from scratch; this comparison has {n}."
    if entry["coverage"] == "top":
        return "Only paths at the top of an order were trained from scratch, which hides the good paths further down."
    if entry["coverage"] == "named" and n < size:
        return "The paths trained from scratch were chosen by name, so they may not represent the space."
    if smallest > SIGNIFICANT:
        luck = f"even a perfect one comes up by luck {_one_in(entry)}"
        return f"A space of {size} paths is too small to judge a ranking: {luck}."
    if n < FEWEST_PATHS:
        return f"A space of {n} paths is too small to judge a ranking: that takes at least {FEWEST_PATHS}."
    if entry["kendall_tau_expected"] is None:
        return "τ cannot be computed, so nothing can be said about the supernet's ranking."
    return ""


def _rivals(entry: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the best baseline that certainly ranks better, and the best that may be as good; None where there is none.

    A random order is no rival: what it scores is known.
    """
    known = [each for each in entry["baselines"] if each.get("difference")]
    known.sort(key=lambda each: each["difference"]["mean"])
    better = next((each for each in known if each["difference"]["high"] < 0), None)
    equal = next((each for each in known if each["difference"]["low"] <= 0), None)
    return better, equal


def _at_what_cost(baseline: dict[str, Any]) -> str:
    return "costs as much" if baseline["name"] == "short_training" else "costs nothing"


def _both_taus(entry: dict[str, Any], baseline: dict[str, Any]) -> str:
    ours = entry["kendall_tau_expected"]["mean"]
    return f" (τ = {number(ours - baseline['difference']['mean'])} against {number(ours)})"


def _share(tau: float) -> str:
    """Return the share of pairs in the right order that a τ without ties stands for."""
    return f"{50 * (1 + tau):.0f} %"


def _pairs_in_order(tau: dict[str, float]) -> str:
    return f"{_share(tau['mean'])} ({_share(tau['low']).removesuffix(' %')} to {_share(tau['high'])})"


def _percentage(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"


def _one_in(entry: dict[str, Any]) -> str:
    if entry["space_size"] == 4 and entry["relabelling"]["relabellings"] == 4:
        return "1 time in 8"
    return f"1 time in {round(1 / entry['relabelling']['smallest_p'])}"


def _agreement(entry: dict[str, Any]) -> str:
    """Return the sentence on τ, with what it can be compared with."""
    tau = entry["kendall_tau"]["mean"]
    if tau is None:
        return f"{_paths(entry)}."
    parts = [f"{_paths(entry)}: {_correlation(entry, tau)}"]
    if entry["tau_ceiling"]:
        parts.append(f"the noise of these trainings limits even a perfect ranking to {number(entry['tau_ceiling'])}")
    known = [each for each in entry["baselines"] if each["kendall_tau"] is not None and each["name"] != "random"]
    if known:
        best = max(known, key=lambda each: each["kendall_tau"])
        parts.append(f"the best baseline, {baseline_name(best['name'])}, has {number(best['kendall_tau'])}")
    if entry["relabel_p"] is not None and entry["relabelling"]["smallest_p"] <= SIGNIFICANT:
        parts.append(f"{p_value(entry['relabel_p'])} against relabelled candidates")
    return "; ".join(parts) + "."


def _correlation(entry: dict[str, Any], tau: float) -> str:
    """Return τ in words; a τ of zero or less is no agreement."""
    low, high = entry["kendall_tau"]["low"], entry["kendall_tau"]["high"]
    seeds = sum(known is not None for known in entry["kendall_tau"]["per_seed"])
    supernets = f"{number(low)} to {number(high)} over {seeds} supernets" if seeds > 1 else "one supernet"
    if number(tau) == number(0) or tau < 0:
        return f"the supernet's ranking does not agree with stand-alone training (τ = {number(tau)}, {supernets})"
    return f"the supernet's ranking correlates with stand-alone training at τ = {number(tau)} ({supernets})"


def _pairs(entry: dict[str, Any]) -> str:
    """Return the sentence on the pairs of paths that differ by more than noise."""
    resolved, gamma = entry["resolved_pairs"], entry["resolved_gamma"]
    if resolved is None and entry["seed_sd"] is None:
        return "With only one stand-alone seed per path, noise cannot be told from real differences between paths."
    if resolved is None:
        return "Noise cannot be told from real differences: which test images each network got right was not stored."
    if not resolved:
        return f"None of the {counted(entry['pairs'], 'pair')} of paths differs by more than noise."
    counts = f"{resolved:,.0f} of {entry['pairs']:,} pairs of paths differ by more than noise"
    if gamma is None:
        return f"{counts}."
    return f"{counts}; the supernet orders {100 * (1 + gamma) / 2:.0f} % of those correctly."


def _paths(entry: dict[str, Any]) -> str:
    count, size = entry["n"], entry["space_size"]
    if count == size:
        return f"n = {count:,} paths, the whole space"
    chosen = {
        "part": "those finished so far",
        "sample": "a random sample",
        "mixed": "a random sample and others",
        "top": "the first of an order",
        "named": "chosen by name",
    }
    return f"n = {count:,} of {size:,} paths, {chosen[entry['coverage']]}"
