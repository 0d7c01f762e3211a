"""The verdict says what the evidence shows, and never more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from supernet_cli.reports.comparison import RunComparison
from supernet_cli.reports.figures import Bounds, Measure, Spread
from supernet_cli.reports.parts import Baseline, Relabelling
from supernet_cli.reports.verdict import judge, verdict


def bounds(low: float, high: float) -> Bounds:
    return Bounds(mean=(low + high) / 2, low=low, high=high)


def spread(*taus: float) -> Spread:
    return Spread(mean=sum(taus) / len(taus), per_seed=taus, low=min(taus), high=max(taus))


def rival(name: str, tau: float, low: float, high: float) -> Baseline:
    """Return a baseline; the bounds are those of the supernet's τ minus its own."""
    return Baseline(name=name, kendall_tau=tau, difference=bounds(low, high))


def known(value: float | None) -> Measure:
    return Measure(value=value)


def few(relabellings: int) -> Relabelling:
    return Relabelling(smallest_p=1 / relabellings, relabellings=relabellings, exhaustive=True)


RANDOM = Baseline(name="random", kendall_tau=0.0)

FOUND = RunComparison(
    n=16,
    space_size=16,
    coverage="all",
    kendall_tau=spread(0.75, 0.85),
    kendall_tau_expected=bounds(0.72, 0.9),
    tau_ceiling=known(0.9),
    relabel_p=known(0.004),
    relabelling=few(576),
    baselines=(RANDOM, rival("macs", 0.5, 0.1, 0.5)),
    stand_alone_seeds=(0, 1),
    pairs=120,
    seed_sd=known(0.003),
    resolved_pairs=known(60),
    resolved_gamma=known(0.8),
)

ROOT = Path(__file__).resolve().parents[3]


def test_a_good_ranking_is_trusted_and_the_reasons_follow() -> None:
    assert verdict(FOUND) == (
        "Trust. The supernet puts 90 % (86 to 95 %) of pairs of paths in the right order, more than any baseline. "
        "n = 16 paths, the whole space: the supernet's ranking correlates with stand-alone training at τ = 0.80 "
        "(0.75 to 0.85 over 2 supernets); the noise of these trainings limits even a perfect ranking to 0.90; "
        "the best baseline, multiply-accumulates, has 0.50; p = 0.004 against relabelled candidates. "
        "60 of 120 pairs of paths differ by more than noise; the supernet orders 90 % of those correctly."
    )


@pytest.mark.parametrize(
    ("change", "word", "reason"),
    [
        ({}, "trust", "more than any baseline"),
        ({"kendall_tau_expected": bounds(0.69, 0.9)}, "use with care", "not to pick the best"),
        ({"kendall_tau_expected": bounds(0.1, 0.39)}, "do not trust", "a coin would put 50 %"),
        ({"kendall_tau_expected": bounds(0.1, 0.41)}, "use with care", "not to pick the best"),
        ({"kendall_tau_expected": bounds(0.39, 0.7)}, "not enough evidence", "anything from 70 % to 85 %"),
        ({"kendall_tau_expected": bounds(-0.6, -0.2)}, "do not trust", "30 % (20 to 40 %)"),
        ({"relabel_p": known(0.06)}, "not enough evidence", "with a probability of 6.0 %"),
        ({"relabel_p": known(0.3)}, "not enough evidence", "with a probability of 30 %"),
        ({"relabel_p": known(0.06), "kendall_tau_expected": bounds(0.0, 0.3)}, "do not trust", "a coin"),
        ({"relabel_p": known(None)}, "trust", "more than any baseline"),
        (
            {"baselines": [rival("macs", 0.8, -0.1, 0.1)]},
            "use with care",
            "cannot be told apart from ordering by multiply-accumulates, which costs nothing",
        ),
        (
            {"baselines": [rival("macs", 0.85, -0.2, -0.01), rival("parameters", 0.9, -0.3, -0.05)]},
            "do not trust",
            "Ordering by parameters costs nothing and ranks these paths better than the supernet does "
            "(τ = 0.99 against 0.81).",
        ),
        ({"baselines": [rival("short_training", 0.9, -0.2, -0.01)]}, "do not trust", "short training costs as much"),
        ({"baselines": [Baseline(name="macs")]}, "trust", "any baseline"),
        ({"n": 9, "coverage": "sample"}, "not enough evidence", "Needs at least 10 paths"),
        ({"n": 9, "space_size": 9}, "not enough evidence", "A space of 9 paths is too small"),
        ({"n": 12, "coverage": "top"}, "not enough evidence", "hides the good paths further down"),
        ({"n": 12, "coverage": "named"}, "not enough evidence", "chosen by name"),
        ({"n": 12, "coverage": "sample"}, "trust", "more than any baseline"),
        ({"n": 12, "coverage": "mixed"}, "trust", "more than any baseline"),
        ({"kendall_tau_expected": Bounds()}, "not enough evidence", "τ cannot be computed"),
        (
            {"relabelling": few(4), "space_size": 4, "n": 4},
            "not enough evidence",
            "comes up by luck 1 time in 8.",
        ),
        (
            {"relabelling": few(6), "space_size": 3, "n": 3},
            "not enough evidence",
            "1 time in 6",
        ),
    ],
)
def test_each_word_has_its_rule(change: dict[str, Any], word: str, reason: str) -> None:
    found = judge(FOUND.model_copy(update=change))
    assert found.word == word
    assert reason in found.reason
    assert found.reason.endswith(".")
    assert found.reason.count(". ") == 0  # one sentence


