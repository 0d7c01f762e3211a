"""Compute every figure of docs/study.md from the data in lab/, and draw its picture.

    python docs/study/figures.py           write the tables into study.md, and the picture
    python docs/study/figures.py --check   check that the tables in study.md match the data

It takes a few seconds. The statistics are those of `supernet compare`: supernet_cli/reports/statistics.
"""

from __future__ import annotations

import itertools
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from stored import load

from supernet_cli import glyphs
from supernet_cli.reports.beliefs import beliefs_of
from supernet_cli.reports.statistics.audit import audit
from supernet_cli.reports.statistics.ceiling import corrected_tau, tau_ceiling
from supernet_cli.reports.statistics.intervals import holm, tau_interval, welch_against
from supernet_cli.reports.statistics.pairs import resolved_pairs
from supernet_cli.reports.statistics.partial import beyond_size
from supernet_cli.reports.statistics.ranking import (
    agreement,
    best_quarter,
    kendall_tau,
    mean_accuracy,
    seed_agreement,
    seed_agreement_of_best,
    supernet_agreement,
)
from supernet_cli.reports.statistics.regret import Loss, regret

HERE = Path(__file__).parent
PAGE = HERE.parent / "study.md"
LAB = HERE / "lab"
CHOOSE, CONFIRM = (0, 1), (2, 3, 4)
"""Supernet seeds that strategies are chosen on, and those that the choice is confirmed on."""

MAIN = ("uniform", "fair", "path-dropout")
SIZES = (("parameters", "parameters"), ("macs", "multiply-accumulates"), ("synflow", "synflow"))
SHORT, LONG = "1", "3"
"""Epochs of the two truths."""

WORDS = {SHORT: "one epoch", LONG: "three epochs"}


