"""What the posterior says of worlds of known truth: right on average, and inside its bounds as often as it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from worlds import verdicts

from supernet_cli.reports.beliefs import beliefs_of
from supernet_cli.reports.statistics.choice import Bounds, choose
from supernet_cli.reports.statistics.kendall import dense_ranks, tau_b_rows
from supernet_cli.reports.statistics.posterior import Evidence, _Fits, draw, normal_scores, tau_of_draws
from supernet_cli.reports.statistics.regret import regret, shrunken

_WORLDS = 50

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "one seed": {"seeds": 1},
    "much noise": {"seeds": 2, "noise": 0.9},
    "three supernets": {"supernets": 3, "seeds": 2},
    "a sample": {"trained": 16, "seeds": 2},
    "a sample, one seed": {"trained": 16, "seeds": 1},
    "few paths": {"blocks": (4, 4), "seeds": 2},
    "unequal blocks": {"blocks": (2, 3, 5), "seeds": 2},
    "skewed": {"skew": 1.0, "seeds": 2},
    "a skewed sample": {"skew": 1.0, "seeds": 2, "trained": 16},
    "a few unstable paths": {"unstable": 0.2},
    "paths of their own": {"own": 2.0, "seeds": 2},
    "size knows nearly all": {"size": 0.85, "seeds": 2},
    "the supernet knows nothing": {"tau": 0.0, "seeds": 2},
    "missing jobs": {"missing": 0.3},
}


def believed(world: Any, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of paths in the draws, the trained ones first, and the draws."""
    order = np.concatenate([world.trained, np.setdiff1d(np.arange(len(world.choices)), world.trained)])
    known = [world.scores[:, order], world.size[order]]
    return order, beliefs_of(world.accuracies[world.trained], known, world.choices[order], rng)


def drawn(rng: np.random.Generator, setting: dict[str, Any]) -> Any:
    how = {"tau": 0.6, **setting}
    missing = how.pop("missing", 0.0)
    world = verdicts().world(rng, **how)
    lost = rng.random(world.accuracies.shape) < missing
    lost[:, 0] = False
    world.accuracies[lost] = np.nan
    return world


@pytest.mark.parametrize("name", SETTINGS)
def test_bounds_hold_their_level_and_means_are_right(name: str) -> None:
    rng = np.random.default_rng(1)
    paths, taus, errors, regrets, losses = [], [], [], [], []
    for _ in range(_WORLDS):
        world = drawn(rng, SETTINGS[name])
        order, draws = believed(world, rng)
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        exact = world.exact[order]
        paths.append(np.mean((low <= exact) & (exact <= high)))
        tau = tau_of_draws(world.scores[:, order], draws[::4])
        assert tau is not None
        bounds = Bounds.of(tau)
        taus.append(bounds.low <= world.tau <= bounds.high)
        errors.append(bounds.mean - world.tau)
        trained = draws[:, : len(world.trained)]
        lost = regret(world.scores[:, world.trained], trained, world.accuracies[world.trained], 3, {}).supernet
        pick = _exact_regret(world)
        regrets.append((lost.mean.value or 0.0) - pick)
        assert lost.interval.low.value is not None
        assert lost.interval.high.value is not None
        losses.append(lost.interval.low.value - 1e-9 <= pick <= lost.interval.high.value + 1e-9)
    slack = 2.5 * np.sqrt(0.1 * 0.9 / _WORLDS)
    assert np.mean(paths) >= 0.9
    assert np.mean(taus) >= 0.9 - slack
    assert np.mean(losses) >= 0.9 - slack
    bias = 0.003 if "skew" in SETTINGS[name] else 0.001  # the crowd of good paths is taken for wider than it is
    assert abs(np.mean(regrets)) <= 3 * np.std(regrets) / np.sqrt(_WORLDS) + bias
    assert -0.13 <= np.mean(errors) <= 0.03  # with little evidence it errs towards no knowledge


def _exact_regret(world: Any) -> float:
    """Return what is lost by keeping the best of three, mean over supernets."""
    exact, means = world.exact[world.trained], np.nanmean(world.accuracies[world.trained], axis=1)
    seeds = np.isfinite(world.accuracies[world.trained]).sum(axis=1)
    picks = []
    for scores in world.scores[:, world.trained]:
        first = np.argsort(-scores)[:3]
        if len(set(seeds[first])) > 1:  # the pick is the best shrunken mean; ask the code which it is
            picks.append(first[np.argmax(shrunken(world.accuracies[world.trained])[first])])
        else:
            picks.append(first[np.argmax(means[first])])
    return float(np.mean([exact.max() - exact[pick] for pick in picks]))


