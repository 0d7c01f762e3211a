"""The verdict says what the evidence shows, and never more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from supernet_cli.reports.verdict import verdict

ENTRY: dict[str, Any] = {
    "n": 16,
    "space_size": 16,
    "coverage": "all",
    "kendall_tau": {"mean": 0.8, "per_seed": [0.75, 0.85], "low": 0.75, "high": 0.85},
    "tau_ceiling": 0.9,
    "relabel_p": 0.004,
    "relabelling": {"smallest_p": 1 / 576, "relabellings": 576, "exhaustive": True},
    "baselines": [{"name": "random", "kendall_tau": 0.0}, {"name": "macs", "kendall_tau": 0.5}],
    "tau_corrected": {"stand_alone": 0.85, "both": 0.95},
    "stand_alone_seeds": [0, 1],
    "pairs": 120,
    "resolved_pairs": 60,
    "resolved_gamma": 0.8,
}


ROOT = Path(__file__).resolve().parents[3]


def spread(*taus: float) -> dict[str, Any]:
    return {"mean": sum(taus) / len(taus), "per_seed": list(taus), "low": min(taus), "high": max(taus)}


def test_a_good_ranking_is_told_with_its_range_its_ceiling_and_its_rivals() -> None:
    assert verdict(ENTRY) == (
        "n = 16 paths, the whole space: the supernet's ranking correlates with stand-alone training at τ = 0.80 "
        "(0.75 to 0.85 over 2 supernets); the noise of these trainings limits even a perfect ranking to 0.90; "
        "the best baseline, multiply-accumulates, has 0.50. This is better than chance (p = 0.004) and better "
        "than every baseline measured. Without the noise on both sides τ would be 0.95; the rest is the bias of weight "
        "sharing. 60 of 120 pairs of paths differ by more than noise; the supernet orders 90 % of those correctly."
    )


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
def test_a_tau_of_zero_or_less_is_never_called_agreement(tau: dict[str, Any], words: str) -> None:
    text = verdict({**ENTRY, "kendall_tau": tau, "relabel_p": 0.9, "tau_ceiling": None})
    assert f"does not agree with stand-alone training {words}" in text
    assert not re.search(r"agrees|correlates|better than chance \(|-\d", text.replace("no better than chance", ""))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kendall_tau": {**ENTRY["kendall_tau"], "mean": None}}, "τ cannot be computed"),
        ({"relabel_p": 0.3}, "no better than chance (p = 0.3)"),
        ({"relabel_p": 1e-5}, "better than chance (p < 0.001)"),
        ({"relabel_p": None}, "unknown, because not every path has a usable score"),
        ({"coverage": "top", "n": 6}, "n = 6 of 16 paths, the best by one-shot score"),
        ({"coverage": "top", "n": 6}, "range-restricted: it does not describe the whole space"),
        ({"baselines": [{"name": "macs", "kendall_tau": 0.8}]}, "the supernet was not worth its cost"),
        ({"baselines": [{"name": "macs", "kendall_tau": None}]}, "(0.75 to 0.85 over 2 supernets); the noise"),
        ({"relabelling": {"smallest_p": 0.25, "relabellings": 4}, "space_size": 4, "n": 4}, "1 time in 8"),
        ({"relabelling": {"smallest_p": 0.17, "relabellings": 6}}, "chance alone gives p ≥ 0.17. Neither"),
        ({"resolved_pairs": 0, "resolved_gamma": None}, "None of the 120 pairs of paths differs by more than noise."),
        ({"resolved_gamma": None}, "60 of 120 pairs of paths differ by more than noise."),
        ({"resolved_pairs": None, "stand_alone_seeds": [0]}, "With only one stand-alone seed"),
        ({"resolved_pairs": None}, "which test images each network got right was not stored"),
    ],
)
def test_what_the_evidence_cannot_show_is_said(change: dict[str, Any], words: str) -> None:
    assert words in verdict({**ENTRY, **change})


def test_the_page_on_the_reference_quotes_the_verdict_as_it_is() -> None:
    text = verdict(
        {
            **ENTRY,
            "n": 4,
            "space_size": 4,
            "kendall_tau": spread(0.0),
            "tau_ceiling": None,
            "relabelling": {"smallest_p": 0.25, "relabellings": 4},
            "baselines": [{"name": "random", "kendall_tau": 0.0}, {"name": "macs", "kendall_tau": 0.0}],
            "pairs": 6,
            "resolved_pairs": 0,
            "resolved_gamma": None,
        }
    )
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert text in " ".join(page.replace("\n> ", " ").split())