class Study:
    """The stored data, and what several tables need from it.

    Args:
        folder: Where data.json and the answers are.
    """

    def __init__(self, folder: Path) -> None:
        self.data = load(folder.name)
        self.supernets = {each["name"]: each for each in self.data["supernets"]}
        self.truths = {epochs: np.array(truth["test"]) for epochs, truth in self.data["truth"].items()}
        self.validation = {epochs: np.array(truth["validation"]) for epochs, truth in self.data["truth"].items()}
        self.correct = {epochs: _answers(folder / f"correct-{epochs}.npz") for epochs in self.truths}
        self.sizes = {name: np.array(values, dtype=float) for name, values in self.data["profile"].items()}
        self.choices = np.array(self.data["choices"])
        self.expected = {epochs: self._expected(test) for epochs, test in self.truths.items()}

    def score(self, name: str, seeds: Sequence[int] | None = None, what: str = "loss") -> np.ndarray:
        """Return one-shot scores, (R, n): higher is better."""
        found = self.supernets[name]
        rows = [row for seed, row in zip(found["seeds"], found[what], strict=True) if seeds is None or seed in seeds]
        return (-1 if what in ("loss", "divergence") else 1) * np.array(rows)

    def _expected(self, test: np.ndarray) -> np.ndarray:
        """Return draws of the expected accuracies, (D, n), from trainings and sizes: the same for all."""
        return beliefs_of(test, list(self.sizes.values()), self.choices, np.random.default_rng(0))

    def taus(self, name: str, truth: str, seeds: Sequence[int] | None = None, what: str = "loss") -> list[float]:
        """Return τ of each supernet seed over all paths."""
        found = agreement(self.score(name, seeds, what), self.truths[truth]).tau.per_seed
        return [tau for tau in found if tau is not None]

    def agreeing(self, score: np.ndarray) -> list[str]:
        """Return how scores, (R, n), agree with each ground truth: τ over all paths and in the best quarter."""
        return [cell for test in self.truths.values() for cell in self.agreeing_with(score, test)]

    @staticmethod
    def agreeing_with(score: np.ndarray, test: np.ndarray) -> list[str]:
        """Return how scores, (R, n), agree with a ground truth, (n, S): τ over all paths and in the best quarter."""
        found = agreement(score, test)
        return [spread(found.tau.per_seed), spread(found.best_tau.per_seed)]

    def shorts(self) -> list[tuple[str, float, np.ndarray]]:
        """Return short trainings, shortest first: their label, their cost, their scores, (S, n)."""
        return [
            (
                f"short training, {each['steps']} steps per path",
                self.trainings(each["cost"]["macs"], len(each["seeds"])),
                -np.array(each["loss"]),
            )
            for each in sorted(self.data["short"], key=lambda short: short["steps"])
        ]

    def lengths(self, sampler: str) -> list[int]:
        """Return the numbers of epochs for which a strategy has five supernets."""
        names = [name for name, each in self.supernets.items() if name == f"{sampler}-{each['epochs']}"]
        return sorted(self.supernets[name]["epochs"] for name in names if len(self.supernets[name]["seeds"]) == 5)

    def label(self, name: str) -> str:
        """Return what supernets are called in tables: their strategy and how it combines, and their epochs."""
        each = self.supernets[name]
        summed = " (sum)" if each["parameters"].get("combine") == "sum" else ""
        return f"{each['sampler']}{summed}, {each['epochs']}"

    def main(self) -> list[str]:
        """Return the supernets of the strategies that were trained with several lengths."""
        return [f"{sampler}-{length}" for sampler in MAIN for length in self.lengths(sampler)]

    def trainings(self, macs: float, of: int) -> float:
        """Return the cost of each of some networks, in stand-alone trainings of one epoch."""
        truth = self.data["truth"][SHORT]
        return macs / of / (truth["cost"]["macs"] / len(truth["test"]) / len(truth["seeds"]))

    def lost(self, score: np.ndarray, epochs: str, k: int) -> Loss:
        """Return what is lost by training the k best by scores, (R, n), with all seeds of a ground truth."""
        macs = self.sizes["macs"]
        found = regret(score, self.expected[epochs], self.validation[epochs], k, {}, macs / macs.mean())
        return found.supernet

    def trained(self, found: Loss, epochs: str) -> float:
        """Return the cost of the paths that were trained for a loss, in stand-alone trainings of one epoch."""
        assert found.paths.value is not None
        return found.paths.value * self.truths[epochs].shape[1] * int(epochs)

    def losses(self, score: np.ndarray, cost: float) -> list[str]:
        """Return what is lost with each ground truth by training one or three paths, and the cost with the scores'."""
        cells = []
        for epochs in self.truths:
            for k in (1, 3):
                found = self.lost(score, epochs, k)
                cells += [lost(found), f"{cost + self.trained(found, epochs):.0f}"]
        return cells

    def cost(self, name: str) -> float:
        """Return the cost of one supernet, evaluation included, in stand-alone trainings of one epoch."""
        found = self.supernets[name]
        return self.trainings(found["training"]["macs"] + found["evaluation"]["macs"], len(found["seeds"]))


def _answers(path: Path) -> np.ndarray:
    """Return the share of seeds that got each test image right, (n, N)."""
    with np.load(path) as stored:
        bits = np.unpackbits(stored["bits"], axis=2, count=int(stored["images"]))
    return bits.mean(axis=0, dtype=np.float32)


def truth(study: Study) -> str:
    """Return how well the stand-alone trainings agree with each other."""
    rows = []
    for epochs, test in study.truths.items():
        mean, between = mean_accuracy(test), seed_agreement(test).value
        quarter = seed_agreement_of_best(test).value
        pairs = resolved_pairs(test, study.correct[epochs], study.score("uniform-4"))
        assert pairs.seed_sd.value is not None
        assert pairs.share.value is not None
        rows.append(
            (
                WORDS[epochs],
                f"{100 * mean.min():.1f} to {100 * mean.max():.1f} %",
                f"{100 * pairs.seed_sd.value:.2f}",
                number(between),
                number(quarter),
                number(tau_ceiling(between, test.shape[1], len(test)).value),
                f"{100 * pairs.share.value:.0f} %",
            )
        )
    means = [mean_accuracy(test) for test in study.truths.values()]
    remark = f"\n\nτ between the two truths' mean accuracies: {number(kendall_tau(*means))} over all paths, "
    best = best_quarter(study.truths[LONG])
    remark += f"{number(kendall_tau(means[0][best], means[1][best]))} in the best quarter of the longer one. "
    shares = " and ".join(f"{100 * _explained(study.sizes['macs'], mean):.0f} %" for mean in means)
    remark += f"Variance of accuracy that the logarithm of multiply-accumulates explains: {shares}."
    head = (
        "ground truth",
        "stand-alone accuracy",
        "seed sd, points",
        "t₁",
        "t₁, best quarter",
        "τ_max",
        "pairs resolved",
    )
    return table(head, rows) + remark


