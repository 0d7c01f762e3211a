from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss
from scipy import stats

from supernet_cli.reports.statistics.audit import Audit, audit

LABELS = (("conv3x3", "conv5x5", "identity"), ("conv3x3", "sep5x5", "maxpool3x3"), ("conv1x1", "conv3x3", "conv5x5"))
PATHS = np.array(list(itertools.product(range(3), repeat=3)))
N, S, R = 1000, 3, 3
SLOPE = 2.0


def _of_paths() -> np.ndarray:
    """Return what the supernets of a world think of single paths: nothing that candidates' effects add up to."""
    own = 0.012 * np.random.default_rng(9).normal(size=27)
    candidates = np.hstack([PATHS[:, [block]] == np.arange(3) for block in range(3)]).astype(float)
    return own - candidates @ np.linalg.lstsq(candidates, own, rcond=None)[0]


OF_PATHS = _of_paths()


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _expected(skill: np.ndarray, sd: float) -> np.ndarray:
    """Return the mean accuracy at a skill, over a normal spread of logits, by quadrature."""
    nodes, weights = hermegauss(40)
    return _logistic(skill[..., None] + sd * nodes) @ weights / weights.sum()


@dataclass(frozen=True)
class World:
    """Networks, supernets and images whose every part is known, in fractions; and what is measured of them."""

    scores: np.ndarray
    truth: np.ndarray
    correct: np.ndarray
    exact: np.ndarray  # over all images and seeds
    on_these_images: np.ndarray  # over all seeds
    biased: np.ndarray  # scores over all supernets


def _world(rng: np.random.Generator) -> World:
    """Draw images, seeds and supernets; paths and what supernets make of them are always the same."""
    skill = 1.6 + 0.25 * (PATHS == 0).sum(axis=1) - 0.2 * (PATHS[:, 0] == 2)
    exact = _expected(skill, math.sqrt(1.0 + 0.8**2 + 0.1**2))
    logits = skill[:, None] - rng.normal(size=N) + 0.8 * rng.normal(size=(27, N))
    luck = 0.1 * rng.normal(size=(27, S, 1))
    bits = rng.random((27, S, N)) < _logistic(logits[:, None] + luck)
    biased = exact + OF_PATHS
    of_candidates = np.zeros((R, 27))
    for block in range(3):
        of_candidates += 0.005 * rng.normal(size=(R, 3))[:, PATHS[:, block]]
    scores = 5 + SLOPE * (biased + of_candidates + 0.01 * rng.normal(size=(R, 27)) + 0.3 * rng.normal(size=(R, 1)))
    return World(
        scores,
        bits.mean(axis=2),
        bits.mean(axis=1).astype(np.float32),
        exact,
        _expected(logits, 0.1).mean(axis=1),
        5 + SLOPE * biased,
    )


@pytest.fixture(scope="module")
def audited() -> list[tuple[World, Audit]]:
    rng = np.random.default_rng(0)
    worlds = [_world(rng) for _ in range(150)]
    return [(world, audit(world.scores, world.truth, world.correct, PATHS, LABELS)) for world in worlds]


def _close(estimates: list[float], realised: list[float]) -> None:
    """Assert that the estimates are right on average, within four standard errors."""
    gaps = np.subtract(estimates, realised)
    assert abs(gaps.mean()) < 4 * gaps.std() / math.sqrt(len(gaps)) + 0.02 * np.mean(realised)


def test_in_simulations_stand_alone_noise_is_what_seeds_do_on_these_images(audited: list[tuple[World, Audit]]) -> None:
    realised = [np.var(100 * (w.truth.mean(axis=1) - w.on_these_images), ddof=1) for w, _ in audited]
    _close([a.stand_alone.value for _, a in audited], realised)


def test_in_simulations_image_noise_is_what_images_do_to_every_seed_and_no_more(
    audited: list[tuple[World, Audit]],
) -> None:
    realised = [np.var(100 * (w.on_these_images - w.exact), ddof=1) for w, _ in audited]
    estimates = [a.images.value for _, a in audited]
    _close(estimates, realised)
    raw = np.mean([np.var(w.correct, axis=0, ddof=1).mean() * 100**2 / N for w, _ in audited])
    assert np.mean(estimates) < 0.8 * raw  # with what single seeds do to single images it would be far off


