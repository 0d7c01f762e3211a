from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss

from supernet_cli.reports.statistics.audit import Audit, audit

LABELS = (("conv3x3", "conv5x5", "identity"), ("conv3x3", "sep5x5", "maxpool3x3"), ("conv1x1", "conv3x3", "conv5x5"))
PATHS = np.array(list(itertools.product(range(3), repeat=3)))
N, S, R = 1000, 3, 3


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
    scale: float


def _world(rng: np.random.Generator) -> World:
    """Draw images, seeds and supernets; paths and the bias of candidates are always the same."""
    skill = 1.6 + 0.25 * (PATHS == 0).sum(axis=1) - 0.2 * (PATHS[:, 0] == 2)
    exact = _expected(skill, math.sqrt(1.0 + 0.8**2 + 0.1**2))
    logits = skill[:, None] - rng.normal(size=N) + 0.8 * rng.normal(size=(27, N))
    luck = 0.1 * rng.normal(size=(27, S, 1))
    bits = rng.random((27, S, N)) < _logistic(logits[:, None] + luck)
    biased = exact + 0.03 * (PATHS[:, 0] == 2) - 0.015 * (PATHS[:, 1] == 1)
    of_candidates = np.zeros((R, 27))
    for block in range(3):
        of_candidates += 0.005 * rng.normal(size=(R, 3))[:, PATHS[:, block]]
    scores = 5 + 2 * (biased + of_candidates + 0.01 * rng.normal(size=(R, 27)) + 0.3 * rng.normal(size=(R, 1)))
    truth = bits.mean(axis=2)
    scale = truth.mean(axis=1).std() / scores.mean(axis=0).std()
    return World(
        scores,
        truth,
        bits.mean(axis=1).astype(np.float32),
        exact,
        _expected(logits, 0.1).mean(axis=1),
        5 + 2 * biased,
        scale,
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
    realised = [np.var(100 * w.scale * (w.scores.mean(axis=0) - w.biased), ddof=1) for w, _ in audited]
    _close([a.supernet.value for _, a in audited], realised)


def test_in_simulations_the_rest_is_the_bias_of_sharing(audited: list[tuple[World, Audit]]) -> None:
    realised = [np.var(100 * (w.scale * w.biased - w.exact), ddof=1) for w, _ in audited]
    estimates = [a.sharing.value for _, a in audited]
    noise = np.mean([a.total.value - a.sharing.value for _, a in audited])
    assert noise > 0.5 * np.mean(realised)  # there is something to take off
    assert np.mean(estimates) == pytest.approx(np.mean(realised), abs=0.15 * noise)


def test_in_simulations_candidates_biases_are_right_and_their_errors_honest(
    audited: list[tuple[World, Audit]],
) -> None:
    z = []
    for world, result in audited:
        true = 100 * (world.scale * (world.biased - world.biased.mean()) - (world.exact - world.exact.mean()))
        for candidate in result.candidates:
            position = LABELS[candidate.block].index(candidate.label)
            expected = true[PATHS[:, candidate.block] == position].mean()
            z.append((candidate.bias.value - expected) / candidate.error.value)
    assert np.mean(z) == pytest.approx(0, abs=0.1)
    assert 0.8 < np.sqrt(np.mean(np.square(z))) < 1.3  # three seeds a block: errors are themselves uncertain


def test_the_candidate_that_the_supernet_over_rates_stands_out(audited: list[tuple[World, Audit]]) -> None:
    over_rated = [max(a.candidates, key=lambda candidate: candidate.bias.value) for _, a in audited]
    assert np.mean([(c.block, c.label) == (0, "identity") for c in over_rated]) > 0.9


def test_the_parts_and_the_rest_make_the_total(audited: list[tuple[World, Audit]]) -> None:
    for world, result in audited[:10]:
        parts = [result.stand_alone, result.supernet, result.images, result.sharing]
        assert "Cut off" not in result.sharing.note
        assert sum(part.value for part in parts) == pytest.approx(result.total.value)
        score, accuracy = world.scores.mean(axis=0), 100 * world.truth.mean(axis=1)
        matched = (score - score.mean()) / score.std() * accuracy.std() + accuracy.mean()
        assert result.differences == pytest.approx((matched - accuracy).tolist(), abs=1e-6)
        assert result.total.value == pytest.approx(np.var(matched - accuracy, ddof=1))
        identity = (matched - accuracy)[PATHS[:, 0] == 2].mean()
        assert next(c for c in result.candidates if c.label == "identity").bias.value == pytest.approx(identity)


FOUR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
TWO = (("a", "b"), ("a", "b"))


def test_a_case_done_by_hand() -> None:
    accuracy = np.array([0.90, 0.92, 0.94, 0.96])  # sd as of scores 0, 1, 2, 3
    scores = np.array([[1.0, 0.0, 2.0, 3.0]])
    result = audit(scores, accuracy[:, None], None, FOUR, TWO)
    assert result.differences == pytest.approx((2.0, -2.0, 0.0, 0.0))
    assert result.total.value == pytest.approx(8 / 3)
    assert [c.bias.value for c in result.candidates] == pytest.approx([0.0, 0.0, 1.0, -1.0])
    assert [c.error.value for c in result.candidates] == pytest.approx([2.0, 0.0, 1.0, 1.0])
    assert [(c.block, c.label, c.paths) for c in result.candidates] == [
        (0, "a", 2),
        (0, "b", 2),
        (1, "a", 2),
        (1, "b", 2),
    ]


def test_a_score_that_is_the_accuracy_on_another_scale_leaves_nothing_to_explain() -> None:
    accuracy = np.array([0.90, 0.92, 0.94, 0.97])
    result = audit(7 * accuracy[None] - 3, accuracy[:, None], None, FOUR, TWO)
    assert result.total.value == pytest.approx(0.0)
    assert result.differences == pytest.approx((0.0,) * 4, abs=1e-9)


def test_a_part_that_cannot_be_measured_has_a_reason_and_the_rest_says_that_it_holds_it() -> None:
    rng = np.random.default_rng(0)
    result = audit(rng.random((1, 4)), rng.random((4, 1)), None, FOUR, TWO)
    for part in (result.stand_alone, result.supernet, result.images):
        assert part.value is None
        assert part.note
    assert "stand-alone noise, supernet noise, image noise" in result.sharing.note
    assert result.sharing.value == pytest.approx(result.total.value)
    assert all("one supernet seed" in candidate.error.note for candidate in result.candidates)


def test_with_one_stand_alone_seed_image_noise_is_what_all_of_it_does_to_single_images() -> None:
    rng = np.random.default_rng(0)
    bits = rng.random((4, 500)) < np.array([[0.6], [0.7], [0.8], [0.9]])
    result = audit(rng.random((2, 4)), bits.mean(axis=1)[:, None], bits.astype(np.float32), FOUR, TWO)
    by_pair = [np.var(1.0 * a - b, ddof=1) / (2 * 500) for a, b in itertools.combinations(bits, 2)]
    assert result.images.value == pytest.approx(100**2 * np.mean(by_pair))
    assert "one stand-alone seed" in result.images.note
    assert "stand-alone noise" in result.sharing.note
    assert "image noise" not in result.sharing.note
    assert all("one seed" in candidate.error.note for candidate in result.candidates)


def test_more_noise_than_disagreement_is_set_to_zero_and_says_so() -> None:
    truth = np.array([[0.5, 0.9], [0.6, 1.0], [0.7, 0.3], [0.8, 0.4]])
    result = audit(np.stack([truth.mean(axis=1)] * 2), truth, None, FOUR, TWO)
    assert result.sharing.value == 0.0
    assert "Set to 0" in result.sharing.note


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


def test_a_candidate_of_no_path_has_a_reason_and_one_of_one_path_no_spread() -> None:
    rng = np.random.default_rng(0)
    result = audit(rng.random((1, 3)), rng.random((3, 2)), None, np.array([[0], [0], [2]]), (("a", "b", "c"),))
    a, b, c = result.candidates
    assert (a.paths, b.paths, c.paths) == (2, 0, 1)
    assert "No path contains it" in b.bias.note
    assert c.bias.value is not None
    assert c.error.value is None
    assert c.error.note


def test_a_supernet_seed_that_diverged_is_left_out_and_said_to_be() -> None:
    rng = np.random.default_rng(0)
    scores, truth = rng.random((2, 4)), rng.random((4, 2))
    scores[1, 2] = -np.inf
    result = audit(scores, truth, None, FOUR, TWO)
    assert "1 of 2" in result.total.note
    assert result.differences == pytest.approx(audit(scores[:1], truth, None, FOUR, TWO).differences)
