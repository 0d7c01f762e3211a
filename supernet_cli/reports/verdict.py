"""The verdict: whether a supernet's ranking can be trusted, by fixed rules, in a word, a sentence, and a few more.

docs/comparison.md explains the rules and shows how often each word appears in simulations of known truth.
"""

from __future__ import annotations

from dataclasses import dataclass

from supernet_cli.glyphs import counted, number
from supernet_cli.reports.comparison import RunComparison
from supernet_cli.reports.figures import Bounded, Spread
from supernet_cli.reports.formats import over_supernets, p_value
from supernet_cli.reports.parts import Baseline, Coverage, Word

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


def judge(found: RunComparison) -> Judgement:
    """Return whether a run's ranking can be trusted.

    The rules, the first that applies: too little evidence to say anything; a baseline that ranks better, or a τ below
    `POOR`; too wide an interval; a τ of at least `GOOD` and better than every baseline; all else needs care. Every τ is
    taken at the end of its 95 % interval that makes the claim harder.

    Args:
        found: The run's comparison, without its verdict.
    """
    tau, reason = found.kendall_tau_expected.known, _too_little(found)
    if reason or tau is None:
        return Judgement("not enough evidence", reason)
    better, equal = _rivals(found)
    if better:
        return Judgement(
            "do not trust",
            f"Ordering by {better.order} {_at_what_cost(better)} and ranks these paths better than "
            f"the supernet does{_both_taus(tau, better)}.",
        )
    if tau.high < POOR:
        return Judgement(
            "do not trust",
            f"The supernet puts {_pairs_in_order(tau)} of pairs of paths in the right order; a coin would put 50 %.",
        )
    p, low = found.relabel_p.value, tau.low
    if p is not None and p > SIGNIFICANT:
        return Judgement(
            "not enough evidence",
            f"The supernet puts {_pairs_in_order(tau)} of pairs of paths in the right order, but a ranking without any "
            f"knowledge would do as well with a probability of {_percentage(p)}.",
        )
    if low < POOR and tau.high >= GOOD:
        return Judgement(
            "not enough evidence",
            f"The supernet may put anything from {_share(low)} to {_share(tau.high)} of pairs of paths in the right "
            "order.",
        )
    if equal:
        return Judgement(
            "use with care",
            f"The supernet puts {_pairs_in_order(tau)} of pairs of paths in the right order, but cannot be told apart "
            f"from ordering by {equal.order}, which {_at_what_cost(equal)}.",
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


def verdict(found: RunComparison) -> str:
    """Return the judgement and what is behind it, in a few sentences.

    They name n, τ with its range, what could be reached, the best baseline, and what the evidence cannot show.

    Args:
        found: The run's comparison, without its verdict.
    """
    judgement = judge(found)
    sentences = [f"{judgement.word.capitalize()}.", judgement.reason, _agreement(found), _pairs(found)]
    return " ".join(sentence for sentence in sentences if sentence)


def _too_little(found: RunComparison) -> str:
    """Return why nothing can be said about the ranking; empty if something can."""
    n, size, smallest = found.n, found.space_size, found.relabelling.smallest_p or 0.0
    if n < size and n < FEWEST_PATHS:
        return f"Needs at least {FEWEST_PATHS} paths trained from scratch; this comparison has {n}."
    if found.coverage == "top":
        return "Only paths at the top of an order were trained from scratch, which hides the good paths further down."
    if found.coverage == "named" and n < size:
        return "The paths trained from scratch were chosen by name, so they may not represent the space."
    if smallest > SIGNIFICANT:
        luck = f"even a perfect one comes up by luck {_one_in(found, smallest)}"
        return f"A space of {size} paths is too small to judge a ranking: {luck}."
    if n < FEWEST_PATHS:
        return f"A space of {n} paths is too small to judge a ranking: that takes at least {FEWEST_PATHS}."
    if not found.kendall_tau_expected.is_known:
        return "τ cannot be computed, so nothing can be said about the supernet's ranking."
    return ""


def _rivals(found: RunComparison) -> tuple[Baseline | None, Baseline | None]:
    """Return the best baseline that certainly ranks better, and the best that may be as good; None where there is none.

    A random order is no rival: what it scores is known.
    """
    known = [(each.difference.known, each) for each in found.baselines]
    ahead = sorted(((bounds, each) for bounds, each in known if bounds is not None), key=lambda pair: pair[0].mean)
    better = next((each for bounds, each in ahead if bounds.high < 0), None)
    equal = next((each for bounds, each in ahead if bounds.low <= 0), None)
    return better, equal


def _at_what_cost(baseline: Baseline) -> str:
    return "costs as much" if baseline.name == "short_training" else "costs nothing"


def _both_taus(tau: Bounded, baseline: Baseline) -> str:
    ahead = baseline.difference.mean or 0.0
    return f" (τ = {number(tau.mean - ahead)} against {number(tau.mean)})"


def _share(tau: float) -> str:
    """Return the share of pairs in the right order that a τ without ties stands for."""
    return f"{50 * (1 + tau):.0f} %"


def _pairs_in_order(tau: Bounded) -> str:
    return f"{_share(tau.mean)} ({_share(tau.low).removesuffix(' %')} to {_share(tau.high)})"


def _percentage(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"


def _one_in(found: RunComparison, smallest: float) -> str:
    if found.space_size == 4 and found.relabelling.relabellings == 4:
        return "1 time in 8"
    return f"1 time in {round(1 / smallest)}"


def _agreement(found: RunComparison) -> str:
    """Return the sentence on τ, with what it can be compared with."""
    tau, p, smallest = found.kendall_tau, found.relabel_p.value, found.relabelling.smallest_p
    if tau.mean is None:
        return f"{_paths(found)}."
    parts = [f"{_paths(found)}: {_correlation(tau, tau.mean)}"]
    if found.tau_ceiling.value:
        limit = number(found.tau_ceiling.value)
        parts.append(f"the noise of these trainings limits even a perfect ranking to {limit}")
    known = [
        (each.kendall_tau, each) for each in found.baselines if each.name != "random" and each.kendall_tau is not None
    ]
    if known:
        value, best = max(known, key=lambda pair: pair[0])
        parts.append(f"the best baseline, {best.order}, has {number(value)}")
    if p is not None and smallest is not None and smallest <= SIGNIFICANT:
        parts.append(f"{p_value(p)} against relabelled candidates")
    return "; ".join(parts) + "."


def _correlation(spread: Spread, tau: float) -> str:
    """Return τ in words; a τ of zero or less is no agreement."""
    over = over_supernets(spread, len(spread.known))
    if number(tau) == number(0) or tau < 0:
        return f"the supernet's ranking does not agree with stand-alone training (τ = {number(tau)}, {over})"
    return f"the supernet's ranking correlates with stand-alone training at τ = {number(tau)} ({over})"


def _pairs(found: RunComparison) -> str:
    """Return the sentence on the pairs of paths that differ by more than noise."""
    resolved, gamma, pairs = found.resolved_pairs.value, found.resolved_gamma.value, found.pairs
    if resolved is None and not found.seed_sd.is_known:
        return "With only one stand-alone seed per path, noise cannot be told from real differences between paths."
    if resolved is None:
        return "Noise cannot be told from real differences: which test images each network got right was not stored."
    if not resolved:
        return f"None of the {counted(pairs, 'pair')} of paths differs by more than noise."
    counts = f"{resolved:,.0f} of {pairs:,} pairs of paths differ by more than noise"
    if gamma is None:
        return f"{counts}."
    return f"{counts}; the supernet orders {100 * (1 + gamma) / 2:.0f} % of those correctly."


_CHOSEN: dict[Coverage, str] = {
    "part": "those finished so far",
    "sample": "a random sample",
    "mixed": "a random sample and others",
    "top": "the first of an order",
    "named": "chosen by name",
}


def _paths(found: RunComparison) -> str:
    count, size = found.n, found.space_size
    if count == size:
        return f"n = {count:,} paths, the whole space"
    return f"n = {count:,} of {size:,} paths, {_CHOSEN[found.coverage]}"