def test_in_simulations_supernet_noise_is_what_seeds_do_to_paths_against_each_other(
    audited: list[tuple[World, Audit]],
) -> None:
    realised = [np.var(100 / SLOPE * (w.scores.mean(axis=0) - w.biased), ddof=1) for w, _ in audited]
    _close([a.supernet.value for _, a in audited], realised)


def test_in_simulations_the_rest_is_the_bias_of_sharing(audited: list[tuple[World, Audit]]) -> None:
    realised = [np.var(100 * (w.biased / SLOPE - w.exact), ddof=1) for w, _ in audited]
    estimates = [a.sharing.value for _, a in audited]
    noise = np.mean([a.total.value - a.sharing.value for _, a in audited])
    assert noise > 0.5 * np.mean(realised)  # there is something to take off
    assert np.mean(estimates) == pytest.approx(np.mean(realised), abs=0.15 * noise)


def test_the_parts_and_the_rest_make_the_total_and_their_shares_make_one(audited: list[tuple[World, Audit]]) -> None:
    left = [(world, result) for world, result in audited if result.sharing.value]
    assert len(left) > 50
    for world, result in left[:10]:
        parts = [result.stand_alone, result.supernet, result.images, result.sharing]
        assert "Set to 0" not in result.sharing.note
        assert "At most" in result.sharing.note
        assert sum(part.value for part in parts) == pytest.approx(result.total.value)
        shares = [result.shares[name].value for name in ("stand_alone", "supernet", "images", "sharing")]
        assert shares == pytest.approx([part.value / result.total.value for part in parts])
        matched = np.array(result.differences) + 100 * world.truth.mean(axis=1)
        assert np.corrcoef(matched, world.scores.mean(axis=0))[0, 1] == pytest.approx(1.0)  # a straight line
        assert result.total.value == pytest.approx(np.var(result.differences, ddof=1))