def _explained(size: np.ndarray, accuracy: np.ndarray) -> float:
    """Return R² of a straight line through the logarithm of a size."""
    return float(np.corrcoef(np.log(size), accuracy)[0, 1] ** 2)


def strategies(study: Study) -> str:
    """Return how well the supernets of each strategy rank, by length."""
    rows = []
    for name in ordered(study):
        each = study.supernets[name]
        if len(each["seeds"]) < 5:
            continue
        cells = [study.label(name), f"{each['steps']:,}", f"{study.cost(name):.1f}"]
        for epochs in study.truths:
            taus = study.taus(name, epochs)
            cells.append(f"**{number(statistics.fmean(taus))}** {interval(taus)}")
        cells += study.agreeing(study.score(name))[1::2]
        cells.append(number(supernet_agreement(study.score(name)).value))
        rows.append(tuple(cells))
    head = (
        "strategy, epochs",
        "steps",
        "cost",
        *for_each_truth("τ, {} (95 %)"),
        *for_each_truth("best quarter, {}"),
        "between supernets",
    )
    return table(head, rows)


def corrected(study: Study) -> str:
    """Return τ without noise, by length."""
    rows = []
    for name in study.main():
        cells = [study.label(name)]
        between = supernet_agreement(study.score(name)).value
        for epochs, test in study.truths.items():
            mean = statistics.fmean(study.taus(name, epochs))
            found = corrected_tau(mean, seed_agreement(test).value, test.shape[1], len(test), between)
            cells += [number(mean), number(found.stand_alone.value), number(found.both.value)]
        rows.append(tuple(cells))
    head = ("strategy, epochs", *for_each_truth("τ, {}", "no truth noise, {}", "no noise, {}"))
    return table(head, rows)


OTHERS = (*MAIN[1:], "dropout-summed", "sandwich", "bandit", "epoch")


def chosen(study: Study) -> str:
    """Return strategies compared with uniform: on the seeds used to choose, and on those used to confirm."""
    rows, p_values = [], []
    for epochs in study.truths:
        for length in study.lengths("uniform"):
            names = [f"{sampler}-{length}" for sampler in OTHERS if length in study.lengths(sampler)]
            found = welch_against(
                study.taus(f"uniform-{length}", epochs, CONFIRM), {n: study.taus(n, epochs, CONFIRM) for n in names}
            )
            base = statistics.fmean(study.taus(f"uniform-{length}", epochs, CHOOSE))
            for name in names:
                first = statistics.fmean(study.taus(name, epochs, CHOOSE)) - base
                assert found[name].p.value is not None
                p_values.append(found[name].p.value)
                what = (WORDS[epochs], str(length), study.label(name).partition(",")[0])
                rows.append((*what, signed(first), signed(found[name].difference.value)))
    adjusted = map(probability, holm(p_values))
    head = ("ground truth", "epochs", "strategy", "vs. uniform, seeds 0–1", "vs. uniform, seeds 2–4", "p (Holm)")
    return table(head, [(*row, p) for row, p in zip(rows, adjusted, strict=True)])


