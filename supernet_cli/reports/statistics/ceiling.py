"""The limits that noise sets: the tau of a perfect ranking, and an observed tau without the noise.

Both assume normal accuracies of paths and normal noise: then tau-b = (2/π) asin ρ (Greiner 1909), and the mean of S
seeds is S r₁ / (1 + (S-1) r₁) reliable where one is r₁ (Spearman and Brown 1910). Noise is what differs between seeds;
what the images do to all seeds alike is not noise.

If a group of crippled paths lies far below the others, seeds agree on that much and the ceiling is too high: by 0.05 in
a simulation with a third of the paths crippled and much noise among the sound. Skewed accuracies do the same, less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from supernet_cli.glyphs import number
from supernet_cli.reports.statistics.quantity import Quantity, needs, unknown

FEWEST_PATHS = 10
LEAST_AGREEMENT = 0.2
"""Below these, the figure itself would be noise."""


@dataclass(frozen=True)
class CorrectedTau:
    """An observed tau without noise.

    Args:
        stand_alone: Without that of the stand-alone seeds: what the same supernet would score against exact accuracies.
        both: Without that of the supernet seeds either; its gap to 1 is the bias of weight sharing.
    """

    stand_alone: Quantity
    both: Quantity


def tau_ceiling(t1: float | None, num_seeds: float, num_paths: int) -> Quantity:
    """Return what the exact expected accuracy would reach, on average, against a mean over stand-alone seeds.

    Source: attenuation of correlations (Spearman 1904), brought to tau by Greiner's relation.

    Args:
        t1: Mean tau-b between stand-alone seeds, from `seed_agreement`.
        num_seeds: Stand-alone seeds S in the mean; the harmonic mean over paths if these are unequal.
        num_paths: Paths n that t₁ comes from.
    """
    reason = _why_no_ceiling(t1, num_seeds, num_paths)
    if t1 is None or reason:
        return unknown(reason)
    return Quantity(_tau_of(math.sqrt(_reliability(t1, num_seeds))))


def corrected_tau(
    tau: float | None, t1: float | None, num_seeds: float, num_paths: int, t_x: float | None
) -> CorrectedTau:
    """Remove noise from a tau.

    Args:
        tau: Mean over supernet seeds of the tau-b of *one* seed with the mean stand-alone accuracy.
        t1: Mean tau-b between stand-alone seeds, from `seed_agreement`.
        num_seeds: Stand-alone seeds S in the mean; the harmonic mean over paths if these are unequal.
        num_paths: Paths n that t₁ comes from.
        t_x: Mean tau-b between supernet seeds, from `supernet_agreement`.

    Returns:
        Both corrections, never beyond ±1; a note says if one was capped.
    """
    reason = "There is no τ to correct." if tau is None else _why_no_ceiling(t1, num_seeds, num_paths)
    if tau is None or t1 is None or reason:
        return CorrectedTau(unknown(reason), unknown(reason))
    reliability = _reliability(t1, num_seeds)
    stand_alone = _divided(tau, reliability)
    if t_x is None:
        return CorrectedTau(stand_alone, unknown("Needs at least 2 supernet seeds, to estimate their noise."))
    if t_x <= LEAST_AGREEMENT:
        return CorrectedTau(stand_alone, unknown(_too_little("Supernet", t_x)))
    return CorrectedTau(stand_alone, _divided(tau, reliability * _rho_of(t_x)))


def _why_no_ceiling(t1: float | None, num_seeds: float, num_paths: int) -> str:
    if num_seeds == 1:
        return needs(2, "stand-alone seeds", 1)
    if num_paths < FEWEST_PATHS:
        return needs(FEWEST_PATHS, "paths", num_paths)
    if t1 is None:
        return "The agreement between stand-alone seeds is unknown."
    if t1 <= LEAST_AGREEMENT:
        return _too_little("Stand-alone", t1)
    return ""


def _too_little(which: str, tau: float) -> str:
    return f"{which} seeds agree too little: τ = {number(tau)}, but more than {LEAST_AGREEMENT} is needed."


def _divided(tau: float, reliability: float) -> Quantity:
    rho = _rho_of(tau) / math.sqrt(reliability)
    note = "" if abs(rho) <= 1 else "Capped at ±1: the observed τ is further from 0 than the estimated noise allows."
    return Quantity(_tau_of(rho), note)


def _reliability(t1: float, num_seeds: float) -> float:
    rho = _rho_of(t1)
    return num_seeds * rho / (1 + (num_seeds - 1) * rho)


def _rho_of(tau: float) -> float:
    return math.sin(math.pi * tau / 2)


def _tau_of(rho: float) -> float:
    return 2 / math.pi * math.asin(max(-1.0, min(1.0, rho)))