def _additive_world(
    rng: np.random.Generator,
    blocks: tuple[int, ...] = (4, 4, 4),
    sample: int | None = None,
    of_truth: float = 0.4,
    of_scores: float = 0.4,
    of_supernets: float = 0.0,
    planted: float = 0.0,
    seeds: int = 2,
    supernets: int = 2,
    skew: bool = False,
    ties: bool = False,
    missing: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return choices, (n, b), scores, (R, n), and accuracies, (n, S), of a world whose effects add up, but for a rest.

    Args:
        rng: Draws.
        blocks: Candidates of each block.
        sample: Paths, drawn from the space (default: all).
        of_truth: Standard deviation of each path's own part in its accuracy, relative to the additive part.
        of_scores: The same of the scores.
        of_supernets: What each supernet thinks of each candidate.
        planted: Bias of the first candidate.
        seeds: S.
        supernets: R.
        skew: Whether accuracies and scores have a long tail of poor paths.
        ties: Whether both are rounded to 0.01.
        missing: Share of the trainings that are missing.
    """
    choices = np.array(list(itertools.product(*map(range, blocks))))
    exact = sum(rng.normal(size=size)[choices[:, block]] for block, size in enumerate(blocks))
    exact = (exact - exact.mean()) / exact.std()
    truth, score = (exact + own * rng.normal(size=len(choices)) for own in (of_truth, of_scores))
    if skew:
        truth, score = -np.exp(-0.7 * truth), -np.exp(-0.7 * score)
    accuracies = truth[:, None] + 0.1 * rng.normal(size=(len(choices), seeds))
    scores = score + planted * (choices[:, 0] == 0) + 0.1 * rng.normal(size=(supernets, len(choices)))
    for block, size in enumerate(blocks):
        scores += of_supernets * rng.normal(size=(supernets, size))[:, choices[:, block]]
    accuracies, scores = 0.8 + 0.02 * accuracies, 0.5 + 0.04 * scores
    if ties:
        accuracies, scores = np.round(accuracies, 2), np.round(scores, 2)
    lost = rng.random(accuracies.shape) < missing
    lost[:, 0] = False
    rows = np.sort(rng.permutation(len(choices))[:sample])
    return choices[rows], scores[:, rows], np.where(lost, np.nan, accuracies)[rows]


HONEST: dict[str, dict[str, Any]] = {
    "rests on both sides": {},
    "a rest of the accuracies": {"of_truth": 0.8, "of_scores": 0.0},
    "a rest of the scores": {"of_truth": 0.0, "of_scores": 0.8},
    "one supernet, one seed": {"seeds": 1, "supernets": 1},
    "supernets that prefer candidates": {"of_supernets": 0.2, "supernets": 3},
    "a sample": {"sample": 24},
    "few paths": {"blocks": (3, 3)},
    "unequal blocks": {"blocks": (2, 3, 5)},
    "skew": {"skew": True},
    "ties": {"ties": True},
    "missing jobs": {"seeds": 3, "missing": 0.4},
}


def _audits(setting: dict[str, Any], worlds: int, seed: int) -> Iterator[tuple[np.ndarray, Audit]]:
    rng = np.random.default_rng(seed)
    for _ in range(worlds):
        choices, scores, truth = _additive_world(rng, **setting)
        labels = [[str(position) for position in range(size)] for size in setting.get("blocks", (4, 4, 4))]
        yield choices, audit(scores, truth, None, choices, labels)


@pytest.mark.parametrize("name", HONEST)
def test_without_bias_few_candidates_are_beyond_two_of_their_errors(name: str) -> None:
    """With scores matched by their spread over paths these were up to four of five."""
    beyond = [
        abs(candidate.bias.value) > 2 * candidate.error.value
        for _, found in _audits(HONEST[name], 100, 1)
        for candidate in found.candidates
        if candidate.bias.value is not None and candidate.error.value is not None
    ]
    assert len(beyond) > 500
    assert 0.005 < np.mean(beyond) < 0.08


@pytest.mark.parametrize("name", HONEST)
def test_a_planted_bias_is_recovered_on_average(name: str) -> None:
    gaps = []
    for choices, found in _audits({**HONEST[name], "planted": 0.8}, 150, 2):
        (bias, *_), planted = (candidate.bias.value for candidate in found.candidates), 100 * 0.02 * 0.8
        if bias is not None:
            gaps.append(bias - planted * (1 - (choices[:, 0] == 0).mean()))
    assert len(gaps) > 130
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / math.sqrt(len(gaps))
    assert np.std(gaps) / math.sqrt(len(gaps)) < 0.1


def test_a_candidate_that_is_over_rated_by_most_of_its_effect_stands_out() -> None:
    found = [found for _, found in _audits({"planted": 1.5}, 60, 3)]
    over_rated = [max(each.candidates, key=lambda candidate: candidate.bias.value or 0.0) for each in found]
    assert np.mean([(c.block, c.label) == (0, "0") for c in over_rated]) > 0.9
    assert np.mean([c.bias.value > 2 * c.error.value for c in over_rated]) > 0.9


FOUR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
TWO = (("a", "b"), ("a", "b"))


NINE = np.array(list(itertools.product(range(3), repeat=2)))
THREE = (("a", "b", "c"), ("a", "b", "c"))


def test_a_case_done_by_hand() -> None:
    """Effects of block 1 are -2, 0, 2 points, of block 2 -4, 0, 4; the supernet thinks half of each, and two rests."""
    accuracy = 50 + np.add.outer([-2.0, 0.0, 2.0], [-4.0, 0.0, 4.0])
    rest = np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    scores = (accuracy + 2 * rest) / 2
    result = audit(scores.reshape(1, 9), accuracy.reshape(9, 1) / 100, None, NINE, THREE)
    assert result.differences == pytest.approx((2 * rest).ravel().tolist())
    assert result.total.value == pytest.approx(16 / 8)
    assert result.sharing.value == pytest.approx(2.0)
    assert [c.bias.value for c in result.candidates] == pytest.approx([0.0] * 6)
    assert [c.paths for c in result.candidates] == [3] * 6
    rests, wider = 16 / (9 - 1 - 4), stats.t.ppf(0.975, 4) / stats.norm.ppf(0.975)
    # A candidate of three paths: the mean of its rests, and the slope of the line without it, 6 · (4 + 16) points² less
    # its own 3/2 · effect², with the 4 - 1 other effects.
    for candidate, effect in zip(result.candidates, [-2, 0, 2, -4, 0, 4], strict=True):
        slope = rests / (2 * 3 * (4 + 16) - 4.5 * effect**2)
        expected = math.sqrt(rests * (1 / 3 - 1 / 9) + effect**2 * slope) * wider
        assert candidate.error.value == pytest.approx(expected)
        assert "one supernet seed" in candidate.error.note


def test_a_score_that_is_the_accuracy_on_another_scale_leaves_nothing_to_explain() -> None:
    accuracy = np.array([0.90, 0.92, 0.94, 0.97])
    result = audit(7 * accuracy[None] - 3, accuracy[:, None], None, FOUR, TWO)
    assert result.total.value == pytest.approx(0.0)
    assert result.differences == pytest.approx((0.0,) * 4, abs=1e-9)


def _scores_and_truth(rng: np.random.Generator, supernets: int, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and accuracies of nine paths that agree on the operations."""
    exact = (NINE * [0.02, 0.05]).sum(axis=1)
    return exact + 0.003 * rng.normal(size=(supernets, 9)), exact[:, None] + 0.003 * rng.normal(size=(9, seeds)) + 0.5


def test_a_part_that_cannot_be_measured_has_a_reason_and_the_rest_says_that_it_holds_it() -> None:
    scores, truth = _scores_and_truth(np.random.default_rng(0), 1, 1)
    result = audit(scores, truth, None, NINE, THREE)
    for name, part in (("stand_alone", result.stand_alone), ("supernet", result.supernet), ("images", result.images)):
        assert part.value is None
        assert part.note
        assert result.shares[name].value is None
    assert "stand-alone noise, supernet noise, image noise" in result.sharing.note
    assert result.sharing.value == pytest.approx(result.total.value)
    assert result.shares["sharing"].value == 1.0
    assert all("one supernet seed" in candidate.error.note for candidate in result.candidates)


def test_with_one_stand_alone_seed_image_noise_is_what_all_of_it_does_to_single_images() -> None:
    rng = np.random.default_rng(0)
    scores, truth = _scores_and_truth(rng, 2, 1)
    bits = rng.random((9, 500)) < truth
    result = audit(scores, bits.mean(axis=1)[:, None], bits.astype(np.float32), NINE, THREE)
    by_pair = [np.var(1.0 * a - b, ddof=1) / (2 * 500) for a, b in itertools.combinations(bits, 2)]
    assert result.images.value == pytest.approx(100**2 * np.mean(by_pair))
    assert "one stand-alone seed" in result.images.note


def test_a_path_with_one_seed_has_the_image_noise_of_the_others() -> None:
    rng = np.random.default_rng(0)
    scores, _ = _scores_and_truth(rng, 2, 1)
    skill = (NINE * [0.1, 0.2]).sum(axis=1)[:, None] + 0.3
    images = np.clip(skill + 0.2 * rng.normal(size=(9, 8000)), 0.02, 0.98)
    bits = rng.random((9, 3, 8000)) < images[:, None]
    correct, truth = bits.mean(axis=1), bits.mean(axis=2)
    whole = audit(scores, truth, correct.astype(np.float32), NINE, THREE).images.value
    truth[:4, 1:] = np.nan
    correct[:4] = bits[:4, 0]
    some = audit(scores, truth, correct.astype(np.float32), NINE, THREE).images.value
    assert some == pytest.approx(whole, rel=0.1)
    assert 100**2 * np.var(correct, axis=0, ddof=1).mean() / 8000 > 1.5 * some  # with that of single seeds


def test_more_noise_than_disagreement_is_set_to_zero_and_says_so() -> None:
    truth = (NINE * [0.05, 0.1]).sum(axis=1)[:, None] + 0.4 + np.tile([-0.02, 0.02], (9, 1))
    scores = truth.mean(axis=1) + 0.001 * np.random.default_rng(0).normal(size=(2, 9))
    result = audit(scores, truth, None, NINE, THREE)
    assert result.sharing.value == 0.0
    assert "Set to 0" in result.sharing.note
    assert result.stand_alone.value > 10 * result.total.value
    shares = [share.value for share in result.shares.values() if share.value is not None]
    assert sum(shares) == pytest.approx(1.0)
    assert result.shares["sharing"].value == pytest.approx(0.0)


def test_scores_that_prefer_other_operations_have_no_common_scale() -> None:
    rng = np.random.default_rng(0)
    scores, truth = _scores_and_truth(rng, 2, 2)
    for unlike in (-scores, scores[:, rng.permutation(9)]):
        result = audit(unlike, truth, None, NINE, THREE)
        assert result.total.value is None
        assert "one scale" in result.total.note
        assert result.stand_alone.value is not None  # needs no scale
        assert result.shares["sharing"].value is None
        assert all(candidate.bias.value is None for candidate in result.candidates)


@pytest.mark.parametrize(
    ("scores", "truth", "reason"),
    [
        (np.zeros((2, 4)), np.arange(8.0).reshape(4, 2), "equal"),
        (np.tile(np.arange(4.0), (2, 1)), np.full((4, 2), 0.9), "equal"),
        (np.zeros((0, 4)), np.arange(8.0).reshape(4, 2), "No supernet seed"),
        (np.full((1, 4), np.nan), np.arange(8.0).reshape(4, 2), "finite"),
        (np.arange(4.0)[None], np.full((4, 2), np.nan), "finite"),
        (np.arange(4.0)[None], np.zeros((4, 0)), "finite"),
    ],
)
def test_what_cannot_be_matched_is_not_audited(scores: np.ndarray, truth: np.ndarray, reason: str) -> None:
    result = audit(scores, truth, None, FOUR, TWO)
    for part in (result.total, result.stand_alone, result.supernet, result.images, result.sharing):
        assert part.value is None
        assert reason in part.note
    assert result.differences == ()
    assert all(candidate.bias.value is None for candidate in result.candidates)
    assert len(result.candidates) == 4


def test_two_paths_or_one_are_not_audited() -> None:
    for count in (1, 2):
        result = audit(np.arange(count)[None] * 1.0, np.arange(count)[:, None] * 0.1, None, FOUR[:count], TWO)
        assert "of the 3 needed" in result.total.note


def test_paths_that_are_no_more_than_effects_leave_no_rest() -> None:
    result = audit(np.arange(3)[None] * 1.0, np.arange(3)[:, None] * 0.1, None, FOUR[:3], TWO)
    assert "at least 4 paths" in result.total.note


def test_a_candidate_of_no_path_and_one_of_all_paths_have_a_reason() -> None:
    rng = np.random.default_rng(0)
    scores, truth = _scores_and_truth(rng, 1, 2)
    choices = np.hstack([NINE, np.zeros((9, 1), dtype=int)])
    result = audit(scores, truth, None, choices, (*THREE, ("a", "b")))
    everywhere, nowhere = result.candidates[6:]
    assert (everywhere.paths, nowhere.paths) == (9, 0)
    assert "All paths contain it" in everywhere.bias.note
    assert "No path contains it" in nowhere.error.note
    assert result.candidates[0].bias.value is not None


def test_operations_that_always_occur_together_cannot_be_told_apart() -> None:
    rng = np.random.default_rng(0)
    choices = np.repeat(np.arange(3), 4)[:, None].repeat(2, axis=1)
    exact = choices[:, 0] * 0.05
    truth = 0.5 + exact[:, None] + 0.002 * rng.normal(size=(12, 2))
    result = audit(exact + 0.002 * rng.normal(size=(2, 12)), truth, None, choices, THREE)
    assert result.total.value is not None
    assert all("tell the operations apart" in candidate.bias.note for candidate in result.candidates)


def test_a_supernet_seed_that_diverged_is_left_out_and_said_to_be() -> None:
    scores, truth = _scores_and_truth(np.random.default_rng(0), 2, 2)
    scores[1, 2] = -np.inf
    result = audit(scores, truth, None, NINE, THREE)
    assert "1 of 2" in result.total.note
    assert result.differences == pytest.approx(audit(scores[:1], truth, None, NINE, THREE).differences)