def pooled(study: Study) -> str:
    """Return the planned comparisons, over all lengths together, on the seeds used to confirm."""
    rows, p_values = [], []
    for epochs in study.truths:
        for sampler in MAIN[1:]:
            lengths = [length for length in study.lengths(sampler) if length in study.lengths("uniform")]
            differences, errors, freedoms = [], [], []
            for length in lengths:
                ours, base = (
                    np.arctanh(study.taus(f"{each}-{length}", epochs, CONFIRM)) for each in (sampler, "uniform")
                )
                differences.append(ours.mean() - base.mean())
                errors += [side.var(ddof=1) / len(side) for side in (ours, base)]
                freedoms += [len(side) - 1 for side in (ours, base)]
            of_mean = np.array(errors) / len(lengths) ** 2
            freedom = of_mean.sum() ** 2 / (of_mean**2 / freedoms).sum()  # Satterthwaite's
            mean = float(np.mean(differences))
            p_values.append(float(2 * stats.t.sf(abs(mean) / of_mean.sum() ** 0.5, freedom)))
            taus = [
                statistics.fmean(study.taus(f"{sampler}-{length}", epochs, CONFIRM))
                - statistics.fmean(study.taus(f"uniform-{length}", epochs, CONFIRM))
                for length in lengths
            ]
            shown = ", ".join(map(str, lengths))
            rows.append((WORDS[epochs], sampler, shown, signed(statistics.fmean(taus)), probability(p_values[-1])))
    adjusted = map(probability, holm(p_values))
    head = ("ground truth", "strategy", "epochs", "vs. uniform, seeds 2–4", "p", "p (Holm)")
    return table(head, [(*row, p) for row, p in zip(rows, adjusted, strict=True)])


def baselines(study: Study) -> str:
    """Return what ranks without a supernet, or at the same cost."""
    rows = []
    for name, word in SIZES:
        cells = [word, "0"]
        for test in study.truths.values():
            found = agreement(study.sizes[name][None, :], test)
            cells += [number(found.tau.mean.value), number(found.best_tau.mean.value)]
        rows.append(tuple(cells))
    rows += [(word, f"{cost:.1f}", *study.agreeing(score)) for word, cost, score in study.shorts()]
    for length in study.lengths("uniform"):
        name = f"uniform-{length}"
        rows.append((f"*uniform, {length} epochs*", f"{study.cost(name):.1f}", *study.agreeing(study.score(name))))
    head = ("order by", "cost", *for_each_truth("τ, {}", "its best quarter"))
    return table(head, rows)


def together(study: Study) -> str:
    """Return what supernets, and short trainings, add to multiply-accumulates."""
    size = study.sizes["macs"]
    rows = []
    named = [(study.label(name), study.score(name)) for name in (*study.main(), "dropout-summed-4", "sandwich-4")]
    named += [(word, score) for word, _, score in study.shorts()]
    for word, score in named:
        cells = [word]
        summed = stats.rankdata(score, axis=1) + stats.rankdata(size)
        for test in study.truths.values():
            cells += study.agreeing_with(summed, test)
            found = beyond_size(score, test, size, study.choices, np.random.default_rng(0))
            null = f"{number(found.null.low.value)} to {number(found.null.high.value)}"
            cells += [spread(found.correlation.per_seed), null, probability(found.p.value)]
        rows.append(tuple(cells))
    heads = ("summed ranks, {}", "its best quarter", "at equal MACs", "by chance (95 %)", "p")
    return table(("score", *for_each_truth(*heads)), rows)


def averages(study: Study) -> str:
    """Return the average of several short supernets compared with a long one of the same total length."""
    rows = []
    for total in (4, 8, 16):
        for sampler in MAIN:
            for length in reversed(study.lengths(sampler)):
                count, name = total // length, f"{sampler}-{length}"
                if total % length or count > len(study.supernets[name]["seeds"]):
                    continue
                scores = study.score(name)
                subsets = list(itertools.combinations(range(len(scores)), count))
                cells = [sampler, f"{count} × {length} epochs", f"{count * study.cost(name):.1f}"]
                averaged = np.array([scores[list(subset)].mean(axis=0) for subset in subsets])
                rows.append((str(total), *cells, *study.agreeing(averaged)))
    return table(("total epochs", "strategy", "supernets", "cost", *for_each_truth("τ, {}", "its best quarter")), rows)


