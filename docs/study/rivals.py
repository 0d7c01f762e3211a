"""Tables about what else the cost buys: size, trainings from scratch, and both together with a supernet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from cells import lost, number, points, probability, signed, spread, table
from scipy import stats
from study import PROXIES, SIZES, Study, called, label

from supernet_cli.reports.statistics.choice import Bounds
from supernet_cli.reports.statistics.partial import beyond_size
from supernet_cli.reports.statistics.posterior import Evidence, draw, normal_scores
from supernet_cli.reports.statistics.ranking import agreement, kendall_tau, mean_accuracy

REPEATS = 15
"""Random choices of the paths to train, the same for all rows of a table: each supernet with each stand-alone seed."""

COUNTS = (4, 8, 16)
"""Trainings from scratch."""

DRAWS = 200
"""Draws from a posterior whose mean is all that is needed."""


def together(study: Study) -> str:
    """Return what supernets, and short trainings, add to multiply-accumulates."""
    size = study.sizes["macs"]
    rows = []
    ranking = [name for name in study.names(study.words()) if not name.startswith(_NO_RANKING)]
    named = [(name, study.score(name)) for name in ranking]
    named += [(word, score) for word, _, score in study.shorts]
    everything = np.mean([normal_scores(row) for _, score in named[: len(ranking)] for row in score], axis=0)
    for word, score in [*named, ("*all supernets, averaged*", everything[None, :])]:
        cells = [word]
        summed = stats.rankdata(score, axis=1) + stats.rankdata(size)
        for test in study.truths.values():
            found = agreement(summed, test)
            cells += [spread(found.tau.per_seed), spread(found.best_tau.per_seed)]
            beyond = beyond_size(score, test, size, study.choices, np.random.default_rng(0))
            null = f"{number(beyond.null.low.value)} to {number(beyond.null.high.value)}"
            cells += [spread(beyond.correlation.per_seed), null, probability(beyond.p.value)]
        rows.append(tuple(cells))
    heads = ("summed ranks, {}", "its best quarter", "at equal MACs", "by chance (95 %)", "p")
    return table(("score", *study.each_truth(*heads)), rows)


STACKS = "conv1x1x"
"""Candidates that are stacks of 1 × 1 convolutions: three in a row make the worst path of `iso` by far."""

_NO_RANKING = ("bandit", "epoch")


def without(study: Study) -> str:
    """Return τ over all paths, and over those without stacks of 1 × 1 convolutions."""
    kept = np.array([not any(label.startswith(STACKS) for label in labels) for labels in study.labels])
    subsets = [(test, some) for test in study.truths.values() for some in (kept | ~kept, kept)]
    rows = [(called(kind), study.score(kind)) for kind in study.names(["untrained", *study.words()])]
    rows += [(word, score) for word, _, score in study.shorts]
    rows += [(word, study.sizes[size][None, :]) for size, word in PROXIES]
    cells = [
        [spread(agreement(score[:, some], test[some]).tau.per_seed) for test, some in subsets] for _, score in rows
    ]
    few = f"{kept.sum()} paths without"
    head = ("order by", *study.each_truth("τ, {}", f"{few}, {{}}"))
    return table(head, [(word, *each) for (word, _), each in zip(rows, cells, strict=True)])


def regrets(study: Study) -> str:
    """Return the accuracy lost by training the first paths by scores, and by orders that are free."""
    rows = [(word, *_losses(study, score, cost)) for word, cost, score in _scores(study)]
    rows += [(word, *_losses(study, study.sizes[size][None, :], 0.0)) for size, word in SIZES]
    rows.append(("random paths", *_losses(study, np.zeros((1, len(study.choices))), 0.0)))
    head = ("picked by", *study.each_truth("k = 1, {}", "cost", "k = 3, {}", "cost"))
    return table(head, rows)


def instead(study: Study) -> str:
    """Return how much more accuracy is lost by scores than by random paths, trained for the same total cost."""
    rows = []
    for word, cost, score in _scores(study):
        cells = [word]
        for epochs, test in study.truths.items():
            for k in (1, 3):
                budget = cost + study.trained(study.lost(score, epochs, k), epochs)
                count = max(1, round(budget / (test.shape[1] * int(epochs))))
                by_scores, by_chance = (
                    study.losses(each, epochs, paths) for each, paths in ((score, k), (np.zeros((1, len(test))), count))
                )
                found = Bounds.of(_resampled(by_scores) - by_chance[:, 0])
                bounds = f"{signed(100 * found.low)} to {signed(100 * found.high)}"
                cells.append(f"{signed(100 * found.mean)} ({bounds}), {count} paths")
        rows.append(tuple(cells))
    return table(("picked by", *study.each_truth("k = 1, {}", "k = 3, {}")), rows)


def _resampled(losses: np.ndarray) -> np.ndarray:
    """Return means over the supernets of losses, (D, R), in each draw over as many of them, drawn with replacement."""
    rows, supernets = losses.shape
    drawn = np.random.default_rng(0).integers(supernets, size=(rows, supernets))
    return np.asarray(np.take_along_axis(losses, drawn, axis=1).mean(axis=1))


def _scores(study: Study) -> list[tuple[str, float, np.ndarray]]:
    """Return the scores of all supernets and short trainings: their word, their cost, (R, n)."""
    names = [name for name in study.names(study.words()) if not name.startswith("epoch")]
    return [(called(name), study.cost(name), study.score(name)) for name in names] + study.shorts


def _losses(study: Study, score: np.ndarray, cost: float) -> list[str]:
    """Return what is lost with each ground truth by training one or three paths, and the cost with the scores'."""
    cells = []
    for epochs in study.truths:
        for k in (1, 3):
            found = study.lost(score, epochs, k)
            cells += [lost(found), f"{cost + study.trained(found, epochs):.0f}"]
    return cells