def test_one_setting_is_what_the_formulas_of_gaussian_processes_give() -> None:
    rng = np.random.default_rng(0)
    design = np.hstack([np.ones((9, 1)), rng.normal(size=(9, 4))])
    target, noise = rng.normal(size=6), rng.uniform(0.1, 0.5, 6)
    fit = _Fits.to(target, design, [1, 3], np.array([[0.1, 0.1, 0.1], [0.7, 0.2, 0.3]]), noise)
    prior = design @ np.diag([10.0, 0.7, 0.2, 0.2, 0.2]) @ design.T + 0.3 * np.eye(9)
    observed = prior[:6, :6] + np.diag(noise)
    gain = prior[:, :6] @ np.linalg.inv(observed)
    drawn = fit.draw(1, 400_000, rng)
    assert drawn.mean(axis=0) == pytest.approx(gain @ target, abs=0.02)
    assert np.cov(drawn.T) == pytest.approx(prior - gain @ prior[:6], abs=0.05)


def test_the_evidence_of_a_setting_is_the_density_of_what_was_observed() -> None:
    from scipy.stats import multivariate_normal

    rng = np.random.default_rng(0)
    design = np.hstack([np.ones((6, 1)), rng.normal(size=(6, 2))])
    noise = rng.uniform(0.1, 0.5, 6)
    settings = np.array([[0.7, 0.2, 0.3], [0.0, 0.2, 0.0], [0.0, 0.0, 0.0]])
    for target in rng.normal(size=(3, 6)):
        found = _Fits.to(target, design, [1, 1], settings, noise).log_evidence
        for variances, log_evidence in zip(settings, found, strict=True):
            prior = design @ np.diag([10.0, *variances[:2]]) @ design.T + np.diag(variances[2] + noise)
            expected = multivariate_normal(np.zeros(6), prior).logpdf(target) + 3 * np.log(2 * np.pi)
            assert log_evidence == pytest.approx(expected, abs=1e-6)


def test_the_luckiest_of_many_noisy_trainings_is_not_believed() -> None:
    rng = np.random.default_rng(0)
    won, believed_best = [], []
    for _ in range(40):
        world = drawn(rng, {"seeds": 1, "noise": 1.0})
        _, draws = believed(world, rng)
        found = choose(draws, None)
        observed = world.accuracies[:, 0]
        won.append(observed.max() - world.exact[observed.argmax()])
        believed_best.append(found.accuracy.mean - world.exact[found.best])
    assert np.mean(won) > 0.015  # the winner's curse: the observation is far above what the path is worth
    assert abs(np.mean(believed_best)) < np.mean(won) / 3


def test_paths_without_any_difference_are_all_alike() -> None:
    evidence = Evidence(np.zeros((4, 1)), np.array([[0], [1], [2], [3]]), np.full(4, 0.9), None)
    draws = draw(evidence, np.random.default_rng(0), 10)
    assert (draws == 0.9).all()
    assert tau_of_draws(np.arange(4.0), draws) is None


def test_evidence_that_is_constant_or_unknown_carries_nothing() -> None:
    rng = np.random.default_rng(0)
    choices, means = np.array([[0], [1], [2], [3]]), rng.random(4)
    nothing = draw(Evidence(np.zeros((4, 0)), choices, means, None), np.random.default_rng(1))
    for column in (np.full(4, 7.0), np.array([1.0, np.nan, 2.0, 3.0])):
        same = draw(Evidence(column[:, None], choices, means, None), np.random.default_rng(1))
        assert (same == nothing).all()


def test_tau_of_draws_is_kendalls_of_each() -> None:
    rng = np.random.default_rng(0)
    orders, draws = rng.random((3, 12)), rng.random((5, 12))
    orders[1, 3] = np.nan  # a supernet that scored a path with no number
    expected = np.mean(
        [tau_b_rows(np.array([dense_ranks(row) for row in draws]), dense_ranks(o)) for o in orders[::2]], 0
    )
    assert tau_of_draws(orders, draws) == pytest.approx(expected)
    assert tau_of_draws(orders[0], draws[:, :]) is not None
    assert tau_of_draws(np.zeros(12), draws) is None
    assert tau_of_draws(np.zeros((1, 2)), draws[:, :2]) is None


def test_normal_scores_keep_the_order_and_average_over_supernets() -> None:
    scores = normal_scores(np.array([[1.0, 5.0, 2.0], [10.0, 20.0, 11.0], [np.nan, 0.0, 0.0]]))
    assert scores[1] == -scores[0]
    assert scores[2] == pytest.approx(0.0)
    assert np.isnan(normal_scores(np.full((1, 3), np.nan))).all()