def regrets(study: Study) -> str:
    """Return the accuracy lost by what a budget buys: a supernet and k trainings, or more trainings instead."""
    supernets = [f"uniform-{length}" for length in study.lengths("uniform")]
    supernets += ["fair-4", "path-dropout-4", "dropout-summed-4"]
    rows = []
    for name in supernets:
        rows.append((f"{study.label(name)} epochs", *study.losses(study.score(name), study.cost(name))))
    for size, word in SIZES:
        rows.append((word, *study.losses(study.sizes[size][None, :], 0.0)))
    rows.append(("random paths", *study.losses(np.zeros((1, len(study.choices))), 0.0)))
    same = ["random paths at the cost of *fair, 4*"]
    for epochs, test in study.truths.items():
        for k in (1, 3):
            budget = study.cost("fair-4") + study.trained(study.lost(study.score("fair-4"), epochs, k), epochs)
            count = max(1, round(budget / (test.shape[1] * int(epochs))))
            found = study.lost(np.zeros((1, len(test))), epochs, count)
            same += [f"{lost(found)}, {count} paths", f"{study.trained(found, epochs):.0f}"]
    rows.append(tuple(same))
    head = ("picked by", *for_each_truth("k = 1, {}", "cost", "k = 3, {}", "cost"))
    return table(head, rows)


def lost(found: Loss) -> str:
    """Return a loss of accuracy with its interval, in points."""
    low, high = found.interval.low.value, found.interval.high.value
    return f"{points(found.mean.value)} ({points(low)}–{points(high)})"


def audits(study: Study) -> str:
    """Return the sources of disagreement with the longer ground truth."""
    rows = []
    truth_of = LONG
    for name in study.main():
        score = study.score(name, what="accuracy")
        found = audit(score, study.truths[truth_of], study.correct[truth_of], study.choices, study.data["blocks"])
        assert found.total.value is not None
        misrated = sorted(found.candidates, key=lambda each: -abs(each.bias.value or 0))[:2]
        ratings = ", ".join(
            f"{c.label} in block {c.block + 1} {signed(c.bias.value)} ± {c.error.value:.2f}" for c in misrated
        )
        parts = ("stand_alone", "supernet", "images", "sharing")
        shares = [f"{100 * (found.shares[part].value or 0):.0f} %" for part in parts]
        rows.append((study.label(name), f"{found.total.value**0.5:.2f}", *shares, ratings))
    head = (
        "strategy, epochs",
        "sd, points",
        "stand-alone seeds",
        "supernet seeds",
        "images",
        "weight sharing, at most",
        "most misrated, points (+ over-rated)",
    )
    return table(head, rows)


def scoring(study: Study) -> str:
    """Return how the choice of score changes τ with the longer ground truth."""
    rows = []
    for name in study.main():
        each = study.supernets[name]
        cells = [study.label(name)]
        cells += [spread(study.taus(name, LONG, what=what)) for what in ("loss", "accuracy", "accuracy_unrecalibrated")]
        cells.append(spread(study.taus(name, LONG, what="divergence")) if "divergence" in each else "–")
        rows.append(tuple(cells))
    head = ("strategy, epochs", "loss", "accuracy", "accuracy, not recalibrated", "Bender's diagnostic")
    return table(head, rows)


def dropout(study: Study) -> str:
    """Return variants of path-dropout, and the best accuracy with shared weights."""
    rows = []
    for name in ["uniform-4", *(n for n in ordered(study) if n.startswith(("dropout-", "path-dropout-4")))]:
        each = study.supernets[name]
        parameters = ", ".join(f"{key} {value}" for key, value in each["parameters"].items()) or "–"
        cells = [each["sampler"], parameters, str(len(each["seeds"])), f"{study.cost(name):.1f}"]
        cells += [spread(study.taus(name, epochs)) for epochs in study.truths]
        rows.append((*cells, f"{100 * study.score(name, what='accuracy').max():.1f} %"))
    head = ("strategy, 4 epochs", "parameters", "supernets", "cost", *for_each_truth("τ, {}"), "best one-shot accuracy")
    return table(head, rows)


def ordered(study: Study) -> list[str]:
    """Return the names of the supernets: by strategy as the study names them, then by length."""
    order = [*MAIN, "sandwich", "bandit", "epoch"]
    return sorted(
        study.supernets, key=lambda n: (order.index(study.supernets[n]["sampler"]), study.supernets[n]["epochs"], n)
    )


