"""The picture of each space: τ over the cost of a supernet, beside what ranks without one."""

from __future__ import annotations

import statistics
from typing import Any

from stored import HERE
from study import SIZES, WORDS, Study, label

from supernet_cli.reports.statistics.ceiling import tau_ceiling
from supernet_cli.reports.statistics.ranking import agreement, kendall_tau, seed_agreement

COLOURS = {
    "uniform": "#3366aa",
    "fair": "#bb5533",
    "fair in parts": "#8855aa",
    "path-dropout": "#559955",
    "path-dropout (sum)": "#559955",
}


def draw(study: Study) -> None:
    """Draw τ with each ground truth, and write it beside this file."""
    from matplotlib import pyplot as plt

    plt.rcParams |= {
        "svg.hashsalt": "supernet",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    count = len(study.truths)
    figure, row = plt.subplots(1, count, figsize=(4.5 * count, 3.6), sharey=True, layout="constrained", squeeze=False)
    for side, epochs in zip(row[0], study.truths, strict=True):
        _supernets(side, study, epochs)
        _rivals(side, study, epochs)
        side.set_title(f"{study.space}, ground truth: {WORDS[epochs]}", loc="left")
        side.set_xlabel("cost of a supernet, in trainings of one epoch")
    row[0][0].set_ylabel(f"Kendall τ over all {len(study.choices)} paths")
    row[0][-1].legend(frameon=False, loc="lower right", fontsize=9)
    figure.savefig(HERE / f"{study.space}.svg", metadata={"Date": None})
    plt.close(figure)


def _supernets(side: Any, study: Study, epochs: str) -> None:
    for word in (word for word in study.several() if word in COLOURS):
        names = [label(word, length) for length in study.lengths(word)]
        xs, each = [study.cost(name) for name in names], [study.taus(name, epochs) for name in names]
        side.plot(xs, [statistics.fmean(taus) for taus in each], "o-", color=COLOURS[word], label=word)
        for x, taus in zip(xs, each, strict=True):
            side.plot([x] * len(taus), taus, "_", color=COLOURS[word], markersize=7)


def _rivals(side: Any, study: Study, epochs: str) -> None:
    test = study.truths[epochs]
    if study.shorts:
        _, xs, scores = zip(*study.shorts, strict=True)
        ys = [statistics.fmean(t for t in agreement(score, test).tau.per_seed if t is not None) for score in scores]
        side.plot(xs, ys, "s--", color="#888888", label="short trainings")
    for size, word in SIZES:
        shift = -11 if size == "synflow" else 3  # above it there are curves
        _rule(side, word, kendall_tau(study.sizes[size], study.mean(epochs)), shift, color="#888888", linestyle=":")
    _rule(side, "ceiling", tau_ceiling(seed_agreement(test).value, test.shape[1], len(test)).value, color="black")


def _rule(side: Any, word: str, height: float | None, shift: float = 3, **style: str) -> None:
    """Draw a line across a picture, its label some points above it."""
    if height is not None:
        side.axhline(height, linewidth=1, **style)
        where = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "center"}
        side.annotate(word, (0.75, height), (0, shift), **where)
