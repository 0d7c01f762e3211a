"""Tables about the ground truths, and about what ranks without a supernet."""

from __future__ import annotations

import numpy as np
from cells import number, spread, table
from study import LONG, PROXIES, SHORT, WORDS, Study, called, label

from supernet_cli.reports.statistics.ceiling import tau_ceiling
from supernet_cli.reports.statistics.pairs import resolved_pairs
from supernet_cli.reports.statistics.ranking import (
    agreement,
    best_quarter,
    kendall_tau,
    mean_accuracy,
    seed_agreement,
    seed_agreement_of_best,
)


def truth(study: Study) -> str:
    """Return how well the stand-alone trainings agree with each other."""
    rows = []
    for epochs, test in study.truths.items():
        mean, between = mean_accuracy(test), seed_agreement(test).value
        pairs = resolved_pairs(test, study.correct[epochs], study.known[0][None, :])
        assert pairs.seed_sd.value is not None
        assert pairs.share.value is not None
        rows.append(
            (
                WORDS[epochs],
                f"{100 * mean.min():.1f} to {100 * mean.max():.1f} %",
                f"{100 * pairs.seed_sd.value:.2f}",
                number(between),
                number(seed_agreement_of_best(test).value),
                number(tau_ceiling(between, test.shape[1], len(test)).value),
                f"{100 * pairs.share.value:.0f} %",
            )
        )
    head = (
        "ground truth",
        "stand-alone accuracy",
        "seed sd, points",
        "t₁",
        "t₁, best quarter",
        "τ_max",
        "pairs resolved",
    )
    return f"{table(head, rows)}\n\n{_remarks(study)}"


def _remarks(study: Study) -> str:
    """Return how the truths agree with each other, and how much size explains."""
    remarks = []
    if len(study.truths) == 2:
        means = [study.mean(epochs) for epochs in study.truths]
        best = best_quarter(study.truths[LONG])
        remarks.append(
            f"τ between the two truths' mean accuracies: {number(kendall_tau(*means))} over all paths, "
            f"{number(kendall_tau(means[0][best], means[1][best]))} in the best quarter of the longer one."
        )
    shares = " and ".join(f"{100 * _explained(study, epochs):.0f} %" for epochs in study.truths)
    remarks.append(f"Variance of accuracy that the logarithm of multiply-accumulates explains: {shares}.")
    return " ".join(remarks)


def _explained(study: Study, epochs: str) -> float:
    """Return R² of a straight line through the logarithm of the multiply-accumulates."""
    return float(np.corrcoef(np.log(study.sizes["macs"]), study.mean(epochs))[0, 1] ** 2)


def anchor(study: Study) -> str:
    """Return how the ground truths, and the longest supernets, agree with much longer trainings of some paths."""
    (epochs,) = set(study.data["truth"]) - set(WORDS)
    found = study.data["truth"][epochs]
    places = [study.data["paths"].index(path) for path in found["paths"]]
    test = np.array(found["test"])
    mean = mean_accuracy(test)
    rows = [(f"{epochs} epochs", "–", number(seed_agreement(test).value), _range(mean))]
    for short in (SHORT, LONG):
        if short in study.truths:
            few = study.truths[short][places]
            rows.append(
                (
                    WORDS[short],
                    number(kendall_tau(mean_accuracy(few), mean)),
                    number(seed_agreement(few).value),
                    _range(mean_accuracy(few)),
                )
            )
    longest = [label(word, study.lengths(word)[-1]) for word in study.words()]
    scores = [(called(kind), study.score(kind)) for kind in longest]
    scores += [(word, score) for word, _, score in study.shorts[-1:]]
    for word, score in scores:
        rows.append((f"*{word}*", spread(agreement(score[:, places], test).tau.per_seed), "–", "–"))
    return table(("order by", f"τ with {epochs} epochs", "t₁", "accuracy"), rows)


def _range(mean: np.ndarray) -> str:
    return f"{100 * mean.min():.1f} to {100 * mean.max():.1f} %"


def baselines(study: Study) -> str:
    """Return what ranks without a supernet, or at the same cost."""
    rows = []
    for name, word in PROXIES:
        if name in study.sizes:
            rows.append((word, "0", *_agreeing(study, study.sizes[name][None, :], with_range=False)))
    rows += [(word, f"{cost:.1f}", *_agreeing(study, score)) for word, cost, score in study.shorts]
    kinds = study.names(["untrained", "uniform"])
    rows += [(f"*{called(k)}*", f"{study.cost(k):.1f}", *_agreeing(study, study.score(k))) for k in kinds]
    return table(("order by", "cost", *study.each_truth("τ, {}", "its best quarter")), rows)


def _agreeing(study: Study, score: np.ndarray, with_range: bool = True) -> list[str]:
    """Return how scores, (R, n), agree with each ground truth: τ over all paths and in the best quarter."""
    cells = []
    for test in study.truths.values():
        found = agreement(score, test)
        for each in (found.tau, found.best_tau):
            cells.append(spread(each.per_seed) if with_range else number(each.mean.value))
    return cells