def for_each_truth(*heads: str) -> Iterator[str]:
    """Return column headings for one ground truth after the other, its name filled in."""
    return (head.format(word) for word in WORDS.values() for head in heads)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table: words on the left, the rest on the right."""
    lines = [head, [":--", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None) -> str:
    """Return a coefficient."""
    return "–" if value is None else glyphs.number(value)


def signed(value: float | None) -> str:
    """Return a difference."""
    return "–" if value is None else glyphs.number(value, "+z.2f")


def points(value: float | None) -> str:
    """Return a fraction in points."""
    return "–" if value is None else glyphs.number(100 * value)


def probability(value: float | None) -> str:
    """Return a p-value."""
    return "–" if value is None else f"{value:.3f}" if value >= 0.001 else "< 0.001"


def spread(values: Sequence[float | None]) -> str:
    """Return a mean with its range."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    mean = number(statistics.fmean(known))
    return f"{mean} ({number(min(known))}–{number(max(known))})" if len(known) > 1 else mean


def interval(taus: Sequence[float]) -> str:
    """Return the 95 % interval over supernets."""
    bounds = tau_interval(taus)
    return f"({number(bounds.low.value)}–{number(bounds.high.value)})"


def rule(side: Any, word: str, height: float | None, shift: float = 3, **style: str) -> None:
    """Draw a line across a picture, its label some points above it."""
    if height is not None:
        side.axhline(height, linewidth=1, **style)
        where = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "center"}
        side.annotate(word, (0.75, height), (0, shift), **where)


def draw(study: Study) -> None:
    """Draw τ with each ground truth over the cost of a supernet, beside what ranks without one."""
    from matplotlib import pyplot as plt

    colours = dict(zip(MAIN, ("#3366aa", "#bb5533", "#559955"), strict=True))
    plt.rcParams |= {
        "svg.hashsalt": "supernet",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    figure, sides = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for side, (epochs, test) in zip(sides, study.truths.items(), strict=True):
        for sampler in MAIN:
            names = [f"{sampler}-{length}" for length in study.lengths(sampler)]
            xs, each = [study.cost(name) for name in names], [study.taus(name, epochs) for name in names]
            side.plot(xs, [statistics.fmean(taus) for taus in each], "o-", color=colours[sampler], label=sampler)
            for x, taus in zip(xs, each, strict=True):
                side.plot([x] * len(taus), taus, "_", color=colours[sampler], markersize=7)
        _, xs, scores = zip(*study.shorts(), strict=True)
        ys = [statistics.fmean(t for t in agreement(score, test).tau.per_seed if t is not None) for score in scores]
        side.plot(xs, ys, "s--", color="#888888", label="short trainings")
        for size, word in SIZES:
            shift = -11 if size == "synflow" else 3  # above it there are curves
            tau = kendall_tau(study.sizes[size], mean_accuracy(test))
            rule(side, word, tau, shift, color="#888888", linestyle=":")
        rule(side, "ceiling", tau_ceiling(seed_agreement(test).value, test.shape[1], len(test)).value, color="black")
        side.set_title(f"ground truth: {WORDS[epochs]}", loc="left")
        side.set_xlabel("cost of a supernet, in trainings of one epoch")
    sides[0].set_ylabel("Kendall τ over all 64 paths")
    sides[1].legend(frameon=False, loc="lower right", fontsize=9)
    figure.savefig(HERE / "length.svg", metadata={"Date": None})


TABLES: tuple[Callable[[Study], str], ...] = (
    truth,
    strategies,
    chosen,
    pooled,
    corrected,
    baselines,
    together,
    averages,
    regrets,
    audits,
    scoring,
    dropout,
)


def written(page: str) -> str:
    """Return a page with every table computed from the data."""
    study = Study(LAB)
    for make in TABLES:
        place = re.compile(rf"(<!-- table: {make.__name__} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = make(study).replace("\\", r"\\")
        page, count = place.subn(rf"\g<1>{text}\n\g<2>", page)
        assert count == 1, f"study.md has {count} places for the table {make.__name__}"
    return page


if __name__ == "__main__":
    before = PAGE.read_text()
    if "--check" in sys.argv:
        sys.exit(0 if written(before) == before else "The tables in study.md do not match the data.")
    PAGE.write_text(written(before))
    draw(Study(LAB))