@pytest.mark.parametrize(
    ("tau", "words"),
    [
        (spread(-1 / 3), "(τ = −0.33, one supernet)"),
        (spread(-0.5, -0.1), "(τ = −0.30, −0.50 to −0.10 over 2 supernets)"),
        (spread(0.0), "(τ = 0.00, one supernet)"),
        (spread(-0.001), "(τ = 0.00, one supernet)"),
        (spread(0.001), "(τ = 0.00, one supernet)"),
    ],
)
def test_a_tau_of_zero_or_less_is_never_called_agreement(tau: Spread, words: str) -> None:
    expected = bounds((tau.mean or 0) - 0.1, (tau.mean or 0) + 0.1)
    text = verdict(
        FOUND.model_copy(update={"kendall_tau": tau, "kendall_tau_expected": expected, "relabel_p": known(0.9)})
    )
    assert f"does not agree with stand-alone training {words}" in text
    assert text.startswith("Do not trust. ")
    assert not re.search(r"agrees|correlates|-\d", text)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kendall_tau": Spread()}, "n = 16 paths, the whole space."),
        ({"relabel_p": known(1e-5)}, "p < 0.001 against relabelled candidates"),
        ({"coverage": "top", "n": 12}, "n = 12 of 16 paths, the first of an order"),
        ({"baselines": [Baseline(name="macs")]}, "limits even a perfect ranking to 0.90; p = 0.004"),
        (
            {"resolved_pairs": known(0), "resolved_gamma": known(None)},
            "None of the 120 pairs of paths differs by more than noise.",
        ),
        ({"resolved_gamma": known(None)}, "60 of 120 pairs of paths differ by more than noise."),
        ({"resolved_pairs": known(None), "seed_sd": known(None)}, "With only one stand-alone seed per path"),
        ({"resolved_pairs": known(None)}, "which test images each network got right was not stored"),
    ],
)
def test_what_the_evidence_cannot_show_is_said(change: dict[str, Any], words: str) -> None:
    assert words in verdict(FOUND.model_copy(update=change))


def test_the_page_on_the_reference_quotes_the_verdict_as_it_is() -> None:
    text = verdict(
        FOUND.model_copy(
            update={
                "n": 4,
                "space_size": 4,
                "kendall_tau": spread(0.0),
                "tau_ceiling": known(None),
                "relabelling": few(4),
                "baselines": [RANDOM, rival("macs", 0.0, -0.5, 0.5)],
                "pairs": 6,
                "resolved_pairs": known(0),
                "resolved_gamma": known(None),
            }
        )
    )
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert text in " ".join(page.replace("\n> ", " ").split())