@dataclass(frozen=True)
class Learned:
    """What some trainings from scratch, with or without further evidence, say about all paths.

    Args:
        tau: τ of the posterior means with the mean accuracy of the other seeds' trainings, one per repeat.
        loss: Expected accuracy lost by taking the path with the best posterior mean, one per repeat.
    """

    tau: np.ndarray
    loss: np.ndarray


@cache
def _judges(study: Study, epochs: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return, for each seed, what judges it: the other seeds' mean accuracies, and draws of the expected ones."""
    test = study.truths[epochs]
    others = [np.delete(test, seed, axis=1) for seed in range(test.shape[1])]
    return [(mean_accuracy(each), study.beliefs(each)) for each in others]


def learn(study: Study, epochs: str, orders: Sequence[np.ndarray], count: int) -> Learned:
    """Learn from some random paths, trained once each, how good every path is.

    The paths are trained with one seed, whose validation accuracies are seen, and judged by the test accuracies of the
    others. The model is that of `supernet compare`: a Gaussian process with one effect per block and candidate and,
    linearly, the orders. With no training the first order is taken as it is.

    Args:
        study: The space.
        epochs: Of the ground truth.
        orders: Further evidence, each (R, n): repeats take its rows in turn.
        count: Paths trained.
    """
    taus, losses = [], []
    for repeat in range(REPEATS):
        rng = np.random.default_rng(repeat)
        trained = rng.permutation(len(study.choices))
        seed = repeat % study.truths[epochs].shape[1]
        rows = [order[repeat // 3 % len(order)] for order in orders]
        if count:
            known = (
                np.stack([normal_scores(row) for row in rows], axis=1)[trained] if rows else np.zeros((len(trained), 0))
            )
            seen = study.validation[epochs][trained[:count], seed]
            drawn = draw(Evidence(known, study.choices[trained], seen, None), rng, DRAWS)
            score = np.empty(len(trained))
            score[trained] = drawn.mean(axis=0)
        else:
            score = rows[0]
        accuracy, draws = _judges(study, epochs)[seed]
        taus.append(kendall_tau(score, accuracy))
        losses.append(float((draws.max(axis=1) - draws[:, int(score.argmax())]).mean()))
    return Learned(np.array(taus), np.array(losses))


def combined(study: Study) -> str:
    """Return what trainings from scratch say about all paths, without and with further evidence."""
    epochs = study.longest
    sizes = [study.sizes[name][None, :] for name, _ in SIZES]
    evidence: dict[str, tuple[float, list[np.ndarray]]] = {"trainings only": (0.0, []), "sizes": (0.0, sizes)}
    for word in ("uniform", "fair", "fair in parts", "path-dropout (sum)"):
        if 4 in study.lengths(word):
            name = label(word, 4)
            evidence[name] = (study.cost(name), [study.score(name)])
            if word == "fair":
                evidence[f"{name} and sizes"] = (study.cost(name), [study.score(name), *sizes])
    rows = []
    for word, (cost, orders) in evidence.items():
        for count in (0, *COUNTS) if cost else COUNTS:
            found = learn(study, epochs, orders, count)
            shown = [f"{number(found.tau.mean())} ± {number(_error(found.tau))}"]
            shown.append(f"{points(float(found.loss.mean()))} ± {points(_error(found.loss))}")
            rows.append((word, str(count), f"{cost + count * int(epochs):.0f}", *shown))
    return table(("evidence", "trainings", "cost", "τ", "loss, points"), rows)


def choices(study: Study) -> str:
    """Return what is lost by the path that each way of choosing takes, at about the same cost."""
    rows = []
    for budget in (12, 24, 48, 96):
        cells = [f"{budget}"]
        for way in WAYS.values():
            found = way(study, budget)
            cells.append("–" if found is None else f"{points(float(found.mean()))} ± {points(_error(found))}")
        rows.append(tuple(cells))
    return table(("cost", *WAYS), rows)


def _error(values: np.ndarray) -> float:
    """Return the standard error of a mean over repeats."""
    return float(values.std(ddof=1) / len(values) ** 0.5)


def _train_first(study: Study, scores: np.ndarray, budget: float) -> np.ndarray | None:
    """Return the losses of training the first by a score, once each, and keeping the best by validation."""
    epochs = study.longest
    count = int(budget // int(epochs))
    if count < 1:
        return None
    losses = []
    for repeat in range(REPEATS):
        rng = np.random.default_rng(repeat)
        seed = repeat % study.truths[epochs].shape[1]
        row = scores[repeat // 3 % len(scores)]
        first = np.lexsort((rng.random(len(row)), -row))[: min(count, len(row))]
        pick = first[study.validation[epochs][first, seed].argmax()]
        _, draws = _judges(study, epochs)[seed]
        losses.append(float((draws.max(axis=1) - draws[:, pick]).mean()))
    return np.array(losses)


def _random(study: Study, budget: float) -> np.ndarray | None:
    return _train_first(study, np.zeros((1, len(study.choices))), budget)


def _additive(study: Study, budget: float) -> np.ndarray:
    return learn(study, study.longest, [], int(budget // int(study.longest))).loss


def _largest(study: Study, budget: float) -> np.ndarray | None:
    return _train_first(study, study.sizes["macs"][None, :], budget)


def _best_of_supernet(study: Study, budget: float) -> np.ndarray | None:
    return _train_first(study, study.score("fair, 4"), budget - study.cost("fair, 4"))


def _supernet_and_trainings(study: Study, budget: float) -> np.ndarray | None:
    name = "fair, 4"
    count = int((budget - study.cost(name)) // int(study.longest))
    return learn(study, study.longest, [study.score(name)], count).loss if count >= COUNTS[0] else None


def _halving(study: Study, budget: float) -> np.ndarray | None:
    """Return the losses of successive halving: one epoch for many paths, three for the best third of them.

    Source: Jamieson and Talwalkar 2016, arXiv 1502.07943. A longer training starts anew, since its schedule differs.
    """
    if len(study.truths) < 2:
        return None
    short, long = study.truths
    count = min(int(budget / (1 + int(long) / 3)), len(study.choices))
    losses = []
    for repeat in range(REPEATS):
        seed = repeat % study.truths[long].shape[1]
        drawn = np.random.default_rng(repeat).permutation(len(study.choices))[:count]
        kept = drawn[np.argsort(-study.validation[short][drawn, seed])[: max(1, count // 3)]]
        pick = kept[study.validation[long][kept, seed].argmax()]
        _, draws = _judges(study, long)[seed]
        losses.append(float((draws.max(axis=1) - draws[:, pick]).mean()))
    return np.array(losses)


WAYS = {
    "best of random paths": _random,
    "largest paths": _largest,
    "successive halving": _halving,
    "additive model of random paths": _additive,
    "best of a *fair, 4* supernet": _best_of_supernet,
    "*fair, 4* supernet in a model of random paths": _supernet_and_trainings,
}
"""Ways of choosing a path within a budget, by their word; None where the budget does not suffice."""
